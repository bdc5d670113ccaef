"""`pyspike import-checkpoint` from outside: what it prints, writes and refuses."""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path

import torch

from pyspike.models.spikeyolo import SpikeYOLO
from pyspike.models.spikeyolo_checkpoint import load_imported
from pyspike.models.spikeyolo_import import names
from tests.cli.conftest import Cli


def _checkpoint(path: Path) -> SpikeYOLO:
    model = SpikeYOLO(width=0.0625, num_classes=3)
    own = model.state_dict()
    halves = {
        name: own[ours].half() if own[ours].is_floating_point() else own[ours] for name, ours in names(own).items()
    }
    torch.save({"epoch": -1, "model": halves}, path)
    return model


def test_help_has_an_example(cli: Cli) -> None:
    result = cli("import-checkpoint", "--help")
    assert result.code == 0
    assert "pyspike import-checkpoint " in result.out.split("Example:")[1]


def test_imports_beside_the_source(cli: Cli, tmp_path: Path) -> None:
    _checkpoint(tmp_path / "best.pt")
    result = cli("import-checkpoint", tmp_path / "best.pt")
    assert result.code == 0, result.err
    assert "SpikeYOLO, of its own scale (depth 0.33, width 0.0625), 3 classes, T 1, D 4, coco neurons" in result.out
    assert "SHA-256" in result.out
    assert "widened from 16 bits to float32" in result.out
    assert "docs/importing.md" in result.out
    assert load_imported(tmp_path / "best.safetensors").config.num_classes == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.pt", "best.safetensors"]


def test_options_override_what_the_file_says(cli: Cli, tmp_path: Path) -> None:
    _checkpoint(tmp_path / "best.pt")
    target = tmp_path / "other.safetensors"
    options = ("--timesteps", 4, "--counts", 2, "--neuron", "gen1", "-o", target)
    assert "T 4, D 2, gen1 neurons" in cli("import-checkpoint", tmp_path / "best.pt", *options).out
    config = load_imported(target).config
    assert (config.T, config.D, config.neuron) == (4, 2, "gen1")


class _Evil:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (self.command,)


def test_refuses_in_one_line_and_writes_nothing(cli: Cli, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "evil.pt", "w") as archive:
        archive.writestr("evil/data.pkl", pickle.dumps(_Evil(f"touch {tmp_path / 'ran'}"), protocol=2))
    result = cli("import-checkpoint", tmp_path / "evil.pt")
    assert result.code == 2
    assert result.err.count("\n") == 1
    assert "asks for posix.system" in result.err
    assert [path.name for path in tmp_path.iterdir()] == ["evil.pt"]
    assert cli("import-checkpoint", tmp_path / "absent.pt").err.endswith("absent.pt: no such file\n")
    (tmp_path / "noise.pt").write_bytes(b"noise")
    assert "noise.pt: expected the zip format of torch.save" in cli("import-checkpoint", tmp_path / "noise.pt").err
