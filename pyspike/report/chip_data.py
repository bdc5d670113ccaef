"""What a simulated run of the chip amounts to, as plain arrays: the input of the report and of the trace.

docs/chip.md defines the words: classes of core-cycles, links, steps. Cycles count from 0 over the whole run; several
passes follow one another in time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyspike.errors import RangeError, ShapeError

CLASSES = ("busy", "stalled", "waiting", "idle")
OUTPUTS = ("L", "N", "E", "S", "W")
LAYER_KINDS = ("input", "synapse", "fire", "pool", "relay", "output")
HOST = -1  # as the core of a step: an input of the host


@dataclass(frozen=True)
class ChipFacts:
    """The chip: its name, mesh (columns, rows), lanes of a core, clock in Hz, and coding of counts."""

    name: str
    mesh: tuple[int, int]
    lanes: int
    clock: float
    coding: str

    @property
    def cores(self) -> int:
        """Number of cores of the mesh; core y * columns + x lies at (x, y)."""
        return self.mesh[0] * self.mesh[1]


@dataclass(frozen=True)
class LayerRecord:
    """One layer of the network on the chip, all timesteps together.

    kind: one of LAYER_KINDS. cores: where its tiles lie (none for the host's inputs). first_cycle, last_cycle: of its
    work, inclusive; last_cycle = first_cycle - 1 says that it did none. energy: joules by kind. density: share of
    non-zero counts among those that it reads or gives.
    """

    name: str
    kind: str
    cores: Sequence[int]
    first_cycle: int
    last_cycle: int
    events: int = 0
    sops: int = 0
    adds: int = 0
    issues: int = 0
    spikes: int = 0
    flits: int = 0
    hops: int = 0
    energy: Mapping[str, float] = field(default_factory=dict)
    density: float | None = None


@dataclass(frozen=True, eq=False)
class StepTimes:
    """Every step of every tile at every timestep: int64 [n] each, names one string each, in any order.

    core: HOST for inputs. layer: index into ChipRun.layers. first, last: cycles, inclusive. t: timestep.
    """

    core: NDArray[np.int64]
    tile: NDArray[np.int64]
    names: Sequence[str]
    layer: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    spikes: NDArray[np.int64]
    t: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SpikeRaster:
    """Spikes as points: int64 [n] each. total: of all spikes, of which these are a sample."""

    cycle: NDArray[np.int64]
    layer: NDArray[np.int64]
    neuron: NDArray[np.int64]
    total: int


@dataclass(frozen=True, eq=False)
class ChipRun:
    """A run of one network on one chip.

    cycles, seconds (latency), sops, adds, flits, energy (J): totals. agreement: what the outputs were compared with.
    classes: int64 [cores, 4], core-cycles by CLASSES. links: int64 [cores, 5], flits through OUTPUTS of each router.
    window: cycles of a window of the time series, the last one cut at the end of the run; or int64 [n + 1], the edges
    of windows of any length from 0 to `cycles`. Where there are several passes, each begins with a window.
    window_classes: int64 [n, cores, 4]. window_links: int64 [n, cores, 5]. window_energy: float64 [n, kinds], joules,
    its columns in the order of energy_parts.
    energy_parts: kind -> J; they sum to energy. passes: (title, first cycle), ascending.

    Raises ShapeError for arrays of other shapes, RangeError for figures that contradict each other.
    """

    title: str
    chip: ChipFacts
    cycles: int
    seconds: float
    sops: int
    adds: int
    flits: int
    energy: float
    agreement: str
    classes: NDArray[np.int64]
    links: NDArray[np.int64]
    window: int | NDArray[np.int64]
    window_classes: NDArray[np.int64]
    window_links: NDArray[np.int64]
    window_energy: NDArray[np.float64]
    energy_parts: Mapping[str, float]
    layers: Sequence[LayerRecord]
    steps: StepTimes
    passes: Sequence[tuple[str, int]] = ()
    raster: SpikeRaster | None = None

    def __post_init__(self) -> None:
        _check_totals(self)
        _check_windows(self)
        for layer in self.layers:
            _check_layer(self, layer)
        _check_steps(self)
        _check_raster(self)

    @property
    def edges(self) -> NDArray[np.int64]:
        """First cycle of every window, and the end of the run: int64 [n + 1]."""
        if isinstance(self.window, np.ndarray):
            return self.window
        return np.minimum(np.arange(len(self.window_classes) + 1, dtype=np.int64) * self.window, self.cycles)

    @property
    def cores_in_use(self) -> NDArray[np.bool_]:
        """Cores that have steps to do, by pass: [max(1, passes), cores]. The others are idle in all its cycles."""
        starts = np.searchsorted(self.edges, [first for _, first in self.passes] or [0])
        at_work = (self.window_classes[:, :, : CLASSES.index("idle")] > 0).any(2)
        return np.asarray(np.logical_or.reduceat(at_work, starts, axis=0))

    @property
    def utilisation(self) -> float:
        """Share of busy core-cycles among those of the cores in use."""
        bounds = [*([first for _, first in self.passes] or [0]), self.cycles]
        used = int((np.diff(bounds) * self.cores_in_use.sum(1)).sum())
        return float(self.classes[:, 0].sum()) / max(1, used)


def coarser(run: ChipRun, windows: int) -> ChipRun:
    """`run` with at most so many windows, and one more for each pass: neighbours within a pass become one."""
    edges = run.edges
    if len(edges) - 1 <= windows:
        return run
    passes = [first for _, first in run.passes]
    starts = [0]
    for index, cycle in enumerate(edges[:-1].tolist()):
        if cycle in passes or (cycle - edges[starts[-1]]) * windows >= run.cycles:
            starts += [index] if index else []
    return replace(
        run,
        window=np.append(edges[starts], edges[-1]),
        window_classes=np.add.reduceat(run.window_classes, starts, axis=0),
        window_links=np.add.reduceat(run.window_links, starts, axis=0),
        window_energy=np.add.reduceat(run.window_energy, starts, axis=0),
    )


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise RangeError(f"chip run: {message}")


def _integers(name: str, array: NDArray[Any], *shape: int) -> None:
    if array.shape != shape or array.dtype.kind not in "iu":
        raise ShapeError(f"chip run: {name} must be integers {list(shape)}, not {array.dtype} {list(array.shape)}")
    _require(not array.size or int(array.min()) >= 0, f"{name} holds {array.min() if array.size else 0}, below 0")


def _amount(name: str, value: float) -> None:
    _require(math.isfinite(value) and value >= 0, f"{name} must be a finite number of at least 0, not {value}")


def _check_totals(run: ChipRun) -> None:
    chip, (columns, rows) = run.chip, run.chip.mesh
    _require(columns >= 1 and rows >= 1, f"a mesh of {columns} x {rows} has no core")
    _require(math.isfinite(chip.clock) and chip.clock > 0, f"a clock of {chip.clock} Hz")
    _require(run.cycles >= 1, f"{run.cycles} cycles: a run has at least one")
    _require(run.seconds > 0 and math.isfinite(run.seconds), f"a latency of {run.seconds} s")
    for name in ("sops", "adds", "flits", "energy"):
        _amount(name, getattr(run, name))
    for kind, joules in run.energy_parts.items():
        _amount(f"energy of {kind!r}", joules)
    parts = math.fsum(run.energy_parts.values())
    _require(math.isclose(parts, run.energy, rel_tol=1e-6), f"energy {run.energy} J, but its parts sum to {parts} J")
    _integers("classes", run.classes, chip.cores, len(CLASSES))
    _integers("links", run.links, chip.cores, len(OUTPUTS))
    odd = np.flatnonzero(run.classes.sum(1) != run.cycles)
    if odd.size:
        core, found = odd[0], run.classes[odd[0]].sum()
        raise RangeError(f"chip run: the classes of core {core} sum to {found} cycles, the run has {run.cycles}")
    _require(all(0 <= first < run.cycles for _, first in run.passes), "a pass starts outside the run")
    firsts = [first for _, first in run.passes]
    ordered = not firsts or (firsts[0] == 0 and all(a < b for a, b in pairwise(firsts)))
    _require(ordered, f"passes must follow each other from cycle 0 on, but start at {firsts}")


def _check_windows(run: ChipRun) -> None:
    n, cores = len(run.window_classes), run.chip.cores
    _require(n >= 1, "no window: a time series has at least one")
    _integers("window_classes", run.window_classes, n, cores, len(CLASSES))
    _integers("window_links", run.window_links, n, cores, len(OUTPUTS))
    if run.window_energy.shape != (n, len(run.energy_parts)):
        expected, found = [n, len(run.energy_parts)], list(run.window_energy.shape)
        raise ShapeError(f"chip run: window_energy must be {expected} (windows, kinds of energy_parts), not {found}")
    finite = bool(np.isfinite(run.window_energy).all()) and not (run.window_energy < 0).any()
    _require(finite, "window_energy holds numbers that are not finite or below 0")
    edges = run.edges
    _integers("window", edges, n + 1)
    whole = edges[0] == 0 and edges[-1] == run.cycles and bool((np.diff(edges) > 0).all())
    _require(whole, f"{n} windows from {edges[0]} to {edges[-1]} do not cut {run.cycles} cycles into pieces")
    within = [first for _, first in run.passes if first not in edges]
    _require(not within, f"a pass that starts at {within[:1]} starts within a window")
    for name, total in (("classes", run.classes), ("links", run.links)):
        found = getattr(run, f"window_{name}").sum(0)
        _require(bool((found == total).all()), f"window_{name} does not sum to {name}")


def _check_layer(run: ChipRun, layer: LayerRecord) -> None:
    where = f"layer {layer.name!r}"
    _require(layer.kind in LAYER_KINDS, f"{where} is of kind {layer.kind!r}, none of {', '.join(LAYER_KINDS)}")
    _require(all(0 <= core < run.chip.cores for core in layer.cores), f"{where} lies on a core outside the mesh")
    spans = 0 <= layer.first_cycle <= layer.last_cycle + 1 and layer.last_cycle < run.cycles
    _require(spans, f"{where} works in {layer.first_cycle}..{layer.last_cycle} of {run.cycles} cycles")
    for name in ("events", "sops", "adds", "issues", "spikes", "flits", "hops"):
        _amount(f"{name} of {where}", getattr(layer, name))
    for kind, joules in layer.energy.items():
        _require(kind in run.energy_parts, f"{where} has energy of kind {kind!r}, which the whole run does not have")
        _amount(f"energy of {where}", joules)
    if layer.density is not None:
        _require(0 <= layer.density <= 1, f"{where} has a density of {layer.density}")


def _check_steps(run: ChipRun) -> None:
    steps, n = run.steps, len(run.steps.names)
    _integers("core of steps", steps.core - HOST, n)
    for name in ("tile", "layer", "first", "last", "spikes", "t"):
        _integers(f"{name} of steps", getattr(steps, name), n)
    _require(bool((steps.core < run.chip.cores).all()), "a step lies on a core outside the mesh")
    _require(bool((steps.layer < len(run.layers)).all()), "a step belongs to no layer")
    inside = bool((steps.first <= steps.last).all() and (steps.last < run.cycles).all())
    _require(inside, "a step ends before it begins, or after the run")


def _check_raster(run: ChipRun) -> None:
    if run.raster is None:
        return
    n = len(run.raster.cycle)
    for name in ("cycle", "layer", "neuron"):
        _integers(f"{name} of the raster", getattr(run.raster, name), n)
    _require(bool((run.raster.cycle < run.cycles).all()), "the raster holds spikes after the run")
    _require(bool((run.raster.layer < len(run.layers)).all()), "the raster holds spikes of no layer")
    _require(run.raster.total >= n, f"the raster holds {n} of {run.raster.total} spikes")
