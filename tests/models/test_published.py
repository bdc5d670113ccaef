"""Published checkpoints: whole pickled modules are read without their code, and nothing in them runs."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import pytest
import torch

from pyspike.errors import ModelFormatError
from pyspike.models.published import read_published
from pyspike.models.spikeyolo import SpikeYOLO
from pyspike.models.spikeyolo_import import names

from ..nn.golden import golden, read_safetensors


def test_reads_a_trainers_checkpoint() -> None:
    found = read_published(golden("a_upstream_style_ckpt_fp16.pt"))
    expected = read_safetensors(golden("a_weights.safetensors"))
    model = SpikeYOLO(depth=0.33, width=0.0625, num_classes=20).load_published(found)
    own = model.state_dict()
    for published, name in names(own).items():
        assert torch.equal(own[name], expected[published].half().to(own[name].dtype)), published


def test_reads_a_plain_state_dict(tmp_path: Path) -> None:
    torch.save({"a.weight": torch.arange(3.0)}, tmp_path / "plain.pt")
    assert read_published(tmp_path / "plain.pt")["a.weight"].tolist() == [0, 1, 2]


class _Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return exec, (f"open({str(self.mark)!r}, 'w')", "")


def test_runs_no_code_of_the_file(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    torch.save({"model": _Evil(mark)}, tmp_path / "evil.pt")
    with pytest.raises(ModelFormatError, match=r"__builtin__\.exec"):
        read_published(tmp_path / "evil.pt")
    assert not mark.exists()


def test_refuses_what_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "noise.pt").write_bytes(b"not a checkpoint")
    torch.save([1, 2], tmp_path / "list.pt")
    torch.save({"epoch": 3}, tmp_path / "empty.pt")
    for name in ("noise", "list", "empty"):
        with pytest.raises(ModelFormatError, match=name):
            read_published(tmp_path / f"{name}.pt")
    with pytest.raises(FileNotFoundError):
        read_published(tmp_path / "absent.pt")


def test_a_truncated_checkpoint_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(100)}, tmp_path / "whole.pt")
    data = (tmp_path / "whole.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelFormatError):
        read_published(tmp_path / "cut.pt")
    with zipfile.ZipFile(tmp_path / "odd.pt", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"a": 1}))
    with pytest.raises(ModelFormatError):
        read_published(tmp_path / "odd.pt")
