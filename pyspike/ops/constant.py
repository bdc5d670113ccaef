"""constant: integers that are part of the model, such as positions added to potentials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pyspike.graph import Scale, Tensor
from pyspike.ops.base import Ints, Op, array, require


@dataclass(frozen=True, eq=False)
class Constant(Op):
    """No input; `values` int32 of any shape, with `fraction` fractional bits."""

    kind: ClassVar[int] = 14
    name: ClassVar[str] = "constant"
    onnx: ClassVar[tuple[str, ...]] = ("Constant",)

    values: NDArray[np.int32]
    fraction: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", array(self.values))

    def shape(self, *inputs: Tensor) -> tuple[int, ...]:
        """That of `values`."""
        require(not inputs, f"a constant has no operands, found {len(inputs)}")
        return self.values.shape

    def range(self, *inputs: Tensor) -> tuple[int, int]:
        """The least and the greatest value."""
        return int(self.values.min()), int(self.values.max())

    def scale(self, *inputs: Tensor) -> Scale:
        """2**-`fraction`."""
        return Scale(self.fraction)

    def reference(self, *inputs: Ints) -> Ints:
        """The values."""
        return self.values.astype(np.int64)
