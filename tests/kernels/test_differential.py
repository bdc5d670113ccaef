"""Every kernel against the NumPy references, with ==: instruction sets, threads, densities, lanes, geometry."""

from __future__ import annotations

import numpy as np
import pytest

from pyspike import _native, image, reference
from pyspike.graph import Graph
from pyspike.runtime import Model, available_isas
from tests.kernels.cases import SYNAPSES, all_cases, altered, inputs_of

CASES = dict(all_cases(range(60)))
DENSITIES = (0.0, 0.1, 1.0, 2.0)
LADDER = ("rows", "split", "flat", "folded", "scatter")  # of csrc/kernels/README.md: what PYSPIKE_GATHER asks for
GATHERED = [name for name in CASES if name in SYNAPSES or name.startswith("conv")]


def check_incremental(
    model: Model, graph: Graph, inputs: dict[str, np.ndarray], expected: dict[str, np.ndarray], isa: str
) -> None:
    """A run in between, of inputs that differ in one integer each, must leave nothing behind."""
    if graph.timesteps > 1 or any(node.op.stateful for node in graph.nodes):
        return  # refused; tests/exact/test_incremental.py has that
    runtime = model.runtime(isa=isa, incremental=True)
    for frame in (inputs, altered(graph, inputs), inputs):
        found = runtime.run(frame, raw=True)
    for port, integers in expected.items():
        np.testing.assert_array_equal(found[port], integers, f"incremental, {isa}")


def check(name: str, graph: Graph) -> None:
    """Compare all configurations with the reference."""
    model = Model.load(image.to_bytes(graph))
    for number, density in enumerate(DENSITIES):
        inputs = inputs_of(graph, density, number)
        watched: dict[str, list[np.ndarray]] = {}
        expected = reference.run(graph, inputs, watched)
        counted = sum(reference.synaptic_operations(graph, watched).values())
        for isa in available_isas():
            for threads in (1, 3):
                runtime = model.runtime(threads=threads, isa=isa)
                found = runtime.run(inputs, raw=True)
                for port, integers in expected.items():
                    np.testing.assert_array_equal(found[port], integers, f"{name}, {isa}, {threads}, {density}")
            check_incremental(model, graph, inputs, expected, isa)
            profile = runtime.profile(inputs)
            assert profile.sops == counted
            assert all(layer.adds <= layer.lane_adds for layer in profile.layers)


@pytest.mark.parametrize("name", CASES)
def test_runtime_equals_reference(name) -> None:
    check(name, CASES[name])


@pytest.mark.parametrize("kernel", LADDER)
@pytest.mark.parametrize("name", GATHERED)
def test_every_rung_of_the_ladder_equals_the_reference(name, kernel, monkeypatch) -> None:
    monkeypatch.setenv("PYSPIKE_GATHER", kernel)
    check(name, CASES[name])


def test_every_kernel_is_called(monkeypatch) -> None:
    before = _native.kernel_calls()
    if not before:
        pytest.skip("only debug builds count calls")
    for name, graph in CASES.items():
        check(name, graph)
    for kernel in LADDER:
        monkeypatch.setenv("PYSPIKE_GATHER", kernel)
        for name in GATHERED:
            check(name, CASES[name])
    calls = {name: count - before[name] for name, count in _native.kernel_calls().items()}
    isas = set(available_isas())
    assert [name for name, isa in _native.kernels() if isa in isas and calls[name] == 0] == []
