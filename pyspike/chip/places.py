"""From the integer graph to places, steps and edges.

Neurons are pushed in front of what only moves values ("fire first, then move"), the drives that remain are written as
sums of terms (`pyspike.chip.terms`), and drives of which one contains the other share a place: a residual stream.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count

import numpy as np

from pyspike.chip.dataflow import Canvas, Dataflow, Delivery, HostInput, Piece, Place, Step, Synapses
from pyspike.chip.firmware import COUNTS, FIRE, MAX, OUTPUT, POTENTIALS
from pyspike.chip.moves import HOST_OUTPUT, Origin, canvas, keeps_canvas
from pyspike.chip.terms import MAKERS, Drive, Term, Terms, unsupported
from pyspike.errors import UnsupportedOpError
from pyspike.graph import INT32_MAX, INT32_MIN, Graph, Node
from pyspike.ops import (
    Add,
    Align,
    Concat,
    Constant,
    Expand,
    Fire,
    MaxPool,
    Mean,
    Op,
    Pad,
    Reshape,
    Slice,
    Synapse,
    Transpose,
    Upsample,
)  # fmt: skip
from pyspike.ops.base import Ints

_MOVES = (Concat, Slice, Upsample, Reshape, Transpose, Expand, MaxPool)
LOWERINGS: frozenset[type[Op]] = frozenset((*MAKERS, *_MOVES, Align, Constant, Fire, Pad))
"""Operators that the chip runs, each in some place: `UnsupportedOpError` says where not."""

LIMITS = (1024, 1024, 16384)
"""Rows, columns and channels that a flit can address."""


@dataclass
class Network:
    """The dataflow of a graph, and which pieces make up each tensor that the host receives.

    copies: by synapse, the places that hold it, and how often each applies an event that the graph applies once: at
    every site of an upsampled stream, and at every timestep where it does not vary in time. 0 where potentials are
    cropped, so that only some of an event's targets are there.
    """

    dataflow: Dataflow
    delivered: dict[str, list[Piece]] = field(default_factory=dict)
    copies: dict[str, dict[str, int]] = field(default_factory=dict)


def network(graph: Graph) -> Network:
    """The places of `graph`; raises `UnsupportedOpError` naming the operator that the chip cannot run, and why."""
    builder = _Builder(graph)
    for node in graph.nodes:
        if isinstance(node.op, Fire):
            builder.fired[node.output] = builder.fire(node)
    for port in graph.outputs:
        builder.deliver(port.tensor)
    return builder.finish()


@dataclass
class _Moment:
    """One drive of a stream, and the steps that read it."""

    drive: Drive
    steps: list[Step] = field(default_factory=list)


@dataclass
class _Stream:
    """A place under construction: moments, each of which contains the one before."""

    place: Place
    moments: list[_Moment]

    def slot(self, drive: Drive, guard: int | None) -> tuple[int, int] | None:
        """Where `drive` fits: how many moments come before it, and how many terms it need not add anew."""
        for at in range(len(self.moments), -1, -1):
            before = _grows(self.moments[at - 1].drive, drive) if at else 0
            behind = _grows(drive, self.moments[at].drive) if at < len(self.moments) else 0
            if before is None or behind is None or not self._fits(drive, at == len(self.moments), guard):
                continue
            return at, len(self.moments[at - 1].drive.terms) if at else len(drive.terms)
        return None

    def _fits(self, drive: Drive, newest: bool, guard: int | None) -> bool:
        """A membrane takes a place's finer grid out of its guard bits, and can take no more than it has."""
        last = drive if newest else self.moments[-1].drive
        needs = [(step.guard, moment.drive) for moment in self.moments for step in moment.steps if step.membrane]
        if guard is not None:
            needs.append((guard, drive))
        return all(has >= (_grows(each, last) or 0) for has, each in needs)


def _grows(drive: Drive, larger: Drive) -> int | None:
    """By how many bits `larger`, which has all terms of `drive`, is on a finer grid; None where it is no such drive."""
    if drive.canvas != larger.canvas or not drive.terms:
        return None
    if any(key not in larger.terms for key in drive.terms):
        return None
    finer = {larger.terms[key].shift - term.shift for key, term in drive.terms.items()}
    return finer.pop() if len(finer) == 1 and min(finer) >= 0 else None


class _Builder:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.origin = Origin(graph)
        self.makers = self.origin.makers
        self.terms = Terms(graph, self.is_counts)
        self.fired: dict[str, list[Piece]] = {}
        self.pooled: dict[str, list[Piece]] = {}
        self.hosted: dict[str, HostInput] = {}
        self.streams: list[_Stream] = []
        self.network = Network(Dataflow(graph.timesteps))
        self.added = self._added()

    def is_counts(self, name: str) -> bool:
        """Whether a tensor holds counts that cores or the host send."""
        if self.origin.is_host(name):
            tensor = self.graph.tensors[name]
            return tensor.lo >= 0 and tensor.hi <= 255
        op = self.makers[name].op
        if isinstance(op, Fire):
            return True
        plain = isinstance(op, _MOVES) and not (isinstance(op, Concat) and any(op.shifts))
        if plain or (isinstance(op, Pad) and op.value == 0):
            return all(self.is_counts(each) for each in self.makers[name].inputs)
        return False

    def fire(self, node: Node) -> list[Piece]:
        """Where the counts of a neuron layer come from."""
        op = node.op
        assert isinstance(op, Fire)
        return self._fire_on(node.inputs[0], op.thresholds.astype(np.int64), op.guard, node, op)

    def deliver(self, name: str) -> None:
        """Have `name`, or what the host makes it of, sent to the edge."""
        if name in self.network.delivered or self.origin.is_host(name):
            return
        node = self.makers[name]
        if isinstance(node.op, Constant):
            return
        moved = isinstance(node.op, HOST_OUTPUT) and name not in self.added
        if moved:
            for each in node.inputs:
                self.deliver(each)
        elif self.is_counts(name):
            pieces = self.pieces(name)
            for piece in pieces:
                if isinstance(piece.source, Step):
                    source = piece.source
                    source.delivery = source.delivery or Delivery(source.name, COUNTS, source.place.canvas)
            self.network.delivered[name] = pieces
        else:
            self.network.delivered[name] = [self._output(name, node)]

    def finish(self) -> Network:
        """Put streams into the dataflow, with the edges that each group adds."""
        flow = self.network.dataflow
        for stream in self.streams:
            known: set[object] = set()
            final = stream.moments[-1].drive
            for moment in stream.moments:
                self._settle(stream.place, moment, final)
                for key in moment.drive.terms:
                    if key not in known:
                        term = final.terms[key]
                        self._count_copies(term, stream.place)
                        for piece in self.pieces(term.counts):
                            flow.connect(piece, moment.steps[0], _shifted(term.synapses, term.shift))
                known |= set(moment.drive.terms)
        for stream in self.streams:
            flow.places.append(stream.place)
        flow.inputs = [each for each in self.hosted.values() if each.edges]
        if not flow.places:
            raise UnsupportedOpError("the network only moves values: there is nothing for a chip to do")
        return self.network

    def _count_copies(self, term: Term, place: Place) -> None:
        layer = term.synapses.layer
        if layer in self.makers and isinstance(self.makers[layer].op, Synapse):
            steps = 1 if self.graph.tensors[layer].time else self.graph.timesteps
            times = term.synapses.upsample[0] * term.synapses.upsample[1] * steps
            copies = self.network.copies.setdefault(layer, {})
            known = copies.get(place.name)
            copies[place.name] = 0 if not term.whole or known == 0 else times + (known or 0)

    def _settle(self, place: Place, moment: _Moment, final: Drive) -> None:
        """Bring the steps of a moment to the place's grid."""
        finer = _grows(moment.drive, final) or 0
        for step in moment.steps:
            step.shift = finer if step.kind == OUTPUT else 0  # counts are what they are
            times = self.graph.timesteps if step.last else 1
            bias = (moment.drive.constant << finer) * times
            step.bias = bias if bias.any() else None
            if step.membrane:
                step.guard -= finer
            elif step.ladder is not None:
                step.ladder = np.clip(step.ladder << finer, INT32_MIN, INT32_MAX)
            place.steps.append(step)

    # Neurons

    def _fire_on(self, name: str, ladder: Ints, guard: int, node: Node, op: Fire) -> list[Piece]:
        maker = self.makers.get(name)
        movable = maker is not None and isinstance(maker.op, (*_MOVES, Align))
        if maker is None or not movable or name in self.added or self.is_counts(name):
            return [self._whole(self._step(name, ladder, guard, node, op))]
        if isinstance(maker.op, Align):
            if op.membrane:
                raise unsupported(maker, f"the neuron {node.output!r} behind it has a membrane")
            half = 1 << (maker.op.shift - 1)
            finer = np.clip((ladder << maker.op.shift) - half, INT32_MIN, INT32_MAX)
            return self._fire_on(maker.inputs[0], finer, guard, node, op)
        if isinstance(maker.op, Concat):
            return list(self._fire_parts(maker, maker.op, ladder, guard, node, op))
        if isinstance(maker.op, MaxPool) and op.membrane:
            raise unsupported(maker, f"the neuron {node.output!r} behind it has a membrane: pool its counts instead")
        if isinstance(maker.op, Slice) and len(ladder) > 1:
            low, channels = maker.op.starts[-1], self.graph.tensors[maker.inputs[0]].shape[-1]
            whole = np.full((channels, ladder.shape[1]), INT32_MAX, dtype=np.int64)
            whole[low : maker.op.stops[-1] : maker.op.steps[-1]] = ladder
            ladder = whole
        return self._moved(maker, [self._fire_on(maker.inputs[0], ladder, guard, node, op)])

    def _fire_parts(
        self, maker: Node, concat: Concat, ladder: Ints, guard: int, node: Node, op: Fire
    ) -> Iterator[Piece]:
        """The neuron of each operand; its thresholds undo the operand's left shift."""
        parts = []
        at = 0
        channels = concat.axis == len(self.graph.tensors[maker.output].shape) - 1
        for name, shift in zip(maker.inputs, concat.shifts, strict=True):
            size = self.graph.tensors[name].shape[-1]
            rows = ladder[at : at + size] if channels and len(ladder) > 1 else ladder
            at += size
            if op.membrane:
                parts.append(self._fire_on(name, rows, guard + shift, node, op))
            else:
                parts.append(self._fire_on(name, -((-rows) >> shift), guard, node, op))
        return iter(self._moved(maker, parts))

    def _step(self, name: str, ladder: Ints, guard: int, node: Node, op: Fire) -> Step:
        drive = self.terms.drive(name)
        stream, moment = self._moment(drive, name, guard if op.membrane else None)
        step = Step(FIRE, node.output, stream.place, ladder=ladder, membrane=op if op.membrane else None, guard=guard)
        moment.steps.append(step)
        return step

    def _output(self, name: str, node: Node) -> Piece:
        summed = isinstance(node.op, Mean) and node.op.over_time
        if summed:
            drive = self._time_sum(node)
            stream = _Stream(Place(self._unused(name), drive.canvas, keeps=True), [_Moment(drive)])
            self.streams.append(stream)
            moment = stream.moments[0]
        else:
            drive = self.terms.drive(name)
            stream, moment = self._moment(drive, name, None)
        step = next((each for each in moment.steps if each.kind == OUTPUT), None)
        if step is None:
            step = Step(OUTPUT, name, stream.place, last=summed)
            step.delivery = Delivery(name, POTENTIALS, drive.canvas)
            moment.steps.append(step)
        return self._whole(step)

    def _time_sum(self, node: Node) -> Drive:
        op = node.op
        assert isinstance(op, Mean)
        if not op.axes:
            return self.terms.drive(node.inputs[0])
        if not self.is_counts(node.inputs[0]):
            raise unsupported(node, "only counts are averaged over space")
        over_space = Mean(op.axes, op.keepdims)
        return self.terms.drive_of(Node(over_space, node.inputs, node.output))

    def _moment(self, drive: Drive, name: str, guard: int | None) -> tuple[_Stream, _Moment]:
        """The moment of a place that holds `drive`: an existing one, one of an existing place, or of a new place."""
        _check_limits(name, drive.canvas)
        best: tuple[int, _Stream, int] | None = None
        for stream in self.streams:
            slot = None if stream.place.keeps else stream.slot(drive, guard)
            if slot and (best is None or slot[1] > best[0]):
                best = slot[1], stream, slot[0]
        if best is None:
            fresh = _Stream(Place(self._unused(name), drive.canvas), [_Moment(drive)])
            self.streams.append(fresh)
            return fresh, fresh.moments[0]
        _, stream, at = best
        if at and _same(stream.moments[at - 1].drive, drive):
            return stream, stream.moments[at - 1]
        moment = _Moment(drive)
        stream.moments.insert(at, moment)
        return stream, moment

    def _unused(self, name: str) -> str:
        """A name for a place: a tensor that two places hold, as two membranes need it, has a number in the second."""
        taken = {stream.place.name for stream in self.streams}
        return next(each for number in count(1) if (each := f"{name} ({number})" if number > 1 else name) not in taken)

    def _added(self) -> set[str]:
        """Tensors of potentials that are added to others, directly or behind what moves them."""
        added: set[str] = set()
        for node in reversed(self.graph.nodes):
            through = isinstance(node.op, (Concat, Upsample, Slice, Reshape, Transpose, Expand, Mean))
            if isinstance(node.op, Add) or node.op.over_time or (through and node.output in added):
                added |= set(node.inputs)
        return added

    # Counts

    def pieces(self, name: str) -> list[Piece]:
        """Where the counts of a tensor come from."""
        if self.origin.is_host(name):
            return [self._hosted(name)]
        if name in self.fired:
            return self.fired[name]
        node = self.makers[name]
        if name not in self.pooled:
            self.pooled[name] = self._moved(node, [self.pieces(each) for each in node.inputs])
        return self.pooled[name]

    def _hosted(self, name: str) -> Piece:
        shape = self.terms.canvas(name)
        _check_limits(name, shape)
        tensor = self.graph.tensors[name]
        if name not in self.hosted:
            self.hosted[name] = HostInput(name, shape, tensor.hi, tensor.time)
        return _piece(self.hosted[name], shape)

    def _whole(self, step: Step) -> Piece:
        return _piece(step, step.place.canvas)

    def _moved(self, node: Node, parts: list[list[Piece]]) -> list[Piece]:
        """Counts behind an operator that moves them; `parts` are those of its operands."""
        op = node.op
        if isinstance(op, MaxPool):
            return [self._pool(node, op, parts[0])]
        if isinstance(op, Concat):
            return list(self._joined(node, op, parts))
        (part,) = parts
        if isinstance(op, Upsample):
            return [_upsampled(piece, op.factor) for piece in part]
        if isinstance(op, Slice):
            return [cut for piece in part if (cut := _sliced(piece, op, node)) is not None]
        if isinstance(op, Pad):
            y, x, c = (0, 0, 0, *op.before)[-3:]
            return [piece.moved(y, x, c) for piece in part]
        before, after = (self.graph.tensors[each].shape for each in (node.inputs[0], node.output))
        same = canvas(before) == canvas(after) if isinstance(op, Expand) else keeps_canvas(op, before, after)
        if not same:
            raise unsupported(node, "it re-arranges counts inside the network")
        return part

    def _joined(self, node: Node, op: Concat, parts: Iterable[list[Piece]]) -> Iterator[Piece]:
        rank = len(self.graph.tensors[node.output].shape)
        axis = 3 - rank + op.axis
        at = [0, 0, 0]
        for name, part in zip(node.inputs, parts, strict=True):
            for piece in part:
                yield piece.moved(*at)
            at[axis] += self.graph.tensors[name].shape[op.axis]

    def _pool(self, node: Node, op: MaxPool, part: list[Piece]) -> Piece:
        shape = self.terms.canvas(node.output)
        place = Place(f"{node.output} of {_names(part)}", shape, mode=MAX)
        count = max(_greatest(piece) for piece in part)
        step = Step(FIRE, place.name, place, ladder=np.arange(1, count + 1, dtype=np.int64)[None])
        place.steps.append(step)
        self.network.dataflow.places.append(place)
        synapses = Synapses(
            node.output, None, None, kernel=(op.kernel[0], op.kernel[1]), stride=(op.stride[0], op.stride[1]),
            padding=(op.padding[0], op.padding[1]),
        )  # fmt: skip
        for piece in part:
            self.network.dataflow.connect(piece, step, synapses)
        return self._whole(step)


def _piece(source: Step | HostInput, shape: Canvas) -> Piece:
    return Piece(source, 0, shape[2], 0, (0, shape[0] - 1, 0, shape[1] - 1))


def _greatest(piece: Piece) -> int:
    return piece.source.count if isinstance(piece.source, Step) else piece.source.greatest


def _names(part: list[Piece]) -> str:
    return ", ".join(dict.fromkeys(piece.source.name for piece in part))


def _same(drive: Drive, other: Drive) -> bool:
    equal = drive.terms.keys() == other.terms.keys() and _grows(drive, other) == 0
    return equal and bool((drive.constant == other.constant).all())


def _shifted(synapses: Synapses, shift: int) -> Synapses:
    """Synapses whose sums land on the place's grid."""
    assert synapses.shift is not None
    total = synapses.shift.astype(np.int64) + shift
    if total.max(initial=0) > 31:
        raise UnsupportedOpError(f"{synapses.layer!r} needs a left shift of {total.max()}, a core shifts by up to 31")
    return replace(synapses, shift=total.astype(np.int8))


def _upsampled(piece: Piece, factor: tuple[int, ...]) -> Piece:
    up = piece.upsample[0] * factor[0], piece.upsample[1] * factor[1]
    return replace(piece, upsample=up, offset=(piece.offset[0] * factor[0], piece.offset[1] * factor[1]))


def _sliced(piece: Piece, op: Slice, node: Node) -> Piece | None:
    """The part of a piece inside a slice; None where there is none."""
    if any(step != 1 for step in op.steps):
        raise unsupported(node, "it takes every other value")
    starts, stops = (0, 0, 0, *op.starts)[-3:], (1, 1, 1, *op.stops)[-3:]
    window = list(piece.window)
    for axis in (0, 1):
        up, offset = piece.upsample[axis], piece.offset[axis]
        first, end = starts[axis] - offset, stops[axis] - offset
        low, high = 2 * axis, 2 * axis + 1
        inside = first <= window[low] * up and end >= (window[high] + 1) * up
        if not inside and (first % up or end % up):
            raise unsupported(node, "it cuts through an upsampled value")
        window[low], window[high] = max(window[low], -(-first // up)), min(window[high], end // up - 1)
    low_c, high_c = max(starts[2], piece.channel), min(stops[2], piece.channel + piece.high - piece.low)
    if window[0] > window[1] or window[2] > window[3] or low_c >= high_c:
        return None
    at = piece.low - piece.channel
    cut = replace(
        piece, low=low_c + at, high=high_c + at, channel=low_c, window=(window[0], window[1], window[2], window[3])
    )
    return cut.moved(-starts[0], -starts[1], -starts[2])


def _check_limits(name: str, shape: Canvas) -> None:
    if any(size > limit for size, limit in zip(shape, LIMITS, strict=True)):
        raise UnsupportedOpError(f"{name!r} has {shape} rows, columns and channels, a flit addresses {LIMITS}")
