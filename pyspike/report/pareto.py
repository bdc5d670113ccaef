"""A picture of a design space: latency against energy, area as colour, and the points that no other one beats.

Plain data in, one PNG out. Needs matplotlib (the extra `report`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyspike.errors import RangeError, ShapeError, missing_extra

INK, MUTED, GRID, PAPER, LINE = "#1d2433", "#687085", "#e3e6ee", "#ffffff", "#364fc7"
STEP = 0.031  # of a line of the list
WIDEST = 62  # letters of the list's width, at full size
LISTED = 22
"""Most optimal points that are numbered, and named in the list beside the plot."""


class Design(NamedTuple):
    """One point. values: what it is, by the keys of its space. latency: seconds. energy: joules. area: square
    millimetres. All three are above 0.
    """

    values: tuple[str, ...]
    latency: float
    energy: float
    area: float


@dataclass(frozen=True)
class DesignSpace:
    """What to draw. keys: names of the designs' values.

    Raises ShapeError without designs, and for one without a value for each key; RangeError for an objective that is not
    above 0 and finite.
    """

    title: str
    keys: Sequence[str]
    designs: Sequence[Design]
    subtitle: str = ""

    def __post_init__(self) -> None:
        if not self.designs:
            raise ShapeError("design space: expected at least one point, found none")
        for each in self.designs:
            if len(each.values) != len(self.keys):
                raise ShapeError(f"design space: expected a value for each of {list(self.keys)}, found {each.values}")
            if not all(0 < value < float("inf") for value in each[1:]):
                raise RangeError(
                    f"design space: {each.values}: expected objectives above 0 and finite, found {tuple(each[1:])}"
                )

    def optimal(self) -> list[int]:
        """Indices of the designs that none beats in latency, energy and area, the fastest first."""
        kept = front(np.array([each[1:] for each in self.designs]))
        return sorted(np.flatnonzero(kept).tolist(), key=lambda i: self.designs[i][1:])


def front(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which rows of `points` float64 [n, objectives] are Pareto-optimal, all objectives being minimised.

    A row is dominated by one that is nowhere greater and somewhere less; equal rows dominate each other not.
    """
    rows, inverse = np.unique(points, axis=0, return_inverse=True)
    # In lexicographic order a row can only be dominated by an earlier one, and then by one that is optimal itself.
    best = np.empty_like(rows)
    count = 0
    kept = np.zeros(len(rows), dtype=np.bool_)
    for i, row in enumerate(rows):
        if not (best[:count] <= row).all(axis=1).any():
            best[count], kept[i] = row, True
            count += 1
    found: NDArray[np.bool_] = kept[inverse.reshape(-1)]
    return found


def draw(space: DesignSpace, path: str | os.PathLike[str], *, dpi: int = 130) -> Path:
    """Draw `space` into the PNG file `path`, and return that. Raises `MissingExtraError` without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise missing_extra("matplotlib", "report") from error
    figure = Figure(figsize=(13, 6.6), dpi=dpi, facecolor=PAPER)
    FigureCanvasAgg(figure)
    optimal = space.optimal()
    axes = figure.add_axes((0.065, 0.1, 0.47, 0.755))
    _draw_axes(axes, space)
    _draw_points(figure, axes, space, optimal)
    plain: dict[str, Any] = {"parse_math": False, "va": "center"}
    figure.text(0.065, 0.955, space.title, fontsize=15, weight="bold", color=INK, **plain)
    figure.text(0.065, 0.905, space.subtitle, fontsize=9.5, color=MUTED, **plain)
    _draw_list(figure.add_axes((0.63, 0.08, 0.355, 0.83)), space, optimal)
    target = Path(path)
    figure.savefig(target, format="png", facecolor=PAPER)
    return target


def _draw_axes(axes: Any, space: DesignSpace) -> None:
    """Milliseconds and millijoules, logarithmic where the values spread far."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    for axis, scale, values, name in (
        (axes.xaxis, axes.set_xscale, [1e3 * each.latency for each in space.designs], "latency [ms]"),
        (axes.yaxis, axes.set_yscale, [1e3 * each.energy for each in space.designs], "energy [mJ]"),
    ):
        if max(values) > 5 * min(values):
            scale("log")
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_minor_formatter(NullFormatter())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))
        axis.set_label_text(name, fontsize=10.5, color=INK)
    axes.margins(0.09)
    axes.grid(True, color=GRID, lw=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=MUTED, labelsize=9)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(MUTED)


def _draw_points(figure: Any, axes: Any, space: DesignSpace, optimal: Sequence[int]) -> None:
    """Dominated points small and pale, optimal ones ringed and numbered; the best of latency and energy joined."""
    from matplotlib.colors import LogNorm, Normalize
    from matplotlib.ticker import LogLocator

    x, y = 1e3 * np.array([each[1:3] for each in space.designs]).T
    area = np.array([each.area for each in space.designs])
    norm = LogNorm if area.max() > 5 * area.min() else Normalize
    shade = {
        "cmap": _shades(),
        "norm": norm(area.min(), area.max() if area.max() > area.min() else 1.01 * area.min()),
    }
    pale = np.ones(len(x), dtype=bool)
    pale[list(optimal)] = False
    drawn = axes.scatter(x, y, s=0, c=area, **shade)  # for the bar of colours, which pale ones would make pale
    axes.scatter(x[pale], y[pale], s=34, c=area[pale], alpha=0.4, lw=0, zorder=2, **shade)
    best = np.flatnonzero(front(np.column_stack([x, y])))
    best = best[np.argsort(x[best])]
    axes.step(x[best], y[best], where="post", color=LINE, lw=1.3, alpha=0.75, zorder=3)
    ring = list(optimal)
    axes.scatter(x[ring], y[ring], s=92, c=area[ring], edgecolor=INK, lw=1.4, zorder=4, **shade)
    _number(figure, axes, np.column_stack([x, y]), ring[:LISTED])
    bar = figure.colorbar(drawn, cax=figure.add_axes((0.555, 0.1, 0.012, 0.755)))
    bar.outline.set_visible(False)
    if norm is LogNorm:
        near = area.max() < 20 * area.min()
        bar.ax.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 4, 5, 7) if near else (1, 2, 5)))
    bar.ax.yaxis.set_major_formatter(lambda value, _: f"{value:.4g}")
    bar.ax.yaxis.set_minor_formatter(lambda value, _: "")
    bar.ax.tick_params(colors=MUTED, labelsize=9)
    bar.set_label("area [mm², proxy]", color=INK, fontsize=10.5)


def _shades() -> Any:
    """From green to dark violet: no yellow, which white paper swallows."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    return ListedColormap(colormaps["viridis"](np.linspace(0.8, 0.05, 256)))


def _number(figure: Any, axes: Any, points: NDArray[np.float64], optimal: Sequence[int]) -> None:
    """The numbers of optimal points, each on that side of it where most room is."""
    from matplotlib.patheffects import withStroke

    figure.canvas.draw()  # only now is it known where points lie in the picture
    places = axes.transData.transform(points)
    taken = list(places)
    reach = 13.0 * figure.dpi / 72
    turns = np.linspace(0, 2 * np.pi, 12, endpoint=False) + np.pi / 4
    for number, i in enumerate(optimal, 1):
        spots = places[i] + reach * np.column_stack([np.cos(turns), np.sin(turns)])
        others = np.array([each for k, each in enumerate(taken) if k != i] or [[1e9, 1e9]])
        room = np.linalg.norm(spots[:, None] - others[None], axis=2).min(axis=1)
        spot = spots[int(np.argmax(np.minimum(room, 2 * reach)))]
        taken.append(spot)
        axes.annotate(
            str(number), places[i], spot, xycoords="figure pixels", textcoords="figure pixels", ha="center",
            va="center", fontsize=9.5, weight="bold", color=INK, zorder=6,
            path_effects=[withStroke(linewidth=2.5, foreground=PAPER)],
        )  # fmt: skip


def _draw_list(axes: Any, space: DesignSpace, optimal: Sequence[int]) -> None:
    """What the numbers stand for, and what the marks mean."""
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.set_axis_off()
    axes.text(0, 1, "No other point is better", fontsize=10.5, weight="bold", color=INK, va="top")
    axes.text(0, 1 - 1.3 * STEP, "in latency, energy and area at once", fontsize=9, color=MUTED, va="top")
    heads = ["", *(key.replace("_", "\n") for key in space.keys), "ms", "mJ", "mm²"]
    rows = [[str(number), *_cells(space.designs[i])] for number, i in enumerate(optimal[:LISTED], 1)]
    ends, size = _columns([[*(max(head.split("\n"), key=len) for head in heads)], *rows])
    y = 1 - 4.6 * STEP
    for end, head in zip(ends, heads, strict=True):
        axes.text(end, y, head, fontsize=0.97 * size, color=MUTED, ha="right", va="bottom", linespacing=1.1)
    for row in rows:
        y -= STEP
        for end, cell in zip(ends, row, strict=True):
            weight = "bold" if end == ends[0] else "normal"
            axes.text(end, y, cell, fontsize=size, weight=weight, color=INK, ha="right", parse_math=False)
    y -= STEP
    if len(optimal) > LISTED:
        axes.text(ends[0], y, f"and {len(optimal) - LISTED} more, not numbered", fontsize=8.2, color=MUTED)
    _draw_legend(axes, max(0.01, y - 3.6 * STEP), len(space.designs) - len(optimal))


def _cells(design: Design) -> list[str]:
    values = 1e3 * design.latency, 1e3 * design.energy, design.area
    return [*(each if len(each) <= 16 else f"{each[:15]}…" for each in design.values), *(f"{v:.3g}" for v in values)]


def _columns(table: Sequence[Sequence[str]]) -> tuple[list[float], float]:
    """Where columns end, in shares of the list's width, and the size of letters with which they fit."""
    widths = np.array([max(map(len, column)) for column in zip(*table, strict=True)]) + 2.2
    letters = float(widths.sum())
    return (np.cumsum(widths) / max(letters, WIDEST)).tolist(), 8.6 * min(1.0, WIDEST / letters)


def _draw_legend(axes: Any, y: float, dominated: int) -> None:
    axes.scatter([0.03], [y + 2.2 * STEP], s=92, c="#9aa3b5", edgecolor=INK, lw=1.4)
    axes.scatter([0.03], [y + 1.1 * STEP], s=34, c="#9aa3b5", alpha=0.45, lw=0)
    axes.plot([0.005, 0.055], [y, y], color=LINE, lw=1.3, alpha=0.75)
    words = ("optimal", f"beaten by another ({dominated})", "best in latency and energy alone")
    for k, word in enumerate(words):
        axes.text(0.08, y + (2.2 - 1.1 * k) * STEP, word, fontsize=8.5, color=MUTED, va="center")
