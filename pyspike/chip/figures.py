"""From the simulator's counters to energy counts: by core, layer and time, each adding up to the whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyspike import _simulator
from pyspike.chip.energy import Counts
from pyspike.chip.firmware import EDGE, Firmware

Table = NDArray[np.int64]
CORE, PORT = _simulator.CORE_COUNTERS, _simulator.PORT_COUNTERS
STEP, INPUT = _simulator.STEP_COUNTERS, _simulator.INPUT_COUNTERS
FLITS = ("spikes", "potentials", "ends", "readies")
_SHARED = {each.name for each in fields(Counts)}
EDGE_OUTPUT = 4  # W, of router (0, 0)
"""Which output of the first router leads to the host."""


@dataclass(frozen=True, eq=False)
class RunFigures:
    """What one pass counted, as the simulator gives it (pyspike/_simulator.pyi)."""

    firmware: Firmware
    raw: dict[str, Any]
    first_cycle: int
    """Of this pass in the whole run."""

    @property
    def cycles(self) -> int:
        """Cycles of this pass."""
        return int(self.raw["cycles"])

    @property
    def used_cores(self) -> list[int]:
        """Cores that hold tiles; the others are taken to be off."""
        return [core.number for core in self.firmware.cores]

    def total(self, counter: str) -> int:
        """A core counter over all cores."""
        return int(column(self.raw["cores"], CORE, counter).sum())

    def host(self, counter: str) -> int:
        """An input counter over all inputs."""
        return int(column(self.raw["inputs"], INPUT, counter).sum())

    @property
    def flits(self) -> int:
        """Flits that entered out FIFOs or left the host."""
        return sum(self.total(each) for each in FLITS) + sum(self.host(each) for each in FLITS[:3])

    @property
    def spikes_column(self) -> int:
        """Where the spikes stand in the counters of steps."""
        return STEP.index("spikes")

    def by_core(self) -> Counts:
        """Counts of every core of the mesh; the host's flits count where they enter, at core 0."""
        cores, links = self.raw["cores"], self.raw["links"]
        shared = {name: column(cores, CORE, name) for name in CORE if name in _SHARED}
        flits = sum(column(cores, CORE, each) for each in FLITS)
        routed = links.sum(axis=1)
        edge_in, edge_out = _at_first(self.raw["edge_in"], len(cores)), _at_first(self.raw["edge_out"], len(cores))
        powered = np.zeros(len(cores), dtype=np.int64)
        powered[self.used_cores] = self.cycles
        spikes = shared.pop("spikes") + _at_first(self.host("spikes"), len(cores))
        return Counts(
            **shared, spikes=spikes, flits=flits + edge_in, routed=routed,
            fifo_writes=flits + routed + links[:, 0] + edge_out, edge_in=edge_in, edge_out=edge_out,
            core_cycles=powered,
        )  # fmt: skip

    def by_window(self) -> Counts:
        """Counts of every window of the time series; the host's flits are spread over the time in which it sends."""
        windows, links = self.raw["window_counters"], self.raw["window_links"].sum(axis=1)
        shared = {name: column(windows, CORE, name) for name in CORE if name in _SHARED}
        flits = sum(column(windows, CORE, each) for each in FLITS)
        routed = links.sum(axis=1)
        edge_in = self._sent_by_window(FLITS[:3])
        edge_out = self.raw["window_links"][:, 0, EDGE_OUTPUT]
        lengths = np.diff(self.edges())
        spikes = shared.pop("spikes") + self._sent_by_window(("spikes",))
        return Counts(
            **shared, spikes=spikes, flits=flits + edge_in, routed=routed,
            fifo_writes=flits + routed + links[:, 0] + edge_out, edge_in=edge_in, edge_out=edge_out,
            core_cycles=lengths * len(self.used_cores),
        )  # fmt: skip

    def edges(self) -> Table:
        """First cycle of every window of this pass, and its end."""
        count = len(self.raw["window_counters"])
        edges = np.arange(count + 1, dtype=np.int64) * int(self.raw["window"])
        edges[-1] = self.cycles
        return edges

    def sender(self, core: int, destination: int) -> tuple[int, bool]:
        """The step (or, with True, the host input) that the `destination`th record of a core belongs to."""
        return self._senders[core, destination]

    @cached_property
    def _senders(self) -> dict[tuple[int, int], tuple[int, bool]]:
        found: dict[tuple[int, int], tuple[int, bool]] = {}
        firmware = self.firmware
        steps = [(each.first_destination, each.destinations, i) for i, each in enumerate(firmware.steps)]
        for core in firmware.cores:
            end = core.first_destination + core.destinations
            for first, count, step in steps:
                if core.first_destination <= first < end:
                    at = first - core.first_destination
                    found |= {(core.number, at + k): (step, False) for k in range(count)}
        behind = firmware.host_destination()
        for i, record in enumerate(firmware.inputs):
            at = record.first_destination - behind
            found |= {(EDGE, at + k): (i, True) for k in range(record.destinations)}
        return found

    def by_layer(self, layers: Sequence[str]) -> dict[str, Counts]:
        """Counts of synapses, neurons and their flits by layer name; static energy and the edge belong to none."""
        found = {name: Counts() for name in layers}
        metadata = self.firmware.metadata
        for layer, row in zip(metadata["ports"], self.raw["ports"], strict=True):
            found[metadata["layers"][layer]] += _of_port(row)
        for layer, row in zip(metadata["steps"], self.raw["steps"], strict=True):
            found[metadata["layers"][layer]] += _of_step(row)
        for name, row in zip(metadata["inputs"], self.raw["inputs"], strict=True):
            found[name] += _sent(row, INPUT, fifos=2)
        return found

    def _sent_by_window(self, kinds: Sequence[str]) -> Table:
        """Flits of the host of some kinds by window, cumulatively rounded so that they add up."""
        edges = self.edges().astype(np.float64)
        sent = np.zeros(len(edges) - 1, dtype=np.int64)
        times = self.raw["input_times"]
        for i, row in enumerate(self.raw["inputs"]):
            total = int(sum(row[INPUT.index(each)] for each in kinds))
            spans = times[:, i].astype(np.float64)
            length = max(float((spans[:, 1] - spans[:, 0] + 1).sum()), 1.0)
            passed = sum(np.clip(edges - first, 0, last - first + 1) for first, last in spans)
            sent += np.diff(np.rint(total * passed / length).astype(np.int64))
        return sent


def column(table: Table, columns: Sequence[str], name: str) -> Table:
    """A counter of every row."""
    found: Table = table[:, columns.index(name)]
    return found


def _at_first(value: int, size: int) -> Table:
    found = np.zeros(size, dtype=np.int64)
    found[0] = value
    return found


def _of_port(row: Table) -> Counts:
    """The engine's work for one port, a read and a write for each issue, and the READY tokens that it sends."""
    get = dict(zip(PORT, row.tolist(), strict=True))
    shared = {name: value for name, value in get.items() if name in _SHARED}
    flits, hops = get["readies"], get["hops_x"] + get["hops_y"]
    return Counts(
        **shared, potential_reads=get["issues"], potential_writes=get["issues"], flits=flits, routed=hops + flits,
        fifo_writes=hops + 3 * flits,
    )  # fmt: skip


def _of_step(row: Table) -> Counts:
    get = dict(zip(STEP, row.tolist(), strict=True))
    shared = {name: value for name, value in get.items() if name in _SHARED and not name.startswith("hops")}
    return Counts(**{**shared, "spikes": 0}) + _sent(row, STEP, fifos=3)


def _sent(row: Table, columns: Sequence[str], fifos: int) -> Counts:
    """The way of a step's flits: a FIFO in every router, and `fifos` - 1 others (axon; out, but for the host)."""
    get = dict(zip(columns, row.tolist(), strict=True))
    flits, hops = sum(get[each] for each in FLITS[:3]), get["hops_x"] + get["hops_y"]
    return Counts(
        spikes=get["spikes"], flits=flits, hops_x=get["hops_x"], hops_y=get["hops_y"], routed=hops + flits,
        fifo_writes=hops + fifos * flits,
    )  # fmt: skip
