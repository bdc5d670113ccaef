"""Runs a network on the simulated chip: whole inferences, cycle by cycle, with time and energy.

report = pyspike.simulate("network.spk", photograph)
print(report)                    # cycles, seconds, energy, utilisation
report.outputs                   # the integers of Runtime.run(raw=True), out of the simulated cores
report.write_html("report.html")
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from numbers import Integral

import numpy as np

from pyspike import _simulator, image
from pyspike.chip import energy
from pyspike.chip.config import MAX_MESH, Chip
from pyspike.chip.energy import Counts, Energy
from pyspike.chip.figures import RunFigures
from pyspike.chip.firmware import to_bytes
from pyspike.chip.host import Arrays, Host
from pyspike.chip.mapping import MappedNetwork, map_network
from pyspike.chip.moves import Origin
from pyspike.errors import ChipError, ModelFormatError, RangeError
from pyspike.graph import Graph
from pyspike.ops import Synapse
from pyspike.ops.base import Ints

Source = str | os.PathLike[str] | bytes | Graph | MappedNetwork
Progress = Callable[[str, int, int], None]
CLASSES = ("busy", "stalled", "waiting", "idle")


@dataclass(frozen=True)
class LayerFigures:
    """What one layer did: its synapses (`kind` "synapse" or "pool"), or its neurons ("fire", "relay", "output",
    "input").

    cores hold its tiles; first_cycle .. last_cycle is when its steps were under way; neurons: all that it has, and
    `counts.fired` of them had a count above 0. energy: without static power, which belongs to no layer.
    """

    name: str
    kind: str
    cores: tuple[int, ...]
    first_cycle: int
    last_cycle: int
    neurons: int
    issues: int
    counts: Counts
    energy: Energy


@dataclass(frozen=True)
class SimulationReport:
    """A simulated inference.

    outputs: integers by name, as `Runtime.run(raw=True)` gives them. cycles, and seconds at the chip's clock. sops,
    adds, flits (sent, tokens included). passes: the simulator's own figures, one for each load of the chip.
    """

    outputs: dict[str, Ints]
    mapped: MappedNetwork = field(repr=False)
    passes: tuple[RunFigures, ...] = field(repr=False)

    @property
    def chip(self) -> Chip:
        """The chip that was simulated."""
        return self.mapped.chip

    @property
    def cycles(self) -> int:
        """Cycles of all passes."""
        return sum(each.cycles for each in self.passes)

    @property
    def seconds(self) -> float:
        """Latency at the chip's clock; loading the firmware of a pass is not counted."""
        return self.cycles / self.chip.clock

    @property
    def sops(self) -> int:
        """Synaptic operations; `extra_sops` says what the chip does beyond the runtime."""
        return self._total("sops")

    @property
    def adds(self) -> int:
        """Additions to potentials."""
        return self._total("adds")

    @property
    def events(self) -> int:
        """Events that engines took."""
        return self._total("events")

    @property
    def flits(self) -> int:
        """Flits sent, tokens included."""
        return sum(each.flits for each in self.passes)

    @property
    def hops(self) -> int:
        """Router-to-router traversals."""
        return self._total("hops_x") + self._total("hops_y")

    @property
    def addition_only(self) -> bool:
        """Whether no engine multiplied: false where counts were folded."""
        return self._total("multiplies") == 0

    @cached_property
    def preset(self) -> energy.Preset:
        """The figures that energy is computed from."""
        return energy.load(self.chip.energy)

    @cached_property
    def energy(self) -> Energy:
        """Energy by kind, static power included."""
        if self.papers:
            return sum((layer.energy for layer in self.layers), Energy({}))
        return self.price(sum((each.by_core().total() for each in self.passes), Counts()))

    @cached_property
    def papers(self) -> dict[str, int]:
        """Under the preset `paper`: the layers that read graph inputs, and their multiply-accumulates.

        Papers count these for them, and SOPs for all others; there is no other energy, and it lies in layers alone.
        """
        return input_macs(self.mapped.graph) if self.preset.name == "paper" else {}

    @property
    def energy_by_core(self) -> Energy:
        """Energy of every core of the mesh, by kind (arrays); edge and host count at core 0. They sum to `energy`.

        Raises `ChipError` under the preset `paper`, whose energy lies in layers alone.
        """
        if self.papers:
            raise ChipError("the papers' formula knows layers and no cores: use another energy preset")
        parts = [self.price(each.by_core()) for each in self.passes]
        return sum(parts[1:], parts[0])

    @cached_property
    def classes(self) -> dict[str, int]:
        """Core-cycles that were busy, stalled, waiting and idle; they sum to cycles x cores."""
        return {name: self._total(name) for name in CLASSES}

    @property
    def utilisation(self) -> float:
        """Share of core-cycles of the cores in use that were busy."""
        used = sum(each.cycles * len(each.used_cores) for each in self.passes)
        return self.classes["busy"] / max(used, 1)

    @cached_property
    def layers(self) -> tuple[LayerFigures, ...]:
        """All layers: host inputs, then in the order of their first cycle."""
        from pyspike.chip.layers import layers_of

        return layers_of(self)

    @cached_property
    def extra_sops(self) -> dict[str, int]:
        """By synapse: SOPs on the chip beyond those of the graph, where events are applied at several places."""
        from pyspike.chip.layers import repeated

        return repeated(self)

    def differences(self, expected: Arrays) -> int:
        """How many output integers differ from those of `expected`, by name; all of an output of another shape."""
        pairs = [(self.outputs[name], values) for name, values in expected.items()]
        return sum(int((a != b).sum()) if a.shape == b.shape else b.size for a, b in pairs)

    def price_layer(self, name: str, counts: Counts) -> Energy:
        """The energy of a layer's counts."""
        if name in self.papers:
            counts = replace(counts, sops=0, multiplies=self.papers[name])
        return self.price(counts)

    def price(self, counts: Counts) -> Energy:
        """The energy of some of the counts."""
        return self.preset.energy(counts, self.chip, self.passes[0].firmware.weight_bits)

    def write_html(self, path: str | os.PathLike[str], title: str = "Simulated chip", agreement: str = "") -> None:
        """Write the self-contained HTML report; `agreement` says what the outputs were compared with."""
        from pyspike.report.chip_run import write_html

        write_html(self, path, title, agreement)

    def write_trace(self, path: str | os.PathLike[str], title: str = "Simulated chip") -> None:
        """Write a trace for Perfetto (ui.perfetto.dev) or chrome://tracing."""
        from pyspike.report.chip_run import write_trace

        write_trace(self, path, title)

    def __str__(self) -> str:
        joules = self.energy
        parts = ", ".join(f"{kind} {value * 1e6:.4g}" for kind, value in joules.parts.items() if value)
        kind = "" if self.addition_only else " (with multiplications: counts are folded)"
        used = max(len(each.used_cores) for each in self.passes)
        return "\n".join((
            f"chip        {self.chip.name}, {self.chip.width} x {self.chip.height} cores, {used} in use, "
            f"{self.chip.coding} coding, {_passes(len(self.passes))}",
            f"latency     {self.cycles:,} cycles, {1e3 * self.seconds:.3g} ms at {self.chip.clock / 1e6:.4g} MHz",
            f"work        {self.sops:,} SOPs by {self.adds:,} additions{kind}, {self.events:,} events",
            f"network     {self.flits:,} flits, {self.hops:,} hops",
            f"cores       {100 * self.utilisation:.3g} % of the cycles of those in use are busy",
            f"energy      {1e6 * joules.total:.4g} uJ by {self.chip.energy}: {parts} uJ",
        ))  # fmt: skip

    def _total(self, counter: str) -> int:
        return sum(each.total(counter) for each in self.passes)


def simulate(
    model: Source,
    inputs: Arrays | np.ndarray,
    chip: str | os.PathLike[str] | Chip = "default",
    *,
    seed: int = 0,
    threads: int = 1,
    windows: int = 256,
    raster: int = 20_000,
    trace: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> SimulationReport:
    """Run one whole inference on the simulated chip.

    model: an image (path or bytes), a graph, or what `map_network` made. inputs: integers of the declared shapes by
    name, or the array of the only input. chip: a preset ("default", "large"), a TOML file, or a `Chip`. seed: of the
    placement; a mapped network has its own chip and seed, and both are ignored. threads: of the simulator, with the
    same result. windows, raster: most windows of the time series, and points of the spike raster; reports and traces
    need windows. trace: a file for the retire-level trace (docs/chip.md), one for each pass with its number before the
    suffix where there are several. progress(what, done, of) may raise.

    Raises `ModelFormatError`, `UnsupportedOpError` for an operator that the chip cannot run, `ChipError` where the
    network does not fit or the chip is impossible, `ShapeError`, `RangeError`, and `SimulationError`.
    """
    for name, value, least in (("threads", threads, 1), ("windows", windows, 0), ("raster", raster, 0)):
        if not _is_whole(value) or not least <= value < 2**31:
            raise RangeError(f"{name}: expected a whole number of at least {least}, found {value!r}")
    mapped = model if isinstance(model, MappedNetwork) else _mapped(model, chip, seed, progress)
    host = Host(mapped.graph, inputs)
    figures: list[RunFigures] = []
    first = 0
    for number, each in enumerate(mapped.passes):
        raw = _simulator.run(
            to_bytes(each.firmware), [host.sent(source) for source in each.dataflow.inputs],
            threads=min(threads, MAX_MESH),  # each has a band of rows
            windows=windows, raster=raster, trace=_trace_path(trace, number, len(mapped.passes)),
            progress=_told(progress),
        )  # fmt: skip
        delivering = [step for step in each.dataflow.steps() if step.delivery is not None]
        for step, values in zip(delivering, raw.pop("outputs"), strict=True):
            host.receive(step, values)
        figures.append(RunFigures(each.firmware, raw, first))
        first += figures[-1].cycles
    return SimulationReport(host.outputs(mapped.network), mapped, tuple(figures))


def _is_whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def input_macs(graph: Graph) -> dict[str, int]:
    """Multiply-accumulates, over all timesteps, of the dense twins of synapses that read graph inputs."""
    origin = Origin(graph)
    return {
        node.output: node.op.macs(graph.tensors[node.inputs[0]].shape) * graph.timesteps
        for node in graph.nodes
        if isinstance(node.op, Synapse) and origin.is_host(node.inputs[0])
    }


def _mapped(
    model: str | os.PathLike[str] | bytes | Graph,
    chip: str | os.PathLike[str] | Chip,
    seed: int,
    progress: Progress | None,
) -> MappedNetwork:
    if not isinstance(model, (str, os.PathLike, bytes, Graph)):
        raise ModelFormatError(f"expected the path or bytes of a model image, or a graph; found {type(model).__name__}")
    if not isinstance(model, Graph):
        model = image.from_bytes(model) if isinstance(model, bytes) else image.read(model)
    loaded = chip if isinstance(chip, Chip) else Chip.load(chip)
    energy.load(loaded.energy)  # a preset that cannot be read is told now, not when all is simulated
    return map_network(model, loaded, seed=seed, progress=progress)


def _told(progress: Progress | None) -> Callable[[int, int, int], None] | None:
    if progress is None:
        return None
    return lambda cycle, done, steps: progress(f"simulating, cycle {cycle:,}", done, steps)


def _trace_path(trace: str | os.PathLike[str] | None, number: int, passes: int) -> str:
    if trace is None:
        return ""
    root, suffix = os.path.splitext(os.fspath(trace))  # noqa: PTH122 - a path-like in, a text out
    return f"{root}.{number}{suffix}" if passes > 1 else f"{root}{suffix}"


def _passes(count: int) -> str:
    return "one pass" if count == 1 else f"{count} passes"
