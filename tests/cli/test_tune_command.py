"""`pyspike tune`: a side file beside the image, its table, and other machines' choices left as they are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pyspike import Model, Tuning
from pyspike.tuning import TunedLayer, TuneReport
from pyspike.tuning.side_file import Machine
from tests.cli.conftest import Cli


@pytest.fixture(name="copy")
def _copy(model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(model, tmp_path / "network.spk"))


def report_for(path: Path, kernels: dict[str, tuple[str, int]]) -> TuneReport:
    layers = tuple(TunedLayer(name, ("flat", 640), after, 2e-3, 1e-3) for name, after in kernels.items())
    return TuneReport(Tuning(Model.load(path, tuned=False).sha256, {Machine("c", "i", 1): kernels}), layers, 5e-3, 4e-3)


def test_a_model_is_tuned(cli: Cli, copy: Path, photo: Path) -> None:
    result = cli("tune", copy, photo, "--repetitions", 1, "--isa", "portable", "--threads", 2)
    assert result.code == 0, result.err
    (machine,) = Tuning.load(copy.with_name("network.spk.tune")).machines
    assert machine[1:] == ("portable", 2)
    assert " ms -> " in result.out
    assert cli("run", copy, photo).code == 0


def test_the_table_and_what_is_kept(cli: Cli, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    side = copy.with_name("network.spk.tune")
    known = Tuning(Model.load(copy).sha256, {Machine("another", "avx2", 4): {"drive8": ("split", 0)}})
    known.save(side)
    report = report_for(copy, {"drive8": ("folded", 640)})
    monkeypatch.setattr("pyspike.runtime.Model.tune", lambda *arguments, **options: report)
    result = cli("tune", copy)
    for text in ("drive8", "flat 640", "2.000", "folded 640", "1.000", "5.000 ms -> 4.000 ms", f"Kept in {side}"):
        assert text in result.out
    assert Tuning.load(side) == known.updated(report.tuning)
    assert len(Tuning.load(side).machines) == 2
    nothing = report_for(copy, {})
    monkeypatch.setattr("pyspike.runtime.Model.tune", lambda *arguments, **options: nothing)
    found = json.loads(cli("tune", copy, "--json").out)
    assert found == {"before": 5e-3, "after": 4e-3, "kept": False, "layers": []}


def test_a_broken_side_file_is_not_overwritten(cli: Cli, copy: Path) -> None:
    side = copy.with_name("network.spk.tune")
    side.write_text("{")
    result = cli("tune", copy, "--repetitions", 1)
    assert result.code != 0
    assert "delete it, or run 'pyspike tune'" in result.err
    assert side.read_text() == "{"
