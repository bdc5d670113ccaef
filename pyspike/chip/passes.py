"""Cuts a network that is larger than the chip into passes, each a dataflow of its own, one load of the chip.

A pass is a run of steps in the order of waits. At its end live tensors leave through the edge: the counts of steps that
a later pass reads, and the potentials of streams that go on there. The next pass has them as inputs of the host.
"""

from __future__ import annotations

import math
from dataclasses import replace

from pyspike.chip.config import Chip
from pyspike.chip.dataflow import Dataflow, Delivery, Edge, HostInput, Piece, Place, Step, Synapses
from pyspike.chip.firmware import COUNTS, OUTPUT, POTENTIALS
from pyspike.chip.tiling import cut, needs
from pyspike.chip.waits import number_steps
from pyspike.errors import ChipError


def split(dataflow: Dataflow, chip: Chip, weight_bits: int, fill: float) -> list[Dataflow]:
    """The passes of a numbered dataflow: itself where it fits the chip. A pass may need the share `fill` of the chip's
    SRAM and ports; the rest is what cannot be packed.
    """
    steps = sorted(dataflow.steps(), key=lambda step: step.number)
    ends = []
    at = 0
    while at < len(steps):
        at = _furthest(steps, at, chip, weight_bits, fill)
        ends.append(at)
    if len(ends) == 1:
        return [dataflow]
    return _Splitter(dataflow, steps, ends).passes()


def _furthest(steps: list[Step], first: int, chip: Chip, weight_bits: int, fill: float) -> int:
    """The largest end for which steps[first:end] fit the chip."""
    if _fits(steps[first:], chip, weight_bits, fill):
        return len(steps)
    low, high = first, len(steps)  # fits, does not fit
    while high - low > 1:
        middle = (low + high) // 2
        if _fits(steps[first:middle], chip, weight_bits, fill):
            low = middle
        else:
            high = middle
    if low == first:
        cut(_parts(steps[first : first + 1])[0], chip, weight_bits, 1)  # says so where a core is too small
        part = _parts(steps[first : first + 1])[0]
        entries = _entries(part)
        if entries > chip.port_table:
            raise ChipError(
                f"{part.name!r} does not fit a core: it needs {entries} entries of a port table, of {chip.port_table}"
            )
        raise ChipError(f"{part.name!r} alone does not fit chip {chip.name!r}: give it a larger mesh, or more SRAM")
    return low


def _fits(steps: list[Step], chip: Chip, weight_bits: int, fill: float) -> bool:
    """Whether the tiles of `steps` leave enough room to be packed."""
    potential = weights = ports = 0
    for place in _parts(steps):
        entries = _entries(place)
        if entries > chip.port_table:
            return False
        try:
            tiles = cut(place, chip, weight_bits, 1)
        except ChipError:  # all branches of a stream together may be too much for a core
            return False
        for tile in tiles:
            found = needs(tile, chip.lanes, weight_bits)
            potential += found.potential
            weights += found.weight_bits
            ports += entries
    room = fill * chip.cores
    return (
        potential <= room * chip.potential_words
        and weights <= room * chip.weight_capacity
        and ports <= math.ceil(room * chip.port_table)
    )


def _entries(part: Place) -> int:
    """Entries of the port table that each tile of a part takes."""
    return sum(len(step.edges) for step in part.steps) + _goes_on(part)


def _goes_on(part: Place) -> bool:
    """Whether a part begins with what a pass before left, which comes through a port of its own."""
    return part.steps[0] is not part.steps[0].place.steps[0]


def _parts(steps: list[Step]) -> list[Place]:
    """The places of some steps, with these steps alone."""
    parts: dict[int, Place] = {}
    for step in steps:
        part = parts.setdefault(id(step.place), replace(step.place, steps=[]))
        part.steps.append(step)
    return list(parts.values())


class _Splitter:
    def __init__(self, dataflow: Dataflow, steps: list[Step], ends: list[int]) -> None:
        self.dataflow, self.steps, self.ends = dataflow, steps, ends
        self.pass_of: dict[int, int] = {}
        for number, (first, end) in enumerate(zip([0, *ends], ends, strict=False)):
            self.pass_of |= {id(step): number for step in steps[first:end]}
        self.left: dict[int, Step] = {}
        """By place: the step that last sent its potentials to the edge."""

    def passes(self) -> list[Dataflow]:
        """All passes, in order."""
        return [self._one(number) for number in range(len(self.ends))]

    def _one(self, number: int) -> Dataflow:
        flow = Dataflow(self.dataflow.timesteps, relays=list(self.dataflow.relays))
        own = [step for step in self.steps if self.pass_of[id(step)] == number]
        copies: dict[int, Step] = {}
        hosts: dict[int, HostInput] = {}
        for part in _parts(own):
            originals, part.steps = part.steps, []
            for step in originals:
                copy = replace(step, place=part, edges=[], readers=[], origin=step)
                if step.delivery is None and self._read_later(step, number):
                    copy.delivery = Delivery(step.name, COUNTS, part.canvas)
                copies[id(step)] = copy
                part.steps.append(copy)
            flow.places.append(part)
            self._stream(flow, part, originals, number)
        for step in own:
            for edge in step.edges:
                self._connect(flow, edge, copies, hosts)
        flow.inputs += hosts.values()
        number_steps(flow)
        return flow

    def _read_later(self, step: Step, number: int) -> bool:
        return any(self.pass_of[id(edge.step)] > number for edge in step.readers)

    def _stream(self, flow: Dataflow, part: Place, originals: list[Step], number: int) -> None:
        """Bring in what a pass before left of the stream, and take out what a later one needs."""
        place = originals[0].place
        if id(place) in self.left:
            source = self.left[id(place)]
            host = HostInput(f"{place.name} (stream)", part.canvas, 0, True, POTENTIALS, origin=source)
            flow.inputs.append(host)
            rows, columns, channels = part.canvas
            whole = Piece(host, 0, channels, 0, (0, rows - 1, 0, columns - 1))
            flow.connect(whole, part.steps[0], Synapses(f"{place.name} (stream)", None, None, load=True))
        if any(self.pass_of[id(step)] > number for step in place.steps):
            out = Step(OUTPUT, f"{place.name} (stream)", part)
            out.delivery = Delivery(out.name, POTENTIALS, part.canvas)
            part.steps.append(out)
            self.left[id(place)] = out

    def _connect(self, flow: Dataflow, edge: Edge, copies: dict[int, Step], hosts: dict[int, HostInput]) -> None:
        """The edge within the pass, or from the host where its source is elsewhere."""
        reader = copies[id(edge.step)]
        source: Step | HostInput
        if id(edge.source) in copies:
            source = copies[id(edge.source)]
            sent = source.readers
        else:
            source = hosts.setdefault(id(edge.source), _sent_again(edge.source))
            sent = source.edges
        copy = replace(edge, source=source, place=reader.place, step=reader)
        reader.edges.append(copy)
        sent.append(copy)


def _sent_again(source: Step | HostInput) -> HostInput:
    if isinstance(source, HostInput):
        return replace(source, edges=[])
    return HostInput(source.name, source.place.canvas, source.count, True, COUNTS, origin=source)
