"""From the times of many runs to a and b.

For each layer, least squares through the medians of all inputs give the time of an event, with `ERRORS` standard errors
on both sides: `low` and `high`. Then

    a = largest (median of an input - low x its events)       no median lies above a + b x events
    b = high                                                  more events than were seen may cost what the data allow

so that the flattest line that the data allow carries a, and the steepest one carries b. Where events hardly vary (by
less than `SPAN` of those that are possible) nothing is known of the slope: low is 0 and a the layer's whole time. b is
cut down to what an event would cost if the whole time were due to events, or to the dearest event of the layers where
its time is well known, whichever is less. For a time that is affine in events with a >= 0 the first of the two is
always enough; the second says that no layer's events cost more than those of every other layer.

What disturbs a run (an interrupt, another process) disturbs one layer of it, so the quantiles of layers do not add up
to that of a run. The tail of whole runs is therefore measured on whole runs, and added once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyspike.errors import RangeError
from pyspike.latency.bound import LayerBound, Measured
from pyspike.runtime import LayerProfile

SYNAPSES = ("conv2d", "linear")
ERRORS = 3.0
SPAN = 0.01
STEP = 1e-9  # of the clock, in seconds: more than rounding takes
WELL_KNOWN = 0.5  # of a slope: the most that ERRORS standard errors may be

Floats = NDArray[np.float64]


class Series(NamedTuple):
    """Runs of one input. whole: [runs] seconds of the call. layers: [runs][operators] seconds. counted: of any run."""

    name: str
    whole: Floats
    layers: Floats
    counted: tuple[LayerProfile, ...]

    @property
    def events(self) -> list[int]:
        """Of every synapse."""
        return [layer.events for layer in self.counted if layer.op in SYNAPSES]

    def against(self, layers: Sequence[LayerBound], constant: float, quantile: float) -> Measured:
        """These runs, held against the bounds of layers and what comes besides."""
        limit = constant + sum(bound.a + bound.b * n for bound, n in zip(layers, self.events, strict=True))
        middle, tail = float(np.median(self.whole)), quantile_of(self.whole, quantile)
        return Measured(self.name, sum(self.events), middle, tail, limit, float(np.mean(self.whole <= limit)))


class Line(NamedTuple):
    """Time of a layer: `a` + slope x events for every slope from `low` on; `high` is the greatest that the data allow,
    `cap` the time of an event if all the time were due to events.
    """

    a: float
    low: float
    high: float
    cap: float

    @property
    def well_known(self) -> bool:
        """Whether low and high are near each other."""
        return math.isfinite(self.high) and self.high - self.low <= WELL_KNOWN * (self.high + self.low) > 0


def fit_line(events: Floats, medians: Floats, most: int) -> Line:
    """The line of a layer from its runs on several inputs: events and median seconds, each [inputs]; `most` events are
    possible. The slope may be anything where events hardly vary, or inputs are fewer than three.
    """
    low, high = 0.0, math.inf
    off = events - events.mean()
    spread = float(off @ off)
    if len(events) > 2 and float(np.ptp(events)) > SPAN * most:
        slope = float(off @ medians) / spread
        residuals = medians - medians.mean() - slope * off
        error = ERRORS * math.sqrt(float(residuals @ residuals) / (len(events) - 2) / spread)
        low, high = max(0.0, slope - error), max(0.0, slope + error)
    some = events > 0
    cap = float((medians[some] / events[some]).min()) if some.any() else math.inf
    return Line(max(0.0, float((medians - low * events).max())), low, high, cap)


def fit_layers(series: Sequence[Series], quantile: float) -> tuple[tuple[LayerBound, ...], float, float]:
    """The bounds of all synapses; seconds of everything else (the largest median of an input); and the tail: what the
    quantile of whole calls needs besides, for every input.

    Raises `RangeError` where there is no synapse, or no input made an event that one reads.
    """
    counted = series[0].counted
    numbers = [i for i, layer in enumerate(counted) if layer.op in SYNAPSES]
    if not numbers:
        raise RangeError("expected a model with synapses, found none: its time does not depend on events")
    events = np.array([each.events for each in series], dtype=float)
    times = [each.layers[:, numbers] for each in series]
    medians = np.array([np.median(each, axis=0) for each in times])
    lines = [fit_line(events[:, i], medians[:, i], counted[number].elements) for i, number in enumerate(numbers)]
    dearest = _dearest(lines)
    layers = []
    for i, line in enumerate(lines):
        tails = np.array([quantile_of(each[:, i], quantile) for each in times])
        layers.append(_layer(counted[numbers[i]], line, dearest, events[:, i], tails))
    others = max(float(np.median(each.whole - each.layers[:, numbers].sum(axis=1))) for each in series)
    others = max(0.0, others)
    missing = [(m := each.against(layers, others, quantile)).quantile - m.bound for each in series]
    return tuple(layers), others, max(0.0, *(each + STEP for each in missing))


def quantile_of(values: Floats, quantile: float) -> float:
    """The smallest value that a share `quantile` of them does not exceed; no value between two of them."""
    return float(np.quantile(values, quantile, method="inverted_cdf"))


def _dearest(lines: Sequence[Line]) -> float:
    """The greatest time of an event among layers where it is well known; of all layers where there is no such one."""
    found = [line.high for line in lines if line.well_known] or [min(line.high, line.cap) for line in lines]
    greatest = max((each for each in found if math.isfinite(each)), default=None)
    if greatest is None:
        raise RangeError("no input made an event that a synapse reads: give inputs that do")
    return greatest


def _layer(counted: LayerProfile, line: Line, dearest: float, events: Floats, tails: Floats) -> LayerBound:
    choices = {"measured": line.high, "whole time": line.cap, "dearest": dearest}
    source = min(choices, key=lambda key: choices[key])
    b = max(line.low, choices[source])
    tail = max(0.0, float((tails - line.a - b * events).max()))
    seen = (int(events.min()), int(events.max()))
    return LayerBound(counted.name, counted.op, line.a, b, tail, *seen, counted.elements, source)
