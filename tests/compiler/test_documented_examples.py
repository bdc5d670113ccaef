"""The worked examples of docs/semantics.md, computed."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from pyspike import reference
from pyspike.compiler import lower
from pyspike.graph import Scale, Tensor
from pyspike.ops import Conv2d, Fire
from pyspike.ops.fire import ladder
from pyspike.quantise import round_bias
from tests.compiler.networks import Writer


def test_synapse():
    w = Writer()
    x = w.cast(w.input("x", (1, 2)))
    y = w.node("Gemm", [x, w.constant(np.array([[0.5, 0.25]]))], (1, 1), transB=1)
    graph = lower(w.model([y]), calibration={"x": (0, 4, 0)})
    (node,) = graph.nodes
    assert (node.op.weight.tolist(), node.op.exponent.tolist(), node.op.shift.tolist()) == ([[2, 1]], [2], [10])
    assert reference.run(graph, {"x": np.array([[3, 1]], dtype=np.uint8)})[y].tolist() == [[7168]]


def test_bias():
    assert round_bias(np.array([0.3, -(2.0**-13)]), 12).tolist() == [1229, 0]


def test_mean():
    assert Scale(0).over(12) == Scale(2, 3)


def test_ladders():
    unit = Fraction(1, 2)
    assert ladder(4, unit, half_even=False) == [1, 3, 5, 7]
    assert ladder(4, unit, half_even=True) == [2, 3, 6, 7]


def test_swallowed_thresholds():
    w = Writer()
    x = w.cast(w.input("x", (1, 1)))
    rows, biases = w.constant(np.array([[0.25], [1.0]])), w.constant(np.array([0.25, 0.0]))
    y = w.fire(w.node("Gemm", [x, rows, biases], (1, 2), transB=1), 1)
    synapse, fire = (node.op for node in lower(w.model([y])).nodes)
    assert synapse.exponent.tolist() == [2, 0]
    assert fire.thresholds.tolist() == [[1]]  # both channels have T = 1


def test_membrane():
    w = Writer()
    y = w.fire(w.input("x", (2, 1), "float32"), 4, T=2, decay=0.25, half_even=1)
    graph = lower(w.model([y]), calibration={"x": (-20, 20, 2)})
    (fire,) = (node.op for node in graph.nodes if isinstance(node.op, Fire))
    assert fire.guard == 2
    n, stored = fire.reference_step(np.array([11]), np.array([0]))
    assert (n.tolist(), stored.tolist()) == ([3], [-4])
    potential = fire.decayed(stored) + (np.array([4]) << fire.guard)
    assert potential.tolist() == [15]
    assert fire.reference_step(np.array([4]), stored)[0].tolist() == [1]


def test_counting():
    op = Conv2d(np.ones((8, 3, 3, 1)), np.zeros(8), np.zeros(8), None, padding=(1, 1, 1, 1))
    x = np.zeros((1, 5, 5, 1), dtype=np.int64)
    x[0, 2, 2, 0] = 3
    assert op.sops(x) == 216
    assert op.shape(Tensor(x.shape, 0, 4)) == (1, 5, 5, 8)
    assert int(op.targets(x.shape)[0, 2, 2, 0]) == 72
