"""Phases of a graph, declared shapes, and what a graph refuses."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyspike import reference
from pyspike.errors import RangeError, ShapeError
from pyspike.graph import Graph, Phase, Port, Scale, Tensor
from pyspike.ops import Add, Align, Expand, Fire, Linear, Mean


def temporal() -> Graph:
    """before (align) -> expand -> membrane -> mean over time -> after (align), two timesteps."""
    graph = Graph(timesteps=2)
    graph.add_input(Port("x", "x", "uint8"), Tensor((3,), 0, 255))
    graph.add(Align(1), ["x"], "half")
    graph.add(Expand((3,), time=True), ["half"], "drive")
    graph.add(Fire([[10, 30]], True, (1, 0), False, [0, 20, 40], 0, 2), ["drive"], "counts")
    graph.add(Mean((), False, 2), ["counts"], "mean")
    graph.add(Align(1), ["mean"], "after")
    graph.add_output(Port("y", "after", "int32"))
    graph.add_output(Port("spikes", "counts", "int32", time_axis=1))
    return graph


def test_phases() -> None:
    graph = temporal()
    assert [n.output for n in graph.nodes_in(Phase.BEFORE)] == ["half"]
    assert [n.output for n in graph.nodes_in(Phase.LOOP)] == ["drive", "counts", "mean"]
    assert [n.output for n in graph.nodes_in(Phase.AFTER)] == ["after"]


def test_reference_follows_the_timesteps() -> None:
    # half = 10, 25, 0: potentials 10 -> n 1, then 10 - 20 + 10 = 0 -> 0; 25 -> 1, then 30 -> 2.
    out = reference.run(temporal(), {"x": np.array([20, 50, 0])})
    np.testing.assert_array_equal(out["spikes"], [[1, 0], [1, 2], [0, 0]])
    np.testing.assert_array_equal(out["y"], [1, 2, 0])  # (1 + 1) >> 1, (3 + 1) >> 1


def test_a_stream_returns_each_steps_term() -> None:
    frames = [{"x": np.array([20, 50, 0])}] * 2
    found = [out["y"].tolist() for out in reference.stream(temporal(), iter(frames))]
    assert found == [[1, 1, 0], [0, 1, 0]]


def test_what_runs_at_every_step_cannot_read_what_is_known_at_the_end() -> None:
    graph = temporal()
    with pytest.raises(ShapeError, match="only after the last"):
        graph.add(Add((2, 0)), ["drive", "mean"], "sum")


def test_errors_name_the_node() -> None:
    graph = temporal()
    with pytest.raises(ShapeError, match="linear 'bad'"):
        graph.add(Linear(np.ones((1, 4)), [0], [0], None), ["x"], "bad")
    with pytest.raises(RangeError, match="linear 'wide'"):
        graph.add(Linear(np.full((1, 3), 127), [0], [20], None), ["x"], "wide")
    with pytest.raises(ShapeError, match="unique"):
        graph.add(Align(1), ["x"], "half")
    with pytest.raises(ShapeError, match="time axis"):
        graph.add_output(Port("z", "after", "int32", time_axis=0))
    with pytest.raises(ShapeError, match="unknown tensor"):
        graph.add_output(Port("z", "nothing", "int32"))
    assert not {"bad", "wide"} & set(graph.tensors)


def test_declared_shapes() -> None:
    tensor = Tensor((2, 3), 0, 1, time=True)
    assert Port("p", "t", "uint8").declared_shape(Tensor((2, 3), 0, 1), 4) == (2, 3)
    assert Port("p", "t", "uint8", time_axis=1).declared_shape(tensor, 4) == (2, 4, 3)
    assert Port("p", "t", "uint8", time_axis=2).declared_shape(tensor, 4) == (2, 3, 4)
    assert Port("p", "t", "uint8", time_axis=0, merged=True).declared_shape(tensor, 4) == (8, 3)


@given(st.integers(1, 10**6), st.integers(-5, 20))
def test_a_mean_divides_exactly(count, f) -> None:
    scale = Scale(f).over(count)
    assert scale.divisor % 2 == 1
    assert scale.unit() == Fraction(2) ** -f / count


def test_storage_follows_the_range() -> None:
    assert (Tensor((4,), 0, 255).dtype, Tensor((4,), 0, 255).nbytes) == ("uint8", 4)
    assert (Tensor((4,), 0, 256).dtype, Tensor((4,), -1, 1).dtype) == ("int32", "int32")
    for bad in [(0,), (1, 1, 1, 1, 1, 1)]:
        with pytest.raises(ShapeError):
            Tensor(bad, 0, 1)
    with pytest.raises(RangeError):
        Tensor((1,), 1, 0)
