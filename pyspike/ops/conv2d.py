"""conv2d: a two-dimensional convolution (dense, grouped or depthwise) of integers, by additions.

acc[n, y, x, o] = sum over ky, kx, i of  X[n, y*s + ky*d - p, x*s + kx*d - p, g*I + i] * W[o, ky, kx, i]

with zero outside the map, s the stride, d the dilation, p the padding, I = C / groups and g the group of o.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pyspike.graph import Tensor
from pyspike.ops.base import Ints, require
from pyspike.ops.synapse import Synapse

MAX_REACH = 2**15  # positions from the first to the last under a kernel: events are numbered in 16 bits


@dataclass(frozen=True, eq=False)
class Conv2d(Synapse):
    """[N, H, W, C] -> [N, H', W', O]. `weight` [O, kh, kw, C / groups]; `padding` is (top, left, bottom, right), of
    zeros.
    """

    kind: ClassVar[int] = 1
    name: ClassVar[str] = "conv2d"
    onnx: ClassVar[tuple[str, ...]] = ("Conv",)

    stride: tuple[int, ...] = (1, 1)
    padding: tuple[int, ...] = (0, 0, 0, 0)
    dilation: tuple[int, ...] = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.weight.ndim == 4, f"expected weights [out, kh, kw, in], found shape {self.weight.shape}")
        require(len(self.stride) == 2 and min(self.stride) >= 1, f"bad stride {self.stride}")
        require(len(self.dilation) == 2 and min(self.dilation) >= 1, f"bad dilation {self.dilation}")
        reach = max(d * (k - 1) + 1 for d, k in zip(self.dilation, self.kernel, strict=True))
        require(reach <= MAX_REACH, f"a kernel reaches over at most {MAX_REACH} positions, found {reach}")
        require(len(self.padding) == 4 and min(self.padding) >= 0, f"bad padding {self.padding}")
        require(
            self.groups >= 1 and self.out_channels % self.groups == 0,
            f"{self.out_channels} output channels do not divide into {self.groups} groups",
        )

    @property
    def kernel(self) -> tuple[int, int]:
        """Kernel height and width."""
        return self.weight.shape[1], self.weight.shape[2]

    @property
    def depthwise(self) -> bool:
        """Whether every channel is convolved with one filter of its own."""
        return self.weight.shape[3] == 1 and self.groups == self.out_channels

    def shape(self, *inputs: Tensor) -> tuple[int, ...]:
        """[N, (H + padding - dilation*(kh - 1) - 1) // stride + 1, likewise W, O]."""
        (x,) = inputs
        require(len(x.shape) == 4, f"expected [N, H, W, C], found shape {x.shape}")
        expected = self.weight.shape[3] * self.groups
        require(x.shape[3] == expected, f"expected {expected} channels, found {x.shape[3]}")
        height, width = (self._output_size(x.shape[1 + axis], axis) for axis in (0, 1))
        require(height >= 1 and width >= 1, f"the kernel does not fit into the padded map of shape {x.shape}")
        return (x.shape[0], height, width, self.out_channels)

    def accumulate(self, x: Ints) -> Ints:
        """One shifted view of the padded map for each kernel position, each a matrix product."""
        batch, height, width, channels = x.shape
        out_h, out_w = self._output_size(height, 0), self._output_size(width, 1)
        top, left, bottom, right = self.padding
        padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
        grouped = padded.reshape(*padded.shape[:3], self.groups, channels // self.groups)
        filters = self.weight.astype(np.int64).reshape(self.groups, -1, *self.weight.shape[1:])
        acc = np.zeros((batch, out_h, out_w, self.groups, self.out_channels // self.groups), dtype=np.int64)
        for ky in range(self.kernel[0]):
            for kx in range(self.kernel[1]):
                y0, x0 = ky * self.dilation[0], kx * self.dilation[1]
                rows = slice(y0, y0 + (out_h - 1) * self.stride[0] + 1, self.stride[0])
                columns = slice(x0, x0 + (out_w - 1) * self.stride[1] + 1, self.stride[1])
                acc += np.einsum("nyxgi,goi->nyxgo", grouped[:, rows, columns], filters[:, :, ky, kx])
        return acc.reshape(batch, out_h, out_w, self.out_channels)

    def targets(self, shape: tuple[int, ...]) -> Ints:
        """[1, H, W, 1]: taps of the kernel that reach the output from each position, times the outputs of a group."""
        rows, columns = (self._taps(shape[1 + axis], axis) for axis in (0, 1))
        return (rows[:, None] * columns[None, :] * (self.out_channels // self.groups))[None, :, :, None]

    def _output_size(self, size: int, axis: int) -> int:
        padded = size + self.padding[axis] + self.padding[axis + 2]
        return (padded - self.dilation[axis] * (self.kernel[axis] - 1) - 1) // self.stride[axis] + 1

    def _taps(self, size: int, axis: int) -> Ints:
        """Along one axis, the number of pairs (kernel position, output position) that meet each input position."""
        meets = np.zeros(size, dtype=np.int64)
        for out in range(self._output_size(size, axis)):
            for k in range(self.kernel[axis]):
                position = out * self.stride[axis] + k * self.dilation[axis] - self.padding[axis]
                if 0 <= position < size:
                    meets[position] += 1
        return meets
