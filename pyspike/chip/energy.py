"""Energy of a run on the chip: what was counted, times what each of it costs.

    E = sum over counters of count x energy per count  +  static power x time

The counters (`Counts`) come from the simulator, or from `twin` for the same network as a dense int8 network on the same
cores. The costs (`Preset`) come from a TOML file in which every figure has a value, a unit and a source; three are
shipped: `45nm`, `paper`, `loihi`. Where a figure comes from, and what is not modelled, is in docs/energy.md.

Every cost is rounded once to whole attojoules (1 aJ = 1e-18 J), and static energy is counted by core-cycles. Counts are
integers, so energies are too, and integer addition has no order: a breakdown by kind, layer, core or time window, or by
all of them, sums to the total exactly.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyspike.chip.config import SHIFT_BITS, WEIGHT_BITS, Chip
from pyspike.errors import ChipError, RangeError, ShapeError

Count = int | NDArray[np.int64]

ATTOJOULES = 10**18  # in a joule
PRESETS = ("45nm", "paper", "loihi")
FLIT_BITS, PAYLOAD_BITS = 96, 32  # of a flit, and of its value
ACTIVATION_BITS = 8  # of the twin, and of its weights
POTENTIAL_BITS, COMPARATORS, THRESHOLD_BITS = 32, 8, 32  # of a lane


@dataclass(frozen=True)
class Counts:
    """What happened: each an int, or int64 arrays of one shape (cores, layers, windows: any breakdown).

    Names that docs/chip.md lists among its counters mean the same here. Beyond them: activation_bits: bits that the
    int8 twin writes to and reads from potential SRAM (the spiking core keeps none). maxes: comparisons of one lane.
    fired: neurons whose count was not zero. flits: of any kind, entering out FIFOs or leaving the host. routed:
    traversals of routers (hops + 1 for each flit). fifo_writes: of all FIFOs. edge_in, edge_out: flits from and to the
    host. core_cycles: cycles x powered cores.

    Raises RangeError for a count that is negative or no integer, ShapeError for arrays of different shapes.
    """

    adds: Count = 0
    lane_adds: Count = 0
    multiplies: Count = 0
    maxes: Count = 0
    sops: Count = 0
    events: Count = 0
    weight_words: Count = 0
    potential_reads: Count = 0
    potential_writes: Count = 0
    constant_words: Count = 0
    activation_bits: Count = 0
    fired_words: Count = 0
    compares: Count = 0
    fired: Count = 0
    spikes: Count = 0
    flits: Count = 0
    hops_x: Count = 0
    hops_y: Count = 0
    routed: Count = 0
    fifo_writes: Count = 0
    edge_in: Count = 0
    edge_out: Count = 0
    core_cycles: Count = 0

    def __post_init__(self) -> None:
        for name, value in self.items():
            object.__setattr__(self, name, _count(name, value))
        shapes = {value.shape for _, value in self.items() if isinstance(value, np.ndarray)}
        if len(shapes) > 1:
            raise ShapeError(f"counts: expected arrays of one shape, found {sorted(shapes)}")
        if np.any(np.asarray(self.lane_adds) < self.adds):
            raise RangeError("counts: lane_adds: expected at least adds (it counts dead lanes too), found less")

    def items(self) -> Iterable[tuple[str, Count]]:
        """Name and value of every counter."""
        return ((field.name, getattr(self, field.name)) for field in fields(self))

    def total(self) -> Counts:
        """Every array summed to one integer."""
        return Counts(**{name: int(np.sum(value)) for name, value in self.items()})

    def __add__(self, other: Counts) -> Counts:
        return Counts(**{name: value + getattr(other, name) for name, value in self.items()})


def _count(name: str, value: Any) -> Count:
    if isinstance(value, np.ndarray) and value.dtype.kind in "iu":
        count: Count = value.astype(np.int64)
    elif isinstance(value, int | np.integer) and not isinstance(value, bool):
        count = int(value)
    else:
        found = f"an array of {value.dtype}" if isinstance(value, np.ndarray) else repr(value)
        raise RangeError(f"counts: {name}: expected an integer or an array of integers, found {found}")
    if np.min(count, initial=0) < 0:
        raise RangeError(f"counts: {name}: expected no negative number, found {np.min(count)}")
    return count


@dataclass(frozen=True)
class Energy:
    """attojoules: by kind, integers or int64 arrays of the shape of the counts. Exact: any breakdown sums to the total.

    total, parts and elements are the same in joules, each rounded once, to the nearest float64.
    """

    attojoules: Mapping[str, Count]

    @property
    def total_attojoules(self) -> int:
        """The exact sum of all parts and elements."""
        return sum(int(np.sum(value)) for value in self.attojoules.values())

    @property
    def total(self) -> float:
        """Joules."""
        return self.total_attojoules / ATTOJOULES

    @property
    def parts(self) -> dict[str, float]:
        """Joules by kind, summed over elements."""
        return {kind: int(np.sum(value)) / ATTOJOULES for kind, value in self.attojoules.items()}

    @property
    def elements(self) -> NDArray[np.float64]:
        """Joules of every element (core, layer, window), all kinds together."""
        return np.asarray(sum(np.asarray(value, np.float64) for value in self.attojoules.values())) / ATTOJOULES

    def __add__(self, other: Energy) -> Energy:
        kinds = dict.fromkeys([*self.attojoules, *other.attojoules])
        return Energy({kind: self.attojoules.get(kind, 0) + other.attojoules.get(kind, 0) for kind in kinds})


# Figure of a preset -> the kind of energy that it belongs to, and how often it is spent (counts, lanes).
FIGURES: dict[str, tuple[str, Callable[[Counts, int], Count]]] = {
    "add": ("synapse", lambda c, _: c.adds),
    "dead_lane": ("synapse", lambda c, _: c.lane_adds - c.adds),
    "multiply": ("synapse", lambda c, _: c.multiplies),
    "synaptic_operation": ("synapse", lambda c, _: c.sops),
    "event": ("decode", lambda c, _: c.events),
    "compare": ("fire", lambda c, lanes: c.compares * (lanes * COMPARATORS) + c.maxes),
    "neuron_update": ("fire", lambda c, lanes: c.fired_words * lanes),
    "neuron_spike": ("fire", lambda c, _: c.fired),
    "spike": ("messages", lambda c, _: c.spikes),
    "flit": ("messages", lambda c, _: c.flits),
    "hop_x": ("links", lambda c, _: c.hops_x),
    "hop_y": ("links", lambda c, _: c.hops_y),
    "router": ("routers", lambda c, _: c.routed),
    "fifo_write": ("routers", lambda c, _: c.fifo_writes),
    "edge_flit": ("edge", lambda c, _: c.edge_in + c.edge_out),
}
# Kind of energy -> the accesses of a memory.
MEMORIES: dict[str, Callable[[Counts], Count]] = {
    "weight memory": lambda c: c.weight_words,
    "potential memory": lambda c: c.potential_reads + c.potential_writes,
    "activation memory": lambda c: c.activation_bits,
    "constant memory": lambda c: c.constant_words,
}
POWERS = ("core", "sram_kib")  # watts of a core's logic, and of a KiB of its SRAM, while powered
PREFIXES = {"": 0, "m": 3, "u": 6, "n": 9, "p": 12, "f": 15, "a": 18}


@dataclass(frozen=True)
class Figure:
    """A value with its unit (J or W, with a prefix m, u, n, p, f, a or none) and its source. si: in joules or watts."""

    value: Fraction
    unit: str
    source: str

    @property
    def si(self) -> Fraction:
        """Joules or watts, exactly as written."""
        return self.value * Fraction(1, 10 ** PREFIXES[self.unit[:-1]])


@dataclass(frozen=True)
class MemoryPoint:
    """An access of `bits` bits to an SRAM of `bytes` bytes costs `figure`."""

    bytes: int
    bits: int
    figure: Figure


@dataclass(frozen=True)
class Preset:
    """What everything costs. figures: by the keys of FIGURES. powers: by POWERS. memory: by rising size."""

    name: str
    description: str
    figures: Mapping[str, Figure]
    powers: Mapping[str, Figure]
    memory: tuple[MemoryPoint, ...]

    def access(self, size: int, bits: int) -> float:
        """Joules of an access of `bits` bits to an SRAM of `size` bytes; a write costs the same.

        log-log interpolation between the neighbouring sizes given, with the slope of the nearest two beyond the ends;
        an access of w bits costs w/64 of one of 64. One size alone stands for all.
        """
        points = [(math.log(point.bytes), float(point.figure.si / point.bits)) for point in self.memory]
        if len(points) == 1:
            return bits * points[0][1]
        at = min(max(1, sum(x < math.log(size) for x, _ in points)), len(points) - 1)
        (x0, y0), (x1, y1) = points[at - 1 : at + 1]
        return bits * y0 * math.exp((math.log(size) - x0) * math.log(y1 / y0) / (x1 - x0))

    def costs(self, chip: Chip, weight_bits: int = WEIGHT_BITS, shift_bits: int = SHIFT_BITS) -> dict[str, int]:
        """Attojoules of one count of everything: by figure, by memory (one access), and `static` (one core-cycle).

        A weight word has lanes x (weight_bits + shift_bits) bits, a potential word lanes x 32, a word of constants
        lanes x 8 x 32; activations are priced by the bit.
        """
        accesses = {
            "weight memory": (chip.weight_sram, chip.lanes * (weight_bits + shift_bits)),
            "potential memory": (chip.potential_sram, chip.lanes * POTENTIAL_BITS),
            "activation memory": (chip.potential_sram, 1),
            "constant memory": (chip.weight_sram, chip.lanes * COMPARATORS * THRESHOLD_BITS),
        }
        costs = {name: round(figure.si * ATTOJOULES) for name, figure in self.figures.items()}
        costs |= {kind: round(self.access(*access) * ATTOJOULES) for kind, access in accesses.items()}
        kib = Fraction(chip.weight_sram + chip.potential_sram, 1024)
        watts = self.powers["core"].si + kib * self.powers["sram_kib"].si
        return costs | {"static": round(watts / Fraction(chip.clock) * ATTOJOULES)}

    def energy(
        self, counts: Counts, chip: Chip, weight_bits: int = WEIGHT_BITS, shift_bits: int = SHIFT_BITS
    ) -> Energy:
        """The energy of `counts`, elementwise. RangeError where an array sums to 2.3 J or more (int64)."""
        costs = self.costs(chip, weight_bits, shift_bits)
        parts: dict[str, Count] = {}
        for name, (kind, count) in FIGURES.items():
            parts[kind] = parts.get(kind, 0) + _product(name, count(counts, chip.lanes), costs[name])
        for kind, accesses in MEMORIES.items():
            parts[kind] = _product(kind, accesses(counts), costs[kind])
        return Energy(parts | {"static": _product("static", counts.core_cycles, costs["static"])})

    def with_figure(self, name: str, value: float, unit: str, source: str) -> Preset:
        """The same preset with another figure; raises ChipError for an unknown name or a bad value."""
        if name not in FIGURES:
            raise ChipError(f"{self.name}: figures: expected one of {', '.join(FIGURES)}, found {name!r}")
        figure = _figure({"value": value, "unit": unit, "source": source}, f"{self.name}: figures.{name}", "J")
        return replace(self, figures={**self.figures, name: figure})


def _product(name: str, count: Count, cost: int) -> Count:
    if isinstance(count, np.ndarray) and float(np.sum(count, dtype=np.float64)) * cost >= 2**61:
        raise RangeError(f"energy: {name}: expected less than 2.3 J in arrays, found more; pass Counts.total()")
    return count * cost


def load(source: str | Path) -> Preset:
    """A shipped preset by name (`45nm`, `paper`, `loihi`), or any TOML file of the same form by its path.

    Raises FileNotFoundError for a path without a file, ChipError for a file that breaks a rule: a key that is missing
    or unknown, a value that is no number or negative, a unit of another dimension, an empty source.
    """
    path = Path(__file__).parent / "presets" / f"{source}.toml" if source in PRESETS else Path(source)
    if source not in PRESETS and isinstance(source, str) and path.suffix != ".toml":
        raise ChipError(f"expected one of {', '.join(PRESETS)} or a path that ends in .toml, found {source!r}")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ChipError(f"{path.name}: expected a TOML file, found: {error}") from error
    return _preset(table, path.name)


def _preset(table: Mapping[str, Any], where: str) -> Preset:
    _keys(table, ("name", "description", "figures", "powers", "memory"), where)
    _keys(table["figures"], FIGURES, f"{where}: figures")
    _keys(table["powers"], POWERS, f"{where}: powers")
    return Preset(
        _text(table["name"], f"{where}: name"),
        _text(table["description"], f"{where}: description"),
        {name: _figure(table["figures"][name], f"{where}: figures.{name}", "J") for name in FIGURES},
        {name: _figure(table["powers"][name], f"{where}: powers.{name}", "W") for name in POWERS},
        _memory(table["memory"], f"{where}: memory"),
    )


def _memory(rows: Any, where: str) -> tuple[MemoryPoint, ...]:
    if not isinstance(rows, list) or not rows:
        raise ChipError(f"{where}: expected at least one [[memory]] table, found {rows!r}")
    points = []
    for i, row in enumerate(rows):
        here = f"{where}[{i}]"
        _keys(row, ("bytes", "bits", "value", "unit", "source"), here)
        for key in ("bytes", "bits"):
            if type(row[key]) is not int or row[key] < 1:
                raise ChipError(f"{here}.{key}: expected a positive integer, found {row[key]!r}")
        figure = _figure({key: row[key] for key in ("value", "unit", "source")}, here, "J")
        if figure.value == 0 and len(rows) > 1:
            raise ChipError(f"{here}.value: expected a positive number (several sizes are interpolated), found 0")
        points.append(MemoryPoint(row["bytes"], row["bits"], figure))
    points.sort(key=lambda point: point.bytes)
    sizes = [point.bytes for point in points]
    if len(set(sizes)) < len(sizes):
        raise ChipError(f"{where}: expected each size once, found {sizes}")
    return tuple(points)


def _keys(table: Any, names: Iterable[str], where: str) -> None:
    if not isinstance(table, dict):
        raise ChipError(f"{where}: expected a table, found {table!r}")
    names = list(names)
    missing, unknown = [name for name in names if name not in table], [name for name in table if name not in names]
    if missing or unknown:
        raise ChipError(
            f"{where}: expected the keys {', '.join(names)}; missing: {', '.join(missing) or 'none'}; "
            f"unknown: {', '.join(unknown) or 'none'}"
        )


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ChipError(f"{where}: expected a text, found {value!r}")
    return value


def _figure(table: Any, where: str, dimension: str) -> Figure:
    _keys(table, ("value", "unit", "source"), where)
    value, unit = table["value"], table["unit"]
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal) or not math.isfinite(value) or value < 0:
        raise ChipError(f"{where}.value: expected a finite number >= 0, found {value!r}")
    units = [prefix + dimension for prefix in PREFIXES]
    if unit not in units:
        raise ChipError(f"{where}.unit: expected one of {', '.join(units)}, found {unit!r}")
    exact = Fraction(str(value) if isinstance(value, float) else value)
    return Figure(exact, unit, _text(table["source"], f"{where}.source"))


@dataclass(frozen=True)
class DenseLayer:
    """What the int8 twin of one synapse needs to know.

    macs: dense multiply-accumulates inside the output; weights, inputs, outputs: elements; channels: of the output;
    depthwise: each lane reads an activation of its own. destinations: cores that an input goes to, the mean over inputs
    (in a spiking run: events by inputs above 0); hops_x, hops_y: mean hops of a flit on the way (the same placement).
    edge: activations that cross the edge port. Of the spiking layer alone: thresholds (D of its neurons), repeats
    (issues for each event and word: the mean count in unary coding, the mean number of set bits in bitwise coding).
    """

    name: str
    macs: int
    weights: int
    inputs: int
    outputs: int
    channels: int
    depthwise: bool = False
    destinations: float = 1
    hops_x: float = 0.0
    hops_y: float = 0.0
    edge: int = 0
    thresholds: int = 4
    repeats: float = 1.0

    def words(self, elements: int, lanes: int) -> int:
        """Words of `lanes` that hold `elements` numbers whose innermost axis is the output's channels."""
        return -(-elements * -(-self.channels // lanes) // self.channels)

    def issues(self, lanes: int) -> int:
        """Words that all inputs together address; taps outside cost nothing."""
        return self.words(self.macs, lanes)


def twin(
    layers: Iterable[DenseLayer], preset: Preset, chip: Chip, *, utilisation: float = 1.0
) -> tuple[tuple[Counts, Energy], ...]:
    """The same layers as an int8 network on the same cores: counts and energy of each, all activations dense.

    Each layer takes the cheaper of two loop orders of the same datapath (docs/energy.md): accumulators held in the
    lanes while a weight word is read for every issue, or a weight word held while potentials are read and written.
    utilisation: share of core-cycles with an issue, 0 < utilisation <= 1; it scales static energy alone.
    """
    if not 0 < utilisation <= 1:
        raise RangeError(f"twin: utilisation: expected 0 < utilisation <= 1, found {utilisation!r}")
    found = []
    for layer in layers:
        choices = [_dense(layer, chip, held, utilisation) for held in ("accumulators", "weights")]
        priced = [(counts, preset.energy(counts, chip, ACTIVATION_BITS, 0)) for counts in choices]
        found.append(min(priced, key=lambda pair: pair[1].total_attojoules))
    return tuple(found)


def _dense(layer: DenseLayer, chip: Chip, held: str, utilisation: float) -> Counts:
    issues, arrivals = layer.issues(chip.lanes), round(layer.inputs * layer.destinations)
    in_memory = issues if held == "weights" else 0
    return Counts(
        adds=layer.macs + layer.outputs,  # and the bias
        lane_adds=issues * chip.lanes + layer.outputs,
        multiplies=layer.macs + 4 * layer.outputs,  # and the scale of an output: 32 x 8 bits
        maxes=2 * layer.outputs,  # clipping
        weight_words=layer.words(layer.weights, chip.lanes) if held == "weights" else issues,
        potential_reads=in_memory,
        potential_writes=in_memory,
        activation_bits=ACTIVATION_BITS * (arrivals + issues * (chip.lanes if layer.depthwise else 1)),
        edge_in=_packed(layer.edge),
        core_cycles=round(issues / utilisation),
        **_traffic(layer, _packed(arrivals)),
    )


def _packed(activations: int) -> int:
    """Flits of dense activations: they need no address, so that four share the 32 bits of a value."""
    return -(-activations * ACTIVATION_BITS // PAYLOAD_BITS)


def _traffic(layer: DenseLayer, flits: int) -> dict[str, int]:
    """Counters of `flits` flits on their way: out FIFO, a FIFO in each router, axon FIFO."""
    hops_x, hops_y = round(flits * layer.hops_x), round(flits * layer.hops_y)
    routed = hops_x + hops_y + flits
    return {"flits": flits, "hops_x": hops_x, "hops_y": hops_y, "routed": routed, "fifo_writes": routed + 2 * flits}


def spiking(layer: DenseLayer, density: float, chip: Chip, *, utilisation: float = 1.0) -> Counts:
    """What the spiking core is expected to count for `layer` at T = 1 where the share `density` of inputs are events.

    An estimate before any run, for `break_even`; what the simulator counts is what holds.
    """
    events, words = round(layer.inputs * density), round(layer.issues(chip.lanes) * density)
    arrivals = round(events * layer.destinations)
    issues, adds = round(words * layer.repeats), round(layer.macs * density * layer.repeats)
    fired_words = layer.words(layer.outputs, chip.lanes)
    compares = fired_words * -(-layer.thresholds // COMPARATORS)
    return Counts(
        adds=adds,
        lane_adds=max(adds, issues * chip.lanes),
        events=arrivals,
        weight_words=words,
        potential_reads=issues + fired_words,
        potential_writes=issues,
        constant_words=compares,
        fired_words=fired_words,
        compares=compares,
        fired=round(layer.outputs * density),
        spikes=arrivals,
        edge_in=round(layer.edge * density),
        core_cycles=round((issues + fired_words) / utilisation),
        **_traffic(layer, arrivals),
    )


def break_even(layer: DenseLayer, preset: Preset, chip: Chip) -> float:
    """The share of inputs that may be events before the spiking layer costs more than its int8 twin.

    The spiking layer costs a + density x b: a for firing every neuron once, b for its inputs if all were events.
    Returns (twin - a) / b: below 0 the spiking layer always costs more, above 1 always less.
    """
    ((_, dense),) = twin([layer], preset, chip)
    none, every = (preset.energy(spiking(layer, density, chip), chip) for density in (0.0, 1.0))
    slope = every.total_attojoules - none.total_attojoules
    return math.inf if slope == 0 else (dense.total_attojoules - none.total_attojoules) / slope
