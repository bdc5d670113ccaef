"""Graphs of one operator each; together they go through every kernel and every way of cutting work up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from pyspike.graph import Graph, Port, Scale, Tensor
from pyspike.ops import Add, Align, Concat, Constant, Conv2d, Fire, Linear, MaxPool, Mean, Op, Slice, Upsample

RANGES = [(0, 1), (0, 4), (0, 7), (0, 15), (0, 255), (-1, 1), (-128, 127), (-3000, 2000), (0, 70_000)]


def port_dtype(lo: int, hi: int) -> str:
    """The narrowest integer type of a graph input."""
    names = ("uint8", "int8", "int16", "int32")
    return next(name for name in names if np.iinfo(name).min <= lo and hi <= np.iinfo(name).max)


def graph_of(
    op: Op, *tensors: Tensor, dtypes: tuple[str, ...] = (), steps: int = 1, output_time: int | None = None
) -> Graph:
    """`op` on graph inputs."""
    graph = Graph(timesteps=steps)
    names = []
    for i, tensor in enumerate(tensors):
        dtype = dtypes[i] if dtypes else port_dtype(tensor.lo, tensor.hi)
        axis = 0 if tensor.time else None
        names.append(graph.add_input(Port(f"in{i}", f"x{i}", dtype, "", axis), tensor))
    graph.add(op, names, "y")
    graph.add_output(Port("out", "y", "int32", "", output_time))
    return graph


def synapse_fields(rng: np.random.Generator, weight: np.ndarray) -> tuple:
    """exponent, shift and bias, plain or not."""
    outputs = len(weight)
    if rng.random() < 0.4:
        return weight, np.zeros(outputs, int), np.zeros(outputs, int), None
    exponent = rng.integers(0, 4, outputs)
    return weight, exponent, exponent.max() - exponent, rng.integers(-999, 999, outputs)


def weights(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Weights of 8 bits or fewer: spread, or all of one sign and extreme, or ternary."""
    kind = rng.integers(0, 4)
    limit = 1 if kind == 1 else rng.choice([127, 127, 63, 31, 15, 7])
    if kind == 0:
        return np.full(shape, rng.choice([limit, -limit]))
    return rng.integers(-limit, limit, shape, endpoint=True)


def random_conv(seed: int) -> Graph:
    """Any convolution: geometry, groups, range, lanes."""
    rng = np.random.default_rng(seed)
    lo, hi = RANGES[rng.integers(len(RANGES))]
    groups = int(rng.choice([1, 1, 1, 2, 3]))
    inputs, outputs = int(rng.choice([1, 3, 8, 20, 33, 64])), int(rng.choice([1, 2, 16, 20, 40, 64, 100]))
    kernel = (int(rng.choice([1, 3, 4, 7])), int(rng.choice([1, 3, 5, 7])))
    op = Conv2d(
        *synapse_fields(rng, weights(rng, outputs * groups, *kernel, inputs)),
        stride=(int(rng.integers(1, 5)), int(rng.integers(1, 5))),
        padding=tuple(int(p) for p in rng.integers(0, 9, 4)),
        dilation=(int(rng.integers(1, 3)), int(rng.integers(1, 4))),
        groups=groups,
    )
    shape = (int(rng.integers(1, 3)), int(rng.integers(12, 20)), int(rng.integers(18, 26)), inputs * groups)
    return graph_of(op, Tensor(shape, lo, hi))


def random_depthwise(seed: int) -> Graph:
    """Any depthwise convolution."""
    rng = np.random.default_rng(seed)
    lo, hi = RANGES[rng.integers(len(RANGES))]
    channels = int(rng.choice([1, 5, 16, 20, 64]))
    kernel = (int(rng.choice([1, 3, 7, 17])), int(rng.choice([1, 3, 7])))
    op = Conv2d(
        *synapse_fields(rng, weights(rng, channels, *kernel, 1)),
        stride=(int(rng.integers(1, 4)), int(rng.integers(1, 4))),
        padding=tuple(int(p) for p in rng.integers(0, 9, 4)),
        dilation=(1, int(rng.integers(1, 3))),
        groups=channels,
    )
    return graph_of(op, Tensor((1, int(rng.integers(17, 20)), int(rng.integers(13, 20)), channels), lo, hi))


def conv(
    seed: int, shape: tuple[int, ...], outputs: int, kernel: tuple[int, int], hi: int = 4, limit: int = 127, **fields
) -> Graph:
    """A convolution of a given size, weights in -limit..limit."""
    rng = np.random.default_rng(seed)
    weight = rng.integers(-limit, limit, (outputs, *kernel, shape[3]), endpoint=True)
    zeros = np.zeros(outputs, int)
    return graph_of(Conv2d(weight, zeros, zeros, None, **fields), Tensor(shape, 0, hi))


def linear(seed: int, shape: tuple[int, ...], outputs: int, lo: int, hi: int) -> Graph:
    """A linear layer of a given size."""
    rng = np.random.default_rng(seed)
    return graph_of(Linear(*synapse_fields(rng, weights(rng, outputs, shape[-1]))), Tensor(shape, lo, hi))


def extreme_linear(shape: tuple[int, ...], outputs: int) -> Graph:
    """Weights so large that not even one bit-plane's sums fit 16 bits."""
    zeros = np.zeros(outputs, int)
    return graph_of(Linear(np.full((outputs, shape[-1]), 127), zeros, zeros, None), Tensor(shape, 0, 1))


def depthwise(seed: int, shape: tuple[int, ...], hi: int, columns: int = 5, dilation: int = 1, lo: int = 0) -> Graph:
    """A depthwise convolution of integers lo..hi, with a kernel of three rows."""
    weight = weights(np.random.default_rng(seed), shape[3], 3, columns, 1)
    zeros = np.zeros(shape[3], int)
    padding = (1, columns // 2, 1, columns // 2)
    op = Conv2d(weight, zeros, zeros, None, padding=padding, dilation=(1, dilation), groups=shape[3])
    return graph_of(op, Tensor(shape, lo, hi))


def long_depthwise() -> Graph:
    """More taps in a row than 16 bits can sum."""
    weight = weights(np.random.default_rng(15), 5, 1, 300, 1)
    zeros = np.zeros(5, int)
    return graph_of(Conv2d(weight, zeros, zeros, None, groups=5), Tensor((1, 2, 310, 5), 0, 4))


def halves(tensor: Tensor) -> Tensor:
    """The same integers with a real value of twice as much."""
    return replace(tensor, scale=Scale(-1))


def fires() -> Iterator[tuple[str, Graph]]:
    """Ladders of every form, on bytes and on 32 bits."""
    ladders = {
        "uniform": [[3, 5, 7, 9]],
        "one": [[2]],
        "uneven": [[1, 1, 4, 9]],
        "many": [sorted(int(v) for v in np.random.default_rng(3).integers(0, 60, 255))],
        "channels": [[c, c + 1 + c % 3, 20 + c] for c in range(19)],
    }
    for name, ladder in ladders.items():
        for tensor in (Tensor((1, 3, 5, 19), 0, 40), Tensor((1, 3, 5, 19), -40, 40)):
            yield f"fire-{name}-{tensor.dtype}", graph_of(Fire(ladder), tensor)
    edge = Fire([[-(2**31), -(2**31) + 1, 2**31 - 2, 2**31 - 1]])
    yield "fire-edges", graph_of(edge, Tensor((1, 70), -(2**31), 2**31 - 1))


def membranes() -> Iterator[tuple[str, Graph]]:
    """Neurons with state, on bytes and on 32 bits, both resets."""
    for lo, hi in ((0, 9), (-30, 30)):
        drive = Tensor((2, 3, 13), lo, hi, Scale(), True)
        soft = Fire([[6, 18, 30]], True, (1, 1, -1, 3), False, [0, 12, 24, 36], 2, 4)
        hard = Fire([[5, 9]], True, (1, 0), True, None, 0, 4)
        for name, op in (("soft", soft), ("hard", hard)):
            yield f"membrane-{name}-{drive.dtype}", graph_of(op, drive, steps=4, output_time=1)


def movers() -> Iterator[tuple[str, Graph]]:
    """Copies, sums and maxima between both storages."""
    counts, potentials = Tensor((2, 5, 6, 21), 0, 9), Tensor((2, 5, 6, 21), -900, 900)
    for x in (counts, potentials):
        yield f"max_pool-{x.dtype}", graph_of(MaxPool((3, 2), (2, 1), (1, 1, 2, 0)), x)
        yield f"mean-{x.dtype}", graph_of(Mean((1, 2)), x)
        yield f"mean-channels-{x.dtype}", graph_of(Mean((3,)), x)
        yield f"upsample-{x.dtype}", graph_of(Upsample((2, 3)), x)
        yield f"slice-{x.dtype}", graph_of(Slice((0, 1, 0, 2), (2, 5, 6, 20), (1, 2, 3, 1)), x)
        yield f"align-{x.dtype}", graph_of(Align(2), x)
        yield f"concat-{x.dtype}", graph_of(Concat(3, (0, 1)), x, halves(counts))
        yield f"add-{x.dtype}", graph_of(Add((0, 1)), x, halves(potentials))
        yield f"add-broadcast-{x.dtype}", graph_of(Add((0, 1)), x, halves(Tensor((6, 1), -3, 3)))
    yield "align-to-bytes", graph_of(Align(3), Tensor((3, 77), 300, 1900))
    yield "add-to-bytes", graph_of(Add((0, 0)), Tensor((3, 77), -400, -300), Tensor((3, 77), 400, 500))
    yield "mean-to-bytes", graph_of(Mean((0,)), Tensor((3, 77), 0, 60))
    yield "time", graph_of(Mean((0,), steps=3), Tensor((3, 77), -5, 60, time=True), steps=3)
    for dtype, tensor in (("int16", counts), ("int32", counts), ("int8", counts), ("int16", potentials)):
        yield f"port-{dtype}-{tensor.dtype}", graph_of(Concat(0, (0,)), tensor, dtypes=(dtype,))
    yield "port-int8-int32", graph_of(Concat(0, (0,)), Tensor((3, 77), -5, 60))
    constant = Graph()
    constant.add(Constant(np.arange(200)), (), "bytes")
    constant.add(Constant(np.arange(200) - 7), (), "integers")
    for name in ("bytes", "integers"):
        constant.add_output(Port(name, name, "int32"))
    yield "constants", constant


def byte_conv(channels: int, outputs: int) -> Graph:
    """A convolution whose sums, of few counts and weights of 0 and 1, fit a byte."""
    weight = np.random.default_rng(channels).integers(0, 1, (outputs, 1, 1, channels), endpoint=True)
    zeros = np.zeros(outputs, int)
    return graph_of(Conv2d(weight, zeros, zeros, None), Tensor((1, 7, 9, channels), 0, 4))


SYNAPSES: dict[str, Callable[[], Graph]] = {
    "segments": lambda: conv(1, (1, 2, 3000, 16), 16, (2, 3), padding=(0, 1, 0, 1)),
    "segments-strided": lambda: conv(2, (1, 3, 5000, 3), 20, (3, 7), 255, stride=(1, 2), padding=(1, 5, 1, 5)),
    "numbers": lambda: conv(3, (1, 1, 700, 130), 16, (1, 3), padding=(0, 1, 0, 1)),
    "wide-map": lambda: conv(4, (1, 1, 70_000, 1), 1, (1, 9), padding=(0, 4, 0, 4)),
    "blocks": lambda: conv(5, (1, 6, 7, 700), 20, (3, 3), padding=(1, 1, 1, 1)),
    "block-rows": lambda: conv(6, (1, 6, 7, 300), 64, (5, 5), 15, padding=(2, 2, 2, 2)),
    "pixels": lambda: conv(7, (1, 40, 48, 3), 32, (7, 7), 255, stride=(4, 4), padding=(3, 3, 3, 3)),
    "pixels-wide": lambda: conv(16, (1, 12, 17, 3), 112, (3, 3), 255, padding=(1, 1, 1, 1)),
    "layer": lambda: conv(8, (1, 16, 18, 64), 64, (3, 3), padding=(1, 1, 1, 1)),
    "narrow-layer": lambda: conv(9, (1, 16, 18, 32), 32, (3, 3), padding=(1, 1, 1, 1)),
    "thin-layer": lambda: conv(10, (1, 16, 18, 16), 16, (3, 3), padding=(1, 1, 1, 1)),
    "thinnest-layer": lambda: conv(23, (2, 9, 11, 24), 8, (3, 3), 15, limit=7, padding=(2, 0, 0, 2)),
    "thin-layer-inside": lambda: conv(25, (1, 40, 70, 12), 21, (3, 3), padding=(0, 2, 3, 4)),
    "thin-layer-of-32": lambda: conv(26, (1, 12, 15, 9), 32, (3, 3), limit=63, padding=(1, 1, 1, 1)),
    "pointwise": lambda: conv(11, (2, 9, 9, 96), 112, (1, 1)),
    "two-slabs": lambda: conv(21, (1, 9, 50, 48), 48, (3, 3), padding=(1, 1, 1, 1)),
    **{
        f"limit-{limit}-{outputs}": lambda limit=limit, outputs=outputs: conv(
            limit, (1, 7, 29, 40), outputs, (3, 3), limit=limit, stride=(2, 1), padding=(1, 1, 1, 1)
        )
        for limit in (63, 31, 15)
        for outputs in (112, 32, 16)
    },
    "full-schedule": lambda: conv(22, (1, 3, 40, 200), 32, (3, 3), 255, padding=(1, 1, 1, 1)),
    "bytes-out": lambda: byte_conv(24, 48),
    "linear-wide": lambda: linear(12, (3, 900), 130, 0, 4),
    "linear-many": lambda: linear(13, (2, 5, 37, 20), 33, 0, 1),
    "linear-signed": lambda: linear(14, (7, 65), 17, -9000, 9000),
    "wide-lanes": lambda: extreme_linear((5, 600), 112),
    "long-kernel": long_depthwise,
    "depthwise-bits": lambda: depthwise(17, (1, 9, 11, 20), 1, dilation=2),
    "depthwise-two-bits": lambda: depthwise(18, (1, 9, 11, 20), 3, dilation=2),
    "depthwise-nibbles": lambda: depthwise(19, (1, 9, 11, 20), 15, dilation=2),
    "depthwise-bytes": lambda: depthwise(20, (1, 9, 11, 20), 255, dilation=2),
    "depthwise-counts-3": lambda: depthwise(21, (1, 9, 23, 48), 4, 3),
    "depthwise-counts-5": lambda: depthwise(22, (1, 9, 23, 48), 4, 5),
    "depthwise-counts-7": lambda: depthwise(23, (1, 9, 23, 48), 4, 7),
    "depthwise-potentials": lambda: depthwise(24, (1, 9, 23, 48), 20_000, 3, lo=-30_000),
    "linear-to-bytes": lambda: graph_of(
        Linear(np.ones((5, 3), int), np.zeros(5, int), np.zeros(5, int), None), Tensor((11, 3), 0, 60)
    ),
    "conv-to-bytes": lambda: graph_of(
        Conv2d(np.ones((5, 1, 1, 1), int), np.zeros(5, int), np.zeros(5, int), None, groups=5),
        Tensor((1, 4, 5, 5), 0, 200),
    ),
}


def all_cases(seeds: range) -> Iterator[tuple[str, Graph]]:
    """Every case by name."""
    for name, build in SYNAPSES.items():
        yield name, build()
    yield from fires()
    yield from membranes()
    yield from movers()
    for seed in seeds:
        yield from _buildable(f"conv-{seed}", random_conv, seed)
        yield from _buildable(f"depthwise-{seed}", random_depthwise, seed)


def _buildable(name: str, build: Callable[[int], Graph], seed: int) -> Iterator[tuple[str, Graph]]:
    """Some draws do not fit their map, or could leave 32 bits: those are refused, and not cases."""
    from pyspike.errors import RangeError, ShapeError

    try:
        yield name, build(seed)
    except (RangeError, ShapeError):
        return


def inputs_of(graph: Graph, density: float, seed: int) -> dict[str, np.ndarray]:
    """Integers of the declared ranges; a density above 1 means all at their greatest."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for port in graph.inputs:
        tensor = graph.tensors[port.tensor]
        info = np.iinfo(port.dtype)
        lo, hi = max(tensor.lo, info.min), min(tensor.hi, info.max)
        shape = port.declared_shape(tensor, graph.timesteps)
        values = rng.integers(lo, hi, shape, endpoint=True)
        if density > 1:
            values = np.full(shape, hi)
        elif lo <= 0 <= hi:
            values = values * (rng.random(shape) < density)
        arrays[port.name] = values.astype(port.dtype)
    return arrays


def altered(graph: Graph, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same with one other integer in the middle of each input."""
    arrays = {}
    for port in graph.inputs:
        tensor, values = graph.tensors[port.tensor], inputs[port.name].copy()
        lo, hi = max(tensor.lo, np.iinfo(port.dtype).min), min(tensor.hi, np.iinfo(port.dtype).max)
        flat = values.reshape(-1)
        flat[flat.size // 2] = hi if flat[flat.size // 2] == lo else lo
        arrays[port.name] = values
    return arrays
