"""Layouts: how a program's value lies in an integer tensor, and the fewest nodes that lay it otherwise.

A file keeps channels second, the integer graph keeps them last, and it has no time axis. A `View` says which axis of
the program each axis of the stored tensor is; axes of size 1 may be left out. So transposes, and reshapes that only
move axes of size 1, cost nothing: they relabel. A node is inserted where an operator needs another order than what is
stored, and only once for each order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspike.compiler.program import Shape
from pyspike.errors import ShapeError
from pyspike.graph import MAX_RANK, Graph
from pyspike.ops import Constant, Op, Reshape, Transpose

CHANNELS_LAST = (0, 2, 3, 1)


@dataclass(frozen=True)
class View:
    """`tensor` of the graph; `shape`: of one timestep, in program axes; `axes`: which of these each stored axis holds.

    -1 stands for a stored axis of size 1 that is none of the program's.
    """

    tensor: str
    axes: tuple[int, ...]
    shape: Shape

    @property
    def wide(self) -> tuple[int, ...]:
        """The stored axes that are larger than 1, in stored order."""
        return tuple(a for a in self.axes if a >= 0 and self.shape[a] != 1)

    def relabelled(self, axes: Sequence[int], shape: Shape) -> View:
        """The same tensor seen as another value."""
        return View(self.tensor, tuple(axes), shape)

    def framed(self, rank: int) -> View:
        """As if axes of size 1 stood in front, `rank` in all."""
        lead = rank - len(self.shape)
        return View(self.tensor, tuple(a + lead if a >= 0 else a for a in self.axes), (1,) * lead + self.shape)

    def with_axes(self, *needed: int) -> tuple[int, ...]:
        """The stored order, with those of `needed` that are left out put in front."""
        return (*(a for a in needed if a not in self.axes), *(a for a in self.axes if a >= 0))


class Layouts:
    """Adds nodes to a graph under unique names, and lays tensors out as asked."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._laid: dict[tuple[str, tuple[int, ...], Shape], str] = {}

    def add(self, op: Op, inputs: Sequence[str], name: str) -> str:
        """Append a node whose tensor is called `name`, or a variant where that is taken; returns the tensor's name."""
        return self.graph.add(op, inputs, self.unique(name))

    def unique(self, name: str) -> str:
        """`name`, or `name` with a number where the graph has a tensor of that name."""
        if name not in self.graph.tensors:
            return name
        number = 2
        while f"{name}.{number}" in self.graph.tensors:
            number += 1
        return f"{name}.{number}"

    def fetch(self, view: View, order: Sequence[int]) -> str:
        """The tensor that holds `view` with exactly the axes `order`, which name every axis larger than 1."""
        order = tuple(order)
        wide = tuple(a for a in order if view.shape[a] != 1)
        if sorted(wide) != sorted(view.wide):
            raise ShapeError(f"axes {order} do not hold a value of shape {view.shape}")
        target = tuple(view.shape[a] for a in order)
        permutation = tuple(view.wide.index(a) for a in wide)
        if permutation == tuple(range(len(wide))) and self.graph.tensors[view.tensor].shape == target:
            return view.tensor
        key = (view.tensor, permutation, target)
        if key not in self._laid:
            self._laid[key] = self._lay(view, order, target, permutation)
        return self._laid[key]

    def flat(self, view: View, target: Shape, name: str) -> str:
        """The values of `view` in row-major order of the program, under the shape `target`."""
        ordered = self.fetch(view, sorted(view.wide))
        if self.graph.tensors[ordered].shape == target:
            return ordered
        return self.add(Reshape(target), [ordered], name)

    def _lay(self, view: View, order: tuple[int, ...], target: Shape, permutation: tuple[int, ...]) -> str:
        constant = next(
            (n.op for n in self.graph.nodes if n.output == view.tensor and isinstance(n.op, Constant)), None
        )
        sizes = tuple(view.shape[a] for a in view.wide)
        if constant is not None:
            values = constant.values.reshape(sizes).transpose(permutation).reshape(target)
            return self.add(Constant(values, constant.fraction), [], f"{view.tensor}.laid")
        name = f"{view.tensor}.{'nchw' if list(order) == sorted(order) else 'nhwc'}"
        if permutation == tuple(range(len(permutation))):
            return self.add(Reshape(target), [view.tensor], f"{view.tensor}.reshaped")
        if sorted(view.axes) == sorted(order):
            return self.add(Transpose(tuple(view.axes.index(a) for a in order)), [view.tensor], name)
        extra = tuple(a for a in order if view.shape[a] == 1)
        stored = (*extra, *view.wide)
        squeezed = self.add(Reshape(tuple(view.shape[a] for a in stored)), [view.tensor], f"{view.tensor}.reshaped")
        return self.add(Transpose(tuple(stored.index(a) for a in order)), [squeezed], name)


def reshaped(view: View, target: Shape, time_axis: int | None = None) -> View | None:
    """`view` as a value of shape `target` (of one timestep) where only axes of size 1 come or go, else None.

    Stored axes of size 1 become some axis of size 1 of the target, but not its `time_axis`.
    """
    old = [a for a, n in enumerate(view.shape) if n != 1]
    new = [a for a, n in enumerate(target) if n != 1]
    if [view.shape[a] for a in old] != [target[a] for a in new]:
        return None
    now = dict(zip(old, new, strict=True))
    spare = [a for a, n in enumerate(target) if n == 1 and a != time_axis]
    axes = [now[a] if a in now else spare.pop(0) if spare else -1 for a in view.axes]
    return view.relabelled(axes, target)


def storable(shape: Shape) -> tuple[int, ...]:
    """The axes of `shape` to store: all, or without some of size 1 where there are more than a tensor may have."""
    axes = list(range(len(shape)))
    for axis in list(axes):
        if len(axes) > MAX_RANK and shape[axis] == 1:
            axes.remove(axis)
    if len(axes) > MAX_RANK:
        raise ShapeError(f"shape {shape} has more than {MAX_RANK} axes larger than 1")
    return tuple(axes)
