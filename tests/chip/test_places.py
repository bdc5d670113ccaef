"""Which places a network becomes: streams, neurons pushed in front of moves, copies, and what no chip can run."""

from __future__ import annotations

import numpy as np
import pytest

from pyspike.chip.config import Chip
from pyspike.chip.dataflow import Place
from pyspike.chip.firmware import COUNTS, FIRE, MAX, OUTPUT
from pyspike.chip.places import Network
from pyspike.chip.simulate import simulate
from pyspike.errors import UnsupportedOpError
from pyspike.graph import Graph, Port, Tensor
from pyspike.ops import (
    Add,
    Align,
    Concat,
    Constant,
    Conv2d,
    Expand,
    Fire,
    MaxPool,
    Mean,
    Pad,
    Reshape,
    Slice,
    Transpose,
    Upsample,
)  # fmt: skip
from pyspike.reference import run, synaptic_operations

from .small import AMPLE, Net, assert_exact, case_of, mapped, numbered, residual


def steps_of(found: Network) -> dict[str, list[str]]:
    """Names of the steps of every place."""
    return {place.name: [step.name for step in place.steps] for place in found.dataflow.places}


def place_of(found: Network, name: str) -> Place:
    (place,) = [place for place in found.dataflow.places if place.name == name]
    return place


# Streams


@pytest.mark.parametrize(("timesteps", "membranes"), [(1, False), (3, False), (3, True)])
def test_a_stream_is_one_place_and_its_sums_are_none(timesteps: int, membranes: bool) -> None:
    graph = residual(timesteps, membranes)
    found = numbered(graph)
    assert steps_of(found) == {"a": ["a_n", "s_n", "z_n"], "c_in": ["c_in_n"], "d_in": ["d_in_n"]}
    place = place_of(found, "a")
    assert [[edge.synapses.layer for edge in step.edges] for step in place.steps] == [["a"], ["c"], ["d"]]
    assert [step.kind for step in place.steps] == [FIRE] * 3
    assert place.membranes == 3 * membranes
    assert found.dataflow.relays == []
    assert_exact(graph)


def test_a_branch_of_one_synapse_needs_a_relay() -> None:
    """A step cannot wait for the group behind it in its own place."""
    n = Net()
    a = n.conv("a", n.input())
    s = n.add("s", a, n.conv("c", n.fire("a_n", a)))
    graph = n.out(n.fire("s_n", s), "s")
    found = numbered(graph)
    assert steps_of(found) == {"a": ["a_n", "s_n", "s"], "a_n for s_n": ["a_n for s_n"]}
    assert found.dataflow.relays == ["a_n for s_n"]
    assert [edge.synapses.layer for edge in place_of(found, "a").steps[1].edges] == ["c"]
    assert place_of(found, "a").steps[2].kind == OUTPUT
    assert_exact(graph)


def test_a_finer_branch_moves_the_whole_stream_to_its_grid() -> None:
    """x << 3 + f(x): what was fired before is compared on the finer grid, and delivered potentials come back."""
    n = Net()
    a = n.conv("a", n.input())
    s = n.op("s", Add((3, 0)), a, n.conv("c", n.fire("a_n", a), shift=3))
    graph = n.out(n.fire("s_n", s, (100, 500)), "a")
    place = place_of(numbered(graph), "a")
    assert [step.name for step in place.steps] == ["a_n", "a", "s_n"]
    assert place.steps[0].ladder.tolist() == [[80, 480]]
    assert place.steps[1].shift == 3
    assert_exact(graph)


def test_a_membrane_without_guard_bits_needs_its_own_place() -> None:
    """The same synapse in two places of one core, with other shifts: neither may take the other's."""
    n = Net(2)
    a = n.conv("a", n.input(time=True), out=40)
    s = n.op("s", Add((3, 0)), a, n.conv("c", n.fire("a_n", a), out=40, shift=3))
    graph = n.out(n.fire("s_n", s, (100, 500)), n.membrane("a_m", a))
    found = numbered(graph)
    assert steps_of(found) == {"a": ["a_n", "s_n"], "a (2)": ["a_m"], "a_n for s_n": ["a_n for s_n"]}
    assert found.copies["a"] == {"a": 1, "a (2)": 1}
    assert_exact(graph)


def test_a_membrane_gives_the_finer_grid_out_of_its_guard_bits() -> None:
    n = Net(3)
    a = n.conv("a", n.input(time=True))
    s = n.op("s", Add((3, 0)), a, n.conv("c", n.membrane("a_m", a, theta=30, guard=4), shift=3))
    graph = n.out(n.fire("s_n", s, (100, 500)), "a_m")
    place = place_of(numbered(graph), "a")
    assert [step.name for step in place.steps] == ["a_m", "s_n"]
    assert [step.guard for step in place.steps] == [1, 0]
    assert_exact(graph)


# Fire first, then move


def moved(kind: str) -> Graph:
    """Potentials that something moves before a neuron reads them, and a synapse behind it."""
    n = Net()
    x = n.input(rows=6, columns=6)
    a, b = n.conv("a", x), n.conv("b", x)
    ops = {
        "concat": (Concat(3, (0, 2)), (a, b)),
        "upsample": (Upsample((2, 3)), (a,)),
        "max_pool": (MaxPool((3, 2), (2, 2), (1, 0, 1, 0)), (a,)),
        "slice": (Slice((0, 1, 2, 3), (1, 5, 6, 7), (1,) * 4), (a,)),
    }
    m = n.op("m", *[each for part in ops[kind] for each in (part if isinstance(part, tuple) else (part,))])
    return n.out(n.conv("y", n.fire("m_n", m)), "m_n")


@pytest.mark.parametrize("kind", ["concat", "upsample", "slice"])
def test_neurons_fire_where_the_potentials_are(kind: str) -> None:
    graph = moved(kind)
    found = numbered(graph)
    assert not {place.name for place in found.dataflow.places} & {"m", "m_n"}
    assert steps_of(found)["a"] == ["m_n"]
    (layer,) = place_of(found, "y").steps
    sources = [edge.source.place.name for edge in layer.edges]
    if kind == "concat":
        assert sources == ["a", "b"]
        assert [edge.dc for edge in layer.edges] == [0, 8]
        assert place_of(found, "b").steps[0].ladder.tolist() == [[3, 15]]  # the operand is shifted by 2
    elif kind == "upsample":
        assert layer.edges[0].synapses.upsample == (2, 3)
    else:
        (edge,) = layer.edges
        assert (edge.window, edge.low, edge.high, edge.dc) == ((1, 4, 2, 5), 3, 7, -3)
    assert_exact(graph)
    assert_exact(graph, Chip(mesh=(3, 2), lanes=8, port_table=255))


def test_pooled_potentials_are_counts_of_a_pooling_place() -> None:
    graph = moved("max_pool")
    found = numbered(graph)
    (pool,) = [place for place in found.dataflow.places if place.mode == MAX]
    assert pool.canvas == (3, 3, 8)
    assert [edge.source.name for edge in pool.steps[0].edges] == ["m_n"]
    assert steps_of(found)["a"] == ["m_n"]
    report = assert_exact(graph, Chip(mesh=(3, 2), lanes=8, port_table=255))
    assert sum(each.total("maxes") for each in report.passes) > 0


def test_a_rounding_shift_moves_thresholds() -> None:
    n = Net()
    graph = n.out(n.fire("y", n.op("r", Align(2), n.conv("a", n.input())), (3, 15)))
    (place,) = numbered(graph).dataflow.places
    assert place.steps[0].ladder.tolist() == [[10, 58]]  # the least a with (a + 2) >> 2 >= 3, 15
    assert_exact(graph)


# Classification, time, several inputs, outputs


@pytest.mark.parametrize("timesteps", [1, 3])
@pytest.mark.parametrize("how", ["flatten", "flatten NCHW", "mean", "cut", "cut NCHW"])
def test_linear_layers(how: str, timesteps: int) -> None:
    n = Net(timesteps)
    b = n.fire("b", n.conv("a", n.input(time=timesteps > 1), out=20))
    if how.startswith("cut"):
        window = ((0, 1, 0, 2), (1, 4, 3, 19))
        if how.endswith("NCHW"):
            b, order = n.op("t", Transpose((0, 3, 1, 2)), b), [0, 3, 1, 2]
            window = tuple(tuple(each[k] for k in order) for each in window)
        b = n.op("cut", Slice(*window, (1,) * 4), b)
    elif how.endswith("NCHW"):
        b = n.op("t", Transpose((0, 3, 1, 2)), b)
    if how == "mean":
        flat = n.op("m", Mean((1, 2), False), b)
    else:
        flat = n.op("flat", Reshape((1, int(np.prod(n.graph.tensors[b].shape)))), b)
    y = n.linear("y", flat)
    outputs = [y] if timesteps == 1 else [y, n.op("rate", Mean((), False, timesteps), y)]
    graph = n.out(*outputs)
    report = assert_exact(graph, Chip(mesh=(2, 2), lanes=8, port_table=255))
    counted = sops_of(graph, 1)
    assert report.sops - sum(report.extra_sops.values()) == sum(counted.values()) or how == "cut NCHW"


def sops_of(graph: Graph, seed: int) -> dict[str, int]:
    watched: dict[str, list[np.ndarray]] = {}
    run(graph, case_of(graph, seed), watched)
    return synaptic_operations(graph, watched)


def test_a_mean_over_time_is_one_sum() -> None:
    n = Net(4)
    b = n.membrane("b", n.conv("a", n.input(time=True)))
    pooled = n.op("p", Mean((1, 2), False), b)
    biased = n.op("biased", Mean((), False, 4), n.conv("c", b))  # the bias counts once for each timestep
    rate = n.op("rate", Mean((), False, 4), n.linear("y", pooled))
    graph = n.out(rate, n.op("rates", Mean((), False, 4), b), biased)
    found = numbered(graph)
    (step,) = place_of(found, "rate").steps
    assert place_of(found, "rate").keeps
    assert step.last
    report = assert_exact(graph)
    assert report.outputs["rate"].shape == (1, 10)


def test_inputs_that_stay_are_sent_at_every_timestep() -> None:
    n = Net(3)
    still, moving = n.input("still"), n.input("moving", time=True)
    a = n.add("sum", n.conv("a", still), n.conv("b", moving))
    graph = n.out(n.membrane("y", a), n.fire("z", n.conv("c", still)))
    found = numbered(graph)
    assert {each.name: each.varies for each in found.dataflow.inputs} == {"still": False, "moving": True}
    assert found.copies == {"a": {"sum": 3}, "b": {"sum": 1}, "c": {"c": 3}}
    report = assert_exact(graph)
    assert report.sops - sum(report.extra_sops.values()) == sum(sops_of(graph, 1).values())
    assert report.extra_sops.keys() == {"a", "c"}


def test_outputs_that_are_counts_moved_or_the_hosts_own() -> None:
    n = Net()
    x = n.input()
    a = n.conv("a", x)
    b = n.fire("b", a)
    n.op("nchw", Transpose((0, 3, 1, 2)), a)
    n.op("up", Upsample((2, 2)), b)
    n.op("both", Concat(3, (0, 0)), a, a)
    n.op("five", Constant(np.full((1, 1, 1, 8), 5), 0))
    n.op("padded", Pad((0, 1, 1, 0), (0, 0, 0, 2), 0), b)
    graph = n.out(b, "nchw", "up", "both", n.op("turned", Transpose((0, 2, 1, 3)), x), "five", "padded")
    found = numbered(graph)
    assert steps_of(found) == {"a": ["b", "a"]}  # moves are the host's; `five` and `turned` never enter the chip
    assert [step.delivery.kind == COUNTS for step in found.dataflow.steps()] == [True, False]
    assert_exact(graph)


# Copies


def test_replicated_synapses_are_counted() -> None:
    n = Net()
    x = n.input()
    a, b = n.conv("a", x), n.conv("b", x)
    wide = n.add("wide", n.op("up", Upsample((2, 2)), a), n.conv("w", n.op("x_up", Upsample((2, 2)), x)))
    graph = n.out(n.fire("y", wide), n.fire("s", n.add("ab", a, b)), n.fire("z", b))
    found = numbered(graph)
    # `b` is a moment of the stream `ab`: it runs once.
    assert found.copies == {"a": {"wide": 4, "ab": 1}, "w": {"wide": 1}, "b": {"ab": 1}}
    assert steps_of(found)["ab"] == ["z", "s"]
    report = assert_exact(graph)
    counted = sops_of(graph, 1)
    assert found.dataflow.relays == ["x for s"]
    assert report.extra_sops == {"a": 4 * counted["a"], "x for s": int(case_of(graph, 1)["x"].sum())}


def test_cropped_potentials_are_no_copy_of_the_synapse() -> None:
    """The chip does fewer SOPs where only a window of a synapse's sums is read: there is no excess to tell."""
    n = Net()
    a = n.conv("a", n.input())
    cut = n.op("cut", Slice((0, 1, 1, 0), (1, 3, 4, 8), (1,) * 4), a)
    other = n.conv("b", n.input("x2", 2, 3))
    graph = n.out(n.fire("y", n.add("s", cut, other)))
    found = numbered(graph)
    assert found.copies == {"a": {"s": 0}, "b": {"s": 1}}
    report = assert_exact(graph)
    assert report.extra_sops == {}
    assert report.sops < sum(sops_of(graph, 1).values())


def test_a_relay_and_the_identity_of_added_counts_are_extra() -> None:
    n = Net()
    x = n.input()
    a = n.conv("a", x)
    graph = n.out(n.fire("y", n.add("s", a, x)))
    report = assert_exact(graph)
    assert report.extra_sops == {"x": int(case_of(graph, 1)["x"].sum())}


# What no chip can run


def refused(graph: Graph) -> str:
    with pytest.raises(UnsupportedOpError) as caught:
        mapped(graph)
    return str(caught.value)


def test_a_synapse_on_potentials() -> None:
    n = Net()
    message = refused(n.out(n.conv("b", n.conv("a", n.input()))))
    assert "conv2d 'b'" in message
    assert "reads conv2d 'a'" in message
    assert "put a neuron before it" in message


def test_counts_joined_from_other_grids() -> None:
    n = Net()
    joined = n.op("j", Concat(3, (0, 1)), n.input("finer", f=1), n.input())
    message = refused(n.out(n.conv("b", joined)))
    assert "conv2d 'b'" in message
    assert "concat 'j' in 0..8" in message


def test_a_batch() -> None:
    graph = Graph()
    graph.add_input(Port("x", "x", "uint8"), Tensor((2, 4, 4, 8), 0, 4))
    graph.add(Conv2d(np.ones((8, 1, 1, 8)), np.zeros(8), np.zeros(8), None), ["x"], "a")
    graph.add_output(Port("a", "a", "int32"))
    message = refused(graph)
    assert "(2, 4, 4, 8)" in message
    assert "export batch 1" in message


def test_negative_inputs() -> None:
    n = Net()
    message = refused(n.out(n.fire("y", n.conv("a", n.input(lo=-4)))))
    assert "conv2d 'a'" in message
    assert "input 'x' in -4..4" in message


def test_a_membrane_behind_pooled_or_rounded_potentials() -> None:
    for op, name in ((MaxPool((2, 2), (2, 2), (0,) * 4), "max_pool 'p'"), (Align(2), "align 'p'")):
        n = Net(2)
        p = n.op("p", op, n.conv("a", n.input(time=True)))
        message = refused(n.out(n.membrane("y", p)))
        assert name in message
        assert "'y'" in message
        assert "has a membrane" in message


def test_a_broadcasting_add() -> None:
    n = Net()
    a, b = n.conv("a", n.input()), n.conv("b", n.input("x2", 1, 1))
    message = refused(n.out(n.fire("y", n.add("s", a, b))))
    assert "add 's'" in message
    assert "broadcasts 'b'" in message
    n = Net()
    wide = n.op("wide", Expand((1, 4, 4, 8)), n.conv("a", n.input(rows=1, columns=1)))
    message = refused(n.out(n.fire("y", n.add("s", wide, n.conv("b", n.input("x2"))))))
    assert "expand 'wide'" in message
    assert "broadcasts" in message


def test_a_constant_that_differs_between_sites() -> None:
    n = Net()
    a = n.conv("a", n.input())
    n.op("c", Constant(np.arange(16).reshape(1, 4, 4, 1), 0))
    message = refused(n.out(n.fire("y", n.add("s", a, "c"))))
    assert "add 's'" in message
    assert "differs between sites (shape (1, 4, 4, 1))" in message


@pytest.mark.parametrize("shape", [(1, 1, 1, 8), (1,), (1, 1, 1, 1), (8,)])
def test_a_constant_of_each_channel_is_a_bias(shape: tuple[int, ...]) -> None:
    n = Net()
    a = n.conv("a", n.input())
    n.op("c", Constant(np.arange(5, 5 + int(np.prod(shape))).reshape(shape), 0))
    assert_exact(n.out(n.fire("y", n.add("s", a, "c"))))


def test_a_strided_slice() -> None:
    n = Net()
    b = n.fire("b", n.conv("a", n.input()))
    part = n.op("p", Slice((0, 0, 0, 0), (1, 4, 4, 8), (1, 2, 1, 1)), b)
    message = refused(n.out(n.conv("y", part)))
    assert "slice 'p'" in message
    assert "every other value" in message
    n = Net()
    part = n.op("p", Slice((0, 0, 0, 0), (1, 4, 4, 8), (1, 2, 1, 1)), n.conv("a", n.input()))
    message = refused(n.out(n.fire("y", n.add("s", part, part))))
    assert "slice 'p'" in message


def test_nothing_to_do() -> None:
    n = Net()
    x = n.input()
    message = refused(n.out(n.op("t", Transpose((0, 3, 1, 2)), x)))
    assert "nothing for a chip to do" in message


def test_pooled_potentials_that_nobody_fires() -> None:
    n = Net()
    message = refused(n.out(n.op("p", MaxPool((2, 2), (2, 2), (0,) * 4), n.conv("a", n.input()))))
    assert "max_pool 'p'" in message
    assert "no neuron" in message


def test_too_large_a_canvas() -> None:
    graph = Graph()
    graph.add_input(Port("x", "x", "uint8"), Tensor((1, 1, 1025, 1), 0, 4))
    graph.add(Conv2d(np.ones((1, 1, 1, 1)), [0], [0], None), ["x"], "a")
    graph.add(Fire([[1]]), ["a"], "b")
    graph.add_output(Port("b", "b", "int32"))
    message = refused(graph)
    assert "(1, 1025, 1)" in message
    assert "1024" in message


def test_a_shift_beyond_the_shifter() -> None:
    n = Net()
    a = n.op("a", Conv2d(np.zeros((8, 1, 1, 8)), np.zeros(8), np.full(8, 20), None), n.input())
    s = n.op("s", Add((12, 0)), a, n.op("c", Conv2d(np.ones((8, 1, 1, 8)), np.full(8, 32), np.zeros(8), None), "x"))
    with pytest.raises(UnsupportedOpError, match="'a' needs a left shift of 32, a core shifts by up to 31"):
        mapped(n.out(n.fire("y", s)))


def test_the_refused_are_refused_by_simulate_too() -> None:
    n = Net()
    graph = n.out(n.conv("b", n.conv("a", n.input())))
    with pytest.raises(UnsupportedOpError):
        simulate(graph, case_of(graph), AMPLE)
