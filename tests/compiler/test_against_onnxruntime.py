"""Compiled networks, read back from their images, equal ONNX Runtime float32 on the file they came from, with ==."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from pyspike import image
from pyspike.compiler import compile
from tests.compiler.networks import onnxruntime_outputs, random_inputs, random_model, reals

pytest.importorskip("onnxruntime")


@settings(max_examples=150)
@given(st.data())
def test_random_networks_equal_onnxruntime(tmp_path_factory, data):
    model = random_model(data.draw)
    path = tmp_path_factory.getbasetemp() / "random.spk"
    report = compile(model, path)
    assert report.source_exact, report.changes
    event(f"float-exact: {report.float_exact}")
    if not report.float_exact:
        return
    graph = image.read(path)
    inputs = random_inputs(graph, np.random.default_rng(data.draw(st.integers(0, 2**32 - 1))))
    expected = onnxruntime_outputs(model, inputs)
    found = reals(graph, inputs)
    for name, values in expected.items():
        assert values.shape == found[name].shape
        assert (values == found[name]).all(), name
