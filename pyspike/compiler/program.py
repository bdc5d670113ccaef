"""The float program: what a source file computes, in its own axes and in real numbers, before anything is an integer.

Frontends make one, passes turn one into another (never changing the one they were given), `lower` makes the integer
graph. Shapes are those of the file: with T > 1 they hold the time axis. Constants are float64.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pyspike.errors import RangeError, ShapeError

Shape = tuple[int, ...]
Reals = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FloatOp:
    """One operation; `shape` gives the output's shape from the inputs'."""

    def shape(self, *inputs: Shape) -> Shape:
        """That of the first input."""
        return inputs[0]


@dataclass(frozen=True, eq=False)
class Conv(FloatOp):
    """[N, C, H, W] -> [N, O, H', W']. `weight` [O, C / groups, kh, kw], `bias` [O] or None, `padding` (top, left,
    bottom, right).

    `fixed` weights are sums in disguise: nothing may be folded into them.
    """

    weight: Reals
    bias: Reals | None
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    fixed: bool = False

    def shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        expected = self.weight.shape[1] * self.groups
        if len(x) != 4 or x[1] != expected:
            raise ShapeError(f"expected [N, {expected}, H, W], found shape {x}")
        extent = [self.dilation[i] * (self.weight.shape[2 + i] - 1) + 1 for i in (0, 1)]
        return (x[0], len(self.weight), *_windows(x[2:], extent, self.stride, self.padding))


@dataclass(frozen=True, eq=False)
class Dense(FloatOp):
    """[..., I] -> [..., O]. `weight` [O, I], `bias` [O] or None."""

    weight: Reals
    bias: Reals | None

    def shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if not x or x[-1] != self.weight.shape[1]:
            raise ShapeError(f"expected [..., {self.weight.shape[1]}], found shape {x}")
        return (*x[:-1], len(self.weight))


@dataclass(frozen=True, eq=False)
class Affine(FloatOp):
    """y = scale * x + shift; both constants have x's rank and broadcast to its shape."""

    scale: Reals
    shift: Reals


@dataclass(frozen=True, eq=False)
class Add(FloatOp):
    """The sum of two values, broadcast as in NumPy."""

    def shape(self, *inputs: Shape) -> Shape:
        return np.broadcast_shapes(*inputs)


@dataclass(frozen=True, eq=False)
class Concat(FloatOp):
    """Values joined along `axis`."""

    axis: int

    def shape(self, *inputs: Shape) -> Shape:
        first = inputs[0]
        return (*first[: self.axis], sum(x[self.axis] for x in inputs), *first[self.axis + 1 :])


@dataclass(frozen=True, eq=False)
class MaxPool(FloatOp):
    """[N, C, H, W] -> [N, C, H', W']; padding (top, left, bottom, right) never wins."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]

    def shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        return (*x[:2], *_windows(x[2:], self.kernel, self.stride, self.padding))


@dataclass(frozen=True, eq=False)
class Upsample(FloatOp):
    """[N, C, H, W] -> [N, C, fy * H, fx * W], nearest neighbour."""

    factor: tuple[int, int]

    def shape(self, *inputs: Shape) -> Shape:
        n, c, h, w = inputs[0]
        return (n, c, h * self.factor[0], w * self.factor[1])


@dataclass(frozen=True, eq=False)
class Mean(FloatOp):
    """The mean over `axes`."""

    axes: tuple[int, ...]
    keepdims: bool

    def shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if self.keepdims:
            return tuple(1 if i in self.axes else n for i, n in enumerate(x))
        return tuple(n for i, n in enumerate(x) if i not in self.axes)


@dataclass(frozen=True, eq=False)
class Slice(FloatOp):
    """x[starts:stops:steps], steps >= 1, along every axis."""

    starts: tuple[int, ...]
    stops: tuple[int, ...]
    steps: tuple[int, ...]

    def shape(self, *inputs: Shape) -> Shape:
        return tuple(-(-(b - a) // s) for a, b, s in zip(self.starts, self.stops, self.steps, strict=True))


@dataclass(frozen=True, eq=False)
class Reshape(FloatOp):
    """The same values in row-major order under another shape."""

    target: Shape

    def shape(self, *inputs: Shape) -> Shape:
        if int(np.prod(inputs[0], dtype=np.int64)) != int(np.prod(self.target, dtype=np.int64)):
            raise ShapeError(f"shape {inputs[0]} does not reshape to {self.target}")
        return self.target


@dataclass(frozen=True, eq=False)
class Transpose(FloatOp):
    """Axes in another order: y.shape[i] = x.shape[order[i]]."""

    order: tuple[int, ...]

    def shape(self, *inputs: Shape) -> Shape:
        return tuple(inputs[0][i] for i in self.order)


@dataclass(frozen=True, eq=False)
class Expand(FloatOp):
    """Broadcast to `target`."""

    target: Shape

    def shape(self, *inputs: Shape) -> Shape:
        if np.broadcast_shapes(inputs[0], self.target) != self.target:
            raise ShapeError(f"shape {inputs[0]} does not expand to {self.target}")
        return self.target


@dataclass(frozen=True, eq=False)
class Pad(FloatOp):
    """A border of `value` around every axis."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    value: float

    def shape(self, *inputs: Shape) -> Shape:
        return tuple(b + n + a for b, n, a in zip(self.before, inputs[0], self.after, strict=True))


@dataclass(frozen=True, eq=False)
class Round(FloatOp):
    """floor(x * 2**fraction + 1/2) * 2**-fraction: the align of the integer graph."""

    fraction: int


@dataclass(frozen=True, eq=False)
class Floor(FloatOp):
    """floor(x), which only `Round` can hold: the frontend refuses those that are no part of one."""


@dataclass(frozen=True, eq=False)
class Fixed(FloatOp):
    """A constant; no input."""

    values: Reals

    def shape(self, *inputs: Shape) -> Shape:
        return self.values.shape


@dataclass(frozen=True, eq=False)
class Fire(FloatOp):
    """The integer LIF neuron (`pyspike.nn.IntegerLIF`); with T > 1 axis 0 is time.

    `scale` and `shift`: an affine map of the drive that was folded into the neuron, arrays of the drive's rank or None.
    """

    count: int
    half_even: bool = False
    timesteps: int = 1
    decay: float = 0.0
    gain: float = 1.0
    theta: float = 1.0
    hard_reset: bool = False
    scale: Reals | None = None
    shift: Reals | None = None


@dataclass(frozen=True, eq=False)
class Step:
    """One operation applied to values; `name` is the node's in the source, for messages and reports."""

    op: FloatOp
    inputs: tuple[str, ...]
    output: str
    name: str


@dataclass(frozen=True)
class Source:
    """A graph input as declared: `dtype` is 'uint8', 'int8' or 'float32'."""

    name: str
    shape: Shape
    dtype: str


@dataclass(frozen=True)
class Result:
    """A graph output as declared: `name` in the file, and the value it shows."""

    name: str
    value: str


@dataclass(frozen=True)
class Program:
    """Steps in execution order over named values; every value is made once."""

    inputs: tuple[Source, ...]
    steps: tuple[Step, ...]
    outputs: tuple[Result, ...]
    metadata: Mapping[str, object] = field(default_factory=dict)

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """The shape of every value; raises `ShapeError` naming the step whose operands do not fit."""
        shapes = {source.name: source.shape for source in self.inputs}
        for step in self.steps:
            try:
                shapes[step.output] = step.op.shape(*(shapes[name] for name in step.inputs))
            except ValueError as error:
                raise ShapeError(f"{type(step.op).__name__} {step.name!r}: {error}") from error
        return shapes

    @cached_property
    def producers(self) -> dict[str, Step]:
        """The step that makes each value, inputs excepted."""
        return {step.output: step for step in self.steps}

    @cached_property
    def readers(self) -> dict[str, list[Step]]:
        """The steps that read each value."""
        readers: dict[str, list[Step]] = {name: [] for name in self.shapes}
        for step in self.steps:
            for name in dict.fromkeys(step.inputs):
                readers[name].append(step)
        return readers

    @cached_property
    def shown(self) -> set[str]:
        """The values that are graph outputs."""
        return {result.value for result in self.outputs}

    def only_reader(self, value: str) -> Step | None:
        """The one step that reads `value`, None where there are several or where it is a graph output."""
        readers = self.readers[value]
        return readers[0] if len(readers) == 1 and value not in self.shown else None

    def with_steps(self, steps: Iterable[Step], outputs: Sequence[Result] | None = None) -> Program:
        """A program of other steps; those that no output needs are dropped."""
        results = self.outputs if outputs is None else tuple(outputs)
        ordered = list(steps)
        needed = {result.value for result in results}
        kept: list[Step] = []
        for step in reversed(ordered):
            if step.output in needed:
                kept.append(step)
                needed.update(step.inputs)
        return Program(self.inputs, tuple(reversed(kept)), results, self.metadata)


def require_finite(program: Program) -> None:
    """Raise `RangeError` naming the steps whose constants hold NaN or infinity."""
    broken = [
        f"{type(step.op).__name__} {step.name!r}"
        for step in program.steps
        if any(isinstance(v, np.ndarray) and not np.isfinite(v).all() for v in vars(step.op).values())
    ]
    if broken:
        raise RangeError(f"constants must be finite, found NaN or infinity in {', '.join(broken)}")


def _windows(sizes: Sequence[int], kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int]) -> Shape:
    out = tuple((sizes[i] + padding[i] + padding[i + 2] - kernel[i]) // stride[i] + 1 for i in (0, 1))
    if min(out) < 1:
        raise ShapeError(f"a kernel of {tuple(kernel)} does not fit into a padded map of {tuple(sizes)}")
    return out
