"""Thresholds swallow what precedes a fire: accumulators are compared as they are.

Where every reader of a synapse is a neuron without membrane, directly or through max pools, nearest upsampling, slices
and joins of channels, and the synapse is no graph output, its shift and bias are left out and its neurons get a ladder
for each channel, computed from the bias as it was rounded and from the channel's own unit. No count changes: max pools
and copies commute with a shift and an offset per channel.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np

from pyspike.compiler.facts import Facts, Lowered
from pyspike.compiler.synapses import stateless_fire
from pyspike.graph import Graph, Node
from pyspike.ops import Concat, Fire, MaxPool, Op, Slice, Synapse, Upsample


def swallow(lowered: Lowered) -> Lowered:
    """The same network with shifts and biases in thresholds wherever these can carry them."""
    graph = lowered.graph
    bare = {n.output for n in graph.nodes if isinstance(n.op, Synapse) and _ends_in_fires(graph, n.output)}
    if not bare:
        return lowered
    rebuilt = Graph(graph.timesteps, graph.max_timesteps, metadata=dict(graph.metadata))
    for port in graph.inputs:
        rebuilt.add_input(port, graph.tensors[port.tensor])
    rewriting = _Rewriting(rebuilt, lowered.facts, bare)
    for node in graph.nodes:
        rebuilt.add(rewriting.op(node), node.inputs, node.output)
    for port in graph.outputs:
        rebuilt.add_output(port)
    return Lowered(rebuilt, lowered.facts)


def _ends_in_fires(graph: Graph, tensor: str) -> bool:
    """Whether nothing but stateless fires sees `tensor` through operators that channels pass apart."""
    if any(port.tensor == tensor for port in graph.outputs):
        return False
    readers = graph.readers(tensor)
    return bool(readers) and all(_carries_channels(graph, node) for node in readers)


def _carries_channels(graph: Graph, node: Node) -> bool:
    if isinstance(node.op, Fire):
        return not node.op.stateful
    joins = isinstance(node.op, Concat) and node.op.axis == len(graph.tensors[node.output].shape) - 1
    if joins or isinstance(node.op, (MaxPool, Upsample, Slice)):
        return _ends_in_fires(graph, node.output)
    return False


@dataclass
class _Rewriting:
    """`biases`: the real biases by channel that a tensor of the new graph leaves out."""

    graph: Graph
    facts: Facts
    bare: set[str]
    biases: dict[str, list[Fraction]] = field(default_factory=dict)

    def op(self, node: Node) -> Op:
        """The operator of `node` in the new graph."""
        op = node.op
        if node.output in self.bare and isinstance(op, Synapse):
            f = self.facts.synapses[node.output].fraction
            integers = [0] * op.out_channels if op.bias is None else op.bias.tolist()
            self.biases[node.output] = [Fraction(b, 2**f) for b in integers]
            return replace(op, shift=np.zeros_like(op.shift), bias=None)
        known = [self.biases.get(name) for name in node.inputs]
        if all(each is None for each in known):
            return op
        if isinstance(op, Fire):
            return stateless_fire(self.facts.fires[node.output], self.graph.tensors[node.inputs[0]], known[0])
        if isinstance(op, Concat):
            self.biases[node.output] = [
                b for name, own in zip(node.inputs, known, strict=True) for b in own or self._none(name)
            ]
            return replace(op, shifts=(0,) * len(op.shifts))
        biases = known[0]
        assert biases is not None
        if isinstance(op, Slice):
            biases = biases[op.starts[-1] : op.stops[-1] : op.steps[-1]]
        self.biases[node.output] = biases
        return op

    def _none(self, name: str) -> list[Fraction]:
        return [Fraction(0)] * self.graph.tensors[name].shape[-1]
