"""Streams: steps, states, bounds."""

from __future__ import annotations

import numpy as np
import pytest

from pyspike import RangeError, ShapeError, reference
from pyspike.runtime import Runtime
from tests.runtime.models import bytes_of, draw, spiking, still

GRAPH = spiking(3, 6)


def frames(count: int) -> list[dict[str, np.ndarray]]:
    case = draw(GRAPH, timesteps=count)
    return [{"frames": case["frames"][t], "gain": case["gain"]} for t in range(count)]


@pytest.fixture(name="runtime")
def _runtime() -> Runtime:
    return Runtime.load(bytes_of(GRAPH))


def equal(a, b) -> bool:
    return list(a) == list(b) and all(np.array_equal(a[name], b[name]) for name in a)


def test_steps_equal_the_reference(runtime) -> None:
    steps = frames(6)
    for t, (frame, expected) in enumerate(zip(steps, reference.stream(GRAPH, iter(steps)), strict=True)):
        assert runtime.timestep == t
        assert equal(runtime.step(frame, raw=True), expected)
    assert runtime.timestep == 6


def test_steps_add_up_to_a_run(runtime) -> None:
    case = draw(GRAPH)
    whole = runtime.run(case)
    steps = [runtime.step({"frames": case["frames"][t], "gain": case["gain"]}) for t in range(3)]
    assert np.array_equal(np.stack([step["spikes"] for step in steps]), whole["spikes"])
    assert np.array_equal(sum(step["rate"] * 3 for step in steps) / 3, whole["rate"])
    assert np.array_equal(steps[0]["static"], whole["static"])


def test_a_stream_ends_where_its_range_is_proven_no_further(runtime) -> None:
    for frame in frames(6):
        runtime.step(frame)
    before = runtime.state()
    with pytest.raises(RangeError, match="6 timesteps"):
        runtime.step(frames(1)[0])
    assert runtime.state() == before
    runtime.reset()
    assert runtime.timestep == 0
    runtime.step(frames(1)[0])


def test_state_and_restore(runtime) -> None:
    steps = frames(5)
    for frame in steps[:2]:
        runtime.step(frame)
    state = runtime.state()
    rest = [runtime.step(frame) for frame in steps[2:]]
    other = Runtime.load(bytes_of(GRAPH), threads=2)
    for each in (runtime, other):
        each.restore(state)
        assert each.timestep == state.timestep == 2
        again = [each.step(frame) for frame in steps[2:]]
        assert all(equal(a, b) for a, b in zip(rest, again, strict=True))


def test_reset_is_a_fresh_start(runtime) -> None:
    steps = frames(3)
    first = [runtime.step(frame) for frame in steps]
    runtime.reset()
    assert all(equal(a, runtime.step(frame)) for a, frame in zip(first, steps, strict=True))


def test_a_run_starts_and_ends_at_rest(runtime) -> None:
    case = draw(GRAPH)
    expected = reference.run(GRAPH, case)
    runtime.step(frames(1)[0])
    assert equal(runtime.run(case, raw=True), expected)
    assert runtime.timestep == 0
    assert equal(runtime.run(case, raw=True), expected)


def test_a_failing_step_leaves_the_state(runtime) -> None:
    steps = frames(3)
    expected = [runtime.step(frame) for frame in steps]
    runtime.reset()
    runtime.step(steps[0])
    before = runtime.state()
    bad = steps[1]["frames"].copy()
    bad[-1, -1] = 4
    for frame in (
        {"frames": bad, "gain": steps[1]["gain"]},
        {"frames": steps[1]["frames"], "gain": bad.astype("uint8")},
        {"frames": steps[1]["frames"].astype(float), "gain": steps[1]["gain"]},
        {"frames": steps[1]["frames"][None], "gain": steps[1]["gain"][None]},
        draw(GRAPH),
        {"frames": steps[1]["frames"]},
    ):
        with pytest.raises((RangeError, ShapeError)):
            runtime.step(frame)
        assert runtime.state() == before
    assert equal(runtime.step(steps[1]), expected[1])


def test_restore_takes_states_of_this_model_alone(runtime) -> None:
    other = Runtime.load(bytes_of(spiking(3, 5))).state()
    for state in (other, None, b"", runtime.state().data):
        with pytest.raises(ShapeError, match="state"):
            runtime.restore(state)


def test_out_in_a_stream(runtime) -> None:
    frame = frames(1)[0]
    expected = runtime.step(frame)
    runtime.reset()
    out = {name: np.zeros_like(each) for name, each in expected.items()}
    assert runtime.step(frame, out=out) is out
    assert equal(out, expected)


def test_a_still_model_is_a_stream_without_memory() -> None:
    graph = still()
    runtime = Runtime.load(bytes_of(graph))
    for seed in range(3):
        x = draw(graph, seed)
        assert equal(runtime.step(x, raw=True), reference.run(graph, x))
    assert runtime.timestep == 3
