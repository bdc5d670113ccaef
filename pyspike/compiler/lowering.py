"""Lowering: a folded float program becomes the integer graph, one timestep of it, channels last.

Each step is lowered by the function registered for its operation. Synapses are quantised here, every other operator
works on the integers that are there; where a sum would leave int32 an operand is aligned to fewer fractional bits
first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

from pyspike import ops
from pyspike.compiler import program as fl
from pyspike.compiler.facts import Aligned, Facts, FireFacts, Lowered
from pyspike.compiler.layout import CHANNELS_LAST, Layouts, View, reshaped, storable
from pyspike.compiler.synapses import Membrane, quantise_synapse, stateful_fire, stateless_fire
from pyspike.compiler.timing import Timing
from pyspike.errors import RangeError, ShapeError, UnsupportedOpError
from pyspike.graph import INT32_MAX, Graph, Port, Scale, Tensor

Grid = Sequence[int]  # lo, hi, f of a graph input
_AXES = {2: "NC", 4: "NCHW"}
_PORT_RANGES = {"uint8": (0, 255), "int8": (-128, 127), "int16": (-(2**15), 2**15 - 1), "int32": (-(2**31), 2**31 - 1)}


@dataclass(frozen=True)
class Options:
    """`weight_bits` of a weight; `grids` of graph inputs by name; `max_timesteps` of a stream."""

    weight_bits: int = 8
    grids: Mapping[str, Grid] | None = None
    max_timesteps: int | None = None


def lower(program: fl.Program, timing: Timing, options: Options) -> Lowered:
    """The integer graph of `program`, with every synapse on its own grid of fractional bits.

    Raises `UnsupportedOpError`, `RangeError` or `ShapeError`, naming the step, where that is impossible.
    """
    lowering = Lowering(program, timing, options)
    for source in program.inputs:
        lowering.declare(source)
    for step in program.steps:
        try:
            lowering.views[step.output] = RULES[type(step.op)](lowering, step, step.op)
        except (RangeError, ShapeError) as error:
            if repr(step.name) in str(error):
                raise
            raise type(error)(f"{type(step.op).__name__} {step.name!r}: {error}") from error
    for result in program.outputs:
        lowering.show(result)
    return Lowered(lowering.graph, lowering.facts)


class Lowering:
    """The graph being made and the views of the values lowered so far."""

    def __init__(self, program: fl.Program, timing: Timing, options: Options) -> None:
        self.program, self.timing, self.options = program, timing, options
        stateful = any(isinstance(s.op, fl.Fire) and s.op.timesteps > 1 for s in program.steps)
        most = max(timing.timesteps, options.max_timesteps or 0) if stateful else options.max_timesteps
        self.graph = Graph(timing.timesteps, most)
        self.layouts = Layouts(self.graph)
        self.facts = Facts()
        self.views: dict[str, View] = {}

    def shape(self, value: str) -> fl.Shape:
        """The shape of one timestep of a program's value."""
        return self.timing.step_shape(value, self.program.shapes[value])

    def stored_axes(self, value: str) -> tuple[int, ...]:
        """All axes of a value but one that is nothing but time."""
        lost = self.time_alone(value)
        return tuple(a for a in range(len(self.program.shapes[value])) if a != lost)

    def time_alone(self, value: str) -> int | None:
        """The axis of a value that is nothing but time, None where there is none."""
        merged = self.timing.merged(value, self.program.shapes[value])
        return None if merged else self.timing.axes.get(value)

    def view(self, value: str, rank: int | None = None) -> View:
        """The view of a value, framed to `rank` axes."""
        view = self.views[value]
        return view if rank is None else view.framed(rank)

    def add(self, op: ops.Op, inputs: Sequence[str], name: str) -> str:
        """Append an integer node."""
        return self.layouts.add(op, inputs, name)

    def made(self, step: fl.Step, tensor: str, axes: Sequence[int]) -> View:
        """The view of the output of `step`."""
        return View(tensor, tuple(axes), self.shape(step.output))

    def declare(self, source: fl.Source) -> None:
        """Make a graph input with its declared axes."""
        grids = self.options.grids or {}
        if source.name not in grids and source.dtype not in _PORT_RANGES:
            raise UnsupportedOpError(
                f"input {source.name!r} is {source.dtype}: integers need a grid. Make it uint8 and cast it in the "
                f"model (Cast; 0..255), or give its grid: calibration={{{source.name!r}: (lo, hi, f)}}"
            )
        lo, hi, f = grids.get(source.name, (*_PORT_RANGES.get(source.dtype, (0, 0)), 0))
        dtype = source.dtype
        if dtype not in _PORT_RANGES:
            dtype = next((name for name, (a, b) in _PORT_RANGES.items() if a <= lo <= hi <= b), "int32")
        shape, axes = self.shape(source.name), self.stored_axes(source.name)
        time_axis = self.timing.axes.get(source.name)
        merged = self.timing.merged(source.name, source.shape)
        tensor = Tensor(tuple(shape[a] for a in axes), lo, hi, Scale(f), time_axis is not None)
        port = Port(source.name, source.name, dtype, self._letters(source.name, axes), time_axis, merged)
        self.views[source.name] = View(self.graph.add_input(port, tensor), axes, shape)

    def show(self, result: fl.Result) -> None:
        """Make a graph output with its declared axes."""
        axes = self.stored_axes(result.value)
        tensor = self.layouts.fetch(self.views[result.value], axes)
        found = self.graph.tensors[tensor]
        time_axis = self.timing.axes.get(result.value)
        merged = self.timing.merged(result.value, self.program.shapes[result.value])
        letters = self._letters(result.value, axes)
        self.graph.add_output(Port(result.name, tensor, found.dtype, letters, time_axis, merged))

    def _letters(self, value: str, axes: tuple[int, ...]) -> str:
        """The names of a port's axes, "" where they are not known."""
        letters, time_axis = _AXES.get(len(axes), ""), self.timing.axes.get(value)
        if letters == "NCHW" and value in self.program.producers and value not in self.timing.maps:
            stored = tuple(axes.index(a) for a in self.views[value].axes if a in axes)
            if stored != CHANNELS_LAST:
                return ""  # whatever was made of maps
        if letters and time_axis is not None and time_axis not in axes:
            letters = letters[:time_axis] + "T" + letters[time_axis:]
        return letters

    def aligned(self, tensor: str, shift: int, name: str) -> str:
        """`tensor` with `shift` fractional bits fewer, because a sum would not fit; reported."""
        if shift == 0:
            return tensor
        made = self.add(ops.Align(shift), [tensor], f"{name}.aligned")
        self.facts.aligns.append(Aligned(made, shift, "range"))
        self.facts.changes.append(f"align {made!r}: rounds away {shift} fractional bits to stay within int32")
        return made


def _conv(low: Lowering, step: fl.Step, op: fl.Conv) -> View:
    x = low.layouts.fetch(low.view(step.inputs[0]), CHANNELS_LAST)
    rows = op.weight.transpose(0, 2, 3, 1)
    geometry: dict[str, Any] = {
        "stride": op.stride, "padding": op.padding, "dilation": op.dilation, "groups": op.groups
    }  # fmt: skip
    made = _synapse(low, step.name, x, rows, op.bias, partial(ops.Conv2d, **geometry))
    return low.made(step, made, CHANNELS_LAST)


def _dense(low: Lowering, step: fl.Step, op: fl.Dense) -> View:
    view = low.view(step.inputs[0])
    last = len(view.shape) - 1
    order = (*(a for a in view.axes if a >= 0 and a != last), last)
    made = _synapse(low, step.name, low.layouts.fetch(view, order), op.weight, op.bias, ops.Linear)
    return low.made(step, made, order)


def _affine(low: Lowering, step: fl.Step, op: fl.Affine) -> View:
    """What could not be folded: a depthwise 1x1 synapse over the one axis along which the constants vary."""
    view = low.view(step.inputs[0])
    varies = [a for a, n in enumerate(np.broadcast_shapes(op.scale.shape, op.shift.shape)) if n != 1]
    if len(varies) > 1:
        raise UnsupportedOpError(
            f"{step.name!r}: a constant that varies along several axes, {varies}, is not understood"
        )
    channel = varies[0] if varies else (view.wide or view.with_axes(0))[-1]
    order = (*(a for a in view.with_axes(channel) if a != channel), channel)
    x = low.layouts.fetch(view, order)
    sizes = low.graph.tensors[x].shape
    channels, places = sizes[-1], int(np.prod(sizes[:-1]))
    scale, shift = (np.broadcast_to(c.reshape(-1), (channels,)) for c in (op.scale, op.shift))
    as_map = (1, places, 1, channels)
    framed = x if sizes == as_map or len(sizes) == 4 else low.add(ops.Reshape(as_map), [x], f"{step.name}.framed")
    rows, bias = scale.reshape(channels, 1, 1, 1), shift if shift.any() else None
    made = _synapse(low, step.name, framed, rows, bias, partial(ops.Conv2d, groups=channels))
    if low.graph.tensors[made].shape != sizes:
        made = low.add(ops.Reshape(sizes), [made], f"{step.name}.unframed")
    return low.made(step, made, order)


def _synapse(
    low: Lowering, name: str, x: str, rows: fl.Reals, bias: fl.Reals | None, build: Callable[..., ops.Synapse]
) -> str:
    """Quantise and append a synapse; its input is aligned where the sums would not fit int32 otherwise."""
    source = low.graph.tensors[x]
    if not source.scale.is_dyadic:
        raise UnsupportedOpError(
            f"synapse {name!r} reads a mean over a count that is no power of two; only neurons and outputs can: "
            "move the mean behind the synapse"
        )
    f_x = source.scale.f
    assert isinstance(f_x, int)
    for shift in range(max(f_x, 0) + 1):
        aligned = source if shift == 0 else ops.Align(min(shift, 31)).infer(source)
        try:
            integers = quantise_synapse(rows, bias, aligned, low.options.weight_bits)
            op = build(integers.weight, integers.exponent, integers.shift, integers.bias)
            op.infer(aligned)
        except RangeError:
            if shift >= f_x:
                raise
            continue
        made = low.add(op, [low.aligned(x, shift, name)], name)
        facts = low.facts.synapses[made] = integers.facts
        if facts.weight_error or facts.bias_error:
            low.facts.changes.append(
                f"{op.name} {made!r}: rounded to its grid (relative error of weights {facts.weight_error:.2g}, "
                f"largest of biases {facts.bias_error:.2g})"
            )
        return made
    raise AssertionError("unreachable")


def _fire(low: Lowering, step: fl.Step, op: fl.Fire) -> View:
    view = low.view(step.inputs[0])
    scale = np.ones(1) if op.scale is None else op.scale
    shift = np.zeros(1) if op.shift is None else op.shift
    varies = [a for a, n in enumerate(np.broadcast_shapes(scale.shape, shift.shape)) if n != 1]
    axes: Sequence[int] = view.axes
    if varies:
        axes = (*(a for a in view.with_axes(*varies) if a != varies[0]), varies[0])
    x = low.layouts.fetch(view, axes) if varies else view.tensor
    facts = FireFacts(
        op.count, Fraction(op.theta) / Fraction(op.gain), op.half_even, scale.reshape(-1), shift.reshape(-1)
    )
    drive = low.graph.tensors[x]
    fire: ops.Fire
    if op.timesteps == 1:
        fire = stateless_fire(facts, drive)
    else:
        steps = max(op.timesteps, low.options.max_timesteps or 0)
        state = Membrane(op.decay, op.hard_reset, op.timesteps, steps)
        fire = stateful_fire(facts, state, drive, step.name, low.facts)
    made = low.add(fire, [x], step.name)
    low.facts.fires[made] = facts
    powers = [Fraction(float(v)) for v in (op.theta, op.gain, *scale.reshape(-1))]
    offsets = [Fraction(float(t)) / drive.scale.unit() for t in shift.reshape(-1)]
    if not all(_is_power_of_two(p) for p in powers) or any(t.denominator != 1 for t in offsets):
        low.facts.free_scales.append(made)
    return low.made(step, made, axes)


def _add(low: Lowering, step: fl.Step, op: fl.Add) -> View:
    rank = len(low.shape(step.output))
    views = [low.view(name, rank) for name in step.inputs]
    lead = max(views, key=lambda v: (low.graph.tensors[v.tensor].size, v.axes != tuple(sorted(v.axes))))
    order = lead.with_axes(*(a for v in views for a in v.wide if a not in lead.axes))
    tensors = [low.layouts.fetch(view, [*order]) for view in views]
    made = _joined(low, step.name, tensors, lambda shifts: ops.Add(shifts))
    return low.made(step, made, order)


def _concat(low: Lowering, step: fl.Step, op: fl.Concat) -> View:
    views = [low.view(name) for name in step.inputs]
    wide = [a for v in views for a in v.wide]
    order = views[0].with_axes(*dict.fromkeys((*wide, op.axis)))
    tensors = [low.layouts.fetch(view, order) for view in views]
    made = _joined(low, step.name, tensors, lambda shifts: ops.Concat(order.index(op.axis), shifts))
    return low.made(step, made, order)


def _joined(low: Lowering, name: str, tensors: list[str], build: Callable[[tuple[int, ...]], ops.Op]) -> str:
    """An operator on operands brought to the largest f among them, or to the largest at which the result fits int32."""
    found = [low.graph.tensors[t] for t in tensors]
    fractions = [t.scale.f for t in found if isinstance(t.scale.f, int)]
    for f in range(max(fractions), min(0, *fractions) - 1, -1):
        drops = [max(each - f, 0) for each in fractions]
        shifts = tuple(max(f - each, 0) for each in fractions)
        if max(*drops, *shifts) > 31:
            continue
        operands = [t if d == 0 else ops.Align(d).infer(t) for t, d in zip(found, drops, strict=True)]
        try:
            op = build(shifts)
            op.infer(*operands)
        except RangeError:
            continue
        aligned = [low.aligned(t, d, name) for t, d in zip(tensors, drops, strict=True)]
        return low.add(op, aligned, name)
    return low.add(build((0,) * len(tensors)), tensors, name)  # raises, naming the range


def _max_pool(low: Lowering, step: fl.Step, op: fl.MaxPool) -> View:
    x = low.layouts.fetch(low.view(step.inputs[0]), CHANNELS_LAST)
    return low.made(step, low.add(ops.MaxPool(op.kernel, op.stride, op.padding), [x], step.name), CHANNELS_LAST)


def _upsample(low: Lowering, step: fl.Step, op: fl.Upsample) -> View:
    x = low.layouts.fetch(low.view(step.inputs[0]), CHANNELS_LAST)
    return low.made(step, low.add(ops.Upsample(op.factor), [x], step.name), CHANNELS_LAST)


def _mean(low: Lowering, step: fl.Step, op: fl.Mean) -> View:
    view = low.view(step.inputs[0])
    over_time = low.timing.axes.get(step.inputs[0]) in op.axes
    order = tuple(a for a in view.axes if a >= 0)
    reduced = tuple(i for i, a in enumerate(order) if a in op.axes)
    left = [a for a in order if a not in op.axes]
    axes = left if op.keepdims else [a - sum(b < a for b in op.axes) for a in left]
    x = low.layouts.fetch(view, order)
    if not over_time and all(view.shape[order[i]] == 1 for i in reduced):
        kept = [-1 if a in op.axes else axes[left.index(a)] for a in order]
        return low.made(step, x, kept)
    mean = ops.Mean(reduced, False, low.timing.timesteps if over_time else 0)
    return low.made(step, low.add(mean, [x], step.name), axes)


def _slice(low: Lowering, step: fl.Step, op: fl.Slice) -> View:
    view = low.view(step.inputs[0])
    order, time_axis = view.with_axes(), low.timing.axes.get(step.inputs[0])
    stops = [view.shape[a] if a == time_axis else op.stops[a] for a in order]
    window = ops.Slice(tuple(op.starts[a] for a in order), tuple(stops), tuple(op.steps[a] for a in order))
    return low.made(step, low.add(window, [low.layouts.fetch(view, order)], step.name), order)


def _reshape(low: Lowering, step: fl.Step, op: fl.Reshape) -> View:
    view, target = low.view(step.inputs[0]), low.shape(step.output)
    same = reshaped(view, target, low.time_alone(step.output))
    if same is not None:
        return same
    axes = storable(tuple(target[a] for a in low.stored_axes(step.output)))
    kept = tuple(low.stored_axes(step.output)[a] for a in axes)
    made = low.layouts.flat(view, tuple(target[a] for a in kept), step.name)
    return low.made(step, made, kept)


def _transpose(low: Lowering, step: fl.Step, op: fl.Transpose) -> View:
    view = low.view(step.inputs[0])
    return view.relabelled([op.order.index(a) if a >= 0 else a for a in view.axes], low.shape(step.output))


def _expand(low: Lowering, step: fl.Step, op: fl.Expand) -> View:
    view, target = low.view(step.inputs[0]), low.shape(step.output)
    grown = [a for a, n in enumerate(target) if n != view.shape[a]]
    starts_time = step.output in low.timing.axes and step.inputs[0] not in low.timing.axes
    order = view.with_axes(*grown)
    if not grown and not starts_time:
        return view.relabelled(view.axes, target)
    x = low.layouts.fetch(view, order)
    made = low.add(ops.Expand(tuple(target[a] for a in order), starts_time), [x], step.name)
    return low.made(step, made, order)


def _pad(low: Lowering, step: fl.Step, op: fl.Pad) -> View:
    view = low.view(step.inputs[0])
    order = view.with_axes(*(a for a in range(len(view.shape)) if op.before[a] or op.after[a]))
    x = low.layouts.fetch(view, order)
    scale = low.graph.tensors[x].scale
    value = Fraction(op.value) / scale.unit()
    if value.denominator != 1 or abs(value.numerator) > INT32_MAX:
        raise RangeError(f"the border {op.value} is no multiple of the value's grid {scale}")
    pad = ops.Pad(tuple(op.before[a] for a in order), tuple(op.after[a] for a in order), int(value))
    return low.made(step, low.add(pad, [x], step.name), order)


def _round(low: Lowering, step: fl.Step, op: fl.Round) -> View:
    view = low.view(step.inputs[0])
    f = low.graph.tensors[view.tensor].scale.f
    if not isinstance(f, int) or f <= op.fraction:
        return view
    made = low.add(ops.Align(f - op.fraction), [view.tensor], step.name)
    low.facts.aligns.append(Aligned(made, f - op.fraction, "source"))
    return low.made(step, made, view.axes)


def _fixed(low: Lowering, step: fl.Step, op: fl.Fixed) -> View:
    fraction = next((f for f in range(21) if (np.ldexp(op.values, f) % 1 == 0).all()), 12)
    integers = np.floor(np.ldexp(op.values, fraction) + 0.5)
    if (np.ldexp(integers, -fraction) != op.values).any():
        low.facts.changes.append(f"constant {step.name!r}: rounded to {fraction} fractional bits")
    axes = storable(op.values.shape)
    stored = integers.astype(np.int64).reshape([op.values.shape[a] for a in axes])
    return low.made(step, low.add(ops.Constant(stored, fraction), [], step.name), axes)


def _unfinished(low: Lowering, step: fl.Step, op: fl.FloatOp) -> View:
    raise UnsupportedOpError(f"{type(op).__name__} {step.name!r} has no integer form")


def _is_power_of_two(value: Fraction) -> bool:
    return value > 0 and (value.numerator & (value.numerator - 1)) == 0 == (value.denominator & (value.denominator - 1))


RULES: dict[type[fl.FloatOp], Callable[[Lowering, fl.Step, Any], View]] = {
    fl.Conv: _conv, fl.Dense: _dense, fl.Affine: _affine, fl.Fire: _fire, fl.Add: _add, fl.Concat: _concat,
    fl.MaxPool: _max_pool, fl.Upsample: _upsample, fl.Mean: _mean, fl.Slice: _slice, fl.Reshape: _reshape,
    fl.Transpose: _transpose, fl.Expand: _expand, fl.Pad: _pad, fl.Round: _round, fl.Fixed: _fixed,
    fl.Floor: _unfinished,
}  # fmt: skip
