"""Depthwise convolutions by rows, by masks and by bits of weights, against the NumPy reference, with ==."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyspike import image, reference
from pyspike.graph import Graph, Tensor
from pyspike.ops import Conv2d
from pyspike.runtime import Model, available_isas
from tests.kernels.cases import graph_of, inputs_of

RANGES = [(0, 1), (0, 3), (0, 4), (0, 8), (0, 255), (-9, 7), (-70_000, 90_000)]
CONFIGURATIONS = [(isa, threads) for isa in available_isas() for threads in (1, 3)]


@st.composite
def depthwise_graphs(draw) -> Graph:
    """Windows next to each other, as most are, on maps narrower and wider than a tile; a few at a distance."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    channels = draw(st.sampled_from([1, 8, 16, 20, 33, 48, 64, 80, 96, 130]))
    kernel = (draw(st.integers(1, 7)), draw(st.sampled_from([1, 2, 3, 3, 5, 7, 7])))
    limit = draw(st.sampled_from([1, 7, 127]))
    weight = rng.integers(-limit, limit, (channels, *kernel, 1), endpoint=True)
    exponent = rng.integers(0, 4, channels)
    bias = rng.integers(-999, 999, channels) if draw(st.booleans()) else None
    far = draw(st.integers(0, 4)) == 0
    op = Conv2d(
        weight,
        exponent,
        exponent.max() - exponent,
        bias,
        stride=(draw(st.integers(1, 2)), 2 if far else 1),
        padding=tuple(draw(st.integers(0, kernel[i % 2])) for i in range(4)),
        dilation=(draw(st.integers(1, 2)), draw(st.integers(1, 2)) if far else 1),
        groups=channels,
    )
    size = (draw(st.integers(13, 20)), draw(st.sampled_from([13, 14, 20, 21, 39, 45])))
    lo, hi = draw(st.sampled_from(RANGES))
    return graph_of(op, Tensor((draw(st.integers(1, 2)), *size, channels), lo, hi))


@given(depthwise_graphs(), st.sampled_from([0.0, 0.1, 1.0, 2.0]))
def test_depthwise_equals_reference(graph: Graph, density: float) -> None:
    inputs = inputs_of(graph, density, 1)
    expected = reference.run(graph, inputs)["out"]
    model = Model.load(image.to_bytes(graph))
    for isa, threads in CONFIGURATIONS:
        runtime = model.runtime(threads=threads, isa=isa)
        np.testing.assert_array_equal(runtime.run(inputs, raw=True)["out"], expected, f"{isa}, {threads}")


def additions(weight: np.ndarray, x: np.ndarray, hi: int) -> dict[str, int]:
    """Profile of one 3x3 depthwise convolution of `weight` [3][3] with one channel and no padding."""
    full = weight.reshape(1, 3, 3, 1)
    op = Conv2d(full, np.zeros(1, int), np.zeros(1, int), None, groups=1)
    graph = graph_of(op, Tensor(x.shape, -hi if hi > 255 else 0, hi))
    profile = Model.load(image.to_bytes(graph)).runtime().profile({"in0": x.astype("uint8" if hi <= 255 else "int32")})
    return {"sops": profile.sops, "adds": profile.adds}


@pytest.mark.parametrize(("hi", "adds"), [(4, 9 * 1), (1000, 9 * 2)])
def test_additions_are_bits_of_counts_or_of_weights(hi: int, adds: int) -> None:
    x = np.full((1, 3, 3, 1), 4)
    assert additions(np.full((3, 3), 3), x, hi) == {"sops": 9 * 4, "adds": adds}


@pytest.mark.parametrize("limit", [31, 127])
def test_sums_at_the_edge_of_16_bits(limit: int) -> None:
    """One more and they would not fit: all weights and counts at their greatest, of both signs."""
    hi = 32767 // (49 * limit)
    for more in (0, 1):
        for sign in (1, -1):
            weight = np.full((20, 7, 7, 1), sign * limit)
            op = Conv2d(weight, np.zeros(20, int), np.zeros(20, int), None, padding=(3, 3, 3, 3), groups=20)
            graph = graph_of(op, Tensor((1, 9, 22, 20), 0, hi + more))
            inputs = inputs_of(graph, 2.0, 0)
            expected = reference.run(graph, inputs)["out"]
            assert (np.abs(expected).max() > 32767) == bool(more)
            for isa in available_isas():
                found = Model.load(image.to_bytes(graph)).runtime(isa=isa).run(inputs, raw=True)["out"]
                np.testing.assert_array_equal(found, expected, isa)
