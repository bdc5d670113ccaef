"""Patterns of several steps that stand for one: the rounding to a grid, affine maps in a row, joined copies."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from pyspike.compiler.program import (
    Affine,
    Concat,
    Expand,
    FloatOp,
    Floor,
    Program,
    Reshape,
    Result,
    Round,
    Shape,
    Step,
)


def replace_value(program: Program, old: str, new: str) -> Program:
    """Every reader of `old`, outputs included, reads `new` instead."""
    steps = [
        replace(step, inputs=tuple(new if name == old else name for name in step.inputs)) for step in program.steps
    ]
    outputs = [Result(r.name, new if r.value == old else r.value) for r in program.outputs]
    return program.with_steps(steps, outputs)


def merge_affines(program: Program) -> Program:
    """Two affine maps in a row become one, where nothing else reads what is between; identities vanish."""
    while True:
        for step in program.steps:
            if not isinstance(step.op, Affine):
                continue
            if (step.op.scale == 1).all() and (step.op.shift == 0).all():
                program = replace_value(program, step.output, step.inputs[0])
                break
            first = program.producers.get(step.inputs[0])
            if first is None or not isinstance(first.op, Affine) or program.only_reader(first.output) is not step:
                continue
            scale, shift = first.op.scale * step.op.scale, first.op.shift * step.op.scale + step.op.shift
            merged = Step(Affine(scale, shift), first.inputs, step.output, step.name)
            program = program.with_steps(merged if s is step else s for s in program.steps)
            break
        else:
            return program


def find_rounds(program: Program) -> Program:
    """Mul 2**f, Add 1/2, Floor, Mul 2**-f becomes one `Round`."""
    program = merge_affines(program)
    for floor in [step for step in program.steps if isinstance(step.op, Floor)]:
        before = program.producers.get(floor.inputs[0])
        after = program.only_reader(floor.output)
        if before is None or after is None or not isinstance(before.op, Affine) or not isinstance(after.op, Affine):
            continue
        fraction = power_of_two(before.op)
        if fraction is None or not (before.op.shift == 0.5).all():
            continue
        if power_of_two(after.op) != -fraction or (after.op.shift != 0).any():
            continue
        rounded = Step(Round(fraction), before.inputs, after.output, floor.name)
        program = program.with_steps(rounded if s is after else s for s in program.steps)
    return program


def find_copies(program: Program) -> Program:
    """A value joined with itself along axis 0 (torch.stack([x] * T) among others) is expanded, as Tile would."""
    steps: list[Step] = []
    for step in program.steps:
        sources = {_source(program, name) for name in step.inputs}
        if not isinstance(step.op, Concat) or step.op.axis != 0 or len(sources) > 1 or len(step.inputs) < 2:
            steps.append(step)
            continue
        value, shape, times = step.inputs[0], program.shapes[step.inputs[0]], len(step.inputs)
        ops: list[FloatOp] = [Reshape((1, *shape)), Expand((times, *shape)), Reshape(program.shapes[step.output])]
        for i, op in enumerate(ops):
            made = step.output if i == len(ops) - 1 else f"{step.output}.copies.{i}"
            steps.append(Step(op, (value,), made, step.name))
            value = made
    return program.with_steps(steps)


def _source(program: Program, value: str) -> tuple[str, Shape]:
    """The value behind a reshape, and the shape: the same for values that are the same."""
    step = program.producers.get(value)
    origin = step.inputs[0] if step is not None and isinstance(step.op, Reshape) else value
    return origin, program.shapes[value]


def power_of_two(op: Affine) -> int | None:
    """k where the scale is 2**k everywhere, else None."""
    first = float(op.scale.flat[0])
    mantissa, exponent = math.frexp(first)
    return exponent - 1 if mantissa == 0.5 and bool(np.all(op.scale == first)) else None
