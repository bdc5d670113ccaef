"""Rounds and their statistics."""

from __future__ import annotations

import pytest

from benchmarks.timing import Times, fastest, interleaved, paired_ratio


class Recorded:
    """Answers with 1, 2, 3, ... seconds and notes who ran when."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self.log, self.runs = name, log, 0

    def ask(self, do: str, **rest: object) -> dict[str, list[float]]:
        assert (do, rest) == ("run", {"times": 2})
        self.log.append(self.name)
        self.runs += 2
        return {"seconds": [self.runs - 1.0, float(self.runs)]}


def test_rounds_are_interleaved_and_warm_up_and_first_runs_do_not_count() -> None:
    log: list[str] = []
    times = interleaved({name: Recorded(name, log) for name in "ab"}, rounds=2, warm_up=1)
    assert log == ["a", "b"] * 3
    assert times["a"].seconds == times["b"].seconds == (4.0, 6.0)


def test_statistics() -> None:
    times = Times((4.0, 1.0, 3.0, 2.0, 10.0))
    assert (times.median, times.least) == (3.0, 1.0)
    assert [times.quantile(q) for q in (0.0, 0.2, 0.21, 0.5, 0.99, 1.0)] == [1.0, 1.0, 2.0, 3.0, 10.0, 10.0]
    assert times.spread == pytest.approx((4.0 - 2.0) / 3.0)


def test_ratios_are_of_the_same_round() -> None:
    ours, peer = Times((1.0, 10.0, 2.0)), Times((3.0, 20.0, 2.0))
    assert paired_ratio(peer, ours) == (2.0, 1.0, 3.0)


def test_the_fastest_is_that_of_the_least_median() -> None:
    times = {"a": Times((1.0, 5.0, 5.0)), "b": Times((2.0, 2.0, 9.0))}
    assert fastest(times, ["a", "b"]) == "b"
