"""What a model takes and gives, as NumPy arrays: checks on the way in, real values on the way out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyspike.errors import RangeError, ShapeError

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class TensorInfo:
    """A model's input or output.

    `shape` is that of a whole run as declared in the source file, time or batch axis included; `axes` names its axes,
    one letter each, or is empty. Integers are of type `dtype` and lie in `lo`..`hi`; real value = integer * `scale`,
    one number, or a tuple with one for each channel of the last axis. `dynamic`: whether a size is known only at run
    time. `step_shape` is the shape of one timestep.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    axes: str
    lo: int
    hi: int
    scale: float | tuple[float, ...]
    dynamic: bool
    step_shape: tuple[int, ...]


class Port:
    """An input or output with what conversion needs."""

    def __init__(self, native: dict[str, Any]) -> None:
        f: int | tuple[int, ...] = native["channel_f"] or native["f"]
        self.divisor: int = native["divisor"]
        factors = np.ldexp(1.0, -np.asarray(f, dtype=np.int64))
        scales = factors / self.divisor
        scale = float(scales) if scales.ndim == 0 else tuple(scales.tolist())
        plain = {key: native[key] for key in ("name", "shape", "dtype", "axes", "lo", "hi", "step_shape")}
        self.info = TensorInfo(**plain, scale=scale, dynamic=False)
        self.dtype: np.dtype[Any] = np.dtype(self.info.dtype)
        self.step_factors: NDArray[np.float64] = factors
        self.factors = self._over_time(factors, native["time_axis"], native["merged"])

    def _over_time(self, factors: NDArray[np.float64], axis: int, merged: bool) -> NDArray[np.float64]:
        """`factors` laid along the channels of a whole run, whose time may follow them or lie in their axis."""
        shape, step = self.info.shape, self.info.step_shape
        if factors.ndim == 0 or axis != len(shape) - 1:
            return factors
        return np.tile(factors, shape[-1] // step[-1]) if merged else factors[:, None]

    def array(self, values: ArrayLike, shape: tuple[int, ...]) -> NDArray[Any]:
        """`values` contiguous and in the declared dtype, of `shape` or a stack of it."""
        found = as_array(values, self.info.name)
        if found.dtype.kind not in "iub":
            if found.dtype.kind in "fc" and np.isnan(found).any():
                raise RangeError(f"input {self.info.name!r}: expected {self._expected()}, found NaN")
            raise ShapeError(f"input {self.info.name!r}: expected {self._expected()}, found dtype {found.dtype}")
        if found.shape != shape and (found.ndim != len(shape) + 1 or found.shape[1:] != shape):
            raise ShapeError(f"input {self.info.name!r}: expected shape {shape} or a stack of it, found {found.shape}")
        if found.dtype != self.dtype:
            self.require_range(found)
        return np.ascontiguousarray(found, dtype=self.dtype).reshape(found.shape)

    def require_range(self, array: NDArray[Any]) -> None:
        """Raise `RangeError` where `array` leaves the declared range."""
        if array.size and (int(array.min()) < self.info.lo or int(array.max()) > self.info.hi):
            raise RangeError(
                f"input {self.info.name!r}: expected {self._expected()}, found {int(array.min())}..{int(array.max())}"
            )

    def reals(self, integers: NDArray[np.int32], out: NDArray[np.float64], step: bool) -> None:
        """The float64 values of `integers` into `out`: exact, but for the division of a mean over timesteps."""
        np.multiply(integers, self.step_factors if step else self.factors, out=out)
        if self.divisor != 1:
            np.divide(out, self.divisor, out=out)

    def _expected(self) -> str:
        return f"{self.info.dtype} integers in {self.info.lo}..{self.info.hi}"


class Results:
    """The arrays that a call returns: new ones, or the caller's after a check."""

    def __init__(
        self,
        ports: tuple[Port, ...],
        count: int | None,
        out: Arrays | None,
        raw: bool,
        step: bool = False,
    ) -> None:
        self.ports, self.raw, self.step, self.stacked = ports, raw, step, count is not None
        stack = () if count is None else (count,)
        wanted = {
            info.name: (stack + (info.step_shape if step else info.shape), np.dtype(info.dtype if raw else np.float64))
            for info in (port.info for port in ports)
        }
        self.arrays: Arrays = {name: np.empty(*each) for name, each in wanted.items()} if out is None else out
        if out is None:
            return
        if not isinstance(out, Mapping) or set(out) != set(wanted):
            raise ShapeError(f"out: expected a dict with arrays {list(wanted)}")
        for name, (shape, dtype) in wanted.items():
            array = out[name]
            good = isinstance(array, np.ndarray) and array.shape == shape and array.dtype == dtype
            if not good or not array.flags.writeable:
                raise ShapeError(f"out: expected a writeable {dtype} array of shape {shape} for {name!r}")

    def put(self, integers: list[NDArray[np.int32]], sample: int) -> None:
        """Keep the integers of one sample, converted unless raw."""
        for port, values in zip(self.ports, integers, strict=True):
            array = self.arrays[port.info.name]
            target = array[sample, ...] if self.stacked else array
            if self.raw:
                target[...] = values
            else:
                port.reals(values, target, self.step)


def as_array(values: ArrayLike, name: str) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ShapeError(f"input {name!r}: not an array: {error}") from error
