"""Times that no clock takes part in: true events of a true model, and seconds by a rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from pyspike.latency import LatencyBound, LayerBound, Measured
from pyspike.latency.measure import Sample
from pyspike.runtime import Runtime

Rule = Callable[[int, int, int], float]
"""Seconds of an operator: its number, its events, and how many samples were taken before."""


class Sampler:
    """`extra` seconds a call besides the layers' own."""

    def __init__(self, runtime: Runtime, rule: Rule, extra: float = 0.0) -> None:
        self.runtime, self.rule, self.extra, self.taken = runtime, rule, extra, 0

    def __call__(self, x) -> Sample:
        counted = self.runtime.profile(x).layers
        layers = tuple(
            replace(layer, seconds=self.rule(number, layer.events, self.taken)) for number, layer in enumerate(counted)
        )
        self.taken += 1
        return Sample(sum(layer.seconds for layer in layers) + self.extra, layers)


def bound_of(*layers: tuple[float, float, int], others: float = 1.0, tail: float = 0.5) -> LatencyBound:
    """A bound with layers of (a, b, most)."""
    made = tuple(
        LayerBound(f"layer{i}", "conv2d", a, b, 0.0, 0, most, most, "measured") for i, (a, b, most) in enumerate(layers)
    )
    runs = (Measured("one", 3, 1.0, 1.2, 2.0, 1.0), Measured("two", 5, 1.0, 1.5, 2.0, 0.5))
    return LatencyBound(made, others, tail, 9.0, 0.99, 100, 1, "portable", runs, runs)


def noise(seed: int, share: float = 0.5) -> float:
    """0 to `share`, the same for the same seed."""
    return share * float(np.random.default_rng(seed).random())
