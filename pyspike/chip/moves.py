"""What only moves values: done by addresses on the chip, or by the host on what enters and leaves it."""

from __future__ import annotations

import numpy as np

from pyspike.graph import Graph, Node
from pyspike.ops import Concat, Expand, Op, Pad, Reshape, Slice, Transpose, Upsample
from pyspike.ops.base import Ints

HOST_INPUT = (Transpose, Reshape, Slice, Expand, Pad)
"""Applied by the host to graph inputs."""
HOST_OUTPUT = (Transpose, Reshape, Slice, Expand, Pad, Concat, Upsample)
"""Applied by the host to what the chip delivers."""


def canvas(shape: tuple[int, ...]) -> tuple[int, int, int] | None:
    """Rows, columns and channels of a tensor: its last three axes, where those before are 1; else None."""
    padded = (1,) * (3 - len(shape)) + shape
    if any(size != 1 for size in padded[:-3]):
        return None
    return padded[-3], padded[-2], padded[-1]


def keeps_canvas(op: Op, before: tuple[int, ...], after: tuple[int, ...]) -> bool:
    """Whether a reshape or transpose leaves every value at its row, column and channel."""
    if canvas(before) is None or canvas(before) != canvas(after):
        return False
    if isinstance(op, Reshape):
        return True
    order = np.arange(int(np.prod(before))).reshape(before)
    return bool((op.reference(order).ravel() == order.ravel()).all())


class Origin:
    """Walks back from a tensor over operators that only move values to the first that does more."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.makers: dict[str, Node] = {node.output: node for node in graph.nodes}
        self.inputs = {port.tensor for port in graph.inputs}

    def is_host(self, name: str) -> bool:
        """Whether the host knows the tensor before anything runs."""
        while name not in self.inputs:
            node = self.makers[name]
            if not isinstance(node.op, HOST_INPUT) or len(node.inputs) != 1:
                return False
            name = node.inputs[0]
        return True

    def permutation(self, name: str) -> tuple[str, Ints]:
        """The tensor that `name` re-arranges (reshape, transpose and slice), and for each element of `name`, flat, its
        index there.
        """
        chain = [node.op for node in self._arranging(name)]
        name = self._arranging(name)[-1].inputs[0] if chain else name
        shape = self.graph.tensors[name].shape
        index: Ints = np.arange(int(np.prod(shape)), dtype=np.int64).reshape(shape)
        for op in reversed(chain):
            index = op.reference(index)
        return name, index.ravel()

    def cuts(self, name: str) -> bool:
        """Whether `permutation` takes a part of what it goes back to."""
        return any(isinstance(node.op, Slice) for node in self._arranging(name))

    def _arranging(self, name: str) -> list[Node]:
        """The operators from `name` back to what it re-arranges: at the latest to a tensor that addresses make."""
        found: list[Node] = []
        while name in self.makers and isinstance(self.makers[name].op, (Reshape, Transpose, Slice)):
            if self.is_host(name) or self._is_addressed(name):
                break
            found.append(self.makers[name])
            name = found[-1].inputs[0]
        return found

    def _is_addressed(self, name: str) -> bool:
        """Whether `name` is a window of what it comes from, every value at its row, column and channel."""
        sliced = False
        while name in self.makers and isinstance(self.makers[name].op, (Reshape, Transpose, Slice)):
            node = self.makers[name]
            op = node.op
            if isinstance(op, Slice):
                if any(step != 1 for step in op.steps):
                    return False
                sliced = True
            elif not keeps_canvas(op, *(self.graph.tensors[each].shape for each in (node.inputs[0], name))):
                return False
            name = node.inputs[0]
        return sliced
