"""align: floor(p * 2**-shift + 1/2), the way back to a smaller f; the compiler reports each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pyspike.graph import Scale, Tensor
from pyspike.ops.base import Ints, Op, require, require_dyadic


@dataclass(frozen=True, eq=False)
class Align(Op):
    """`shift`: how many fractional bits are rounded away, 1..31."""

    kind: ClassVar[int] = 13
    name: ClassVar[str] = "align"
    onnx: ClassVar[tuple[str, ...]] = ("Floor",)

    shift: int

    def __post_init__(self) -> None:
        require(1 <= self.shift <= 31, f"bad shift {self.shift}")

    def range(self, *inputs: Tensor) -> tuple[int, int]:
        """Rounding is monotone: the rounded bounds."""
        (x,) = inputs
        return self._round(x.lo), self._round(x.hi)

    def scale(self, *inputs: Tensor) -> Scale:
        """`shift` fractional bits fewer."""
        (x,) = inputs
        require_dyadic(self.name, x)
        assert isinstance(x.scale.f, int)
        return Scale(x.scale.f - self.shift)

    def reference(self, *inputs: Ints) -> Ints:
        """Add half, shift right."""
        return (inputs[0] + (1 << (self.shift - 1))) >> self.shift

    def _round(self, value: int) -> int:
        return (value + (1 << (self.shift - 1))) >> self.shift
