"""mean: a sum over axes, or over time; the divisor only relabels the scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pyspike.errors import RangeError
from pyspike.graph import Scale, Tensor
from pyspike.ops.base import Ints, Op, require


@dataclass(frozen=True, eq=False)
class Mean(Op):
    """Sum over `axes` (kept with size 1 where `keepdims`), and over all `steps` timesteps where `steps` > 0.

    With `steps` the result exists after the last timestep; the reference returns one step's term, and executors add the
    terms of all steps (in a stream each step returns its own).
    """

    kind: ClassVar[int] = 7
    name: ClassVar[str] = "mean"
    onnx: ClassVar[tuple[str, ...]] = ("ReduceMean", "GlobalAveragePool", "AveragePool")

    axes: tuple[int, ...] = ()
    keepdims: bool = False
    steps: int = 0

    def __post_init__(self) -> None:
        require(
            self.steps >= 0 and len(set(self.axes)) == len(self.axes), f"bad axes {self.axes} or steps {self.steps}"
        )
        require(all(axis >= 0 for axis in self.axes), f"axes must not be negative: {self.axes}")

    @property
    def over_time(self) -> bool:
        """Whether timesteps are summed."""
        return self.steps > 0

    def shape(self, *inputs: Tensor) -> tuple[int, ...]:
        """The input's shape without `axes`, or with size 1 there."""
        (x,) = inputs
        require(all(axis < len(x.shape) for axis in self.axes), f"axes {self.axes} do not exist in shape {x.shape}")
        if self.keepdims:
            return tuple(1 if axis in self.axes else size for axis, size in enumerate(x.shape))
        return tuple(size for axis, size in enumerate(x.shape) if axis not in self.axes)

    def range(self, *inputs: Tensor) -> tuple[int, int]:
        """The input's range times the number of terms; over time, that of one step's term too (streams return it)."""
        (x,) = inputs
        terms = self._terms(x)
        fewest = terms // max(self.steps, 1)
        return min(x.lo * terms, x.lo * fewest), max(x.hi * terms, x.hi * fewest)

    def scale(self, *inputs: Tensor) -> Scale:
        """The input's scale over the number of terms."""
        (x,) = inputs
        require(isinstance(x.scale.f, int), "mean needs an operand with one f for all channels")
        return x.scale.over(self._terms(x))

    def varies(self, *inputs: Tensor) -> bool:
        """A mean over time does not vary in time."""
        require(inputs[0].time or not self.over_time, "a mean over time needs an operand that varies in time")
        return inputs[0].time and not self.over_time

    def check_time(self, timesteps: int, max_timesteps: int | None) -> None:
        """A mean over time is one over all timesteps of a run."""
        if self.over_time and self.steps != timesteps:
            raise RangeError(f"a mean over {self.steps} timesteps in a graph of {timesteps}")

    def reference(self, *inputs: Ints) -> Ints:
        """The sum over `axes` of one timestep."""
        return np.asarray(inputs[0].sum(axis=self.axes, keepdims=self.keepdims))

    def _terms(self, x: Tensor) -> int:
        terms = max(self.steps, 1)
        for axis in self.axes:
            terms *= x.shape[axis]
        return terms
