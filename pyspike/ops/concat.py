"""concat: operands joined along one axis, each shifted left to the common f."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pyspike.graph import Scale, Tensor
from pyspike.ops.add import shifted
from pyspike.ops.base import Ints, Op, require, require_int32


@dataclass(frozen=True, eq=False)
class Concat(Op):
    """One or more operands alike but along `axis`. `shifts`: left shift of each, 0..31."""

    kind: ClassVar[int] = 4
    name: ClassVar[str] = "concat"
    onnx: ClassVar[tuple[str, ...]] = ("Concat",)

    axis: int
    shifts: tuple[int, ...]

    def __post_init__(self) -> None:
        require(self.axis >= 0, f"bad axis {self.axis}")
        require(all(0 <= s <= 31 for s in self.shifts), f"bad shifts {self.shifts}")

    def shape(self, *inputs: Tensor) -> tuple[int, ...]:
        """Sizes along `axis` add up; the others must agree."""
        require(len(inputs) == len(self.shifts) >= 1, f"expected {len(self.shifts)} operands, found {len(inputs)}")
        first = inputs[0].shape
        require(self.axis < len(first), f"axis {self.axis} does not exist in shape {first}")
        for x in inputs:
            alike = len(x.shape) == len(first) and all(
                a == b for i, (a, b) in enumerate(zip(x.shape, first, strict=True)) if i != self.axis
            )
            require(alike, f"shapes {first} and {x.shape} differ beside axis {self.axis}")
        return (*first[: self.axis], sum(x.shape[self.axis] for x in inputs), *first[self.axis + 1 :])

    def range(self, *inputs: Tensor) -> tuple[int, int]:
        """Hull of the shifted ranges."""
        lo = min(x.lo << s for x, s in zip(inputs, self.shifts, strict=True))
        hi = max(x.hi << s for x, s in zip(inputs, self.shifts, strict=True))
        require_int32(lo, hi, "shifted operands")
        return lo, hi

    def scale(self, *inputs: Tensor) -> Scale:
        """The common scale; along the last axis channels may keep an f of their own each."""
        scales = [shifted(x.scale, s) for x, s in zip(inputs, self.shifts, strict=True)]
        divisors = {scale.divisor for scale in scales}
        require(len(divisors) == 1, f"operands are means over different counts: {divisors}")
        if len({scale.f for scale in scales}) == 1 and (
            isinstance(scales[0].f, int) or self.axis != len(inputs[0].shape) - 1
        ):
            return scales[0]
        require(self.axis == len(inputs[0].shape) - 1, f"operands have different scales after shifting: {scales}")
        f: list[int] = []
        for x, scale in zip(inputs, scales, strict=True):
            f += [scale.f] * x.shape[-1] if isinstance(scale.f, int) else scale.f
        return Scale(tuple(f), divisors.pop())

    def reference(self, *inputs: Ints) -> Ints:
        """Shift, then join."""
        return np.concatenate([x << s for x, s in zip(inputs, self.shifts, strict=True)], axis=self.axis)
