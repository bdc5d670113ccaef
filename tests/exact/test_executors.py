"""One suite over all executors: NumPy reference, C++ runtime (every instruction set, threads), PyTorch, with ==."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyspike import image, reference
from pyspike.graph import Graph
from pyspike.runtime import Model, available_isas
from tests.exact.graphs import graphs, inputs_of

CONFIGURATIONS = [(isa, threads) for isa in available_isas() for threads in (1, 2)]
SETTINGS = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def assert_same(graph: Graph, expected: dict[str, np.ndarray], found: dict[str, np.ndarray], who: str) -> None:
    for name, integers in expected.items():
        assert found[name].shape == integers.shape, f"{who}: {name} has shape {found[name].shape}"
        wrong = np.argwhere(found[name] != integers)
        if not len(wrong):
            continue
        at = tuple(wrong[0])
        pytest.fail(
            f"{who}: {name} differs at {at}: {found[name][at]}, expected {integers[at]}\n"
            f"{[(node.op.name, node.inputs, node.output) for node in graph.nodes]}"
        )


@SETTINGS
@given(st.data())
def test_runtime_equals_reference(data) -> None:
    graph = data.draw(graphs())
    encoded = image.to_bytes(graph)
    graph = image.from_bytes(encoded)
    model = Model.load(encoded)
    case = data.draw(inputs_of(graph))
    expected = reference.run(graph, case)
    for isa, threads in CONFIGURATIONS:
        found = model.runtime(threads=threads, isa=isa).run(case, raw=True)
        assert_same(graph, expected, found, f"runtime ({isa}, {threads} threads)")


@SETTINGS
@given(st.data())
def test_torch_equals_reference(data) -> None:
    torch = pytest.importorskip("torch")
    from pyspike.nn import executor

    graph = data.draw(graphs())
    case = data.draw(inputs_of(graph))
    assert_same(graph, reference.run(graph, case), executor.run(graph, case, torch.float64), "torch float64")


@SETTINGS
@given(st.data())
def test_profile_counts_what_the_reference_counts(data) -> None:
    graph = data.draw(graphs())
    case = data.draw(inputs_of(graph))
    watched: dict[str, list[np.ndarray]] = {}
    reference.run(graph, case, watched)
    counted = reference.synaptic_operations(graph, watched)
    for isa, threads in CONFIGURATIONS:
        profile = Model.load(image.to_bytes(graph)).runtime(threads=threads, isa=isa).profile(case)
        assert {layer.name: layer.sops for layer in profile.layers if layer.name in counted} == counted
        assert profile.sops == sum(counted.values())


@SETTINGS
@given(st.data())
def test_stream_equals_reference(data) -> None:
    graph = data.draw(graphs())
    steps = graph.timesteps
    frames = []
    for _ in range(steps):
        case = data.draw(inputs_of(graph))
        frames.append({port.name: reference.at_step(port, case[port.name], 0, steps) for port in graph.inputs})
    runtime = Model.load(image.to_bytes(graph)).runtime()
    for frame, expected in zip(frames, reference.stream(graph, iter(frames)), strict=True):
        typed = {port.name: frame[port.name].astype(port.dtype) for port in graph.inputs}
        found = {name: values.astype(np.float64) for name, values in runtime.step(typed).items()}
        reals = {}
        for port in graph.outputs:
            scale = graph.tensors[port.tensor].scale
            f = np.asarray(scale.f)
            reals[port.name] = np.ldexp(expected[port.name].astype(np.float64), -f) / scale.divisor
        assert_same(graph, reals, found, "stream")
