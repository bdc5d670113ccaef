"""add: y = (a << shift_a) + (b << shift_b), operands brought to one f; shapes broadcast as in NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pyspike.errors import ShapeError
from pyspike.graph import Scale, Tensor
from pyspike.ops.base import Ints, Op, require, require_int32


@dataclass(frozen=True, eq=False)
class Add(Op):
    """Two operands of any integer range. `shifts`: left shift of each, 0..31."""

    kind: ClassVar[int] = 3
    name: ClassVar[str] = "add"
    onnx: ClassVar[tuple[str, ...]] = ("Add", "Sub")

    shifts: tuple[int, ...] = (0, 0)

    def __post_init__(self) -> None:
        require(len(self.shifts) == 2 and all(0 <= s <= 31 for s in self.shifts), f"bad shifts {self.shifts}")

    def shape(self, *inputs: Tensor) -> tuple[int, ...]:
        """The broadcast shape."""
        a, b = inputs
        try:
            return np.broadcast_shapes(a.shape, b.shape)
        except ValueError as error:
            raise ShapeError(f"shapes {a.shape} and {b.shape} do not broadcast") from error

    def range(self, *inputs: Tensor) -> tuple[int, int]:
        """Sum of the shifted ranges; each shifted operand must fit int32 by itself."""
        lows = [x.lo << s for x, s in zip(inputs, self.shifts, strict=True)]
        highs = [x.hi << s for x, s in zip(inputs, self.shifts, strict=True)]
        require_int32(min(lows), max(highs), "shifted operands")
        return sum(lows), sum(highs)

    def scale(self, *inputs: Tensor) -> Scale:
        """The common scale after shifting."""
        scales = {shifted(x.scale, s) for x, s in zip(inputs, self.shifts, strict=True)}
        require(len(scales) == 1, f"operands have different scales after shifting: {scales}")
        return scales.pop()

    def reference(self, *inputs: Ints) -> Ints:
        """Shift, then add."""
        a, b = inputs
        return (a << self.shifts[0]) + (b << self.shifts[1])


def shifted(scale: Scale, shift: int) -> Scale:
    """The scale of integers after a left shift that keeps their real value."""
    f = scale.f + shift if isinstance(scale.f, int) else tuple(each + shift for each in scale.f)
    return Scale(f, scale.divisor)
