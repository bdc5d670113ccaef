"""What a bound says: of totals, of layers, of a deadline."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyspike import RangeError
from tests.latency.made_up import bound_of

LAYERS = st.lists(
    st.tuples(st.floats(0, 10), st.sampled_from([0.0, 0.1, 0.25, 3.0]), st.integers(0, 4)), min_size=1, max_size=4
)


@given(LAYERS)
def test_a_total_is_the_worst_of_all_ways_to_fall(layers) -> None:
    bound = bound_of(*layers)
    worst: dict[int, float] = {}
    for events in itertools.product(*(range(most + 1) for _, _, most in layers)):
        found = bound.seconds({f"layer{i}": count for i, count in enumerate(events)})
        assert found == pytest.approx(1.5 + sum(a + b * n for (a, b, _), n in zip(layers, events, strict=True)))
        worst[sum(events)] = max(worst.get(sum(events), 0.0), found)
    for total, seconds in worst.items():
        assert bound.seconds(total) == pytest.approx(seconds)
        assert bound.seconds(total) <= bound.a + bound.b * total + 1e-9
    assert bound.seconds(bound.most + 7) == bound.worst == pytest.approx(max(worst.values()))


@given(LAYERS, st.floats(0, 30))
def test_a_budget_keeps_a_deadline_and_no_larger_one_does(layers, spare: float) -> None:
    bound = bound_of(*layers)
    deadline = bound.a + spare
    events = bound.budget(deadline)
    assert bound.seconds(events) <= deadline
    assert events == bound.most or bound.seconds(events + 1) > deadline - 1e-9


def test_a_deadline_below_the_constant_cannot_be_kept() -> None:
    bound = bound_of((1.0, 0.1, 10))
    assert bound.budget(2.5) == 0
    for deadline in (2.4, -1.0, float("nan")):
        with pytest.raises(RangeError, match=r"at least 2\.5"):
            bound.budget(deadline)
    assert bound.budget(float("inf")) == 10


@pytest.mark.parametrize(
    ("events", "match"),
    [
        (-1, "at least 0"), (1.5, "whole number"), (True, "whole number"), ({}, "layers"), ({"layer0": 1}, "layers"),
        ({"layer0": 1, "other": 2}, "layers"), ({"layer0": 11, "layer1": 0}, "at most 10 of layer 'layer0'"),
        ({"layer0": -1, "layer1": 0}, "at least 0"), ({"layer0": 1, "layer1": None}, "whole number"),
    ],
)  # fmt: skip
def test_events_that_cannot_be(events, match: str) -> None:
    with pytest.raises(RangeError, match=match):
        bound_of((1.0, 0.1, 10), (1.0, 0.1, 10)).seconds(events)


def test_numpy_integers_are_events() -> None:
    bound = bound_of((1.0, 0.25, 10))
    assert bound.seconds(np.int64(4)) == bound.seconds({"layer0": np.uint8(4)}) == 3.5


def test_what_is_printed() -> None:
    bound = bound_of((1e-6, 2e-9, 1000), (3e-6, 4e-9, 500), others=5e-6, tail=7e-6)
    lines = str(bound).splitlines()
    assert lines[0].split() == [
        "layer",
        "us",
        "us",
        "to",
        "p99",
        "ns/event",
        "events",
        "measured",
        "possible",
        "b",
        "from",
    ]
    assert lines[1].split() == ["layer0", "1.0", "0.0", "2", "0..1,000", "1,000", "measured"]
    assert lines[3].split() == ["everything", "else", "5.0", "7.0"]
    assert lines[4].split() == ["total", "16.0", "4", "1,500"]
    assert lines[5].startswith("time <= 0.016 ms + 4 ns x events; with every event possible 0.02 ms")
    assert "Measured, not proven: p99 of 100 runs of each of 2 inputs" in lines[6]
    assert "2 fresh inputs, 75 % of their runs within the bound, the nearest p99 at 75 % of it" in lines[7]


def test_everything_is_json() -> None:
    bound = bound_of((1.0, 0.25, 10))
    found = json.loads(json.dumps(bound.as_dict()))
    assert (found["a"], found["b"], found["most"], found["worst"], found["within"]) == (2.5, 0.25, 10, 5.0, 0.75)
    assert found["layers"][0]["name"] == "layer0"
    assert [each["name"] for each in found["held_out"]] == ["one", "two"]
