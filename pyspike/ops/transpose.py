"""transpose: axes in another order, y.shape[i] = x.shape[order[i]]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pyspike.graph import Tensor
from pyspike.ops.base import Ints, Op, require


@dataclass(frozen=True, eq=False)
class Transpose(Op):
    """`order`: which input axis stands at each output axis."""

    kind: ClassVar[int] = 10
    name: ClassVar[str] = "transpose"
    onnx: ClassVar[tuple[str, ...]] = ("Transpose",)

    order: tuple[int, ...]

    def shape(self, *inputs: Tensor) -> tuple[int, ...]:
        """The permuted shape."""
        (x,) = inputs
        require(isinstance(x.scale.f, int), "transpose needs an operand with one f for all channels")
        require(sorted(self.order) == list(range(len(x.shape))), f"{self.order} does not permute shape {x.shape}")
        return tuple(x.shape[axis] for axis in self.order)

    def reference(self, *inputs: Ints) -> Ints:
        """Permute."""
        return inputs[0].transpose(self.order)
