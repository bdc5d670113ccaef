"""No choice of kernels changes a result, and memory is planned for the choice that is made."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyspike import RangeError, ShapeError, _native, image, reference
from pyspike.runtime import Model, available_isas
from pyspike.tuning import Tuning
from pyspike.tuning.side_file import KERNELS, MAX_BLOCK, Machine, cpu_name
from tests.kernels.cases import SYNAPSES, all_cases, inputs_of

NAMES = [name for name, _ in all_cases(range(40)) if name in SYNAPSES or name.startswith("conv")]
GRAPHS = dict(all_cases(range(40)))


def everywhere(model: Model, choice: tuple[str, int]) -> Tuning:
    machine = Machine(cpu_name(), available_isas()[0], 1)
    return Tuning(model.sha256, {machine: dict.fromkeys(model.runtime().layers, choice)})


@given(
    st.sampled_from(NAMES),
    st.sampled_from(available_isas()),
    st.sampled_from([0.05, 0.4, 1.0]),
    st.lists(st.tuples(st.sampled_from(("", *KERNELS)), st.integers(0, MAX_BLOCK)), min_size=8, max_size=8),
)
def test_no_choice_changes_a_result(name: str, isa: str, density: float, choices: list[tuple[str, int]]) -> None:
    graph = GRAPHS[name]
    model = Model.load(image.to_bytes(graph))
    layers = [layer for _, layer in model._native.operators]
    kernels = {layer: choices[i % 8] for i, layer in enumerate(layers)}
    tuning = Tuning(model.sha256, {Machine(cpu_name(), isa, 2): kernels})
    inputs = inputs_of(graph, density, 0)
    found = model.runtime(2, isa, tuning=tuning).run(inputs, raw=True)
    for port, integers in reference.run(graph, inputs).items():
        np.testing.assert_array_equal(found[port], integers)


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_choice_is_taken_where_it_can_serve(kernel: str) -> None:
    model = Model.load(image.to_bytes(GRAPHS["thin-layer"]))
    assert model.runtime(tuning=everywhere(model, (kernel, 900))).kernels == ((kernel, 900),)


def test_memory_is_that_of_the_choice() -> None:
    model = Model.load(image.to_bytes(GRAPHS["limit-15-32"]))
    scratch = [model.memory(tuning=everywhere(model, ("flat", block))).scratch for block in (320, 1280)]
    assert scratch[0] < scratch[1]


def test_broken_choices_are_refused() -> None:
    model = Model.load(image.to_bytes(GRAPHS["layer"]))
    for choices, error in (
        ([("flat", 0)] * 5, ShapeError),
        ([("flut", 0)], RangeError),
        ([("lookup", 0)], RangeError),
        ([("flat", MAX_BLOCK + 1)], RangeError),
    ):
        with pytest.raises(error):
            _native.Runtime(model._native, 1, "", False, choices)
