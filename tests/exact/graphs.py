"""Random integer graphs and inputs, for every executor to agree on."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

from pyspike.errors import RangeError, ShapeError
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
from pyspike.ops.fire import clamp_ladder, guard_bits, ladder, leak_terms

CHANNELS = st.sampled_from([1, 2, 3, 5, 8, 16, 17, 24, 33, 64, 70])


class Builder:
    """A graph under construction and the source of its random choices."""

    def __init__(self, draw: Callable, most_timesteps: int = 3) -> None:
        self.draw = draw
        self.rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        self.graph = Graph(timesteps=draw(st.integers(1, most_timesteps)))
        self.count = 0

    def integer(self, lo: int, hi: int) -> int:
        return self.draw(st.integers(lo, hi))

    def choice(self, options: list):
        return self.draw(st.sampled_from(options))

    def name(self) -> str:
        self.count += 1
        return f"t{self.count}"

    def add(self, op, *inputs: str) -> str:
        return self.graph.add(op, inputs, self.name())

    def pick(self, rank: int | None = None, **conditions) -> str | None:
        """The name of a recent tensor of `rank` with the given attributes; None where there is none."""
        names = [
            name
            for name, tensor in self.graph.tensors.items()
            if (rank is None or len(tensor.shape) == rank)
            and isinstance(tensor.scale.f, int)
            and all(getattr(tensor, key) == value for key, value in conditions.items())
        ]
        return self.choice(names[-4:]) if names else None

    def weights(self, *shape: int) -> np.ndarray:
        bits = self.choice([8, 8, 6, 4, 2])
        limit = 2 ** (bits - 1) - 1
        values = self.rng.integers(-limit, limit, shape, endpoint=True)
        return values * (self.rng.random(shape) < self.choice([1.0, 0.5, 0.0]))

    def synapse_fields(self, weight: np.ndarray, f_x: int) -> tuple:
        """exponent, shift and bias: all channels on one grid, or accumulators as they are."""
        exponent = self.rng.integers(0, 5, len(weight))
        if self.draw(st.booleans()):
            return weight, exponent, np.zeros(len(weight), int), None
        shift = exponent.max() + self.integer(0, 3) - exponent
        bias = self.rng.integers(-(2**12), 2**12, len(weight)) if self.draw(st.booleans()) else None
        return weight, exponent, shift, bias


def _conv(b: Builder, x: str, tensor: Tensor, groups: int, out: int) -> str:
    kernel = (b.choice([1, 2, 3, 5, 7]), b.choice([1, 2, 3, 7]))
    weight = b.weights(out, *kernel, tensor.shape[3] // groups)
    fields = b.synapse_fields(weight, tensor.scale.f)
    geometry = {
        "stride": (b.integer(1, 3), b.integer(1, 3)),
        "padding": tuple(b.integer(0, 3) for _ in range(4)),
        "dilation": (b.integer(1, 2), b.integer(1, 2)),
    }
    return b.add(Conv2d(*fields, **geometry, groups=groups), x)


def conv2d(b: Builder) -> None:
    x = b.pick(4)
    tensor = b.graph.tensors[x]
    groups = b.choice([g for g in (1, 1, 2, 3) if tensor.shape[3] % g == 0])
    _conv(b, x, tensor, groups, groups * b.choice([1, 2, 7, 16, 40]))


def depthwise(b: Builder) -> None:
    x = b.pick(4)
    channels = b.graph.tensors[x].shape[3]
    _conv(b, x, b.graph.tensors[x], channels, channels)


def linear(b: Builder) -> None:
    x = b.pick()
    tensor = b.graph.tensors[x]
    if tensor.shape:
        b.add(Linear(*b.synapse_fields(b.weights(b.draw(CHANNELS), tensor.shape[-1]), tensor.scale.f)), x)


def add(b: Builder) -> None:
    x = b.pick()
    tensor = b.graph.tensors[x]
    other = b.pick(shape=tensor.shape)
    f = tensor.scale.f, b.graph.tensors[other].scale.f
    b.add(Add((max(f) - f[0], max(f) - f[1])), x, other)


def add_constant(b: Builder) -> None:
    x = b.pick()
    tensor = b.graph.tensors[x]
    shape = tuple(size if b.draw(st.booleans()) else 1 for size in tensor.shape)
    fraction = tensor.scale.f - b.integer(0, 2)
    constant = b.add(Constant(b.rng.integers(-500, 500, shape), fraction))
    b.add(Add((0, tensor.scale.f - fraction)), x, constant)


def concat(b: Builder) -> None:
    x = b.pick()
    tensor = b.graph.tensors[x]
    if not tensor.shape:
        return
    axis = b.integer(0, len(tensor.shape) - 1)
    others = [b.pick(shape=tensor.shape) for _ in range(b.integer(1, 2))]
    fs = [b.graph.tensors[name].scale.f for name in (x, *others)]
    b.add(Concat(axis, tuple(max(fs) - f for f in fs)), x, *others)


def max_pool(b: Builder) -> None:
    x = b.pick(4)
    kernel = (b.integer(1, 5), b.integer(1, 5))
    padding = tuple(b.integer(0, kernel[i % 2] - 1) for i in range(4))
    b.add(MaxPool(kernel, (b.integer(1, 3), b.integer(1, 3)), padding), x)


def upsample(b: Builder) -> None:
    b.add(Upsample((b.integer(1, 3), b.integer(1, 3))), b.pick(4))


def mean(b: Builder) -> None:
    x = b.pick()
    rank = len(b.graph.tensors[x].shape)
    axes = tuple(axis for axis in range(rank) if b.draw(st.booleans()))
    b.add(Mean(axes, b.draw(st.booleans())), x)


def mean_over_time(b: Builder) -> None:
    x = b.pick(time=True)
    if x is not None:
        b.add(Mean((), False, b.graph.timesteps), x)


def slice_(b: Builder) -> None:
    x = b.pick()
    windows = []
    for size in b.graph.tensors[x].shape:
        start = b.integer(0, size - 1)
        windows.append((start, b.integer(start + 1, size), b.integer(1, 2)))
    b.add(Slice(*(tuple(w[i] for w in windows) for i in range(3))), x)


def reshape(b: Builder) -> None:
    x = b.pick()
    shape = list(b.graph.tensors[x].shape)
    if len(shape) >= 2 and b.draw(st.booleans()):
        axis = b.integer(0, len(shape) - 2)
        shape[axis : axis + 2] = [shape[axis] * shape[axis + 1]]
    else:
        shape.insert(b.integer(0, len(shape)), 1)
    b.add(Reshape(tuple(shape)), x)


def transpose(b: Builder) -> None:
    x = b.pick()
    b.add(Transpose(tuple(b.draw(st.permutations(range(len(b.graph.tensors[x].shape)))))), x)


def expand(b: Builder) -> None:
    x = b.pick()
    tensor = b.graph.tensors[x]
    shape = tuple(b.integer(1, 3) if size == 1 else size for size in tensor.shape)
    b.add(Expand(shape, b.draw(st.booleans())), x)


def pad(b: Builder) -> None:
    x = b.pick()
    rank = len(b.graph.tensors[x].shape)
    border = tuple(b.integer(0, 2) for _ in range(2 * rank))
    b.add(Pad(border[:rank], border[rank:], b.integer(-3, 3)), x)


def align(b: Builder) -> None:
    b.add(Align(b.integer(1, 6)), b.pick())


def fire(b: Builder) -> None:
    """A neuron on the newest tensor, whose accumulators may keep an f per channel."""
    x = next(reversed(b.graph.tensors))
    tensor = b.graph.tensors[x]
    count = b.choice([1, 2, 4, 8])
    half_even = b.draw(st.booleans())
    scale = tensor.scale
    channels = range(len(scale.f)) if not isinstance(scale.f, int) else [0]
    # Real drives of a few units: the middle of the range decides what one unit is.
    theta = Fraction(max(abs(tensor.lo), abs(tensor.hi), 1), b.choice([1, 4, 16, 64])) * scale.unit(0)
    rows = [
        clamp_ladder(
            ladder(count, scale.unit(c), theta=theta, bias=theta * b.integer(-1, 1) / 4, half_even=half_even),
            tensor.lo, tensor.hi,
        )
        for c in channels
    ]  # fmt: skip
    b.add(Fire(rows), x)


def membrane(b: Builder) -> None:
    x = b.pick(time=True)
    if x is None:
        return
    tensor = b.graph.tensors[x]
    count = b.choice([1, 2, 4, 8])
    leak, _ = leak_terms(b.choice([0.0, 0.25, 0.5, 0.9, 1.0]))
    guard = guard_bits(leak, b.graph.timesteps)
    unit = max(max(abs(tensor.lo), abs(tensor.hi)) // b.choice([1, 4, 16]), 1)
    theta = unit << guard
    thresholds = ladder(count, Fraction(1), theta=Fraction(theta), half_even=b.draw(st.booleans()))
    amounts = [n * theta for n in range(count + 1)]
    hard = b.draw(st.booleans())
    b.add(Fire([thresholds], True, leak, hard, None if hard else amounts, guard, b.graph.timesteps), x)


STEPS = [
    conv2d, conv2d, conv2d, depthwise, linear, add, add_constant, concat, max_pool, upsample, mean, mean_over_time,
    slice_, reshape, transpose, expand, pad, align, fire, fire, fire, membrane, membrane,
]  # fmt: skip


@st.composite
def graphs(draw: Callable, most_timesteps: int = 3) -> Graph:
    """A graph of up to eight operators over one or two inputs, each drawn to fit what is there."""
    b = Builder(draw, most_timesteps)
    for number in range(draw(st.integers(1, 2))):
        shape = (draw(st.integers(1, 2)), draw(st.integers(1, 9)), draw(st.integers(1, 9)), draw(CHANNELS))
        lo, hi, dtype = draw(
            st.sampled_from([(0, 255, "uint8"), (0, 4, "uint8"), (0, 1, "uint8"), (-128, 127, "int8")])
        )
        time = draw(st.booleans())
        merged = time and draw(st.booleans())
        port = Port(f"in{number}", f"x{number}", dtype, "", draw(st.integers(0, 4 - merged)) if time else None, merged)
        b.graph.add_input(port, Tensor(shape, lo, hi, Scale(draw(st.integers(0, 2))), time))
    for _ in range(draw(st.integers(1, 8))):
        try:
            draw(st.sampled_from(STEPS))(b)
        except (ShapeError, RangeError, TypeError):
            continue  # this operator does not fit here: the graph is as it was
        if b.graph.tensors[next(reversed(b.graph.tensors))].size > 20_000:
            break
    read = {name for node in b.graph.nodes for name in node.inputs}
    leaves = [node.output for node in b.graph.nodes if node.output not in read] or list(b.graph.tensors)[:1]
    for name in leaves:
        axis = draw(st.integers(0, len(b.graph.tensors[name].shape))) if b.graph.tensors[name].time else None
        b.graph.add_output(Port(f"out_{name}", name, "int32", "", axis))
    return b.graph


@st.composite
def inputs_of(draw: Callable, graph: Graph) -> dict[str, np.ndarray]:
    """Integers of the declared ranges at densities from none to all, or all at their greatest."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    density = draw(st.sampled_from([0.0, 0.05, 0.3, 1.0, "all at hi"]))
    arrays = {}
    for port in graph.inputs:
        tensor = graph.tensors[port.tensor]
        shape = port.declared_shape(tensor, graph.timesteps)
        values = rng.integers(tensor.lo, tensor.hi, shape, endpoint=True)
        values = np.full(shape, tensor.hi) if density == "all at hi" else values * (rng.random(shape) < density)
        arrays[port.name] = values.astype(port.dtype)
    return arrays
