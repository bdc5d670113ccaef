"""Small models for the tests of the runtime, built by hand."""

from __future__ import annotations

import numpy as np

from pyspike import image
from pyspike.graph import Graph, Port, Scale, Tensor
from pyspike.ops import Conv2d, Fire, Linear, Mean

SHAPE = (1, 5, 6, 3)


def _weights(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-9, 9, shape, endpoint=True)


def still(hi: int = 4) -> Graph:
    """One input of counts [1, 5, 6, 3], a convolution, a neuron and a classifier: outputs 'counts' and 'scores'."""
    graph = Graph(metadata={"name": "still"})
    graph.add_input(Port("x", "x", "uint8", "NHWC"), Tensor(SHAPE, 0, hi))
    conv = Conv2d(_weights(8, 3, 3, 3), np.full(8, 3), np.zeros(8), None, padding=(1, 1, 1, 1))
    graph.add(conv, ["x"], "drive")
    graph.add(Fire([[4, 12, 20, 28]]), ["drive"], "counts")
    graph.add(Mean((1, 2)), ["counts"], "pooled")
    graph.add(Linear(_weights(4, 8), np.full(4, 2), np.zeros(4), np.arange(4)), ["counts"], "scores")
    graph.add_output(Port("counts", "counts", "uint8", "NHWC"))
    graph.add_output(Port("scores", "scores", "int32"))
    graph.add_output(Port("pooled", "pooled", "int32", "NC"))
    return graph


def spiking(timesteps: int = 3, max_timesteps: int | None = None, leak: tuple[int, ...] = (1, 1)) -> Graph:
    """Two inputs, one of them in time; a leaky neuron, its counts in time, and their mean over time."""
    steps = max(timesteps, max_timesteps or 0) if leak == (1, 0) else 0
    graph = Graph(timesteps, max_timesteps)
    graph.add_input(Port("frames", "frames", "int8", "TNC", time_axis=0), Tensor((2, 4), -3, 3, Scale(1), True))
    graph.add_input(Port("gain", "gain", "uint8"), Tensor((2, 4), 0, 1))
    graph.add(Linear(_weights(5, 4, seed=1), np.zeros(5), np.zeros(5), None), ["frames"], "drive")
    graph.add(Fire([[10, 20]], True, leak, False, [0, 10, 20], 0, steps), ["drive"], "spikes")
    graph.add(Mean((), False, timesteps), ["spikes"], "rate")
    graph.add(Linear(_weights(5, 4, seed=2), np.zeros(5), np.zeros(5), None), ["gain"], "static")
    graph.add_output(Port("spikes", "spikes", "uint8", "TNC", time_axis=0))
    graph.add_output(Port("rate", "rate", "int32"))
    graph.add_output(Port("static", "static", "int32"))
    return graph


def bytes_of(graph: Graph) -> bytes:
    return image.to_bytes(graph)


def draw(graph: Graph, seed: int = 0, count: int | None = None, timesteps: int | None = None) -> dict[str, np.ndarray]:
    """Random inputs of the declared shapes and dtypes, or a stack of `count` of them."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for port in graph.inputs:
        tensor = graph.tensors[port.tensor]
        shape = port.declared_shape(tensor, timesteps or graph.timesteps)
        shape = shape if count is None else (count, *shape)
        arrays[port.name] = rng.integers(tensor.lo, tensor.hi, shape, endpoint=True).astype(port.dtype)
    return arrays
