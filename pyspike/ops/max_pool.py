"""max_pool: the greatest integer of each window; positions outside the map never win."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pyspike.graph import Tensor
from pyspike.ops.base import Ints, Op, require


@dataclass(frozen=True, eq=False)
class MaxPool(Op):
    """[N, H, W, C] -> [N, H', W', C]. `padding` is (top, left, bottom, right), smaller than the kernel."""

    kind: ClassVar[int] = 5
    name: ClassVar[str] = "max_pool"
    onnx: ClassVar[tuple[str, ...]] = ("MaxPool",)

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]

    def __post_init__(self) -> None:
        require(len(self.kernel) == 2 and min(self.kernel) >= 1, f"bad kernel {self.kernel}")
        require(len(self.stride) == 2 and min(self.stride) >= 1, f"bad stride {self.stride}")
        fits = len(self.padding) == 4 and all(0 <= p < self.kernel[i % 2] for i, p in enumerate(self.padding))
        require(fits, f"padding {self.padding} must be smaller than the kernel {self.kernel}")

    def shape(self, *inputs: Tensor) -> tuple[int, ...]:
        """[N, (H + padding - kh) // stride + 1, likewise W, C]."""
        (x,) = inputs
        require(len(x.shape) == 4, f"expected [N, H, W, C], found shape {x.shape}")
        height, width = (self._output_size(x.shape[1 + axis], axis) for axis in (0, 1))
        require(height >= 1 and width >= 1, f"the kernel does not fit into the padded map of shape {x.shape}")
        return (x.shape[0], height, width, x.shape[3])

    def reference(self, *inputs: Ints) -> Ints:
        """The running maximum over the kernel's positions, on a map padded with its least value."""
        (x,) = inputs
        out_h, out_w = self._output_size(x.shape[1], 0), self._output_size(x.shape[2], 1)
        top, left, bottom, right = self.padding
        padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=x.min())
        views = [
            padded[:, ky : ky + (out_h - 1) * self.stride[0] + 1 : self.stride[0]][
                :, :, kx : kx + (out_w - 1) * self.stride[1] + 1 : self.stride[1]
            ]
            for ky in range(self.kernel[0])
            for kx in range(self.kernel[1])
        ]
        return np.asarray(np.maximum.reduce(views))

    def _output_size(self, size: int, axis: int) -> int:
        return (size + self.padding[axis] + self.padding[axis + 2] - self.kernel[axis]) // self.stride[axis] + 1
