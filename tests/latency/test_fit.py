"""From times to a line: what it covers, and what it may say beyond what was measured."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyspike import RangeError
from pyspike.latency.fit import SPAN, Line, Series, fit_layers, fit_line, quantile_of
from pyspike.runtime import LayerProfile

MOST = 1000
EVENTS = st.lists(st.integers(0, MOST), min_size=1, max_size=12)


def layer(name: str, events: int, seconds: float = 0.0, op: str = "conv2d") -> LayerProfile:
    return LayerProfile(name, op, 0, 0, 0, events, 0, seconds, MOST, events)


@given(EVENTS, st.data())
def test_no_median_lies_above(events, data) -> None:
    medians = np.array([data.draw(st.floats(0, 10)) for _ in events])
    line = fit_line(np.array(events, float), medians, MOST)
    assert 0 <= line.low <= line.high
    for slope in (line.low, line.low + 1, max(line.low, min(line.high, line.cap, 1e9))):
        assert (line.a + slope * np.array(events) >= medians - 1e-9).all()


@given(EVENTS, st.floats(0, 10), st.floats(0, 1))
def test_an_affine_time_is_bounded_everywhere(events, a: float, b: float) -> None:
    """Fewer and more events than were measured, where the slope was measured and where it was not."""
    x = np.array(events, float)
    line = fit_line(x, a + b * x, MOST)
    slope = max(line.low, min(line.high, line.cap))
    if not math.isfinite(slope):
        assert max(events) == 0
        return
    everywhere = np.arange(MOST + 1)
    assert (line.a + slope * everywhere >= (a + b * everywhere) * (1 - 1e-6) - 1e-6).all()


def test_a_line_without_noise_is_found() -> None:
    x = np.array([0, 100, 400, 900], float)
    line = fit_line(x, 2 + 0.5 * x, MOST)
    assert (line.a, line.low, line.high) == (pytest.approx(2), pytest.approx(0.5), pytest.approx(0.5))
    assert line.well_known


def test_noise_widens_the_slope_on_both_sides() -> None:
    x = np.array([0, 250, 500, 750, 1000], float)
    medians = 2 + 0.5 * x + np.array([0, 4, -4, 4, -4])
    line = fit_line(x, medians, MOST)
    # By hand: slope 0.492, residuals -1.6, 4.4, -1.6, 8.4 - 2 x 0.8 ...; the error is that of least squares.
    slope, intercept = np.polyfit(x, medians, 1)
    error = math.sqrt(((medians - slope * x - intercept) ** 2).sum() / 3 / ((x - 500) ** 2).sum())
    assert line.low == pytest.approx(slope - 3 * error)
    assert line.high == pytest.approx(slope + 3 * error)
    assert line.a == pytest.approx((medians - line.low * x).max())


def test_events_that_hardly_vary_say_nothing_of_the_slope() -> None:
    narrow = SPAN * MOST
    x = np.array([300, 300 + narrow / 2, 300 + narrow])
    line = fit_line(x, np.array([6.0, 6.2, 6.1]), MOST)
    assert (line.a, line.low, line.high) == (6.2, 0.0, math.inf)
    assert line.cap == pytest.approx(6.1 / (300 + narrow))
    assert not line.well_known
    assert fit_line(x[:1], np.array([6.0]), MOST) == Line(6.0, 0.0, math.inf, 6.0 / 300)
    assert fit_line(np.zeros(3), np.array([1.0, 2.0, 1.0]), MOST) == Line(2.0, 0.0, math.inf, math.inf)


def test_a_time_that_falls_with_events_has_no_negative_slope() -> None:
    x = np.array([0, 500, 1000], float)
    line = fit_line(x, np.array([5.0, 4.0, 3.0]), MOST)
    assert (line.a, line.low, line.high) == (5.0, 0.0, 0.0)


def test_quantiles_are_values_that_were_measured() -> None:
    values = np.arange(1, 101, dtype=float)
    assert (quantile_of(values, 0.99), quantile_of(values, 0.5), quantile_of(values, 1)) == (99, 50, 100)
    assert quantile_of(values[:30], 0.99) == 30


def series(name: str, counts: list[int], seconds: list[float], runs: int = 5, spike: float = 0.0) -> Series:
    """Runs with a spike in the first layer of the last one; 1.0 besides in each."""
    layers = np.array([[*seconds, 0.25]] * runs)
    layers[-1, 0] += spike
    counted = (*(layer(f"l{i}", n) for i, n in enumerate(counts)), layer("fire", 0, op="fire"))
    return Series(name, layers.sum(axis=1) + 0.75, layers, counted)


def test_where_a_slope_comes_from() -> None:
    runs = [
        # l0: 1 + 0.01 x. l1: hardly varies, at 2 / 500 an event. l2: never seen. l3: hardly varies, at 1 an event.
        series(str(e), [e, 500, 0, 2], [1 + 0.01 * e, 2.0, 3.0, 2.0])
        for e in (0, 300, 700, 1000)
    ]
    layers, others, tail = fit_layers(runs, 0.99)
    assert [each.source for each in layers] == ["measured", "whole time", "dearest", "dearest"]
    assert [each.b for each in layers] == [pytest.approx(b) for b in (0.01, 2 / 500, 0.01, 0.01)]
    assert [each.a for each in layers] == [pytest.approx(a) for a in (1, 2, 3, 2)]
    assert [(each.fewest, each.greatest, each.most) for each in layers] == [
        (0, 1000, MOST), (500, 500, MOST), (0, 0, MOST), (2, 2, MOST)
    ]  # fmt: skip
    assert others == pytest.approx(1.0)
    assert tail == 0
    assert [each.op for each in layers] == ["conv2d"] * 4


def test_a_disturbance_is_counted_once() -> None:
    runs = [series(str(e), [e], [1 + 0.01 * e], spike=e + 5.0) for e in (0, 300, 700, 1000)]
    layers, others, tail = fit_layers(runs, 0.99)
    assert layers[0].a == pytest.approx(1)
    assert layers[0].tail == pytest.approx(1005)
    assert tail == pytest.approx(1005)
    assert layers[0].seconds(1000) == pytest.approx(1 + 10 + 1005)
    for each in runs:
        measured = each.against(layers, others + tail, 0.99)
        assert measured.quantile <= measured.bound + 1e-9
        assert measured.within == 1
    assert fit_layers(runs, 0.8)[2] <= 1.001e-9  # four of five runs were not disturbed
    assert runs[0].against(layers, others, 0.99).within == 0.8


def test_networks_whose_time_has_no_slope_to_measure() -> None:
    with pytest.raises(RangeError, match="no input made an event"):
        fit_layers([series("silence", [0, 0], [1.0, 1.0])], 0.99)
    with pytest.raises(RangeError, match="synapses"):
        fit_layers([series("nothing", [], [])], 0.99)
