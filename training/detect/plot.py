"""Draws the log of a run: losses, density and the penalty's weight, mAP over steps. Needs matplotlib.

    python -m training.detect.plot --run runs/<name>

writes log.png beside log.csv, of a run that is not finished as well. Training writes it at its end.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

# title -> (column, label)
PANELS: dict[str, tuple[tuple[str, str], ...]] = {
    "loss": (("loss", "all"), ("box", "box"), ("class", "class"), ("dfl", "distribution focal")),
    "share of non-zero counts": (("density", "in training"), ("target", "target"), ("val_density", "in validation")),
    "weight of the penalty": (("penalty_weight", ""),),
    "mAP in validation": (("val_map50", "mAP50"), ("val_map50_95", "mAP50:95")),
}


def read_log(path: Path) -> tuple[dict[str, NDArray[np.float64]], list[str]]:
    """(column -> its numbers, NaN where a row has none; stage of every row) of a log.csv.

    Raises `ValueError` for a log without rows.
    """
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if (row["step"] or "").isdigit()]
    if not rows:
        raise ValueError(f"{path}: expected rows of a training, found none")
    columns = {key for panel in PANELS.values() for key, _ in panel} | {"step"}
    return {c: np.array([float(row.get(c) or "nan") for row in rows]) for c in columns}, [row["stage"] for row in rows]


def plot_log(path: Path) -> Path:
    """Draw the log.csv at `path` into log.png beside it, without panels that would be empty; returns that file."""
    columns, stages = read_log(path)
    penalised = np.array(stages) != "a"
    for key in ("target", "penalty_weight"):  # in the log of every stage, used where there is a penalty
        columns[key][~penalised] = np.nan
    columns["density"][columns["density"] == 0] = np.nan  # of a network without neurons
    shown = [title for title, lines in PANELS.items() if any(np.isfinite(columns[key]).any() for key, _ in lines)]
    figure = Figure(figsize=(8, 2.2 * len(shown)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(shown), sharex=True, squeeze=False)[:, 0]
    for ax, title in zip(panels, shown, strict=True):
        _panel(ax, title, columns, stages)
    panels[-1].set_xlabel("step; dotted: the end of a stage")
    figure.savefig(path.with_suffix(".png"), dpi=110)
    return path.with_suffix(".png")


def _panel(ax: Axes, title: str, columns: dict[str, NDArray[np.float64]], stages: list[str]) -> None:
    for key, label in PANELS[title]:
        there = np.isfinite(columns[key])
        if there.any():  # validations are few: they are marked
            style = "o-" if key.startswith("val_") else "-"
            ax.plot(columns["step"][there], columns[key][there], style, markersize=3, label=label)
    for before, after, step in zip(stages, stages[1:], columns["step"], strict=False):
        if before != after:
            ax.axvline(step, color="black", linewidth=0.8, linestyle=":")
    if "penalty_weight" in dict(PANELS[title]):
        ax.set_yscale("log")
    ax.set_ylabel(title, fontsize=9)
    ax.grid(alpha=0.3)
    ax.spines[["top", "right"]].set_visible(False)
    if len(PANELS[title]) > 1:
        ax.legend(fontsize=8)


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(prog="python -m training.detect.plot")
    parser.add_argument("--run", type=Path, required=True, help="folder of the run")
    args = parser.parse_args()
    if not (args.run / "log.csv").is_file():
        parser.error(f"no log.csv in {args.run}")
    print(plot_log(args.run / "log.csv"))


if __name__ == "__main__":
    main()
