"""slice: y = x[starts:stops:steps] along every axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pyspike.graph import Scale, Tensor
from pyspike.ops.base import Ints, Op, require


@dataclass(frozen=True, eq=False)
class Slice(Op):
    """One start (inclusive), stop (exclusive) and step (>= 1) for each axis, within the shape."""

    kind: ClassVar[int] = 8
    name: ClassVar[str] = "slice"
    onnx: ClassVar[tuple[str, ...]] = ("Slice", "Split")

    starts: tuple[int, ...]
    stops: tuple[int, ...]
    steps: tuple[int, ...]

    def shape(self, *inputs: Tensor) -> tuple[int, ...]:
        """ceil((stop - start) / step) along every axis."""
        (x,) = inputs
        require(
            len(self.starts) == len(self.stops) == len(self.steps) == len(x.shape),
            f"expected starts, stops and steps for {len(x.shape)} axes",
        )
        windows = list(zip(self.starts, self.stops, self.steps, x.shape, strict=True))
        inside = all(0 <= start < stop <= size and step >= 1 for start, stop, step, size in windows)
        require(inside, f"slice {self.starts}:{self.stops}:{self.steps} leaves shape {x.shape}")
        return tuple(-(-(stop - start) // step) for start, stop, step, _ in windows)

    def scale(self, *inputs: Tensor) -> Scale:
        """Channels that keep an f of their own are sliced with it."""
        scale = inputs[0].scale
        return scale if isinstance(scale.f, int) else Scale(scale.f[self._windows()[-1]], scale.divisor)

    def reference(self, *inputs: Ints) -> Ints:
        """Index."""
        return inputs[0][self._windows()]

    def _windows(self) -> tuple[slice, ...]:
        return tuple(slice(*window) for window in zip(self.starts, self.stops, self.steps, strict=True))
