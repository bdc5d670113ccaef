"""pad: a border of one stated integer around every axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pyspike.graph import Tensor
from pyspike.ops.base import Ints, Op, require


@dataclass(frozen=True, eq=False)
class Pad(Op):
    """`before` and `after`: widths of the border along each axis; `value`: its integer, at the input's scale."""

    kind: ClassVar[int] = 12
    name: ClassVar[str] = "pad"
    onnx: ClassVar[tuple[str, ...]] = ("Pad",)

    before: tuple[int, ...]
    after: tuple[int, ...]
    value: int = 0

    def __post_init__(self) -> None:
        require(min(self.before + self.after, default=0) >= 0, f"border widths must not be negative: {self}")

    def shape(self, *inputs: Tensor) -> tuple[int, ...]:
        """Every axis grows by its border."""
        (x,) = inputs
        require(isinstance(x.scale.f, int), "pad needs an operand with one f for all channels")
        require(len(self.before) == len(self.after) == len(x.shape), f"expected borders for {len(x.shape)} axes")
        return tuple(b + size + a for b, size, a in zip(self.before, x.shape, self.after, strict=True))

    def range(self, *inputs: Tensor) -> tuple[int, int]:
        """The input's range and the value."""
        (x,) = inputs
        return min(x.lo, self.value), max(x.hi, self.value)

    def reference(self, *inputs: Ints) -> Ints:
        """Surround."""
        if not self.before:  # a tensor without axes has no border, and NumPy refuses to pad it
            return inputs[0]
        return np.pad(inputs[0], tuple(zip(self.before, self.after, strict=True)), constant_values=self.value)
