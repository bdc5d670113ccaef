"""A picture of a mapping: which tiles every core of the mesh holds, how full it is, and where most flits go.

Plain data in, one PNG out. Needs matplotlib (the extra `report`).
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pyspike.errors import ShapeError, missing_extra

EDGE = -1
INK, MUTED, TRACK, PAPER, ARROW = "#1d2433", "#687085", "#e3e6ee", "#ffffff", "#1d2433"
POTENTIAL, WEIGHT = "#364fc7", "#e8590c"
CELL, BARS = 0.86, 0.2  # side of a core's square and width of its bars; the mesh has pitch 1


class MappedTile(NamedTuple):
    """A tile of a core. phase: its place in the order of layers. potential: words; weight: bits."""

    name: str
    phase: int
    potential: int
    weight: int


@dataclass(frozen=True)
class ChipMap:
    """What to draw.

    mesh: columns, rows. cores: core number y * columns + x -> its tiles. potential, weight: what a core can hold, in
    words and bits. flows: (source core, target core, flits), `EDGE` for the host. phases: names of phases, for the
    scale of colours.

    Raises ShapeError for a mesh without cores, for cores outside it, and for a capacity of 0.
    """

    title: str
    mesh: tuple[int, int]
    cores: Mapping[int, Sequence[MappedTile]]
    potential: int
    weight: int
    flows: Sequence[tuple[int, int, int]] = ()
    phases: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        columns, rows = self.mesh
        if columns < 1 or rows < 1 or self.potential < 1 or self.weight < 1:
            raise ShapeError(
                f"chip map: expected a mesh and capacities of at least 1, found a mesh of {columns} x {rows}, "
                f"{self.potential} words and {self.weight} bits a core"
            )
        strange = [core for core in self.cores if not 0 <= core < columns * rows]
        strange += [core for flow in self.flows for core in flow[:2] if not EDGE <= core < columns * rows]
        if strange:
            raise ShapeError(f"chip map: expected cores 0..{columns * rows - 1}, found {strange[0]}")

    def place(self, core: int) -> tuple[float, float]:
        """Centre of a core's square, (column, row); the host lies west of core 0."""
        return (-1.38, 0.0) if core == EDGE else (float(core % self.mesh[0]), float(core // self.mesh[0]))

    def heaviest(self, most: int) -> list[tuple[int, int, int]]:
        """The flows between different places with the most flits, both directions apart, lightest first."""
        sums: dict[tuple[int, int], int] = {}
        for source, target, flits in self.flows:
            if source != target and flits > 0:
                sums[source, target] = sums.get((source, target), 0) + flits
        found = sorted(((flits, *ends) for ends, flits in sums.items()), reverse=True)[:most]
        return [(source, target, flits) for flits, source, target in reversed(found)]


def draw(chip: ChipMap, path: str | os.PathLike[str], *, arrows: int | None = None, dpi: int = 130) -> Path:
    """Draw `chip` into the PNG file `path`, and return that. `arrows`: how many of the heaviest flows.

    Raises `MissingExtraError` without matplotlib.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise missing_extra("matplotlib", "report") from error
    columns, rows = chip.mesh
    # A core takes at least 0.6 inch, so that its number and bars can be read; a small mesh is drawn larger.
    inch = min(1.4, max(0.62, 8.0 / max(columns, rows)))
    width, height = (columns + 1.9) * inch, (rows + 0.4) * inch
    side, head = 3.1, 0.9  # inches: the legend at the right, the title
    figure = Figure(figsize=(width + side, max(height, 4.6) + head), dpi=dpi, facecolor=PAPER)
    FigureCanvasAgg(figure)
    full_width, full_height = figure.get_size_inches()
    mesh = figure.add_axes((0, 1 - (head + height) / full_height, width / full_width, height / full_height))
    mesh.set(xlim=(-1.9, columns), ylim=(rows - 0.3, -0.7), aspect="equal")
    mesh.set_axis_off()
    colours = _colours(chip)
    for core in range(columns * rows):
        _draw_core(mesh, chip, core, colours, inch)
    _draw_host(mesh, chip, inch)
    heaviest = chip.heaviest(min(64, max(8, columns * rows // 6)) if arrows is None else arrows)
    for flow in heaviest:
        _draw_flow(mesh, chip, flow, heaviest[-1][2], inch)
    figure.text(
        0.25 / full_width,
        1 - 0.36 / full_height,
        chip.title,
        parse_math=False,
        fontsize=15,
        weight="bold",
        color=INK,
        va="center",
    )
    figure.text(0.25 / full_width, 1 - 0.66 / full_height, _summary(chip), fontsize=9.5, color=MUTED, va="center")
    legend = figure.add_axes((width / full_width, 0, side / full_width, 1 - head / full_height))
    _draw_legend(legend, chip, colours, heaviest, figure.get_size_inches()[1] - head)
    target = Path(path)
    figure.savefig(target, format="png", facecolor=PAPER)
    return target


def _colours(chip: ChipMap) -> dict[int, Any]:
    """Phase -> colour, along a scale that goes from the first layer to the last."""
    from matplotlib import colormaps

    phases = sorted({tile.phase for tiles in chip.cores.values() for tile in tiles})
    scale = colormaps["turbo"]
    return {phase: _soft(scale(0.06 + 0.86 * k / max(1, len(phases) - 1))) for k, phase in enumerate(phases)}


def _soft(colour: tuple[float, ...]) -> tuple[float, ...]:
    """The colour mixed with white, so that ink stays legible on it."""
    return tuple(0.66 * part + 0.34 for part in colour[:3])


def _draw_core(axes: Any, chip: ChipMap, core: int, colours: Mapping[int, Any], inch: float) -> None:
    """A core's square: stripes in the colours of its tiles' phases, their numbers, and two bars of how full it is."""
    from matplotlib.patches import FancyBboxPatch, Rectangle

    x, y = chip.place(core)
    left, top = x - CELL / 2, y - CELL / 2
    tiles = sorted(chip.cores.get(core, ()), key=lambda tile: tile.phase)
    outline = FancyBboxPatch(
        (left, top), CELL, CELL, boxstyle="round,pad=0,rounding_size=0.07", facecolor="#f6f7fa", edgecolor=TRACK, lw=0.8
    )
    axes.add_patch(outline)
    if not tiles:
        return
    widths = (CELL - BARS) / len(tiles)
    for k, tile in enumerate(tiles):
        stripe = Rectangle((left + k * widths, top), widths, CELL, facecolor=colours[tile.phase], lw=0)
        axes.add_patch(stripe)
        stripe.set_clip_path(outline)
    for k, (used, room, colour) in enumerate(
        (
            (sum(tile.potential for tile in tiles), chip.potential, POTENTIAL),
            (sum(tile.weight for tile in tiles), chip.weight, WEIGHT),
        )
    ):
        at, share = left + CELL - BARS + (0.16 + 0.44 * k) * BARS, min(1.0, used / room)
        length = CELL - 0.12
        axes.add_patch(Rectangle((at, top + 0.06), 0.3 * BARS, length, facecolor=TRACK, lw=0))
        axes.add_patch(
            Rectangle((at, top + 0.06 + (1 - share) * length), 0.3 * BARS, share * length, facecolor=colour, lw=0)
        )
    _label(axes, tiles, left + (CELL - BARS) / 2, y, inch)


def _label(axes: Any, tiles: Sequence[MappedTile], x: float, y: float, inch: float) -> None:
    """The phases of a core; with more than three, the first and the last of them."""
    from matplotlib.patheffects import withStroke

    phases = sorted({tile.phase for tile in tiles})
    words = [str(phase) for phase in phases] if len(phases) <= 3 else [str(phases[0]), "…", str(phases[-1])]
    text = axes.text(x, y, "\n".join(words), ha="center", va="center", color=INK, linespacing=1.0, zorder=8)
    text.set(fontsize=min(11.0, 13.0 * inch), path_effects=[withStroke(linewidth=1.8, foreground="#ffffffb0")])


def _draw_host(axes: Any, chip: ChipMap, inch: float) -> None:
    from matplotlib.patches import FancyBboxPatch

    axes.add_patch(
        FancyBboxPatch(
            (-1.68, -0.3), 0.6, 0.6, boxstyle="round,pad=0,rounding_size=0.1", facecolor=INK, edgecolor="none"
        )
    )
    axes.text(
        *chip.place(EDGE), "host", ha="center", va="center", fontsize=min(10.0, 12.5 * inch), color=PAPER, zorder=5
    )


def _middle(chip: ChipMap, core: int) -> tuple[float, float]:
    """Where arrows begin and end: left of the bars."""
    x, y = chip.place(core)
    return (x, y) if core == EDGE else (x - BARS / 2, y)


def _draw_flow(axes: Any, chip: ChipMap, flow: tuple[int, int, int], most: int, inch: float) -> None:
    """An arrow as wide as the flow is heavy. All bend to one side, so that two directions do not lie on each other."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.patheffects import withStroke

    source, target, flits = flow
    weight = flits / most
    width = inch * (0.8 + 2.6 * weight)
    arrow = FancyArrowPatch(
        _middle(chip, source),
        _middle(chip, target),
        connectionstyle="arc3,rad=0.22",
        arrowstyle=f"-|>,head_length={2.5 + 2 * weight},head_width={1.3 + weight}",
        shrinkA=19 * inch,
        shrinkB=19 * inch,
        lw=width,
        color=ARROW,
        alpha=0.6 + 0.4 * weight,
        zorder=6,
    )
    arrow.set_path_effects([withStroke(linewidth=width + 1.6, foreground=PAPER, alpha=0.7)])
    axes.add_patch(arrow)


def _draw_legend(
    axes: Any, chip: ChipMap, colours: Mapping[int, Any], heaviest: Sequence[tuple[int, int, int]], inches: float
) -> None:
    """What colours, bars and arrows mean. Its coordinates are inches from the top left."""
    from matplotlib.patches import Rectangle

    axes.set(xlim=(0, 3.1), ylim=(inches, 0))
    axes.set_axis_off()
    y = 0.35
    for colour, words in (
        (POTENTIAL, f"potentials, of {chip.potential:,} words"),
        (WEIGHT, f"weights, of {chip.weight / 8192:,.0f} KiB"),
    ):
        axes.add_patch(Rectangle((0.27, y - 0.16), 0.07, 0.32, facecolor=TRACK, lw=0))
        axes.add_patch(Rectangle((0.27, y - 0.04), 0.07, 0.20, facecolor=colour, lw=0))
        axes.text(0.5, y, words, va="center", fontsize=9, color=INK)
        y += 0.42
    if heaviest:
        axes.annotate("", (0.45, y), (0.12, y), arrowprops={"arrowstyle": "-|>", "color": ARROW, "lw": 2})
        words = f"the {len(heaviest)} heaviest flows,\n{heaviest[0][2]:,} to {heaviest[-1][2]:,} flits"
        axes.text(0.5, y, words, va="center", fontsize=9, color=INK)
        y += 0.52
    axes.text(0.12, y, "Phases: the order of layers", fontsize=9, color=MUTED, va="center")
    y += 0.26
    step = min(0.24, (inches - y - 0.15) / max(1, len(colours)))
    every = max(1, math.ceil(0.13 / step)) if step > 0 else 1  # names that fit
    for k, (phase, colour) in enumerate(colours.items()):
        axes.add_patch(Rectangle((0.12, y - step / 2), 0.28, step, facecolor=colour, edgecolor=PAPER, lw=0.5))
        if k % every == 0:
            name = chip.phases.get(phase, "")
            words = f"{phase}  {name if len(name) <= 30 else name[:29] + '…'}"
            axes.text(0.5, y, words, parse_math=False, va="center", fontsize=min(9.0, max(6.5, 60 * step)), color=INK)
        y += step


def _summary(chip: ChipMap) -> str:
    columns, rows = chip.mesh
    held = [tiles for tiles in chip.cores.values() if tiles]
    words = f"{sum(map(len, held))} tiles in {len(held)} of {columns} × {rows} cores"
    if held:
        potential = sum(tile.potential for tiles in held for tile in tiles) / (len(held) * chip.potential)
        weight = sum(tile.weight for tiles in held for tile in tiles) / (len(held) * chip.weight)
        words += f"; these are {potential:.0%} full of potentials and {weight:.0%} of weights"
    return words
