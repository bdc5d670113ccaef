"""Binary spikes, sub-step by sub-step, give the integers of counts: the papers' T x D sub-steps lose nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyspike import reference
from pyspike.errors import RangeError
from pyspike.graph import Graph, Port, Scale, Tensor
from pyspike.ops import Conv2d, Fire
from tests.exact.graphs import graphs, inputs_of


@given(st.data())
def test_both_codings_equal_the_counts_on_any_graph(data: st.DataObject) -> None:
    graph = data.draw(graphs())
    inputs = data.draw(inputs_of(graph))
    expected = reference.run(graph, inputs)
    for coding in ("unary", "bitwise"):
        found = reference.run(graph, inputs, coding=coding)
        assert all((found[name] == values).all() for name, values in expected.items()), coding


@given(st.integers(-200, 0), st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_sub_steps_are_binary_and_sum_to_the_integers(lo: int, hi: int, seed: int) -> None:
    x = np.random.default_rng(seed).integers(lo, hi, 50, endpoint=True)
    for coding in ("unary", "bitwise"):
        steps = list(reference.sub_steps(x, Tensor((50,), lo, hi), coding))
        assert all(set(np.unique(spikes)) <= {0, 1} for _, spikes in steps)
        assert (sum(factor * spikes for factor, spikes in steps) == x).all()
        if coding == "unary" and lo == 0 and hi <= reference.MAX_UNARY:
            assert [factor for factor, _ in steps] == [1] * hi


def test_a_bias_is_added_once_a_timestep_and_not_once_a_sub_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes wrong where a published network with biases is run naively on T x D sub-steps."""
    graph = Graph(timesteps=2)
    graph.add_input(Port("x", "x", "uint8", time_axis=0), Tensor((1, 2, 2, 1), 0, 4, Scale(), True))
    weight = np.ones((1, 1, 1, 1), dtype=np.int8)
    graph.add(Conv2d(weight, np.zeros(1), np.zeros(1), np.array([5])), ["x"], "drive")
    graph.add(Fire(np.array([[6, 8]])), ["drive"], "counts")
    graph.add_output(Port("drive", "drive", "int32", time_axis=0))
    x = {"x": np.full((2, 1, 2, 2, 1), 3, dtype=np.uint8)}
    assert (reference.run(graph, x, coding="unary")["drive"] == 8).all()
    naive = lambda self, op, tensor, x: sum(  # noqa: E731
        factor * op.reference(spikes) for factor, spikes in reference.sub_steps(x, tensor, "unary")
    )
    monkeypatch.setattr(reference.State, "_in_sub_steps", naive)
    with pytest.raises(RangeError, match=r"\[23, 23\]"):  # 3 + 4 * 5, and no integer of this network any more
        reference.run(graph, x, coding="unary")


def test_an_unknown_coding_is_refused() -> None:
    with pytest.raises(ValueError, match="unary"):
        list(reference.sub_steps(np.zeros(1, dtype=np.int64), Tensor((1,), 0, 1), "ternary"))
