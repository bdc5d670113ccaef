"""Random networks that a chip can run: streams, branches, skips, pools and membranes, in any order."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from hypothesis import strategies as st

from pyspike.errors import RangeError, ShapeError
from pyspike.graph import Graph, Port, Scale, Tensor
from pyspike.ops import Add, Align, Concat, Conv2d, Fire, Linear, MaxPool, Mean, Pad, Reshape, Slice, Upsample
from pyspike.ops.fire import clamp_ladder, guard_bits, ladder, leak_terms
from tests.exact.graphs import Builder

CHANNELS = st.sampled_from([1, 2, 3, 5, 8, 16, 17, 24, 40])


class Network(Builder):
    """A graph under construction, and which of its tensors are counts and which potentials."""

    def __init__(self, draw: Callable) -> None:
        super().__init__(draw)
        self.counts: list[str] = []
        self.potentials: list[str] = []

    def tensor(self, name: str) -> Tensor:
        return self.graph.tensors[name]

    def a_count(self, **conditions: object) -> str | None:
        return self._recent(self.counts, conditions)

    def a_potential(self, **conditions: object) -> str | None:
        return self._recent(self.potentials, conditions)

    def keep(self, name: str, like: str) -> None:
        """File a moved tensor where `like` is."""
        (self.counts if like in self.counts else self.potentials).append(name)

    def _recent(self, names: list[str], conditions: dict[str, object]) -> str | None:
        fit = [n for n in names if all(getattr(self.tensor(n), k) == v for k, v in conditions.items())]
        return self.choice(fit[-5:]) if fit else None


def convolve(n: Network, x: str, out: int | None = None, same: bool = False) -> str:
    """A convolution of counts; `same` keeps rows and columns."""
    tensor = n.tensor(x)
    channels = tensor.shape[3]
    groups = n.choice([1, 1, *[g for g in (2, 3, channels) if channels % g == 0 and (out is None or out % g == 0)]])
    out = out or groups * n.choice([1, 2] if groups > 4 else [1, 2, 7, 16, 40])
    kernel = n.choice([1, 3]) if same else n.integer(1, 4)
    dilation = n.integer(1, 2)
    if same:
        geometry = {"padding": (dilation * (kernel // 2),) * 4, "dilation": (dilation,) * 2}
    else:
        padding = tuple(n.integer(0, 2) for _ in range(4))
        geometry = {"stride": (n.integer(1, 3), n.integer(1, 3)), "padding": padding, "dilation": (dilation, 1)}
    weight = n.weights(out, kernel, kernel, channels // groups)
    return n.add(Conv2d(*n.synapse_fields(weight, tensor.scale.f), **geometry, groups=groups), x)


def fire_on(n: Network, x: str) -> str:
    """A neuron without state."""
    tensor = n.tensor(x)
    count = n.choice([1, 2, 4, 9])
    scale = tensor.scale
    channels = range(len(scale.f)) if not isinstance(scale.f, int) else [0]
    if len(channels) == 1 and n.draw(st.booleans()):
        channels = range(tensor.shape[-1])
    theta = Fraction(max(abs(tensor.lo), abs(tensor.hi), 1), n.choice([4, 16, 64])) * scale.unit(0)
    rows = [
        clamp_ladder(
            ladder(count, scale.unit(c if len(channels) > 1 and not isinstance(scale.f, int) else 0), theta=theta,
                   bias=theta * n.integer(-1, 1) / 4, half_even=n.draw(st.booleans())),
            tensor.lo, tensor.hi,
        )
        for c in channels
    ]  # fmt: skip
    return n.add(Fire(rows), x)


def layer(n: Network) -> None:
    x = n.a_count()
    drive = convolve(n, x)
    n.potentials.append(drive)
    n.counts.append(fire_on(n, drive))


def neuron(n: Network) -> None:
    x = n.a_potential()
    if x is not None:
        n.counts.append(fire_on(n, x))


def membrane(n: Network) -> None:
    x = n.a_potential(time=True)
    if x is None or not isinstance(n.tensor(x).scale.f, int):
        return
    tensor = n.tensor(x)
    count = n.choice([1, 2, 4])
    leak, _ = leak_terms(n.choice([0.0, 0.25, 0.5, 0.9, 1.0]))
    guard = guard_bits(leak, n.graph.timesteps)
    theta = max(max(abs(tensor.lo), abs(tensor.hi)) // n.choice([4, 16]), 1) << guard
    thresholds = ladder(count, Fraction(1), theta=Fraction(theta), half_even=n.draw(st.booleans()))
    hard = n.draw(st.booleans())
    amounts = None if hard else [k * theta for k in range(count + 1)]
    n.counts.append(n.add(Fire([thresholds], True, leak, hard, amounts, guard, n.graph.timesteps), x))


def branch(n: Network) -> None:
    """x + f(x): a synapse added to a stream of the same shape."""
    x = n.a_potential()
    if x is None or not isinstance(n.tensor(x).scale.f, int):
        return
    shape = n.tensor(x).shape
    near = [c for c in n.counts if n.tensor(c).shape[:3] == shape[:3]]
    counts = n.choice(near[-4:]) if near else fire_on(n, x)
    if counts not in n.counts:
        n.counts.append(counts)
    part = convolve(n, counts, out=shape[3], same=True)
    f = n.tensor(x).scale.f, n.tensor(part).scale.f
    if not all(isinstance(each, int) for each in f):
        n.potentials.append(part)
        return
    order = (x, part) if n.draw(st.booleans()) else (part, x)
    bits = [n.tensor(each).scale.f for each in order]
    n.potentials.append(n.add(Add((max(bits) - bits[0], max(bits) - bits[1])), *order))


def join(n: Network) -> None:
    pick = n.a_count if n.draw(st.booleans()) else n.a_potential
    x = pick()
    other = None if x is None else pick(shape=n.tensor(x).shape)
    if other is None:
        return
    fs = [n.tensor(each).scale.f for each in (x, other)]
    if all(isinstance(f, int) for f in fs):
        joined = n.add(Concat(3, tuple(max(fs) - f for f in fs)), x, other)
        (n.counts if x in n.counts and len(set(fs)) == 1 else n.potentials).append(joined)


def pool(n: Network) -> None:
    x = n.a_count() if n.draw(st.booleans()) else n.a_potential()
    if x is not None:
        kernel = (n.integer(1, 3), n.integer(1, 3))
        padding = tuple(n.integer(0, kernel[i % 2] - 1) for i in range(4))
        pooled = n.add(MaxPool(kernel, (n.integer(1, 2), n.integer(1, 2)), padding), x)
        n.counts.append(pooled if x in n.counts else fire_on(n, pooled))


def is_strided(n: Network, name: str) -> bool:
    """Whether potentials come from a convolution with a stride, which no chip upsamples behind the neuron's back."""
    if name in n.counts:
        return False
    node = next(each for each in n.graph.nodes if each.output == name)
    if isinstance(node.op, Conv2d):
        return node.op.stride != (1, 1)
    return any(is_strided(n, each) for each in node.inputs)


def upsample(n: Network) -> None:
    x = n.a_count() if n.draw(st.booleans()) else n.a_potential()
    if x is not None and not is_strided(n, x):
        n.keep(n.add(Upsample((n.integer(1, 2), n.integer(1, 2))), x), x)


def crop(n: Network) -> None:
    x = n.a_count() if n.draw(st.booleans()) else n.a_potential()
    if x is None:
        return
    shape = n.tensor(x).shape
    starts = [0, *(n.integer(0, min(size - 1, 2)) for size in shape[1:])]
    stops = [1, *(n.integer(start + 1, size) for start, size in zip(starts[1:], shape[1:], strict=True))]
    if x not in n.counts:
        starts[3], stops[3] = 0, shape[3]
    n.keep(n.add(Slice(tuple(starts), tuple(stops), (1,) * 4), x), x)


def border(n: Network) -> None:
    x = n.a_count()
    widths = [0, *(n.integer(0, 2) for _ in range(3)), 0, *(n.integer(0, 2) for _ in range(3))]
    n.counts.append(n.add(Pad(tuple(widths[:4]), tuple(widths[4:]), 0), x))


def classify(n: Network) -> None:
    """Flatten, or average over space, and a linear layer: an output."""
    x = n.a_count()
    tensor = n.tensor(x)
    if tensor.size > 4000:
        return
    if n.draw(st.booleans()):
        flat = n.add(Reshape((1, tensor.size)), x)
    else:
        flat = n.add(Mean((1, 2), False), x)
    features = n.tensor(flat).shape[-1]
    fields = n.synapse_fields(n.weights(n.choice([1, 10, 33]), features), n.tensor(flat).scale.f)
    n.add(Linear(*fields), flat)


def rounded(n: Network) -> None:
    x = n.a_potential()
    if x is not None and isinstance(n.tensor(x).scale.f, int):
        n.counts.append(fire_on(n, n.add(Align(n.integer(1, 3)), x)))


def over_time(n: Network) -> None:
    pool_of = n.a_potential if n.draw(st.booleans()) else n.a_count
    x = pool_of(time=True)
    if x is not None and isinstance(n.tensor(x).scale.f, int):
        n.add(Mean((), False, n.graph.timesteps), x)


STEPS = [
    layer, layer, neuron, membrane, branch, branch, branch, join, pool, upsample, crop, border, classify, rounded,
    over_time,
]  # fmt: skip


@st.composite
def networks(draw: Callable, largest: int = 6000) -> Graph:
    """A network of up to ten steps over one or two inputs of counts."""
    n = Network(draw)
    for number in range(draw(st.integers(1, 2))):
        shape = (1, draw(st.integers(1, 8)), draw(st.integers(1, 8)), draw(CHANNELS))
        hi = draw(st.sampled_from([1, 4, 4, 255]))
        time = draw(st.booleans())
        port = Port(f"in{number}", f"x{number}", "uint8", "", 0 if time else None, False)
        n.graph.add_input(port, Tensor(shape, 0, hi, Scale(draw(st.integers(0, 2))), time))
        n.counts.append(f"x{number}")
    first = convolve(n, n.a_count(), same=True)
    n.potentials.append(first)
    n.counts.append(fire_on(n, first))
    for _ in range(draw(st.integers(0, 9))):
        try:
            draw(st.sampled_from(STEPS))(n)
        except (ShapeError, RangeError, TypeError):
            continue  # this step does not fit here
        if n.graph.tensors[next(reversed(n.graph.tensors))].size > largest:
            break
    read = {name for node in n.graph.nodes for name in node.inputs}
    names = [node.output for node in n.graph.nodes if node.output not in read]
    told = {*n.counts, *n.potentials} & read  # the others are pooled or rounded potentials, which stay inside
    names += [node.output for node in n.graph.nodes if node.output in told and draw(st.integers(0, 5)) == 0]
    for name in names:
        n.graph.add_output(Port(f"out_{name}", name, "int32", "", 0 if n.graph.tensors[name].time else None))
    return n.graph
