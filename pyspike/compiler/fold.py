"""Folding, before anything is quantised: affine maps (batch norm, scaling, offsets) go into their neighbours.

Every rule takes a program and one affine step and returns the program without it, or None where it does not apply.
What no rule takes stays behind and becomes a synapse with one weight per channel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from pyspike.compiler.patterns import merge_affines, replace_value
from pyspike.compiler.program import (
    Affine,
    Concat,
    Conv,
    Dense,
    Expand,
    Fire,
    FloatOp,
    MaxPool,
    Mean,
    Pad,
    Program,
    Reals,
    Reshape,
    Shape,
    Slice,
    Step,
    Transpose,
    Upsample,
)
from pyspike.errors import UnsupportedOpError

Rule = Callable[[Program, Step], Program | None]
_MOVES = (Reshape, Transpose, Slice, Expand, Upsample, MaxPool, Mean, Pad)


def fold(program: Program) -> Program:
    """Apply the rules until none applies.

    Raises `UnsupportedOpError` naming padded convolutions that read a value with an offset, for which the border would
    need biases of its own.
    """
    program = merge_affines(means_behind_synapses(means_into_sums(program)))
    while True:
        for step in program.steps:
            if isinstance(step.op, Affine):
                folded = next((p for rule in RULES if (p := rule(program, step)) is not None), None)
                if folded is not None:
                    program = merge_affines(folded)
                    break
        else:
            _refuse_offsets(program)
            return program


def into_readers(program: Program, step: Step) -> Program | None:
    """The synapses that read y = s x + t take s into their weights and t into their biases."""
    assert isinstance(step.op, Affine)
    readers = program.readers[step.output]
    if step.output in program.shown or not readers:
        return None
    changed: dict[str, FloatOp] = {}
    for reader in readers:
        op = _scaled_input(reader.op, step.op, program.shapes[step.output])
        if op is None:
            return None
        changed[reader.output] = op
    return _with_ops(replace_value(program, step.output, step.inputs[0]), changed)


def into_producer(program: Program, step: Step) -> Program | None:
    """The synapse that makes x takes y = s x + t into its rows and bias."""
    assert isinstance(step.op, Affine)
    producer = program.producers.get(step.inputs[0])
    if producer is None or program.only_reader(producer.output) is not step:
        return None
    shape = program.shapes[step.output]
    if isinstance(producer.op, Conv) and not producer.op.fixed:
        axis = 1
    elif isinstance(producer.op, Dense):
        axis = len(shape) - 1
    else:
        return None
    scale, shift = per_channel(step.op.scale, shape, axis), per_channel(step.op.shift, shape, axis)
    if scale is None or shift is None:
        return None
    old = producer.op
    bias = shift if old.bias is None else shift + scale * old.bias
    weight = old.weight * scale.reshape(-1, *[1] * (old.weight.ndim - 1))
    merged = Step(replace(old, weight=weight, bias=bias), producer.inputs, step.output, producer.name)
    return program.with_steps(merged if s is step else s for s in program.steps)


def into_fires(program: Program, step: Step) -> Program | None:
    """Neurons that read y = s x + t (s > 0) take the map into their thresholds; with a membrane only one s for all, t
    = 0.
    """
    assert isinstance(step.op, Affine)
    readers, op = program.readers[step.output], step.op
    if step.output in program.shown or not readers or not (op.scale > 0).all():
        return None
    changed: dict[str, FloatOp] = {}
    for reader in readers:
        fire = reader.op
        if not isinstance(fire, Fire):
            return None
        if fire.timesteps > 1:
            if not _uniform(op.scale) or (op.shift != 0).any():
                return None
            changed[reader.output] = replace(fire, gain=fire.gain * float(op.scale.flat[0]))
            continue
        if _varying_axes(op.scale, op.shift) > 1:
            return None
        scale, shift = op.scale, op.shift
        if fire.scale is not None and fire.shift is not None:
            scale, shift = scale * fire.scale, shift * fire.scale + fire.shift
            if _varying_axes(scale, shift) > 1:
                return None
        changed[reader.output] = replace(fire, scale=scale, shift=shift)
    return _with_ops(replace_value(program, step.output, step.inputs[0]), changed)


def past_moves(program: Program, step: Step) -> Program | None:
    """One positive scale for all values, without offset, passes by what only moves values or compares them."""
    assert isinstance(step.op, Affine)
    reader = program.only_reader(step.output)
    if reader is None or not _uniform(step.op.scale) or (step.op.shift != 0).any() or not (step.op.scale > 0).all():
        return None
    factor = float(step.op.scale.flat[0])
    op = reader.op
    if isinstance(op, Concat):
        return _past_concat(program, reader, factor)
    if not isinstance(op, _MOVES) and not (isinstance(op, Conv) and op.fixed):
        return None
    if isinstance(op, Pad):
        op = replace(op, value=op.value / factor)
    moved = Step(op, step.inputs, f"{reader.output}.unscaled", reader.name)
    rank = len(program.shapes[reader.output])
    scaled = Step(uniform_affine(factor, rank), (moved.output,), reader.output, step.name)
    return program.with_steps(t for s in program.steps for t in ((moved, scaled) if s is reader else (s,)))


def apart(program: Program, step: Step) -> Program | None:
    """An affine map with several readers becomes one for each, where that lets one of them fold."""
    assert isinstance(step.op, Affine)
    readers = program.readers[step.output]
    if len(readers) + (step.output in program.shown) < 2:
        return None
    shape = program.shapes[step.output]
    one_scale = _uniform(step.op.scale) and not (step.op.shift != 0).any()
    gains = [
        _scaled_input(r.op, step.op, shape) is not None
        or (one_scale and isinstance(r.op, (*_MOVES, Fire)))
        or (isinstance(r.op, Fire) and r.op.timesteps == 1 and bool((step.op.scale > 0).all()))
        for r in readers
    ]
    if not any(gains):
        return None
    steps: list[Step] = []
    for each in program.steps:
        index = next((i for i, r in enumerate(readers) if r is each), None)
        if index is not None and gains[index]:
            copy = replace(step, output=f"{step.output}.for.{index}")
            steps += [copy, replace(each, inputs=tuple(copy.output if n == step.output else n for n in each.inputs))]
        else:
            steps.append(each)
    return program.with_steps(steps)


def into_border(program: Program, step: Step) -> Program | None:
    """A padded convolution of y = s x + t, where y = 0 at one whole x: pads x with that number instead.

    So zero padding behind an image normalisation (x - 128) / 128 becomes padding with 128.
    """
    assert isinstance(step.op, Affine)
    reader = program.only_reader(step.output)
    if reader is None or not isinstance(reader.op, Conv) or reader.op.fixed or not (step.op.scale != 0).all():
        return None
    zero = -step.op.shift / step.op.scale
    border = float(zero.flat[0])
    if not border.is_integer() or not (zero == border).all():
        return None
    top, left, bottom, right = reader.op.padding
    pad = Step(Pad((0, 0, top, left), (0, 0, bottom, right), border), step.inputs, f"{step.output}.padded", reader.name)
    conv = _scaled_input(replace(reader.op, padding=(0, 0, 0, 0)), step.op, program.shapes[step.output])
    if conv is None:
        return None
    unpadded = replace(reader, op=conv, inputs=(pad.output,))
    return program.with_steps(t for s in program.steps for t in ((pad, unpadded) if s is reader else (s,)))


RULES: tuple[Rule, ...] = (into_readers, into_producer, into_fires, past_moves, into_border, apart)


def means_into_sums(program: Program) -> Program:
    """A spatial mean over a count that is no power of two, on its way to a synapse, becomes a sum and a factor.

    A synapse reads integers times a power of two; the factor then goes into its weights.
    """
    steps: list[Step] = []
    for step in program.steps:
        shape = program.shapes[step.inputs[0]] if step.inputs else ()
        if not isinstance(step.op, Mean) or step.op.axes != (2, 3) or len(shape) != 4:
            steps.append(step)
            continue
        count = shape[2] * shape[3]
        if count & (count - 1) == 0 or not _reaches_synapse(program, step.output):
            steps.append(step)
            continue
        ones = Conv(np.ones((shape[1], 1, *shape[2:])), None, groups=shape[1], fixed=True)
        total = Step(ones, step.inputs, f"{step.output}.sum", step.name)
        share = Step(uniform_affine(1.0 / count, 4), (total.output,), f"{step.output}.mean", step.name)
        if program.shapes[step.output] == (*shape[:2], 1, 1):
            steps += [total, replace(share, output=step.output)]
        else:
            steps += [total, share, Step(Reshape(program.shapes[step.output]), (share.output,), step.output, step.name)]
    return program.with_steps(steps)


def means_behind_synapses(program: Program) -> Program:
    """A linear layer that reads a mean over axis 0 (time), of a count that is no power of two, runs before the mean."""
    for step in program.steps:
        reader = program.only_reader(step.output) if isinstance(step.op, Mean) else None
        if reader is None or not isinstance(step.op, Mean) or step.op.axes != (0,) or not isinstance(reader.op, Dense):
            continue
        shape = program.shapes[step.inputs[0]]
        if len(shape) < 2 or shape[0] & (shape[0] - 1) == 0:
            continue
        first = Step(reader.op, step.inputs, f"{reader.output}.each", reader.name)
        then = Step(step.op, (first.output,), reader.output, step.name)
        program = program.with_steps(t for s in program.steps for t in ((first, then) if s is reader else (s,)))
    return program


def per_channel(constant: Reals, shape: Shape, axis: int) -> Reals | None:
    """`constant` as one number for each position along `axis` of `shape`, None where it varies along another axis."""
    if any(n != 1 for i, n in enumerate(constant.shape) if i != axis):
        return None
    return np.broadcast_to(constant.reshape(-1), (shape[axis],)).astype(np.float64)


def uniform_affine(factor: float, rank: int) -> Affine:
    """y = factor * x for a value of `rank` axes."""
    return Affine(np.full((1,) * rank, factor), np.zeros((1,) * rank))


def _scaled_input(op: FloatOp, affine: Affine, shape: Shape) -> FloatOp | None:
    """The synapse that does on x what `op` does on s x + t; None where that is no such synapse."""
    if isinstance(op, Conv):
        scale, shift = (per_channel(c, shape, 1) for c in (affine.scale, affine.shift))
        if op.fixed or scale is None or shift is None or ((shift != 0).any() and any(op.padding)):
            return None
        per_group = op.weight.shape[1]
        group = np.arange(len(op.weight)) // (len(op.weight) // op.groups)
        columns = group[:, None] * per_group + np.arange(per_group)  # [O, C / groups]: the channel each weight reads
        added = np.einsum("oikl,oi->o", op.weight, shift[columns])
        weight = op.weight * scale[columns][:, :, None, None]
        return replace(op, weight=weight, bias=_plus(op.bias, added))
    if isinstance(op, Dense):
        scale, shift = (per_channel(c, shape, len(shape) - 1) for c in (affine.scale, affine.shift))
        if scale is None or shift is None:
            return None
        return replace(op, weight=op.weight * scale, bias=_plus(op.bias, op.weight @ shift))
    return None


def _plus(bias: Reals | None, added: Reals) -> Reals | None:
    if not added.any():
        return bias
    return added if bias is None else bias + added


def _past_concat(program: Program, concat: Step, factor: float) -> Program | None:
    producers = [program.producers.get(name) for name in concat.inputs]
    inputs: list[str] = []
    for producer in producers:
        if producer is None or not isinstance(producer.op, Affine) or not _uniform(producer.op.scale):
            return None
        if float(producer.op.scale.flat[0]) != factor or (producer.op.shift != 0).any():
            return None
        inputs.append(producer.inputs[0])
    joined = Step(concat.op, tuple(inputs), f"{concat.output}.unscaled", concat.name)
    rank = len(program.shapes[concat.output])
    scaled = Step(uniform_affine(factor, rank), (joined.output,), concat.output, concat.name)
    return program.with_steps(t for s in program.steps for t in ((joined, scaled) if s is concat else (s,)))


def _reaches_synapse(program: Program, value: str) -> bool:
    for reader in program.readers[value]:
        if isinstance(reader.op, (Conv, Dense)):
            return True
        if not isinstance(reader.op, Fire) and _reaches_synapse(program, reader.output):
            return True
    return False


def _uniform(constant: Reals) -> bool:
    return bool((constant == constant.flat[0]).all())


def _varying_axes(*constants: Reals) -> int:
    """Along how many axes any of the constants varies."""
    return sum(n > 1 for n in np.broadcast_shapes(*(c.shape for c in constants)))


def _with_ops(program: Program, changed: dict[str, FloatOp]) -> Program:
    return program.with_steps(replace(s, op=changed[s.output]) if s.output in changed else s for s in program.steps)


def _refuse_offsets(program: Program) -> None:
    found = [
        f"Conv {reader.name!r} (after {step.name!r})"
        for step in program.steps
        if isinstance(step.op, Affine) and (step.op.shift != 0).any()
        for reader in program.readers[step.output]
        if isinstance(reader.op, Conv) and any(reader.op.padding)
    ]
    if found:
        raise UnsupportedOpError(
            "zero padding behind an offset needs biases of its own along the border: pad before the offset, fold batch "
            f"norms, or leave the offset out. {len(found)} found: " + "; ".join(found)
        )
