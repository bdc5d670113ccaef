"""Running a model over and over, by the clock and counted."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from pyspike._progress import Counted, Progress
from pyspike.errors import RangeError
from pyspike.latency.bound import LatencyBound
from pyspike.latency.fit import Series, fit_layers
from pyspike.latency.inputs import FITTED, HELD_OUT, Case, synthetic
from pyspike.runtime import Inputs, LayerProfile, Model, Runtime

FRESH = 3  # runtimes whose first inference is timed
UNLIMITED = 2**63  # a budget that counts and never stops


class Sample(NamedTuple):
    """One inference: seconds of the whole call, and what each operator did."""

    seconds: float
    layers: tuple[LayerProfile, ...]


Sampler = Callable[[Inputs], Sample]


def latency_bound(
    model: Model,
    threads: int = 1,
    isa: str | None = None,
    *,
    inputs: Sequence[Inputs] = (),
    repetitions: int = 100,
    quantile: float = 0.99,
    seed: int = 0,
    progress: Progress | None = None,
    sampler: Sampler | None = None,
) -> LatencyBound:
    """Measure a bound on the time of `Runtime.run`, with or without `max_events`.

    `inputs`: samples of your own; the first, third, ... are held out, the others are measured beside the synthetic
    ones. `quantile` (0 < q <= 1) of the `repetitions` runs of an input is what the bound does not lie below; fewer than
    1 / (1 - q) repetitions make it the slowest run. `progress(done, of)` is called after every run, and may raise.
    `sampler` measures one inference, in place of the clock. Raises `RangeError` for arguments out of range, and where
    no input makes a single event.
    """
    _check(repetitions, quantile, seed)
    fitting = [*synthetic(model.inputs, seed, FITTED), *_named(inputs, 1)]
    fresh = [*synthetic(model.inputs, seed + 1, HELD_OUT), *_named(inputs, 0)]
    first = max(_call(model.runtime(threads, isa), fitting[-1][1]) for _ in range(FRESH))
    runtime = model.runtime(threads, isa)
    sampler = sampler or timed(runtime)
    told = Counted(progress, repetitions * (len(fitting) + len(fresh)))
    fit = _measure(sampler, fitting, repetitions, told)
    layers, others, tail = fit_layers(fit, quantile)
    held = _measure(sampler, fresh, repetitions, told)
    return LatencyBound(
        layers, others, tail, first, quantile, repetitions, runtime.threads, runtime.isa,
        tuple(each.against(layers, others + tail, quantile) for each in fit),
        tuple(each.against(layers, others + tail, quantile) for each in held),
    )  # fmt: skip


def timed(runtime: Runtime) -> Sampler:
    """Runs twice: once by the clock, once counted. Both count their events, as a run with `max_events` does."""

    def sample(x: Inputs) -> Sample:
        return Sample(_call(runtime, x), runtime.profile(x, max_events=UNLIMITED).layers)

    return sample


def _call(runtime: Runtime, x: Inputs) -> float:
    start = time.perf_counter()
    runtime.run(x, max_events=UNLIMITED)
    return time.perf_counter() - start


def _named(inputs: Sequence[Inputs], start: int) -> list[Case]:
    return [(f"sample {i}", inputs[i]) for i in range(start, len(inputs), 2)]


def _measure(sampler: Sampler, cases: Sequence[Case], repetitions: int, told: Callable[[], None]) -> list[Series]:
    """All inputs in turn, over and over, so that no moment of the machine falls on one of them; the first round only
    warms up.
    """
    for _, x in cases:
        sampler(x)
    samples: list[list[Sample]] = [[] for _ in cases]
    for _ in range(repetitions):
        for (_, x), taken in zip(cases, samples, strict=True):
            taken.append(sampler(x))
            told()
    return [
        Series(
            name,
            np.array([each.seconds for each in taken]),
            np.array([[layer.seconds for layer in each.layers] for each in taken]),
            taken[-1].layers,
        )
        for (name, _), taken in zip(cases, samples, strict=True)
    ]


def _check(repetitions: int, quantile: float, seed: int) -> None:
    for name, value, least in (("repetitions", repetitions, 1), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
            raise RangeError(f"{name}: expected a whole number of at least {least}, found {value!r}")
    if isinstance(quantile, bool) or not isinstance(quantile, (int, float)) or not 0 < quantile <= 1:
        raise RangeError(f"quantile: expected a number above 0 and up to 1, found {quantile!r}")
