"""reshape: the same integers in row-major order under another shape, to rank 5."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pyspike.graph import Tensor
from pyspike.ops.base import Ints, Op, require


@dataclass(frozen=True, eq=False)
class Reshape(Op):
    """`target` shape of one timestep, with as many elements as the input."""

    kind: ClassVar[int] = 9
    name: ClassVar[str] = "reshape"
    onnx: ClassVar[tuple[str, ...]] = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")

    target: tuple[int, ...]

    def shape(self, *inputs: Tensor) -> tuple[int, ...]:
        """`target`, checked."""
        (x,) = inputs
        require(isinstance(x.scale.f, int), "reshape needs an operand with one f for all channels")
        size = 1
        for each in self.target:
            size *= each
        require(size == x.size, f"shape {x.shape} does not reshape to {self.target}")
        return self.target

    def reference(self, *inputs: Ints) -> Ints:
        """Relabel."""
        return inputs[0].reshape(self.target)
