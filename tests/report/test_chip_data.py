"""What a run of the chip says about itself, and what contradicts it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pyspike.errors import Error, RangeError, ShapeError
from pyspike.report.chip_data import StepTimes, coarser
from tests.report.chip_example import example, small


def test_utilisation_is_that_of_the_cores_in_use() -> None:
    """Two passes: two cores with steps in the first, one in the second."""
    classes = np.array([[[4, 0, 6, 0], [0, 1, 9, 0], [0, 0, 0, 10]], [[20, 0, 0, 0], [0, 0, 0, 20], [0, 0, 0, 20]]])
    none = np.zeros(0, dtype=np.int64)
    run = replace(
        small(), chip=replace(small().chip, mesh=(3, 1)), cycles=30, passes=[("a", 0), ("b", 10)], layers=[],
        classes=classes.sum(0), window=np.array([0, 10, 30]), window_classes=classes,
        links=np.zeros((3, 5), dtype=np.int64), window_links=np.zeros((2, 3, 5), dtype=np.int64),
        window_energy=np.zeros((2, 1)), steps=StepTimes(none, none, [], none, none, none, none, none),
    )  # fmt: skip
    assert run.cores_in_use.tolist() == [[True, True, False], [True, False, False]]
    assert run.utilisation == 24 / (2 * 10 + 20)
    single = replace(run, passes=())
    assert single.utilisation == 24 / (2 * 30)


def test_a_long_time_series_is_drawn_coarser() -> None:
    run = example()
    assert coarser(run, 190) is run
    for windows, second in ((1, 150), (7, 99), (50, 3), (189, 188)):
        run = replace(run, passes=[("a", 0), ("b", int(run.edges[second]))])
        fewer = coarser(run, windows)
        assert len(fewer.window_classes) <= windows + len(run.passes)
        assert len(fewer.window_classes) > windows / 3
        assert set(fewer.edges) <= set(run.edges)
        np.testing.assert_array_equal(fewer.classes, run.classes)
        np.testing.assert_allclose(fewer.window_energy.sum(0), run.window_energy.sum(0))
        assert fewer.utilisation == run.utilisation


CONTRADICTIONS: list[tuple[dict[str, Any], type[Error], str]] = [
    ({"cycles": 0}, RangeError, "at least one"),
    ({"cycles": 38}, RangeError, "classes of core 0 sum to 37 cycles, the run has 38"),
    ({"seconds": float("nan")}, RangeError, "latency"),
    ({"sops": -1}, RangeError, "sops must be a finite number"),
    ({"energy": 4e-12}, RangeError, "its parts sum to 3e-12"),
    ({"classes": np.array([[37.0, 0, 0, 0]])}, ShapeError, r"classes must be integers \[1, 4\], not float64"),
    ({"links": np.zeros((1, 4), dtype=np.int64)}, ShapeError, r"links must be integers \[1, 5\]"),
    ({"links": np.array([[2, 0, 0, 0, 17]])}, RangeError, "window_links does not sum to links"),
    ({"window": 8}, RangeError, "do not cut 37 cycles"),
    ({"window": np.array([0, 36])}, RangeError, "do not cut 37 cycles"),
    ({"window_classes": np.array([[[19, 0, 14, 4]]])}, RangeError, "window_classes does not sum to classes"),
    ({"window_energy": np.zeros((1, 2))}, ShapeError, r"window_energy must be \[1, 1\]"),
    ({"window_energy": np.array([[np.inf]])}, RangeError, "not finite"),
    ({"passes": [("a", 0), ("b", 0)]}, RangeError, r"start at \[0, 0\]"),
    ({"passes": [("a", 0), ("b", 9)]}, RangeError, "starts within a window"),
    ({"passes": [("a", 37)]}, RangeError, "outside the run"),
    ({"layers": []}, RangeError, "belongs to no layer"),
]


@pytest.mark.parametrize(("change", "error", "message"), CONTRADICTIONS, ids=lambda value: str(value)[:40])
def test_a_run_that_contradicts_itself_is_refused(change: dict[str, Any], error: type[Error], message: str) -> None:
    with pytest.raises(error, match=message):
        replace(small(), **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "conv"}, "kind 'conv'"),
        ({"cores": [1]}, "outside the mesh"),
        ({"last_cycle": 37}, r"14\.\.37 of 37 cycles"),
        ({"last_cycle": 12}, r"14\.\.12 of 37 cycles"),
        ({"spikes": -2}, "spikes of layer 'only'"),
        ({"energy": {"tea": 1e-12}}, "kind 'tea'"),
        ({"density": 1.5}, "density"),
    ],
)
def test_a_layer_that_contradicts_its_run_is_refused(change: dict[str, Any], message: str) -> None:
    run = small()
    with pytest.raises(RangeError, match=message):
        replace(run, layers=[replace(run.layers[0], **change)])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"core": np.array([1])}, "outside the mesh"),
        ({"core": np.array([-2])}, "below 0"),
        ({"last": np.array([37])}, "after the run"),
        ({"last": np.array([13])}, "before it begins"),
        ({"t": np.array([0, 1])}, r"t of steps must be integers \[1\]"),
    ],
)
def test_steps_that_contradict_their_run_are_refused(change: dict[str, Any], message: str) -> None:
    run = small()
    with pytest.raises(Error, match=message):
        replace(run, steps=replace(run.steps, **change))
