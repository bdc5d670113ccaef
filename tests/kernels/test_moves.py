"""Neurons of any number of channels, and moves large enough that threads share them, against the reference, with ==."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyspike import image, reference
from pyspike.graph import Graph, Tensor
from pyspike.ops import Add, Concat, Expand, Fire, MaxPool, Mean, Op, Pad, Reshape, Slice, Transpose, Upsample
from pyspike.runtime import Model, available_isas
from tests.kernels.cases import graph_of, halves, inputs_of


def check(graph: Graph, seed: int) -> None:
    """All instruction sets and numbers of threads give what the reference gives."""
    inputs = inputs_of(graph, 1.0, seed)
    expected = reference.run(graph, inputs)["out"]
    model = Model.load(image.to_bytes(graph))
    for isa in available_isas():
        for threads in (1, 3):
            found = model.runtime(threads=threads, isa=isa).run(inputs, raw=True)["out"]
            np.testing.assert_array_equal(found, expected, f"{isa}, {threads}")


@given(st.data())
def test_fire_equals_reference(data) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    channels = data.draw(st.integers(1, 200))
    levels = data.draw(st.sampled_from([1, 2, 3, 4, 8]))
    lo, hi = data.draw(st.sampled_from([(0, 60), (-900, 900)]))
    rows = channels if data.draw(st.booleans()) else 1
    ladder = np.sort(rng.integers(lo, hi + 1, (rows, levels)), axis=1)
    shape = (1, data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9)), channels)
    check(graph_of(Fire([[int(t) for t in row] for row in ladder]), Tensor(shape, lo, hi)), channels)


LARGE = (1, 80, 41, 48)
MOVES: dict[str, tuple[Op, int]] = {
    "concat": (Concat(3, (0, 2)), 2),
    "concat-rows": (Concat(1, (0, 1)), 2),
    "upsample": (Upsample((2, 2)), 1),
    "max_pool": (MaxPool((5, 5), (1, 1), (2, 2, 2, 2)), 1),
    "transpose": (Transpose((0, 3, 1, 2)), 1),
    "slice": (Slice((0, 1, 0, 3), (1, 80, 41, 48), (1, 1, 1, 1)), 1),
    "pad": (Pad((0, 1, 2, 0), (0, 0, 3, 1), 0), 1),
    "reshape": (Reshape((1, 3280, 48)), 1),
    "expand": (Expand((3, 80, 41, 48), False), 1),
    "mean-rows": (Mean((1, 2), False), 1),
    "mean-channels": (Mean((3,), False), 1),
    "add": (Add((0, 1)), 2),
}


@pytest.mark.parametrize("hi", [9, 900])
@pytest.mark.parametrize("name", MOVES)
def test_threads_share_large_moves(name: str, hi: int) -> None:
    op, count = MOVES[name]
    tensor = Tensor(LARGE, 0 if hi <= 255 else -hi, hi)
    operands = [tensor, halves(tensor)][:count]
    if name == "concat":
        operands[1] = Tensor(LARGE, tensor.lo, tensor.hi, type(tensor.scale)(tensor.scale.f - 2))
    check(graph_of(op, *operands), 5)
