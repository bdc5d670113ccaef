"""expand: the same integers repeated along axes of size 1 (as in NumPy), or at every timestep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pyspike.errors import ShapeError
from pyspike.graph import Tensor
from pyspike.ops.base import Ints, Op, require


@dataclass(frozen=True, eq=False)
class Expand(Op):
    """Broadcast to `target`; where `time`, the output counts as varying in time: every step sees the same values."""

    kind: ClassVar[int] = 11
    name: ClassVar[str] = "expand"
    onnx: ClassVar[tuple[str, ...]] = ("Expand", "Tile")

    target: tuple[int, ...]
    time: bool = False

    def shape(self, *inputs: Tensor) -> tuple[int, ...]:
        """`target`, checked to be what the input broadcasts to."""
        (x,) = inputs
        require(isinstance(x.scale.f, int), "expand needs an operand with one f for all channels")
        try:
            fits = np.broadcast_shapes(x.shape, self.target) == self.target
        except ValueError as error:
            raise ShapeError(f"shape {x.shape} does not expand to {self.target}") from error
        require(fits, f"shape {x.shape} does not expand to {self.target}")
        return self.target

    def varies(self, *inputs: Tensor) -> bool:
        """Where `time`, or where the input does."""
        return self.time or inputs[0].time

    def reference(self, *inputs: Ints) -> Ints:
        """Broadcast."""
        return np.broadcast_to(inputs[0], self.target)
