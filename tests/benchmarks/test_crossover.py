"""The chart of time against density."""

from __future__ import annotations

import pytest

from benchmarks.crossover import BITS, Point, ahead_until
from benchmarks.timing import Times

POINTS = [
    Point(density, {"8 bits": Times((ours,)), "OpenVINO int8": Times((2.0,)), "ncnn int8": Times((3.0,))})
    for density, ours in ((0.1, 1.0), (0.2, 2.0), (0.3, 2.1), (0.4, 1.9))
]


def test_a_lead_ends_where_it_is_lost_first() -> None:
    assert ahead_until(POINTS, 8) == 0.2
    assert ahead_until(POINTS[2:], 8) is None


def test_a_plot_shows_every_contestant() -> None:
    pytest.importorskip("matplotlib")
    from benchmarks.crossover import plot

    points = [Point(p.density, {**p.times, **{f"{b} bits": p.times["8 bits"] for b in BITS}}) for p in POINTS]
    svg = plot(points).decode()
    assert svg.startswith("<?xml")
    assert svg.count("<!-- pyspike") == len(BITS)
    assert "<!-- OpenVINO int8 -->" in svg
