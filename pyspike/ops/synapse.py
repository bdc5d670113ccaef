"""What conv2d and linear share: weighted sums of integers by additions, and their way to the output's grid.

    acc[o] = sum_j x[j] * w[o, j]           by additions: the bit-planes of x select rows of w
    p[o]   = (acc[o] << shift[o]) + bias[o]

with real weight = w * 2**-exponent[o]. The compiler chooses shift[o] = f - f_x - exponent[o], one f for all channels;
where only fires read the result it stores no shift and no bias, and the thresholds carry both: then every channel keeps
its own f.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyspike.graph import Scale, Tensor
from pyspike.ops.base import Ints, Op, array, require, require_dyadic, require_int32


@dataclass(frozen=True, eq=False)
class Synapse(Op):
    """Fields: `weight` int8 [out, ..., in per group]; `exponent` int8 [out]; `shift` int8 [out], 0..31; `bias` int32
    [out] or None.
    """

    weight: NDArray[np.int8]
    exponent: NDArray[np.int8]
    shift: NDArray[np.int8]
    bias: NDArray[np.int32] | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", array(self.weight, np.int8))
        object.__setattr__(self, "exponent", array(self.exponent, np.int8))
        object.__setattr__(self, "shift", array(self.shift, np.int8))
        if self.bias is not None:
            object.__setattr__(self, "bias", array(self.bias, np.int32))
        rows = (len(self.weight),)
        require(self.exponent.shape == rows, f"expected {rows[0]} exponents, found shape {self.exponent.shape}")
        require(self.shift.shape == rows, f"expected {rows[0]} shifts, found shape {self.shift.shape}")
        require(self.bias is None or self.bias.shape == rows, f"expected {rows[0]} biases")
        require(bool(((self.shift >= 0) & (self.shift <= 31)).all()), "shifts must be in 0..31")

    @property
    def out_channels(self) -> int:
        """Number of output channels."""
        return len(self.weight)

    def bounds(self, x: Tensor) -> tuple[list[int], list[int]]:
        """Per output channel the least and greatest accumulator; 0 is added to the input's range (padding)."""
        lo, hi = min(x.lo, 0), max(x.hi, 0)
        rows = self.weight.reshape(self.out_channels, -1).astype(np.int64)
        positive = np.where(rows > 0, rows, 0).sum(axis=1)
        negative = np.where(rows < 0, rows, 0).sum(axis=1)
        return (
            [int(p) * lo + int(n) * hi for p, n in zip(positive, negative, strict=True)],
            [int(p) * hi + int(n) * lo for p, n in zip(positive, negative, strict=True)],
        )

    def range(self, *inputs: Tensor) -> tuple[int, int]:
        """Hull over channels of (bounds << shift) + bias; the shifted sums must fit int32 before the bias too."""
        least, greatest = self.bounds(inputs[0])
        shift = self.shift.tolist()
        low = [value << s for value, s in zip(least, shift, strict=True)]
        high = [value << s for value, s in zip(greatest, shift, strict=True)]
        require_int32(min(low), max(high), "weighted sums")
        bias = [0] * self.out_channels if self.bias is None else self.bias.tolist()
        return min(a + b for a, b in zip(low, bias, strict=True)), max(a + b for a, b in zip(high, bias, strict=True))

    def scale(self, *inputs: Tensor) -> Scale:
        """f = f_x + exponent + shift: one number where all channels agree, else one per channel."""
        require_dyadic(self.name, *inputs)
        f_x = inputs[0].scale.f
        assert isinstance(f_x, int)
        f = (f_x + self.exponent.astype(int) + self.shift).tolist()
        return Scale(f[0]) if len(set(f)) == 1 else Scale(tuple(f))

    def reference(self, *inputs: Ints) -> Ints:
        """Accumulate, then finish."""
        return self.finish(self.accumulate(inputs[0]))

    def accumulate(self, x: Ints) -> Ints:
        """acc, the weighted sums alone: linear in `x`, so sub-steps of x may be accumulated one after another."""
        raise NotImplementedError

    def finish(self, accumulators: Ints) -> Ints:
        """(acc << shift) + bias over the last axis."""
        shifted = accumulators << self.shift.astype(np.int64)
        return shifted if self.bias is None else shifted + self.bias

    def targets(self, shape: tuple[int, ...]) -> Ints:
        """For an input of `shape`, how many weights each of its elements meets inside the output; broadcasts to
        `shape`.
        """
        raise NotImplementedError

    def sops(self, x: Ints) -> int:
        """Synaptic operations: the sum over events of |n| x (targets inside the output)."""
        return int((np.abs(x) * self.targets(x.shape)).sum())

    def macs(self, shape: tuple[int, ...]) -> int:
        """Multiply-accumulates of the dense twin inside the output, for an input of `shape`."""
        return int(np.broadcast_to(self.targets(shape), shape).sum())
