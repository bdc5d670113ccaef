"""A network as the chip sees it, before anything is cut into tiles: places, their steps, and the edges between.

A *place* is where potentials stay. Its program is a list of *steps* (FIRE or OUTPUT), each with the *edges* of the
group before it. A stream of a network with membrane shortcuts is one place with many steps; any other layer is one
with a single step. docs/chip.md defines the words.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pyspike.chip.firmware import ADD, COUNTS, FIRE
from pyspike.ops import Fire
from pyspike.ops.base import Ints

Canvas = tuple[int, int, int]
"""Rows, columns and channels."""


@dataclass(eq=False)
class HostInput:
    """What the host sends: a tensor of counts, or what the step `origin` of a pass before left: counts, or the
    potentials of a stream.
    """

    name: str
    canvas: Canvas
    greatest: int
    varies: bool
    kind: int = COUNTS
    number: int = 0
    edges: list[Edge] = field(default_factory=list)
    origin: Step | None = None


@dataclass(eq=False)
class Delivery:
    """What the host receives from one step: the place's whole canvas, in the place's scale."""

    name: str
    kind: int
    canvas: Canvas


@dataclass(frozen=True)
class Piece:
    """Where a part of a tensor of counts comes from.

    Channels `low` .. `high` - 1 of the source become channels from `channel` on. Site (y, x) of the source, within
    `window` (y low, y high, x low, x high, inclusive), becomes the sites (y * U + u + offset) for all u below U.
    """

    source: Step | HostInput
    low: int
    high: int
    channel: int
    window: tuple[int, int, int, int]
    upsample: tuple[int, int] = (1, 1)
    offset: tuple[int, int] = (0, 0)

    def moved(self, dy: int = 0, dx: int = 0, dc: int = 0) -> Piece:
        """The piece in a tensor in which it stands elsewhere."""
        return replace(self, offset=(self.offset[0] + dy, self.offset[1] + dx), channel=self.channel + dc)


@dataclass(eq=False)
class Synapses:
    """What an edge does at its end. `weight` int8 [O, kh, kw, I per group] (None: load, or maximum in a place of mode
    max); `shift` int8 [O]; geometry as in a port record. `layer` is the graph tensor that a profile counts it for.
    """

    layer: str
    weight: NDArray[np.int8] | None
    shift: NDArray[np.int8] | None
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    upsample: tuple[int, int] = (1, 1)
    inputs: int = 1
    outputs: int = 1
    channel: int = 0
    load: bool = False

    @cached_property
    def digest(self) -> str:
        """Of weights and shifts: equal ones are stored once, whichever layer and place they belong to."""
        found = hashlib.sha256(repr(None if self.weight is None else self.weight.shape).encode())
        for array in (self.weight, self.shift):
            found.update(b"" if array is None else array.tobytes())
        return found.hexdigest()[:32]


@dataclass(eq=False)
class Edge:
    """Events of `source` (those of `window` and channels `low` .. `high` - 1, moved by `dc`) arrive at `place`."""

    source: Step | HostInput
    place: Place
    step: Step
    window: tuple[int, int, int, int]
    low: int
    high: int
    dc: int
    synapses: Synapses


@dataclass(eq=False)
class Step:
    """`bias` int64 [C] or None, and `ladder` int64 [1 or C, D], in the place's scale; `membrane` is the neuron that
    keeps one, `guard` its guard bits in the place's scale. `shift`: an OUTPUT's integers are the tensor's << shift.
    `origin`: the step of the whole network that this one of a pass stands for.
    """

    kind: int
    name: str
    place: Place
    edges: list[Edge] = field(default_factory=list)
    readers: list[Edge] = field(default_factory=list)
    ladder: Ints | None = None
    bias: Ints | None = None
    membrane: Fire | None = None
    guard: int = 0
    shift: int = 0
    last: bool = False
    delivery: Delivery | None = None
    number: int = 0
    origin: Step | None = None

    @property
    def count(self) -> int:
        """D, 0 for OUTPUT."""
        return 0 if self.ladder is None else self.ladder.shape[1]


@dataclass(eq=False)
class Place:
    """`keeps`: the accumulator is not cleared between timesteps (a sum over time)."""

    name: str
    canvas: Canvas
    mode: int = ADD
    steps: list[Step] = field(default_factory=list)
    keeps: bool = False

    @property
    def membranes(self) -> int:
        """How many steps keep a membrane of the place's size."""
        return sum(step.membrane is not None for step in self.steps)


@dataclass
class Dataflow:
    """Places and host inputs of one pass; `relays` names the places that only keep counts for a later reader."""

    timesteps: int
    places: list[Place] = field(default_factory=list)
    inputs: list[HostInput] = field(default_factory=list)
    relays: list[str] = field(default_factory=list)

    def steps(self) -> Iterator[Step]:
        """All steps, place by place."""
        for place in self.places:
            yield from place.steps

    def connect(self, piece: Piece, step: Step, synapses: Synapses) -> Edge:
        """An edge from `piece` into the group before `step`; offsets and upsampling of the piece go into the port."""
        up = synapses.upsample[0] * piece.upsample[0], synapses.upsample[1] * piece.upsample[1]
        padding = (
            synapses.padding[0] + piece.offset[0] * synapses.upsample[0],
            synapses.padding[1] + piece.offset[1] * synapses.upsample[1],
        )
        edge = Edge(
            piece.source, step.place, step, piece.window, piece.low, piece.high, piece.channel - piece.low,
            replace(synapses, upsample=up, padding=padding),
        )  # fmt: skip
        step.edges.append(edge)
        sent = piece.source.readers if isinstance(piece.source, Step) else piece.source.edges
        sent.append(edge)
        return edge


def identity(layer: str, channels: int, shift: int = 0) -> Synapses:
    """Synapses that copy counts: one weight of 1 for each channel."""
    weight = np.ones((channels, 1, 1, 1), dtype=np.int8)
    return Synapses(layer, weight, np.full(channels, shift, dtype=np.int8))


def relay(dataflow: Dataflow, edge: Edge) -> None:
    """Put an identity between the source of `edge` and its reader, which may be ready much later than other readers."""
    source = edge.source
    if isinstance(source, HostInput):
        canvas, count, readers = source.canvas, source.greatest, source.edges
    else:
        canvas, count, readers = source.place.canvas, source.count, source.readers
    place = Place(f"{source.name} for {edge.step.name}", canvas)
    keeper = Step(FIRE, place.name, place, ladder=np.arange(1, count + 1, dtype=np.int64)[None])
    place.steps.append(keeper)
    dataflow.places.append(place)
    dataflow.relays.append(place.name)
    readers.remove(edge)
    rows, columns, channels = canvas
    whole = Piece(source, 0, channels, 0, (0, rows - 1, 0, columns - 1))
    dataflow.connect(whole, keeper, identity(place.name, channels))
    edge.source = keeper
    keeper.readers.append(edge)
