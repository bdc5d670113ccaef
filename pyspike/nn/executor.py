"""Runs an integer graph with PyTorch's floating-point operators: an independent witness of the integers.

Integers are held in floats. In float64 every sum of the graph is exact, since ranges are proven to fit int32; in
float32 it is where the graph is float-exact. PyTorch then multiplies and adds in whatever order it likes, and must get
the same integers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pyspike.graph import Graph, Node, Phase
from pyspike.nn.layers import depthwise
from pyspike.ops import (
    Add,
    Align,
    Concat,
    Constant,
    Conv2d,
    Expand,
    Fire,
    Linear,
    MaxPool,
    Mean,
    Op,
    Pad,
    Reshape,
    Slice,
    Synapse,
    Transpose,
    Upsample,
)  # fmt: skip
from pyspike.reference import at_step, join_steps

LOWERINGS: dict[type[Op], Callable[..., Tensor]] = {}
"""How PyTorch computes each operator; `fire` with a membrane is `_Membranes`' business."""


def run(graph: Graph, inputs: Mapping[str, np.ndarray], dtype: torch.dtype = torch.float64) -> dict[str, np.ndarray]:
    """Whole inference in floats of `dtype`: integer outputs (int64) by name, inputs and outputs in their declared
    shapes.
    """
    outputs: dict[str, list[np.ndarray]] = {port.name: [] for port in graph.outputs}
    values: dict[str, Tensor] = {}
    sums: dict[str, Tensor] = {}
    membranes: dict[str, Tensor] = {}
    for t in range(graph.timesteps):
        for port in graph.inputs:
            values[port.tensor] = torch.from_numpy(at_step(port, inputs[port.name], t, graph.timesteps)).to(dtype)
        phases = [*([Phase.BEFORE] if t == 0 else []), Phase.LOOP, *([Phase.AFTER] if t == graph.timesteps - 1 else [])]
        for node in (node for phase in phases for node in graph.nodes_in(phase)):
            values[node.output] = _evaluate(node, [values[name] for name in node.inputs], sums, membranes, dtype)
        for port in graph.outputs:
            if graph.tensors[port.tensor].time or t == graph.timesteps - 1:
                outputs[port.name].append(values[port.tensor].to(torch.int64).numpy())
    return {port.name: join_steps(port, outputs[port.name]) for port in graph.outputs}


def _evaluate(
    node: Node, operands: list[Tensor], sums: dict[str, Tensor], membranes: dict[str, Tensor], dtype: torch.dtype
) -> Tensor:
    if isinstance(node.op, Fire) and node.op.membrane:
        counts, membranes[node.output] = _fire_step(node.op, operands[0], membranes.get(node.output))
        return counts
    value = LOWERINGS[type(node.op)](node.op, *operands)
    if node.op.over_time:
        value = sums[node.output] = sums.get(node.output, torch.zeros((), dtype=dtype)) + value
    return value.to(dtype)


def _lowers(cls: type[Op]) -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
    def register(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        LOWERINGS[cls] = function
        return function

    return register


def _tensor(values: np.ndarray, dtype: torch.dtype) -> Tensor:
    return torch.from_numpy(values.astype(np.float64)).to(dtype)


def _finish(op: Synapse, accumulators: Tensor) -> Tensor:
    scaled = accumulators * _tensor(2.0**op.shift, accumulators.dtype)
    return scaled if op.bias is None else scaled + _tensor(op.bias, accumulators.dtype)


@_lowers(Conv2d)
def _conv2d(op: Conv2d, x: Tensor) -> Tensor:
    top, left, bottom, right = op.padding
    padded = F.pad(x.permute(0, 3, 1, 2), (left, right, top, bottom))
    weight = _tensor(op.weight, x.dtype).permute(0, 3, 1, 2)
    if op.depthwise and x.shape[3] == op.groups and x.dtype == torch.float64:
        acc = depthwise(padded, weight, op.stride, op.dilation)
    else:
        acc = F.conv2d(padded, weight, stride=list(op.stride), dilation=list(op.dilation), groups=op.groups)
    return _finish(op, acc.permute(0, 2, 3, 1))


@_lowers(Linear)
def _linear(op: Linear, x: Tensor) -> Tensor:
    return _finish(op, x @ _tensor(op.weight, x.dtype).T)


@_lowers(Add)
def _add(op: Add, a: Tensor, b: Tensor) -> Tensor:
    return a * 2.0 ** op.shifts[0] + b * 2.0 ** op.shifts[1]


@_lowers(Concat)
def _concat(op: Concat, *operands: Tensor) -> Tensor:
    return torch.cat([x * 2.0**shift for x, shift in zip(operands, op.shifts, strict=True)], dim=op.axis)


@_lowers(MaxPool)
def _max_pool(op: MaxPool, x: Tensor) -> Tensor:
    top, left, bottom, right = op.padding
    padded = F.pad(x.permute(0, 3, 1, 2), (left, right, top, bottom), value=float("-inf"))
    return F.max_pool2d(padded, list(op.kernel), list(op.stride)).permute(0, 2, 3, 1)


@_lowers(Upsample)
def _upsample(op: Upsample, x: Tensor) -> Tensor:
    return x.repeat_interleave(op.factor[0], dim=1).repeat_interleave(op.factor[1], dim=2)


@_lowers(Mean)
def _mean(op: Mean, x: Tensor) -> Tensor:
    return x.sum(dim=op.axes, keepdim=op.keepdims) if op.axes else x


@_lowers(Slice)
def _slice(op: Slice, x: Tensor) -> Tensor:
    return x[tuple(slice(*window) for window in zip(op.starts, op.stops, op.steps, strict=True))]


@_lowers(Reshape)
def _reshape(op: Reshape, x: Tensor) -> Tensor:
    return x.reshape(op.target)


@_lowers(Transpose)
def _transpose(op: Transpose, x: Tensor) -> Tensor:
    return x.permute(op.order)


@_lowers(Expand)
def _expand(op: Expand, x: Tensor) -> Tensor:
    return x.expand(op.target)


@_lowers(Pad)
def _pad(op: Pad, x: Tensor) -> Tensor:
    widths = [width for axis in reversed(range(x.dim())) for width in (op.before[axis], op.after[axis])]
    return F.pad(x, widths, value=float(op.value))


@_lowers(Align)
def _align(op: Align, x: Tensor) -> Tensor:
    return torch.floor(x * 2.0**-op.shift + 0.5)


@_lowers(Constant)
def _constant(op: Constant) -> Tensor:
    return _tensor(op.values, torch.float64)


@_lowers(Fire)
def _fire(op: Fire, drive: Tensor) -> Tensor:
    thresholds = _tensor(op.thresholds, drive.dtype)
    return (drive[..., None] >= thresholds).sum(dim=-1).to(drive.dtype)


def _fire_step(op: Fire, drive: Tensor, stored: Tensor | None) -> tuple[Tensor, Tensor]:
    stored = torch.zeros_like(drive) if stored is None else stored
    leaked = torch.zeros_like(drive)
    for sign, k in zip(op.leak[::2], op.leak[1::2], strict=True):
        leaked = leaked + sign * torch.floor(stored * 2.0**-k)
    potential = leaked + drive * 2.0**op.guard
    counts = _fire(op, potential)
    if op.hard_reset:
        return counts, torch.where(counts > 0, torch.zeros_like(potential), potential)
    assert op.reset is not None
    amounts = _tensor(op.reset, drive.dtype)
    return counts, potential - amounts[counts.to(torch.int64)]
