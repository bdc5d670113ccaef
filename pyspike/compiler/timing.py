"""Which axis of which value is time.

The integer graph describes one timestep, a source file all of them: with T > 1 some axis of a value has T times its
size of one step, index = t * rest + r. Neurons with T > 1 say where (axis 0 of their drive and counts); from there
labels spread to all values that vary in time, back to where copies are made (Expand) or to graph inputs, forward to a
mean over time or to graph outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspike.compiler.program import (
    Add,
    Affine,
    Concat,
    Conv,
    Dense,
    Expand,
    Fire,
    Fixed,
    FloatOp,
    MaxPool,
    Mean,
    Pad,
    Program,
    Reshape,
    Round,
    Shape,
    Slice,
    Step,
    Transpose,
    Upsample,
)
from pyspike.errors import UnsupportedOpError

_SAME_AXES = (Add, Affine, Concat, Fire, Pad, Round, Slice)


@dataclass(frozen=True)
class Timing:
    """`timesteps` T, and the time axis of every value that has one.

    `maps` are values of axes [N, C, H, W]; their time axis is a batch axis even where a timestep has a batch of one.
    """

    timesteps: int
    axes: dict[str, int]
    maps: frozenset[str]

    def step_shape(self, value: str, shape: Shape) -> Shape:
        """The shape of one timestep; an axis that is nothing but time has size 1."""
        axis = self.axes.get(value)
        if axis is None:
            return shape
        return (*shape[:axis], shape[axis] // self.timesteps, *shape[axis + 1 :])

    def merged(self, value: str, shape: Shape) -> bool:
        """Whether the time axis of `value` is a batch axis too, and stays when time is taken out of it."""
        axis = self.axes.get(value)
        return axis is not None and (shape[axis] != self.timesteps or value in self.maps)


def find_time(program: Program) -> Timing:
    """Label every value of `program`.

    Raises `UnsupportedOpError` naming the step where time is mixed with another axis, or where neurons disagree on T.
    """
    neurons = [s for s in program.steps if isinstance(s.op, Fire) and s.op.timesteps > 1]
    steps = {s.op.timesteps for s in neurons if isinstance(s.op, Fire)}
    if not steps:
        return Timing(1, {}, _maps(program))
    if len(steps) > 1:
        raise UnsupportedOpError(f"neurons with different numbers of timesteps in one model: T = {sorted(steps)}")
    labels = _Labels(program, steps.pop())
    for neuron in neurons:
        labels.set(neuron.inputs[0], 0, neuron)
        labels.set(neuron.output, 0, neuron)
    labels.spread()
    return Timing(labels.timesteps, labels.axes, _maps(program))


def _maps(program: Program) -> frozenset[str]:
    """What convolutions, pools and upsampling read or make, and whatever shares its axes."""
    found: set[str] = set()
    before = -1
    while len(found) != before:
        before = len(found)
        for step in program.steps:
            values = {name for name in (*step.inputs, step.output) if len(program.shapes[name]) == 4}
            same = isinstance(step.op, _SAME_AXES) or (isinstance(step.op, Mean) and step.op.keepdims)
            if isinstance(step.op, (Conv, MaxPool, Upsample)) or (same and values & found):
                found |= values
    return frozenset(found)


class _Labels:
    def __init__(self, program: Program, timesteps: int) -> None:
        self.program, self.timesteps = program, timesteps
        self.axes: dict[str, int] = {}
        self.changed = False

    def set(self, value: str, axis: int, step: Step) -> None:
        if value not in self.axes:
            self.axes[value] = axis
            self.changed = True
        elif self.axes[value] != axis:
            raise _mixed(
                step, f"time is axis {self.axes[value]} of {value!r} for one reader and axis {axis} for another"
            )

    def spread(self) -> None:
        self.changed = True
        while self.changed:
            self.changed = False
            for step in reversed(self.program.steps):
                if step.output in self.axes:
                    self._back(step)
            for step in self.program.steps:
                for index, name in enumerate(step.inputs):
                    if name in self.axes:
                        axis = self._forward(step, index, self.axes[name])
                        if axis is not None:
                            self.set(step.output, axis, step)

    def _back(self, step: Step) -> None:
        shape, axis = self.program.shapes[step.output], self.axes[step.output]
        if isinstance(step.op, Fixed):
            raise _mixed(step, f"a constant of shape {shape} varies over the {self.timesteps} timesteps")
        for name in step.inputs:
            found = self._through(step, self.program.shapes[name], axis, shape, back=True)
            if found is not None:
                self.set(name, found, step)

    def _forward(self, step: Step, index: int, axis: int) -> int | None:
        shape = self.program.shapes[step.inputs[index]]
        return self._through(step, shape, axis, self.program.shapes[step.output], back=False)

    def _through(self, step: Step, inner: Shape, axis: int, outer: Shape, back: bool) -> int | None:
        """The time axis on the other side of `step`: of its input (shape `inner`) going back, else of its output."""
        op = step.op
        if isinstance(op, Transpose):
            return op.order[axis] if back else op.order.index(axis)
        if isinstance(op, Reshape):
            known, other = (outer, inner) if back else (inner, outer)
            return self._reshaped(step, known, axis, other)
        if isinstance(op, Mean):
            return _past_mean(op, len(inner), axis, back)
        lead = len(outer) - len(inner)
        if isinstance(op, (Add, Expand)) and back:
            shared = axis - lead
            return None if shared < 0 or inner[shared] != outer[axis] else shared
        _require_untouched(step, op, axis, inner)
        return axis + lead if not back else axis

    def _reshaped(self, step: Step, known: Shape, axis: int, other: Shape) -> int:
        """Time keeps its place: as many elements stand before it on both sides."""
        before = _product(known[:axis])
        for i, size in enumerate(other):
            if _product(other[:i]) == before and size % self.timesteps == 0:
                return i
        raise _mixed(step, f"reshaping {known} to {other} mixes axis {axis}, which is time, with others")


def _past_mean(op: Mean, rank: int, axis: int, back: bool) -> int | None:
    kept = [i for i in range(rank) if op.keepdims or i not in op.axes]
    if back:
        return kept[axis]
    return None if axis in op.axes else kept.index(axis)


def _require_untouched(step: Step, op: FloatOp, axis: int, shape: Shape) -> None:
    """Raise where `op` does anything along a time axis."""
    if isinstance(op, (Conv, MaxPool, Upsample)):
        touched = axis != 0
    elif isinstance(op, Dense):
        touched = axis == len(shape) - 1
    elif isinstance(op, Slice):
        touched = (op.starts[axis], op.stops[axis], op.steps[axis]) != (0, shape[axis], 1)
    elif isinstance(op, Pad):
        touched = bool(op.before[axis] or op.after[axis])
    elif isinstance(op, Concat):
        touched = axis == op.axis
    else:
        touched = isinstance(op, Fire) and op.timesteps > 1 and axis != 0
    if touched:
        raise _mixed(step, f"it works along axis {axis}, which is time")


def _mixed(step: Step, reason: str) -> UnsupportedOpError:
    return UnsupportedOpError(f"{type(step.op).__name__} {step.name!r} cannot run one timestep at a time: {reason}")


def _product(sizes: Sequence[int]) -> int:
    result = 1
    for each in sizes:
        result *= each
    return result
