"""Measuring: the fastest kernel of each layer by a clock that the test holds, and nothing where nothing is gained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyspike import Error, Model, Profile, RangeError, Runtime
from pyspike.tuning import measure, tune
from pyspike.tuning.side_file import Machine, cpu_name
from tests.kernels.cases import SYNAPSES, inputs_of
from tests.runtime.models import bytes_of

GRAPH = SYNAPSES["layer"]()
INPUTS = [inputs_of(GRAPH, 0.2, seed) for seed in (0, 1)]
SECONDS = {"flat": 5.0, "split": 3.0, "folded": 4.0}  # flat is what the cost model takes


@pytest.fixture(name="model")
def _model() -> Model:
    return Model.load(bytes_of(GRAPH))


@pytest.fixture(name="clock")
def _clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Time as `SECONDS` tells it, for layers and whole runs."""
    seconds, profile, run = dict(SECONDS), Runtime.profile, Runtime.run
    now = [0.0]

    def told(self: Runtime, x: Any) -> Profile:
        found = profile(self, x)
        layers = (replace(found.layers[0], seconds=seconds[self.kernels[0][0]]),)
        return replace(found, layers=layers)

    def timed(self: Runtime, *arguments: Any, **options: Any) -> Any:
        now[0] += seconds[self.kernels[0][0]]
        return run(self, *arguments, **options)

    monkeypatch.setattr(Runtime, "profile", told)
    monkeypatch.setattr(Runtime, "run", timed)
    monkeypatch.setattr(measure.time, "perf_counter", lambda: now[0])
    return seconds


def test_the_fastest_kernel_is_taken(model: Model, clock: dict[str, float]) -> None:
    rounds: list[tuple[int, int]] = []
    report = model.tune(INPUTS, repetitions=3, progress=lambda done, of: rounds.append((done, of)))
    assert rounds == [(i, 6) for i in range(1, 7)]
    (layer,) = report.layers
    assert (layer.before[0], layer.after[0]) == ("flat", "split")
    assert (layer.seconds_before, layer.seconds_after) == (10.0, 6.0)  # of both inputs
    assert (report.before, report.after, report.kept) == (10.0, 6.0, True)
    machine = Machine(cpu_name(), model.runtime().isa, 1)
    assert report.tuning.machines == {machine: {layer.name: layer.after}}
    assert "10000.000 ms -> 6000.000 ms with other kernels in 1 layers" in str(report)


def test_what_is_hardly_faster_is_not_taken(model: Model, clock: dict[str, float]) -> None:
    clock |= {"split": 4.9, "folded": 6.0}
    report = tune(model, INPUTS, repetitions=1)
    assert (report.layers, report.kept) == ((), False)
    assert "nothing gained" in str(report)


def test_nothing_is_kept_where_whole_runs_gain_nothing(
    model: Model, clock: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "_whole_runs", lambda *_: (1.0, 1.0))
    report = tune(model, INPUTS, repetitions=1)
    assert len(report.layers) == 1
    assert not report.kept
    assert list(report.tuning.machines.values()) == [{}]


def test_kernels_that_disagree_are_a_fault(
    model: Model, clock: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Runtime.run

    def wrong(self: Runtime, *arguments: Any, **options: Any) -> Any:
        found = run(self, *arguments, **options)
        return {name: each + (self.kernels[0][0] == "split") for name, each in found.items()}

    monkeypatch.setattr(Runtime, "run", wrong)
    with pytest.raises(Error, match="kernels disagree"):
        tune(model, INPUTS, repetitions=1)


def test_a_real_clock_changes_no_result(model: Model, tmp_path: Path) -> None:
    report = tune(model, INPUTS, threads=2, isa="portable", repetitions=1)
    found = model.runtime(2, "portable", tuning=report.tuning).run(INPUTS[0], raw=True)
    expected = model.runtime().run(INPUTS[0], raw=True)
    assert all(np.array_equal(found[name], expected[name]) for name in expected)
    assert report.before > 0 < report.after


def test_arguments_out_of_range(model: Model) -> None:
    for wrong in (0, True, 1.5):
        with pytest.raises(RangeError, match="repetitions: expected a whole number of at least 1"):
            tune(model, INPUTS, repetitions=wrong)  # type: ignore[arg-type]
    with pytest.raises(RangeError, match="inputs: expected at least one"):
        tune(model, [])
