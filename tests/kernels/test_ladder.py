"""The kernels of a synapse against each other and against sums of products: any size, range, width of weights."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyspike import image
from pyspike.graph import Graph, Port, Tensor
from pyspike.ops import Conv2d
from pyspike.runtime import Model, available_isas
from tests.kernels.test_differential import LADDER


@st.composite
def layers(draw: st.DrawFn) -> tuple[Graph, np.ndarray]:
    """A convolution over counts, and its input."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    limit = draw(st.sampled_from([127, 63, 31, 15, 7, 1]))
    lo, hi = draw(st.sampled_from([(0, 1), (0, 3), (0, 4), (0, 8), (-2, 1), (0, 255)]))
    kernel, stride = draw(st.sampled_from([1, 3])), draw(st.sampled_from([1, 2]))
    inputs, outputs = draw(st.integers(1, 150)), 16 * draw(st.integers(1, 9))
    size = (draw(st.integers(4, 9)), draw(st.integers(6, 70)))
    weight = rng.integers(-limit, limit, (outputs, kernel, kernel, inputs), endpoint=True)
    zeros = np.zeros(outputs, int)
    graph = Graph()
    tensor = Tensor((1, *size, inputs), lo, hi)
    graph.add_input(Port("x", "x", "uint8" if lo == 0 else "int8"), tensor)
    graph.add(Conv2d(weight, zeros, zeros, None, (stride, stride), (kernel // 2,) * 4), ["x"], "y")
    graph.add_output(Port("y", "y", "int32"))
    x = rng.integers(lo, hi, tensor.shape, endpoint=True) * (rng.random(tensor.shape) < draw(st.floats(0, 1)))
    return graph, x.astype(graph.inputs[0].dtype)


@given(layers(), st.sampled_from(available_isas()), st.sampled_from([1, 2, 5]))
@settings(max_examples=60)
def test_all_kernels_agree(layer, isa, threads) -> None:
    graph, x = layer
    expected = graph.nodes[0].op.reference(x.astype(np.int64))
    model = Model.load(image.to_bytes(graph))
    with pytest.MonkeyPatch.context() as patch:
        for kernel in LADDER:
            patch.setenv("PYSPIKE_GATHER", kernel)
            found = model.runtime(threads=threads, isa=isa).run(x, raw=True)["y"]
            np.testing.assert_array_equal(found, expected, f"{kernel}, {isa}, {threads} threads")
