"""Whether float32 arithmetic computes the integer network exactly: the proof behind `CompileReport.float_exact`.

A float32 sum of numbers on a grid 2**-f is exact, in any order, while no partial sum reaches 2**24 grid steps. So for
every synapse and sum M * 2**f < 2**24 is shown, M the larger of the sums of its positive and of its negative parts
(bias included, 0 added to every input range). Beside that: no mean over a count that is no power of two, thresholds
and gains that are powers of two, decays that shifts express, and guard bits for every timestep.
"""

from __future__ import annotations

from collections.abc import Callable

from pyspike.compiler.facts import Facts, Lowered
from pyspike.graph import Graph, Node, Tensor
from pyspike.ops import Add, Fire, Mean, Synapse

LIMIT = 2**24


def inexact_because(lowered: Lowered) -> str | None:
    """The first reason why float32 is no exact witness, None where it is one. `lowered` as it was before `swallow`."""
    graph, facts = lowered.graph, lowered.facts
    for port in graph.inputs:
        tensor = graph.tensors[port.tensor]
        if max(abs(tensor.lo), abs(tensor.hi)) >= LIMIT:
            return f"input {port.name!r} reaches 2**24 steps"
    for node in graph.nodes:
        reason = _reason(graph, facts, node)
        if reason:
            return f"{node.op.name} {node.output!r}: {reason}"
    return None


def _reason(graph: Graph, facts: Facts, node: Node) -> str | None:
    inputs = [graph.tensors[name] for name in node.inputs]
    steps = STEPS.get(_kind(node), _no_sum)(node, inputs)
    if steps >= LIMIT:
        return f"sums reach {steps} steps of their grid, 2**24 or more"
    if graph.tensors[node.output].scale.divisor != 1:
        return "a mean over a count that is no power of two"
    if node.output in facts.free_scales:
        return "a threshold, gain or scale that is no power of two, or an offset off the grid"
    if node.output in facts.decay_errors:
        return "a decay that three shifts do not express"
    if node.output in facts.short_guards:
        return "fewer guard bits than its timesteps need"
    return None


def _kind(node: Node) -> type:
    return Synapse if isinstance(node.op, Synapse) else type(node.op)


def _synapse(node: Node, inputs: list[Tensor]) -> int:
    op = node.op
    assert isinstance(op, Synapse)
    least, greatest = op.bounds(inputs[0])
    bias = [0] * op.out_channels if op.bias is None else op.bias.tolist()
    shift = op.shift.tolist()
    up = [(g << s) + max(b, 0) for g, s, b in zip(greatest, shift, bias, strict=True)]
    down = [-(g << s) + max(-b, 0) for g, s, b in zip(least, shift, bias, strict=True)]
    return int(max(up + down))


def _add(node: Node, inputs: list[Tensor]) -> int:
    op = node.op
    assert isinstance(op, Add)
    up = sum(max(x.hi, 0) << s for x, s in zip(inputs, op.shifts, strict=True))
    down = sum(max(-x.lo, 0) << s for x, s in zip(inputs, op.shifts, strict=True))
    return max(up, down)


def _mean(node: Node, inputs: list[Tensor]) -> int:
    lo, hi = node.op.range(*inputs)
    return int(max(hi, -lo))


def _fire(node: Node, inputs: list[Tensor]) -> int:
    op = node.op
    assert isinstance(op, Fire)
    if not op.membrane:
        return 0
    lo, hi = op.membrane_range(inputs[0].lo, inputs[0].hi)
    drive = max(abs(inputs[0].lo), abs(inputs[0].hi)) << op.guard
    return max(abs(lo), abs(hi), drive)


def _no_sum(node: Node, inputs: list[Tensor]) -> int:
    return 0


STEPS: dict[type, Callable[[Node, list[Tensor]], int]] = {Synapse: _synapse, Add: _add, Mean: _mean, Fire: _fire}
