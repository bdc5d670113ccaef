"""The plain executor: every operator's NumPy reference, in the graph's order. Slow, and written to be read.

It runs a graph, usually one that was read back from its image, so that a wrong writer is seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from pyspike.errors import RangeError, ShapeError
from pyspike.graph import Graph, Node, Phase, Port, Tensor
from pyspike.ops import Fire, Synapse
from pyspike.ops.base import Ints

MAX_UNARY = 32
"""Counts up to this are taken one by one in unary coding."""


def run(
    graph: Graph,
    inputs: Mapping[str, np.ndarray],
    watch: dict[str, list[Ints]] | None = None,
    coding: str | None = None,
) -> dict[str, Ints]:
    """Whole inference: integer outputs by name, from integer `inputs` by name, all in their declared shapes.

    Where `watch` is given, it receives every tensor by name: one array for each time it was computed. With `coding`
    "unary" or "bitwise" every synapse receives binary spikes alone, sub-step by sub-step (`sub_steps`).
    Raises `ShapeError` and `RangeError` for inputs that are not as declared.
    """
    arrays = {port.name: checked(graph, port, inputs) for port in graph.inputs}
    state = State(graph, watch, coding)
    outputs: dict[str, list[Ints]] = {port.name: [] for port in graph.outputs}
    for t in range(graph.timesteps):
        state.feed(
            {
                port.tensor: at_step(port, arrays[port.name], t, graph.timesteps)
                for port in graph.inputs
                if _fed(graph, port, t)
            }
        )
        if t == 0:
            state.run(Phase.BEFORE)
        state.run(Phase.LOOP)
        if t == graph.timesteps - 1:
            state.run(Phase.AFTER)
        for port in graph.outputs:
            if graph.tensors[port.tensor].time or t == graph.timesteps - 1:
                outputs[port.name].append(state.values[port.tensor])
    return {port.name: join_steps(port, outputs[port.name]) for port in graph.outputs}


def stream(graph: Graph, frames: Iterator[Mapping[str, np.ndarray]]) -> Iterator[dict[str, Ints]]:
    """One pass over all nodes for each of `frames` (inputs of one timestep); a mean over time yields its step's
    term.
    """
    state = State(graph, None)
    for frame in frames:
        state.feed({port.tensor: frame[port.name].astype(np.int64) for port in graph.inputs})
        state.sums.clear()
        for phase in Phase:
            state.run(phase)
        yield {port.name: state.values[port.tensor] for port in graph.outputs}


def synaptic_operations(graph: Graph, watched: Mapping[str, list[Ints]]) -> dict[str, int]:
    """SOPs of every synapse by node name, counted on the tensors that `run(..., watch=...)` recorded."""
    return {
        node.output: sum(node.op.sops(x) for x in _read_by(graph, node, watched))
        for node in graph.nodes
        if isinstance(node.op, Synapse)
    }


def _read_by(graph: Graph, node: Node, watched: Mapping[str, list[Ints]]) -> list[Ints]:
    """The values that `node` read: of a sum over time the complete one, not those on the way."""
    values = watched[node.inputs[0]]
    return values[-1:] if graph.phase(node.inputs[0]) == Phase.AFTER else values


class State:
    """Values of all tensors at the current timestep, membranes, and running sums of means over time."""

    def __init__(self, graph: Graph, watch: dict[str, list[Ints]] | None, coding: str | None = None) -> None:
        self.graph, self.watch, self.coding = graph, watch, coding
        self.values: dict[str, Ints] = {}
        self.sums: dict[str, Ints] = {}
        self.membranes: dict[str, Ints] = {}

    def feed(self, values: dict[str, Ints]) -> None:
        """Set input tensors."""
        for name, value in values.items():
            self._set(name, value)

    def run(self, phase: Phase) -> None:
        """Run the nodes of one phase."""
        for node in self.graph.nodes_in(phase):
            self._set(node.output, self._evaluate(node))

    def _evaluate(self, node: Node) -> Ints:
        operands = [self.values[name] for name in node.inputs]
        if isinstance(node.op, Fire) and node.op.membrane:
            stored = self.membranes.get(node.output, node.op.initial_membrane(operands[0].shape))
            counts, self.membranes[node.output] = node.op.reference_step(operands[0], stored)
            return counts
        if self.coding and isinstance(node.op, Synapse):
            return self._in_sub_steps(node.op, self.graph.tensors[node.inputs[0]], operands[0])
        value = node.op.reference(*operands)
        if node.op.over_time:
            value = self.sums[node.output] = self.sums.get(node.output, np.int64(0)) + value
        return value

    def _in_sub_steps(self, op: Synapse, tensor: Tensor, x: Ints) -> Ints:
        """The accumulators after all sub-steps; the bias is added once, not once a sub-step."""
        assert self.coding is not None
        parts = [factor * op.accumulate(spikes) for factor, spikes in sub_steps(x, tensor, self.coding)]
        return op.finish(np.sum(parts, axis=0)) if parts else op.reference(x)

    def _set(self, name: str, value: Ints) -> None:
        tensor = self.graph.tensors[name]
        if value.shape != tensor.shape:
            raise ShapeError(f"tensor {name!r}: expected shape {tensor.shape}, found {value.shape}")
        partial = name in self.sums  # a sum over time is in range only once it is complete
        if not partial and (value.min() < tensor.lo or value.max() > tensor.hi):
            raise RangeError(
                f"tensor {name!r}: values in [{value.min()}, {value.max()}], declared [{tensor.lo}, {tensor.hi}]"
            )
        self.values[name] = value
        if self.watch is not None:
            self.watch.setdefault(name, []).append(value)


def sub_steps(x: Ints, tensor: Tensor, coding: str) -> Iterator[tuple[int, Ints]]:
    """Integers as binary spikes: (factor, array of 0 and 1) whose weighted sum is `x`.

    "unary", as in papers: D sub-steps of factor 1, in the k-th of which a neuron spikes where its count is at least k.
    "bitwise": one sub-step for each bit, of factor 2**bit (two's complement, the top one subtracted). Graded inputs
    (a range beyond 0..MAX_UNARY: pixels, potentials) are bitwise in either coding.
    """
    if coding not in ("unary", "bitwise"):
        raise ValueError(f"expected the coding 'unary' or 'bitwise', found {coding!r}")
    if coding == "unary" and tensor.lo >= 0 and tensor.hi <= MAX_UNARY:
        for k in range(1, tensor.hi + 1):
            yield 1, (x >= k).astype(np.int64)
        return
    bits = max(tensor.hi.bit_length(), (~tensor.lo).bit_length() if tensor.lo < 0 else 0)
    for bit in range(bits):
        yield 1 << bit, (x >> bit) & 1
    if tensor.lo < 0:
        yield -(1 << bits), (x >> bits) & 1


def at_step(port: Port, array: np.ndarray, t: int, timesteps: int) -> Ints:
    """The part of a declared array that timestep `t` sees."""
    if port.time_axis is None:
        return array.astype(np.int64)
    if port.merged:
        size = array.shape[port.time_axis] // timesteps
        window = slice(t * size, (t + 1) * size)
        return array[(slice(None),) * port.time_axis + (window,)].astype(np.int64)
    return np.asarray(array.take(t, axis=port.time_axis), dtype=np.int64)


def join_steps(port: Port, values: list[Ints]) -> Ints:
    """A declared output from its values at each timestep."""
    if port.time_axis is None:
        return values[-1]
    join = np.concatenate if port.merged else np.stack
    return join(values, axis=port.time_axis)


def _fed(graph: Graph, port: Port, t: int) -> bool:
    return t == 0 or graph.tensors[port.tensor].time


def checked(graph: Graph, port: Port, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """The array of `inputs` for `port`; raises `ShapeError` where it is not as declared."""
    if set(inputs) != {each.name for each in graph.inputs}:
        raise ShapeError(f"expected inputs {[each.name for each in graph.inputs]}, found {sorted(inputs)}")
    array = np.asarray(inputs[port.name])
    expected = port.declared_shape(graph.tensors[port.tensor], graph.timesteps)
    if array.shape != expected or array.dtype.kind not in "iub":
        raise ShapeError(
            f"input {port.name!r}: expected integers of shape {expected}, found {array.dtype} {array.shape}"
        )
    return array
