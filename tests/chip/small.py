"""Small networks by hand for tests of the mapping, and how to run them."""

from __future__ import annotations

import numpy as np

from pyspike import reference
from pyspike.chip.config import Chip
from pyspike.chip.mapping import MappedNetwork, map_network
from pyspike.chip.places import Network, network
from pyspike.chip.simulate import SimulationReport, simulate
from pyspike.chip.waits import number_steps
from pyspike.graph import Graph, Port, Scale, Tensor
from pyspike.ops import Add, Conv2d, Fire, Linear, Op

AMPLE = Chip(mesh=(1, 1), weight_sram=2**20, potential_sram=2**20, port_table=255)
"""One core with room for everything here."""


class Net:
    """A graph under construction; weights are the same in every run."""

    def __init__(self, timesteps: int = 1) -> None:
        self.graph = Graph(timesteps=timesteps)
        self.rng = np.random.default_rng(7)

    def input(self, name: str = "x", rows: int = 4, columns: int = 4, channels: int = 8, hi: int = 4,
              time: bool = False, lo: int = 0, f: int = 0) -> str:  # fmt: skip
        port = Port(name, name, "uint8" if lo == 0 else "int8", "", 0 if time else None)
        self.graph.add_input(port, Tensor((1, rows, columns, channels), lo, hi, Scale(f), time))
        return name

    def op(self, name: str, op: Op, *inputs: str) -> str:
        return self.graph.add(op, inputs, name)

    def conv(self, name: str, x: str, out: int = 8, kernel: int = 3, shift: int = 0, groups: int = 1) -> str:
        """A convolution that keeps rows and columns."""
        channels = self.graph.tensors[x].shape[3]
        weight = self.rng.integers(-6, 8, (out, kernel, kernel, channels // groups))
        fields = weight, np.zeros(out, int), np.full(out, shift), self.rng.integers(-9, 9, out)
        return self.op(name, Conv2d(*fields, padding=(kernel // 2,) * 4, groups=groups), x)

    def linear(self, name: str, x: str, out: int = 10) -> str:
        weight = self.rng.integers(-6, 8, (out, self.graph.tensors[x].shape[-1]))
        return self.op(name, Linear(weight, np.zeros(out, int), np.zeros(out, int), None), x)

    def fire(self, name: str, x: str, ladder: tuple[int, ...] = (10, 60)) -> str:
        return self.op(name, Fire([list(ladder)]), x)

    def membrane(self, name: str, x: str, theta: int = 200, guard: int = 0) -> str:
        """A neuron that keeps half of its potential from one timestep to the next."""
        steps = self.graph.timesteps
        amounts = [0, theta << guard]
        return self.op(name, Fire([[theta << guard]], True, (1, 1), False, amounts, guard, steps), x)

    def add(self, name: str, *inputs: str) -> str:
        return self.op(name, Add((0,) * len(inputs)), *inputs)

    def out(self, *names: str) -> Graph:
        for name in names:
            time = 0 if self.graph.tensors[name].time else None
            self.graph.add_output(Port(name, name, "int32", "", time))
        return self.graph


def residual(timesteps: int = 1, membranes: bool = False) -> Graph:
    """A stream of drives `a`, `s` and `z`, each with a neuron. Its branches are bottlenecks of two synapses."""
    n = Net(timesteps)
    fire = n.membrane if membranes else n.fire

    def branch(name: str, x: str) -> str:
        return n.conv(name, n.fire(f"{name}_in_n", n.conv(f"{name}_in", x, out=24, kernel=1)))

    a = n.conv("a", n.input(time=timesteps > 1))
    s = n.add("s", a, branch("c", fire("a_n", a)))
    z = n.add("z", s, branch("d", fire("s_n", s)))
    return n.out(fire("z_n", z))


def skips(timesteps: int = 1) -> Graph:
    """Counts `b` are read by the stream's next branch, and again by one that comes three steps later."""
    n = Net(timesteps)
    a = n.conv("a", n.input(time=timesteps > 1))
    b = n.fire("b", a)
    s = n.add("s", a, n.conv("c", b))
    z = n.add("z", s, n.conv("d", n.fire("s_n", s)))
    last = n.add("last", n.add("zz", z, n.conv("e", n.fire("z_n", z))), n.conv("late", b, kernel=1))
    return n.out(n.fire("last_n", last))


def case_of(graph: Graph, seed: int = 0, density: float = 0.7) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    found = {}
    for port in graph.inputs:
        tensor = graph.tensors[port.tensor]
        shape = port.declared_shape(tensor, graph.timesteps)
        values = rng.integers(tensor.lo, tensor.hi, shape, endpoint=True) * (rng.random(shape) < density)
        found[port.name] = values.astype(port.dtype)
    return found


def numbered(graph: Graph) -> Network:
    """The places of `graph`, with the order of their steps."""
    found = network(graph)
    number_steps(found.dataflow)
    return found


def mapped(graph: Graph, chip: Chip = AMPLE, **options: object) -> MappedNetwork:
    return map_network(graph, chip, **{"effort": 0, **options})  # type: ignore[arg-type]


def assert_exact(graph: Graph, chip: Chip | MappedNetwork = AMPLE, seeds: range = range(2)) -> SimulationReport:
    """Simulated outputs are the reference's, and not all alike; the report of the last run."""
    onto = chip if isinstance(chip, MappedNetwork) else mapped(graph, chip)
    for seed in seeds:
        case = case_of(graph, seed)
        report = simulate(onto, case, windows=0, raster=0)
        expected = reference.run(graph, case)
        assert expected.keys() == report.outputs.keys()
        for name, values in expected.items():
            assert report.outputs[name].shape == values.shape, name
            assert np.array_equal(report.outputs[name], values), name
        assert any(np.ptp(values) for values in expected.values()), "a network that says nothing proves nothing"
    return report
