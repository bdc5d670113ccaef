"""Potentials as sums: what a tensor of potentials is made of, term by term, each a synapse on counts.

Adds, concats, slices, upsamplings and means over space of synapse outputs are linear, so any drive of a neuron is one
list of terms. Two drives of which one's terms contain the other's are two moments of one place (`pyspike.chip.places`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pyspike.chip.dataflow import Canvas, Synapses, identity
from pyspike.chip.moves import Origin, canvas, keeps_canvas
from pyspike.errors import UnsupportedOpError
from pyspike.graph import Graph, Node
from pyspike.ops import (
    Add,
    Concat,
    Constant,
    Conv2d,
    Expand,
    Linear,
    Mean,
    Op,
    Reshape,
    Slice,
    Synapse,
    Transpose,
    Upsample,
)  # fmt: skip
from pyspike.ops.base import Ints

Key = tuple[object, ...]


@dataclass(frozen=True)
class Term:
    """`synapses` applied to the tensor `counts`, shifted left by `shift` more; `key` names it in any drive.

    whole: each event does what it does in the graph, or a multiple of it; not so where potentials are cropped.
    """

    key: Key
    counts: str
    synapses: Synapses
    shift: int = 0
    whole: bool = True

    def changed(self, key: object, **changes: object) -> Term:
        """The term with other synapses, under a longer key."""
        return replace(self, key=(*self.key, key), synapses=replace(self.synapses, **changes))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Drive:
    """Terms by key, and constants int64 [C]."""

    canvas: Canvas
    terms: dict[Key, Term]
    constant: Ints


def unsupported(node: Node, why: str) -> UnsupportedOpError:
    """The error for an operator that the chip cannot do where it stands."""
    return UnsupportedOpError(f"the chip cannot run {node.op.name} {node.output!r}: {why}")


class Terms:
    """Makes drives of tensors. `is_counts` tells which tensors are counts, where a term ends."""

    def __init__(self, graph: Graph, is_counts: Callable[[str], bool]) -> None:
        self.graph, self.is_counts = graph, is_counts
        self.origin = Origin(graph)
        self.makers = self.origin.makers

    def canvas(self, name: str) -> Canvas:
        """Rows, columns and channels of a tensor; raises `UnsupportedOpError` for a batch."""
        shape = self.graph.tensors[name].shape
        found = canvas(shape)
        if found is None:
            raise UnsupportedOpError(f"the chip runs one image at a time: {name!r} has shape {shape}, export batch 1")
        return found

    def drive(self, name: str) -> Drive:
        """What `name` is the sum of."""
        if self.is_counts(name):
            return self._counts(name)
        if name not in self.makers:
            tensor = self.graph.tensors[name]
            raise UnsupportedOpError(
                f"the chip cannot run a network that reads input {name!r} in {tensor.lo}..{tensor.hi} as potentials: "
                "cores take counts 0..255; offset what is below 0"
            )
        return self.drive_of(self.makers[name])

    def drive_of(self, node: Node) -> Drive:
        """What the result of `node` is the sum of."""
        maker = MAKERS.get(type(node.op))
        if maker is None:
            raise unsupported(node, "it does more than add to potentials, and what reads it is no neuron")
        return maker(self, node)

    def _counts(self, name: str, shift: int = 0) -> Drive:
        shape = self.canvas(name)
        term = Term(("counts", name), name, identity(name, shape[2]), shift)
        return Drive(shape, {term.key: term}, np.zeros(shape[2], dtype=np.int64))

    def _synapse(self, node: Node) -> Drive:
        op = node.op
        assert isinstance(op, Synapse)
        shape = self.canvas(node.output)
        counts, weight = self._weights(node, op)
        groups = op.groups if isinstance(op, Conv2d) else 1
        synapses = Synapses(
            node.output, weight, op.shift, kernel=(weight.shape[1], weight.shape[2]), inputs=weight.shape[3],
            outputs=op.out_channels // groups,
        )  # fmt: skip
        if isinstance(op, Conv2d) and weight is op.weight:
            padding = op.padding[0], op.padding[1]
            stride, dilation = (op.stride[0], op.stride[1]), (op.dilation[0], op.dilation[1])
            synapses = replace(synapses, stride=stride, padding=padding, dilation=dilation)
        cut = isinstance(op, Linear) and counts != node.inputs[0] and self.origin.cuts(node.inputs[0])
        term = Term((node.output,), counts, synapses, whole=not cut)
        constant = np.zeros(shape[2], dtype=np.int64) if op.bias is None else op.bias.astype(np.int64)
        return Drive(shape, {term.key: term}, constant)

    def _weights(self, node: Node, op: Synapse) -> tuple[str, NDArray[np.int8]]:
        """The counts that a synapse reads, and its weights as a convolution of their canvas."""
        (name,) = node.inputs
        if isinstance(op, Conv2d):
            plain = op.kernel == (1, 1) and op.groups == 1
            source, weight = self._summed(name, op.weight) if plain else (name, op.weight)
            self._require_counts(node, source)
            return source, weight
        assert isinstance(op, Linear)
        flat = op.weight.reshape(len(op.weight), 1, 1, -1)
        source, weight = self._summed(name, flat)
        if source == name and canvas(self.graph.tensors[name].shape) is not None:
            source, weight = self._flattened(node, name, flat)
        self._require_counts(node, source)
        return source, weight

    def _flattened(self, node: Node, name: str, weight: NDArray[np.int8]) -> tuple[str, NDArray[np.int8]]:
        """A linear layer behind a flattening is a convolution with a kernel as large as the map."""
        source, index = self.origin.permutation(name)
        if source == name or keeps_canvas(
            Reshape(()), self.graph.tensors[source].shape, self.graph.tensors[name].shape
        ):
            return name, weight
        if weight.shape[3] != len(index):
            raise unsupported(node, "it reads a tensor that was re-arranged on the way")
        height, width, channels = self.canvas(source)
        whole = np.zeros((len(weight), height * width * channels), dtype=np.int8)
        whole[:, index] = weight[:, 0, 0]
        return source, whole.reshape(len(weight), height, width, channels)

    def _summed(self, name: str, weight: NDArray[np.int8]) -> tuple[str, NDArray[np.int8]]:
        """A 1x1 synapse behind a mean over all of space is a convolution with one weight all over the map."""
        start = name
        while name in self.makers and isinstance(self.makers[name].op, (Reshape, Transpose)):
            if not keeps_canvas(self.makers[name].op, *(self.graph.tensors[n].shape for n in self._ends(name))):
                return start, weight
            name = self.makers[name].inputs[0]
        node = self.makers.get(name)
        if node is None or not isinstance(node.op, Mean) or node.op.over_time or not self.is_counts(node.inputs[0]):
            return start, weight
        height, width, channels = self.canvas(node.inputs[0])
        if self.canvas(name) != (1, 1, channels):
            return start, weight
        return node.inputs[0], np.broadcast_to(weight, (len(weight), height, width, weight.shape[3]))

    def _ends(self, name: str) -> tuple[str, str]:
        return self.makers[name].inputs[0], name

    def _require_counts(self, node: Node, name: str) -> None:
        if not self.is_counts(name):
            tensor = self.graph.tensors[name]
            maker = self.makers[name].op.name if name in self.makers else "input"
            found = f"{maker} {name!r} in {tensor.lo}..{tensor.hi}"
            raise unsupported(
                node, f"an engine takes counts 0..255 of neurons and inputs, it reads {found}; put a neuron before it"
            )

    def _add(self, node: Node) -> Drive:
        op = node.op
        assert isinstance(op, Add)
        shape = self.canvas(node.output)
        terms: dict[Key, Term] = {}
        constant = np.zeros(shape[2], dtype=np.int64)
        for name, shift in zip(node.inputs, op.shifts, strict=True):
            if isinstance(getattr(self.makers.get(name), "op", None), Constant):
                constant = constant + (self._constant(node, name, shape) << shift)
                continue
            part = self.drive(name)
            if part.canvas != shape:
                raise unsupported(node, f"it broadcasts {name!r}")
            for key, term in part.terms.items():
                while key in terms:  # x + x
                    key = (*key, "again")
                terms[key] = replace(term, key=key, shift=term.shift + shift)
            constant = constant + (part.constant << shift)
        return Drive(shape, terms, constant)

    def _constant(self, node: Node, name: str, shape: Canvas) -> Ints:
        op = self.makers[name].op
        assert isinstance(op, Constant)
        values = op.values.astype(np.int64)
        if values.size not in (1, shape[2]) or (values.size > 1 and values.shape[-1] != shape[2]):
            raise unsupported(
                node, f"its constant differs between sites (shape {values.shape}), a core adds one per channel"
            )
        return np.broadcast_to(values.ravel(), (shape[2],))

    def _concat(self, node: Node) -> Drive:
        op = node.op
        assert isinstance(op, Concat)
        shape = self.canvas(node.output)
        if op.axis != len(self.graph.tensors[node.output].shape) - 1:
            raise unsupported(node, "potentials are joined along channels only")
        terms: dict[Key, Term] = {}
        constants = []
        at = 0
        for name, shift in zip(node.inputs, op.shifts, strict=True):
            part = self.drive(name)
            for term in part.terms.values():
                moved = term.changed(("at", at), channel=term.synapses.channel + at)
                while moved.key in terms:
                    moved = replace(moved, key=(*moved.key, "again"))
                terms[moved.key] = replace(moved, shift=term.shift + shift)
            constants.append(part.constant << shift)
            at += part.canvas[2]
        return Drive(shape, terms, np.concatenate(constants))

    def _upsample(self, node: Node) -> Drive:
        op = node.op
        assert isinstance(op, Upsample)
        part = self.drive(node.inputs[0])
        fy, fx = op.factor
        terms = {}
        for term in part.terms.values():
            s = term.synapses
            if s.stride != (1, 1) and op.factor != (1, 1):
                raise unsupported(node, f"it upsamples potentials of the strided {s.layer!r} that others add to")
            up = term.changed(
                ("up", fy, fx), upsample=(s.upsample[0] * fy, s.upsample[1] * fx),
                dilation=(s.dilation[0] * fy, s.dilation[1] * fx), padding=(s.padding[0] * fy, s.padding[1] * fx),
            )  # fmt: skip
            terms[up.key] = up
        return Drive(self.canvas(node.output), terms, part.constant)

    def _slice(self, node: Node) -> Drive:
        op = node.op
        assert isinstance(op, Slice)
        if any(step != 1 for step in op.steps):
            raise unsupported(node, "a slice of potentials takes every value")
        part = self.drive(node.inputs[0])
        y, x, low = (0, 0, 0, *op.starts)[-3:]
        high = op.stops[-1] if op.stops else 1
        if (low, high) != (0, part.canvas[2]):
            raise unsupported(node, "a slice of potentials takes all channels")
        shape = self.canvas(node.output)
        terms = {}
        for term in part.terms.values():
            s = term.synapses
            padding = (s.padding[0] - y * s.stride[0], s.padding[1] - x * s.stride[1])
            moved = term.changed(("from", y, x), padding=padding)
            terms[moved.key] = replace(moved, whole=term.whole and shape == part.canvas)
        return Drive(shape, terms, part.constant)

    def _same(self, node: Node) -> Drive:
        (name,) = node.inputs
        before, after = self.graph.tensors[name].shape, self.graph.tensors[node.output].shape
        if not isinstance(node.op, Expand) and not keeps_canvas(node.op, before, after):
            raise unsupported(node, "it re-arranges potentials inside the network")
        if canvas(before) != canvas(after):
            raise unsupported(node, "it broadcasts potentials")
        part = self.drive(name)
        return Drive(self.canvas(node.output), part.terms, part.constant)

    def _mean(self, node: Node) -> Drive:
        op = node.op
        assert isinstance(op, Mean)
        (name,) = node.inputs
        if not self.is_counts(name) or op.over_time:
            raise unsupported(node, "only counts are averaged over space, and only outputs over time")
        height, width, channels = self.canvas(name)
        if self.canvas(node.output) != (1, 1, channels):
            raise unsupported(node, "a mean over space takes all rows and columns")
        weight = np.ones((channels, height, width, 1), dtype=np.int8)
        synapses = Synapses(node.output, weight, np.zeros(channels, dtype=np.int8), kernel=(height, width))
        term = Term((node.output,), name, synapses)
        return Drive((1, 1, channels), {term.key: term}, np.zeros(channels, dtype=np.int64))


MAKERS: dict[type[Op], Callable[[Terms, Node], Drive]] = {
    Conv2d: Terms._synapse,
    Linear: Terms._synapse,
    Add: Terms._add,
    Concat: Terms._concat,
    Upsample: Terms._upsample,
    Slice: Terms._slice,
    Reshape: Terms._same,
    Transpose: Terms._same,
    Expand: Terms._same,
    Mean: Terms._mean,
}
