"""The plot of a run's log: every column where it means something, panels that have nothing to show left out."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from PIL import Image

from training.detect import plot
from training.detect.checkpoint import Log
from training.detect.plot import plot_log, read_log


def write_log(folder: Path, stages: str, spiking: bool = True) -> Path:
    """Two rows a stage, validated at its end."""
    log = Log(folder / "log.csv", 0)
    for step, stage in enumerate(c for s in stages for c in s * 2):
        row = {"step": 10 * (step + 1), "stage": stage, "loss": 5.0 - step, "box": 2.0, "class": 1.0, "dfl": 0.5}
        row |= {"density": 0.3 if spiking else 0.0, "target": 0.1 if stage != "a" else 0.0, "penalty_weight": 0.5}
        if step % 2:
            row |= {"val_map50": 0.1 * step, "val_map50_95": 0.05 * step}
            row |= {"val_density": 0.25 if spiking else float("nan")}
        log.add(**row)
    return folder / "log.csv"


def drawn(path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[float]]]:
    """label -> (steps, values) of every line that `plot_log` draws."""
    lines: dict[str, list[list[float]]] = {}
    whole = Axes.plot

    def noted(self: Axes, x: np.ndarray, y: np.ndarray, style: str, **options: object) -> object:
        lines[str(options["label"])] = [x.tolist(), y.tolist()]
        return whole(self, x, y, style, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Axes, "plot", noted)
        assert plot_log(path) == path.with_name("log.png")
    with Image.open(path.with_name("log.png")) as picture:
        assert picture.width > 500
    return lines


def test_every_column_is_drawn_where_it_means_something(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = drawn(write_log(tmp_path, "abc"), monkeypatch)
    steps = [10.0, 20.0, 30.0, 40.0, 50.0, 60.0]
    assert lines["all"] == [steps, [5.0, 4.0, 3.0, 2.0, 1.0, 0.0]]
    assert lines["box"] == [steps, [2.0] * 6]
    assert lines["in training"] == [steps, [0.3] * 6]
    assert lines["target"] == [steps[2:], [0.1] * 4]  # none in stage (a)
    assert lines[""] == [steps[2:], [0.5] * 4]
    assert lines["mAP50"] == [[20.0, 40.0, 60.0], pytest.approx([0.1, 0.3, 0.5])]
    assert lines["in validation"] == [[20.0, 40.0, 60.0], [0.25] * 3]


def test_a_network_of_relus_has_no_density(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = drawn(write_log(tmp_path, "a", spiking=False), monkeypatch)
    assert set(lines) == {"all", "box", "class", "distribution focal", "mAP50", "mAP50:95"}


def test_a_run_that_has_not_validated_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_log(tmp_path, "a")
    path.write_text("\n".join(path.read_text().splitlines()[:2]) + "\n7,a")  # and a row that is being written
    assert "mAP50" not in drawn(path, monkeypatch)
    assert read_log(path)[0]["step"].tolist() == [10.0, 7.0]


def test_what_cannot_be_drawn_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: object) -> None:
    Log(tmp_path / "log.csv", 0)
    with pytest.raises(ValueError, match=r"log\.csv: expected rows of a training, found none"):
        plot_log(tmp_path / "log.csv")
    monkeypatch.setattr(sys, "argv", ["plot", "--run", str(tmp_path / "absent")])
    with pytest.raises(SystemExit, match="2"):
        plot.main()
