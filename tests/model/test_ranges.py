"""The reader proves ranges from the weights that it finds: the same numbers as a sum over all of them, one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyspike import image
from pyspike.graph import Graph, Port, Tensor
from pyspike.ops import Conv2d
from pyspike.runtime import Model

LO, HI = -3, 5


def proven(weight: np.ndarray, groups: int) -> tuple[int, int]:
    """The range of a convolution's output, as the reader states it."""
    outputs, height, width, inputs = weight.shape
    graph = Graph()
    graph.add_input(Port("x", "x", "int8"), Tensor((1, height, width, inputs * groups), LO, HI))
    none = np.zeros(outputs)
    graph.add(Conv2d(weight, none, none, None, groups=groups), ["x"], "y")
    graph.add_output(Port("y", "y", "int32"))
    (port,) = Model.load(image.to_bytes(graph)).outputs
    return port.lo, port.hi


def summed(weight: np.ndarray) -> tuple[int, int]:
    """The same in plain Python."""
    lows, highs = [], []
    for row in weight.reshape(len(weight), -1).tolist():
        lows.append(sum(w * (LO if w > 0 else HI) for w in row))
        highs.append(sum(w * (HI if w > 0 else LO) for w in row))
    return min(lows), max(highs)


@st.composite
def weights(draw) -> tuple[np.ndarray, int]:
    """(weights, groups): slabs of all widths, rows up to some hundreds, depthwise ones among them."""
    depthwise = draw(st.booleans())
    groups = draw(st.integers(1, 70)) if depthwise else draw(st.sampled_from([1, 1, 2, 3]))
    outputs = 1 if depthwise else draw(st.integers(2, 150))
    height, width = draw(st.sampled_from([(1, 1), (1, 3), (3, 3), (7, 5), (17, 16)]))
    inputs = 1 if depthwise else draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    values = draw(st.sampled_from([range(-128, 128), (-128, -1), (127, 1), (-128, 127), (0, 127)]))
    return rng.choice(list(values), (groups * outputs, height, width, inputs)).astype(np.int8), groups


@given(weights())
def test_ranges_are_sums_of_all_weights(drawn) -> None:
    weight, groups = drawn
    assert proven(weight, groups) == summed(weight)


@pytest.mark.parametrize("value", [-128, 127])
@pytest.mark.parametrize("rows", [255, 256, 257, 258, 511, 512, 513, 1025])
@pytest.mark.parametrize("outputs", [16, 33, 64])
def test_sums_of_extreme_weights(value, rows, outputs) -> None:
    weight = np.full((outputs, 1, 1, rows), value, dtype=np.int8)
    assert proven(weight, 1) == summed(weight)
    weight[-1] = -1 - value
    assert proven(weight, 1) == summed(weight)


@pytest.mark.parametrize("channels", [1, 15, 16, 17, 48])
def test_depthwise_weights(channels) -> None:
    for value in (-128, 127):
        weight = np.zeros((channels, 20, 20, 1), dtype=np.int8)
        weight[-1] = value
        assert proven(weight, channels) == summed(weight)
