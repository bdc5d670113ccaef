"""What every operator of the integer graph has: rules for shape, range and scale, and a NumPy reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pyspike.errors import RangeError, ShapeError
from pyspike.graph import INT32_MAX, INT32_MIN, Scale, Tensor

Ints = NDArray[np.int64]
"""What references compute on: exact as long as the proven ranges hold."""


@dataclass(frozen=True, eq=False)
class Op:
    """One operator: a frozen dataclass whose fields are int, bool, tuple[int, ...] or integer arrays (or None).

    The fields, in order, are what a model image stores (`pyspike.image`); `kind` is its number there.
    `onnx` names the ONNX operators that it comes from. Every executor (the NumPy reference, the C++ runtime, PyTorch,
    the chip) runs it, or `unsupported` says why that one does not.
    """

    kind: ClassVar[int]
    name: ClassVar[str]
    onnx: ClassVar[tuple[str, ...]]
    unsupported: ClassVar[Mapping[str, str]] = MappingProxyType({})

    def shape(self, *inputs: Tensor) -> tuple[int, ...]:
        """Output shape of one timestep; raises `ShapeError`."""
        return inputs[0].shape

    def range(self, *inputs: Tensor) -> tuple[int, int]:
        """Proven [lo, hi] of the output."""
        return inputs[0].lo, inputs[0].hi

    def scale(self, *inputs: Tensor) -> Scale:
        """Scale of the output; raises `ShapeError` where the operands' scales do not go together."""
        return inputs[0].scale

    @property
    def over_time(self) -> bool:
        """Whether the operator gathers all timesteps into one tensor."""
        return False

    @property
    def stateful(self) -> bool:
        """Whether the operator keeps a membrane between timesteps."""
        return False

    def varies(self, *inputs: Tensor) -> bool:
        """Whether the output changes from timestep to timestep."""
        return any(tensor.time for tensor in inputs)

    def infer(self, *inputs: Tensor) -> Tensor:
        """Everything known of the output; raises `ShapeError`, or `RangeError` where int32 is not proven to hold it."""
        shape = self.shape(*inputs)
        lo, hi = self.range(*inputs)
        require_int32(lo, hi)
        return Tensor(shape, lo, hi, self.scale(*inputs), self.varies(*inputs))

    def check_time(self, timesteps: int, max_timesteps: int | None) -> None:
        """Raise `RangeError` where the operator is not made for runs of `timesteps` and streams of `max_timesteps`."""

    def reference(self, *inputs: Ints) -> Ints:
        """The definition, on int64 arrays of one timestep."""
        raise NotImplementedError


def require_int32(lo: int, hi: int, what: str = "values") -> None:
    """Raise `RangeError` unless [lo, hi] fits 32 bits."""
    if lo < INT32_MIN or hi > INT32_MAX:
        raise RangeError(f"{what} in [{lo}, {hi}] do not fit int32")


def require(condition: bool, message: str) -> None:
    """Raise `ShapeError(message)` unless `condition` holds."""
    if not condition:
        raise ShapeError(message)


def require_dyadic(name: str, *inputs: Tensor) -> None:
    """Raise `ShapeError` where an operand's scale is not one power of two for all channels."""
    for tensor in inputs:
        require(tensor.scale.is_dyadic, f"{name} needs operands whose scale is a power of two, found {tensor.scale}")


def array(values: Any, dtype: type[np.signedinteger[Any]] = np.int32) -> NDArray[Any]:
    """A read-only contiguous copy of `values`, checked to hold in `dtype`."""
    exact = np.asarray(values, dtype=np.int64)
    info = np.iinfo(dtype)
    if exact.size and (exact.min() < info.min or exact.max() > info.max):
        raise RangeError(f"values in [{exact.min()}, {exact.max()}] do not fit {np.dtype(dtype).name}")
    copy = np.ascontiguousarray(exact, dtype=dtype)
    copy.flags.writeable = False
    return copy
