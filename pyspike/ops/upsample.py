"""upsample: nearest neighbour, y[n, i, j, c] = x[n, i // fy, j // fx, c]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pyspike.graph import Tensor
from pyspike.ops.base import Ints, Op, require


@dataclass(frozen=True, eq=False)
class Upsample(Op):
    """[N, H, W, C] -> [N, fy*H, fx*W, C]. `factor` (fy, fx), whole numbers."""

    kind: ClassVar[int] = 6
    name: ClassVar[str] = "upsample"
    onnx: ClassVar[tuple[str, ...]] = ("Resize", "Upsample")

    factor: tuple[int, ...]

    def __post_init__(self) -> None:
        require(len(self.factor) == 2 and min(self.factor) >= 1, f"bad factor {self.factor}")

    def shape(self, *inputs: Tensor) -> tuple[int, ...]:
        """Height and width times the factor."""
        (x,) = inputs
        require(len(x.shape) == 4, f"expected [N, H, W, C], found shape {x.shape}")
        batch, height, width, channels = x.shape
        return (batch, height * self.factor[0], width * self.factor[1], channels)

    def reference(self, *inputs: Ints) -> Ints:
        """Repeat rows and columns."""
        return inputs[0].repeat(self.factor[0], axis=1).repeat(self.factor[1], axis=2)
