"""Spikes and work of every synapse on one input, and the energy that the papers would state for it.

The papers' formula (45 nm, 32-bit float; Horowitz, ISSCC 2014, as used by the integer-valued spiking networks):

    E = 4.6 pJ x MAC(first layer) + 0.9 pJ x sum over the others of rate x MAC

with rate the mean integer count over all elements of a layer's input and MAC = H_out x W_out x C_out x k x k x C_in /
groups of the dense twin, all timesteps together. It counts operations alone: no memory, no membranes, no additions of
residuals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyspike import image
from pyspike.graph import Graph, Node, Port
from pyspike.ops import Fire, Synapse
from pyspike.runtime import Model

PICOJOULE_PER_MAC = 4.6
PICOJOULE_PER_ADDITION = 0.9


@dataclass(frozen=True)
class SynapseActivity:
    """One synapse on one input, all timesteps together.

    name: its output tensor; source: the tensor it reads; first: whether that is a graph input, at most moved (pixels,
    not spikes).
    macs: multiply-accumulates of the dense twin inside the output; padded_macs: the same with padding, as papers count.
    sops: sum over events of n x targets. elements, nonzero, mean: of the integers that it reads.
    """

    name: str
    source: str
    first: bool
    macs: int
    padded_macs: int
    sops: int
    elements: int
    nonzero: int
    mean: float


@dataclass(frozen=True)
class Activity:
    """A network on one input: its synapses in execution order."""

    synapses: tuple[SynapseActivity, ...]

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the dense twin."""
        return sum(each.macs for each in self.synapses)

    @property
    def sops(self) -> int:
        """Synaptic operations."""
        return sum(each.sops for each in self.synapses)

    @property
    def element_density(self) -> float:
        """Share of non-zero counts among all that synapses read, each tensor once, pixels left out."""
        tensors = {each.source: each for each in self.synapses if not each.first}.values()
        return sum(each.nonzero for each in tensors) / max(1, sum(each.elements for each in tensors))

    @property
    def synaptic_density(self) -> float:
        """The same share, every count weighted by its fan-out: the mean over dense operations."""
        spiking = [each for each in self.synapses if not each.first]
        driven = sum(each.padded_macs * each.nonzero / each.elements for each in spiking)
        return driven / max(1, sum(each.padded_macs for each in spiking))

    @property
    def density(self) -> float:
        """Half element density, half synaptic density."""
        return (self.element_density + self.synaptic_density) / 2

    @property
    def papers_energy(self) -> float:
        """Joules by the papers' formula."""
        spiking = sum(each.mean * each.padded_macs for each in self.synapses if not each.first)
        dense = sum(each.padded_macs for each in self.synapses if each.first)
        return 1e-12 * (PICOJOULE_PER_MAC * dense + PICOJOULE_PER_ADDITION * spiking)

    @property
    def papers_dense_energy(self) -> float:
        """Joules that the same formula gives the dense twin: every MAC at 4.6 pJ."""
        return 1e-12 * PICOJOULE_PER_MAC * sum(each.padded_macs for each in self.synapses)


def measure(graph: Graph, inputs: Mapping[str, NDArray[Any]], *, threads: int = 1) -> Activity:
    """Run `graph` on `inputs` (integers by input name, declared shapes) and look at what every synapse reads.

    The counts come from the runtime itself: the same graph with those tensors as outputs.
    """
    nodes = [node for node in graph.nodes if isinstance(node.op, Synapse)]
    ports = {port.tensor: port for port in graph.inputs}
    tapped = _with_outputs(graph, dict.fromkeys(node.inputs[0] for node in nodes if node.inputs[0] not in ports))
    found = Model.load(image.to_bytes(tapped)).runtime(threads=threads).run(dict(inputs), raw=True)
    found |= {port.tensor: np.asarray(inputs[port.name]) for port in graph.inputs}
    pixels = _from_inputs_alone(graph)
    return Activity(tuple(_activity(graph, node, found[node.inputs[0]], node.inputs[0] in pixels) for node in nodes))


def _from_inputs_alone(graph: Graph) -> set[str]:
    """Tensors that only move what the graph's inputs hold: no synapse and no neuron lies before them."""
    names = {port.tensor for port in graph.inputs}
    for node in graph.nodes:
        if not isinstance(node.op, (Synapse, Fire)) and node.inputs and names.issuperset(node.inputs):
            names.add(node.output)
    return names


def _with_outputs(graph: Graph, names: Sequence[str] | dict[str, None]) -> Graph:
    """`graph` with the tensors `names` as its outputs."""
    copy = Graph(graph.timesteps, graph.max_timesteps)
    for port in graph.inputs:
        copy.add_input(port, graph.tensors[port.tensor])
    for node in graph.nodes:
        copy.add(node.op, node.inputs, node.output)
    for name in names:
        copy.add_output(Port(name, name, "int32", time_axis=0 if copy.tensors[name].time else None))
    return copy


def _activity(graph: Graph, node: Node, counts: NDArray[Any], first: bool) -> SynapseActivity:
    op, tensor = node.op, graph.tensors[node.inputs[0]]
    assert isinstance(op, Synapse)
    steps = graph.timesteps if tensor.time else 1
    every_step = counts.astype(np.int64).reshape(steps, *tensor.shape)
    row = op.weight[0].size
    return SynapseActivity(
        name=node.output,
        source=node.inputs[0],
        first=first,
        macs=steps * op.macs(tensor.shape),
        padded_macs=steps * graph.tensors[node.output].size * row,
        sops=sum(op.sops(step) for step in every_step),
        elements=every_step.size,
        nonzero=int(np.count_nonzero(every_step)),
        mean=float(every_step.mean()),
    )
