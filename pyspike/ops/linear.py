"""linear: acc[..., o] = sum_i x[..., i] * w[o, i], by additions; a convolution of one position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pyspike.graph import Tensor
from pyspike.ops.base import Ints, require
from pyspike.ops.synapse import Synapse


@dataclass(frozen=True, eq=False)
class Linear(Synapse):
    """[..., I] -> [..., O]. `weight` [O, I]."""

    kind: ClassVar[int] = 2
    name: ClassVar[str] = "linear"
    onnx: ClassVar[tuple[str, ...]] = ("Gemm", "MatMul")

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.weight.ndim == 2, f"expected weights [out, in], found shape {self.weight.shape}")

    def shape(self, *inputs: Tensor) -> tuple[int, ...]:
        """The input's shape with O for its last axis."""
        (x,) = inputs
        features = self.weight.shape[1]
        require(len(x.shape) >= 1 and x.shape[-1] == features, f"expected [..., {features}], found shape {x.shape}")
        return (*x.shape[:-1], self.out_channels)

    def accumulate(self, x: Ints) -> Ints:
        """A matrix product."""
        return np.asarray(x @ self.weight.astype(np.int64).T)

    def targets(self, shape: tuple[int, ...]) -> Ints:
        """Every element meets all outputs."""
        return np.array(self.out_channels, dtype=np.int64)
