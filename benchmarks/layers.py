"""Single layers: graphs, inputs at a given density, and the time of one operator in a counted run."""

from __future__ import annotations

import numpy as np

from pyspike import image
from pyspike.graph import Graph, Port, Tensor
from pyspike.ops import Conv2d, Synapse
from pyspike.runtime import Model, Runtime

COUNTS, SHARES = (1, 2, 3, 4), (0.60, 0.22, 0.11, 0.07)  # of I-LIF neurons with D = 4, where they fire


def conv_graph(
    shape: tuple[int, int, int],
    outputs: int,
    kernel: int,
    *,
    stride: int = 1,
    groups: int = 1,
    hi: int = 4,
    bits: int = 8,
) -> Graph:
    """A convolution of random weights of `bits` bits over counts 0..hi; `shape` is (height, width, channels)."""
    most = 2 ** (bits - 1) - 1
    rng = np.random.default_rng(0)
    size = (outputs, kernel, kernel, shape[2] // groups)
    weight = np.clip(np.rint(rng.normal(0, most / 3.2, size)), -most, most).astype(np.int64)
    zeros = np.zeros(outputs, np.int64)
    graph = Graph()
    graph.add_input(Port("x", "x", "uint8"), Tensor((1, *shape), 0, hi))
    pad = (kernel // 2,) * 4
    graph.add(Conv2d(weight, zeros, zeros, None, (stride, stride), pad, (1, 1), groups), ["x"], "y")
    graph.add_output(Port("y", "y", "int32"))
    return graph


def counts(graph: Graph, density: float) -> np.ndarray:
    """Input of the given share of non-zero counts (of uniform pixels where the range is that of pixels)."""
    tensor = graph.tensors["x"]
    rng = np.random.default_rng(1)
    if tensor.hi > max(COUNTS):
        return rng.integers(0, tensor.hi, tensor.shape, endpoint=True, dtype=np.uint8)
    values = rng.choice(COUNTS, tensor.shape, p=SHARES)
    return (values * (rng.random(tensor.shape) < density)).astype(np.uint8)


def seconds(graph: Graph, density: float, *, threads: int = 1, isa: str | None = None, repeats: int = 15) -> float:
    """The least time of the graph's first operator over some runs: others on the machine only ever add to it."""
    runtime: Runtime = Model.load(image.to_bytes(graph)).runtime(threads=threads, isa=isa)
    x = counts(graph, density)
    return min(runtime.profile(x).layers[0].seconds for _ in range(repeats))


def macs(graph: Graph) -> int:
    """Multiply-accumulates of the dense layer."""
    op = graph.nodes[0].op
    assert isinstance(op, Synapse)
    return op.macs(graph.tensors["x"].shape)
