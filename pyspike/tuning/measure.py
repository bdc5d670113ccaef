"""Trying every kernel on every layer.

All candidates run in turn, round after round, so that no moment of the machine falls on one of them. A layer takes
another kernel than the cost model's only where its least time is clearly shorter, and the whole is kept only where
whole runs are faster with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pyspike._progress import Counted, Progress
from pyspike.errors import Error, RangeError
from pyspike.tuning.side_file import Choice, Machine, Tuning, cpu_name

if TYPE_CHECKING:
    from pyspike.runtime import Inputs, Model, Runtime

CANDIDATES: tuple[Choice, ...] = (
    ("split", 0), ("folded", 0), ("flat", 320), ("flat", 640), ("flat", 1280), ("flat", 2560),
)  # fmt: skip
CLEARLY = 0.97  # of the time of the cost model's choice


@dataclass(frozen=True)
class TunedLayer:
    """A layer that takes another kernel, and its least time with both."""

    name: str
    before: Choice
    after: Choice
    seconds_before: float
    seconds_after: float


@dataclass(frozen=True)
class TuneReport:
    """What tuning found. `before`, `after`: median seconds of whole runs, all inputs together, interleaved; where
    they gain nothing, `tuning` names no layer and the cost model goes on choosing.
    """

    tuning: Tuning
    layers: tuple[TunedLayer, ...]
    before: float
    after: float

    @property
    def kept(self) -> bool:
        """Whether `tuning` changes anything."""
        return any(self.tuning.machines.values())

    def __str__(self) -> str:
        times = f"{1e3 * self.before:.3f} ms -> {1e3 * self.after:.3f} ms"
        if self.kept:
            return f"{times} with other kernels in {len(self.layers)} layers"
        return f"{times}: nothing gained, so the cost model goes on choosing"


def tune(
    model: Model,
    inputs: Sequence[Inputs],
    threads: int = 1,
    isa: str | None = None,
    *,
    repetitions: int = 20,
    progress: Progress | None = None,
) -> TuneReport:
    """Measure every kernel on every layer with `inputs`, which should be like those to come: time follows events.

    `progress(done, of)` is called after every round, and may raise. Raises `RangeError` for arguments out of range.
    """
    if isinstance(repetitions, bool) or not isinstance(repetitions, (int, np.integer)) or repetitions < 1:
        raise RangeError(f"repetitions: expected a whole number of at least 1, found {repetitions!r}")
    if not inputs:
        raise RangeError("inputs: expected at least one")
    tell = Counted(progress, 2 * repetitions)
    untuned = model.runtime(threads, isa, tuning=Tuning(model.sha256))
    machine = Machine(cpu_name(), untuned.isa, untuned.threads)
    names = untuned.layers

    def runtime(kernels: dict[str, Choice]) -> Runtime:
        return model.runtime(threads, isa, tuning=Tuning(model.sha256, {machine: kernels}))

    tried = [untuned, *(runtime(dict.fromkeys(names, candidate)) for candidate in CANDIDATES)]
    layers = _faster(tried, _least_seconds(tried, inputs, repetitions, tell))
    kernels = {layer.name: layer.after for layer in layers}
    tuned = runtime(kernels)
    _require_equal(untuned, tuned, inputs)
    before, after = _whole_runs(untuned, tuned, inputs, repetitions, tell)
    kept = kernels if after < before else {}
    return TuneReport(Tuning(model.sha256, {machine: kept}), tuple(layers), before, after)


def _least_seconds(
    tried: Sequence[Runtime], inputs: Sequence[Inputs], repetitions: int, tell: Callable[[], None]
) -> NDArray[np.float64]:
    """Of every candidate and layer, all inputs together: float64 [candidates, layers]."""
    least = np.full((len(tried), len(inputs), len(tried[0].layers)), np.inf)
    for _ in range(repetitions):
        for times, runtime in zip(least, tried, strict=True):
            for best, x in zip(times, inputs, strict=True):
                np.minimum(best, [layer.seconds for layer in runtime.profile(x).layers], out=best)
        tell()
    summed: NDArray[np.float64] = least.sum(axis=1)
    return summed


def _faster(tried: Sequence[Runtime], seconds: NDArray[np.float64]) -> list[TunedLayer]:
    """Layers for which a candidate is clearly faster than what the cost model took. A candidate that cannot serve a
    layer has taken another kernel: what it did take counts.
    """
    found = []
    for number, name in enumerate(tried[0].layers):
        before = tried[0].kernels[number]
        best = int(seconds[:, number].argmin())
        after = tried[best].kernels[number]
        if before[0] and after != before and seconds[best, number] < CLEARLY * seconds[0, number]:
            found.append(TunedLayer(name, before, after, seconds[0, number], seconds[best, number]))
    return found


def _require_equal(untuned: Runtime, tuned: Runtime, inputs: Sequence[Inputs]) -> None:
    for x in inputs:
        expected, found = untuned.run(x, raw=True), tuned.run(x, raw=True)
        if any(not np.array_equal(found[name], expected[name]) for name in expected):
            raise Error("kernels disagree: this is a fault of pyspike; please report it with the image")


def _whole_runs(
    untuned: Runtime, tuned: Runtime, inputs: Sequence[Inputs], repetitions: int, tell: Callable[[], None]
) -> tuple[float, float]:
    """Median seconds of both."""
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(repetitions):
        for times, runtime in zip(taken, (untuned, tuned), strict=True):
            start = time.perf_counter()
            for x in inputs:
                runtime.run(x)
            times.append(time.perf_counter() - start)
        tell()
    return float(np.median(taken[0])), float(np.median(taken[1]))
