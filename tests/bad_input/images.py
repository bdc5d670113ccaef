"""Images to break: every operator once, and the means to change bytes so that only the meaning is wrong."""

from __future__ import annotations

import hashlib

import numpy as np

from pyspike import image
from pyspike.errors import ModelFormatError
from pyspike.graph import Graph, Port, Scale, Tensor
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
    Pad,
    Reshape,
    Slice,
    Transpose,
    Upsample,
)  # fmt: skip
from pyspike.runtime import Model


def everything() -> Graph:
    """A small graph with every operator, time, a membrane, and channels with scales of their own."""
    rng = np.random.default_rng(0)

    def weights(*shape: int) -> np.ndarray:
        return rng.integers(-5, 5, shape, endpoint=True)

    graph = Graph(2, 4, metadata={"name": "everything"})
    graph.add_input(Port("x", "x", "uint8", "NHWC"), Tensor((1, 4, 4, 2), 0, 4))
    graph.add_input(Port("u", "u", "int8", "TC", time_axis=0), Tensor((3,), -7, 7, Scale(2), True))
    zeros = np.zeros(3)
    graph.add(Conv2d(weights(3, 3, 3, 2), [1, 2, 0], zeros, None, padding=(1, 1, 1, 1)), ["x"], "own scales")
    graph.add(Fire([[1, 9], [2, 8], [3, 3]]), ["own scales"], "counts")
    graph.add(Conv2d(weights(3, 3, 3, 1), zeros, zeros, [1, 2, 3], (2, 2), (1, 1, 1, 1), (1, 1), 3), ["counts"], "dw")
    graph.add(MaxPool((2, 2), (2, 2), (0, 0, 0, 0)), ["counts"], "pooled")
    graph.add(Add((0, 0)), ["dw", "pooled"], "sum")
    graph.add(Upsample((2, 1)), ["sum"], "up")
    graph.add(Slice((0, 1, 0, 0), (1, 4, 2, 3), (1, 2, 1, 1)), ["up"], "part")
    graph.add(Constant([[[[5, -6, 7]]]], 0), [], "bias")
    graph.add(Expand((1, 2, 2, 3)), ["bias"], "wide")
    graph.add(Concat(3, (0, 0)), ["part", "wide"], "both")
    graph.add(Pad((0, 0, 0, 0), (0, 0, 1, 0), -1), ["both"], "padded")
    graph.add(Transpose((0, 3, 1, 2)), ["padded"], "turned")
    graph.add(Reshape((6, 6)), ["turned"], "flat")
    graph.add(Mean((0,), True), ["flat"], "mean")
    graph.add(Fire([[5, 11]], True, (1, 1, -1, 3), False, [0, 8, 16], 2, 4), ["u"], "spikes")
    graph.add(Fire([[5]], True, (1, 2), True, None, 0, 0), ["u"], "hard")
    graph.add(Mean((), False, 2), ["spikes"], "rate")
    graph.add(Linear(weights(17, 3), np.full(17, 3), np.full(17, 1), np.arange(17)), ["rate"], "head")
    graph.add(Align(2), ["head"], "aligned")
    graph.add_output(Port("mean", "mean", "int32", "NC"))
    graph.add_output(Port("hard", "hard", "uint8", "CT", time_axis=1))
    graph.add_output(Port("aligned", "aligned", "int32"))
    return graph


IMAGE = image.to_bytes(everything())


def signed(data: bytes | bytearray) -> bytes:
    """`data` with its size and digest made right."""
    data = bytearray(data)
    data[16:24] = len(data).to_bytes(8, "little")
    data[32:64] = hashlib.sha256(data[64:]).digest()
    return bytes(data)


def sections(data: bytes = IMAGE) -> dict[str, tuple[int, int]]:
    """Start and end of every section, by name."""
    counts = image.MODEL.unpack_from(data, 64)
    sizes = {
        "header": 64,
        "model": 64,
        "tensors": counts[2] * image.TENSOR.size,
        "ops": counts[3] * image.OP.size,
        "ports": (counts[4] + counts[5]) * image.PORT.size,
        "blobs": counts[6] * image.BLOB.size,
        "words": 4 * counts[7],
        "strings": counts[8],
        "data": counts[10],
    }
    result, at = {}, 0
    for name, size in sizes.items():
        result[name] = (at, at + size)
        at += -(-size // 64) * 64
    return result | {"metadata": (at, len(data))}


def verdict(data: bytes) -> tuple[str | None, str | None]:
    """What the Python and the C++ reader object to in `data`; None where one accepts it."""
    complaints = []
    for read in (image.from_bytes, Model.load):
        try:
            read(data)
            complaints.append(None)
        except ModelFormatError as error:
            complaints.append(str(error))
    return complaints[0], complaints[1]
