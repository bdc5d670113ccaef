"""`max_events`: exact at the boundary for every configuration, and no trace of a run that was stopped."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyspike import RangeError, image, reference
from pyspike.errors import BudgetError, Error
from pyspike.graph import Graph, Port, Tensor
from pyspike.ops import Conv2d, Fire
from pyspike.runtime import Model, Runtime, available_isas
from tests.exact.graphs import graphs, inputs_of
from tests.runtime.models import bytes_of, draw, spiking, still

CONFIGURATIONS = [(threads, isa) for isa in available_isas() for threads in (1, 2)]


def depthwise(hi: int) -> Graph:
    """A depthwise convolution of counts in 0..`hi`, its neuron, and one more: by masks, or the way for any range."""
    rng = np.random.default_rng(hi)
    graph = Graph()
    graph.add_input(Port("x", "x", "uint8" if hi < 256 else "int32"), Tensor((1, 6, 7, 20), 0, hi))
    for i, name in enumerate(("x", "spikes0")):
        weight = rng.integers(-9, 9, (20, 3, 3, 1), endpoint=True)
        conv = Conv2d(weight, np.zeros(20), np.zeros(20), None, padding=(1, 1, 1, 1), groups=20)
        graph.add(conv, [name], f"drive{i}")
        graph.add(Fire([[5, 15]]), [f"drive{i}"], f"spikes{i}")
    graph.add_output(Port("spikes", "spikes1", "uint8"))
    return graph


def looked_up() -> Graph:
    """Pixels, few channels: a layer whose sums are looked up, without lists of events."""
    graph = Graph()
    graph.add_input(Port("x", "x", "uint8"), Tensor((1, 8, 8, 3), 0, 255))
    weight = np.random.default_rng(0).integers(-3, 3, (16, 3, 3, 3), endpoint=True)
    graph.add(Conv2d(weight, np.zeros(16), np.zeros(16), None), ["x"], "drive")
    graph.add_output(Port("drive", "drive", "int32"))
    return graph


def two_layers() -> Graph:
    """Counts in two timesteps, a neuron with a leak, and a layer that reads its spikes: 'drive', 'spikes', 'out'."""
    graph = Graph(2)
    graph.add_input(Port("x", "x", "uint8", time_axis=0), Tensor((1, 3, 3, 4), 0, 4, time=True))
    weight = np.full((4, 1, 1, 4), 3)
    graph.add(Conv2d(weight, np.zeros(4), np.zeros(4), None), ["x"], "drive")
    graph.add(Fire([[10, 20]], True, (1, 1), False, [0, 10, 20], 0, 2), ["drive"], "spikes")
    graph.add(Conv2d(weight, np.zeros(4), np.zeros(4), None), ["spikes"], "out")
    graph.add_output(Port("out", "out", "int32", time_axis=0))
    return graph


GRAPHS = {
    "still": still(), "pixels": still(255), "in time": spiking(3), "depthwise": depthwise(4),
    "wide depthwise": depthwise(1000), "looked up": looked_up(),
}  # fmt: skip


def equal(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> bool:
    return list(found) == list(expected) and all(np.array_equal(found[name], expected[name]) for name in expected)


def events_of(graph: Graph, x: dict[str, np.ndarray]) -> int:
    """Non-zero integers that synapses read, by the reference alone."""
    watched: dict[str, list[np.ndarray]] = {}
    reference.run(graph, x, watched)
    return sum(
        np.count_nonzero(step)
        for node in graph.nodes
        if node.op.name in ("conv2d", "linear")
        for step in watched[node.inputs[0]]
    )


def stopped(runtime: Runtime, x, most: int) -> BudgetError:
    with pytest.raises(BudgetError) as caught:
        runtime.run(x, max_events=most)
    return caught.value


@pytest.mark.parametrize(("threads", "isa"), CONFIGURATIONS)
@pytest.mark.parametrize("name", GRAPHS)
def test_the_budget_is_exact(name: str, threads: int, isa: str) -> None:
    graph, x = GRAPHS[name], draw(GRAPHS[name])
    runtime = Runtime.load(bytes_of(graph), threads, isa)
    events = events_of(graph, x)
    assert runtime.profile(x).events == events > 1
    expected = reference.run(graph, x)
    for most in (events, events + 1, 2**64 - 1, 2**80, np.int64(events)):
        assert equal(runtime.run(x, raw=True, max_events=most), expected)
        assert runtime.profile(x, max_events=most).events == events
    error = stopped(runtime, x, events - 1)
    assert error.events < events == error.events + error.refused
    assert error.max_events == events - 1
    assert equal(runtime.run(x, raw=True), expected)
    with pytest.raises(BudgetError):
        runtime.profile(x, max_events=events - 1)


@given(st.data())
def test_any_budget_of_any_graph(data: st.DataObject) -> None:
    graph = data.draw(graphs())
    x = data.draw(inputs_of(graph))
    runtime = Runtime.load(image.to_bytes(graph), data.draw(st.sampled_from([1, 2])))
    profile, expected = runtime.profile(x), runtime.run(x, raw=True)
    most = data.draw(st.integers(0, profile.events + 1))
    if most >= profile.events:
        assert equal(runtime.run(x, raw=True, max_events=most), expected)
    else:
        error = stopped(runtime, x, most)
        assert error.events <= most < error.events + error.refused <= profile.events
        assert error.layer in [layer.name for layer in profile.layers if layer.events]
    assert runtime.timestep == 0
    assert equal(runtime.run(x, raw=True), expected)


def test_the_layer_is_named() -> None:
    graph = GRAPHS["still"]
    runtime, x = Runtime.load(bytes_of(graph)), draw(graph)["x"]
    drive, _, _, scores = runtime.profile(x).layers
    error = stopped(runtime, x, 0)
    assert isinstance(error, Error)
    assert isinstance(error, RuntimeError)
    assert (error.layer, error.events, error.refused) == ("drive", 0, drive.events)
    error = stopped(runtime, x, drive.events)
    assert (error.layer, error.events, error.refused) == ("scores", drive.events, scores.events)
    for part in (f"max_events={drive.events:,}", "'scores'", "larger budget"):
        assert part in str(error)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_stopped_run_leaves_the_runtime_at_rest(threads: int) -> None:
    """Its neurons had fired, and a stream that was under way has ended, as after any run."""
    graph = two_layers()
    runtime, fresh = Runtime.load(bytes_of(graph), threads), Runtime.load(bytes_of(graph))
    frames = np.full((2, 1, 3, 3, 4), 2, "uint8")
    runtime.step(frames[0])
    error = stopped(runtime, frames, frames[0].size)
    assert error.layer == "out"
    assert runtime.state() == fresh.state()
    assert equal(runtime.step(frames[0], raw=True), fresh.step(frames[0], raw=True))
    assert equal(runtime.run(frames, raw=True), fresh.run(frames, raw=True))


def test_silence_fits_a_budget_of_nothing() -> None:
    runtime = Runtime.load(bytes_of(depthwise(4)))
    x = np.zeros((1, 6, 7, 20), "uint8")
    assert runtime.profile(x).events == 0
    assert not runtime.run(x, max_events=0)["spikes"].any()


def test_each_sample_of_a_stack_has_the_budget() -> None:
    graph = GRAPHS["still"]
    model = Model.load(bytes_of(graph))
    runtime = model.runtime()
    stack = draw(graph, count=3)["x"]
    counts = [runtime.profile(x).events for x in stack]
    most = max(counts)
    assert sum(counts) > most
    assert equal(runtime.run(stack, max_events=most), runtime.run(stack))
    assert counts[counts.index(most)] == most
    with pytest.raises(BudgetError, match=f"sample {counts.index(most)}: "):
        runtime.run(stack, max_events=most - 1)


def test_arrays_given_for_results_stay_as_they_were() -> None:
    graph = GRAPHS["in time"]
    runtime, x = Runtime.load(bytes_of(graph)), draw(graph)
    out = {name: np.full_like(array, 7) for name, array in runtime.run(x, raw=True).items()}
    with pytest.raises(BudgetError):
        runtime.run(x, out=out, raw=True, max_events=runtime.profile(x).events - 1)
    assert all((array == 7).all() for array in out.values())


@pytest.mark.parametrize(("threads", "isa"), CONFIGURATIONS)
def test_a_stopped_step_did_not_take_place(threads: int, isa: str) -> None:
    graph = spiking(4)
    model = Model.load(bytes_of(graph))
    runtime, other = model.runtime(threads, isa), model.runtime()
    case = draw(graph)
    steps = [{"frames": frame, "gain": case["gain"]} for frame in case["frames"]]
    for frame in steps[:2]:
        runtime.step(frame)
        other.step(frame)
    before = runtime.state()
    events = np.count_nonzero(steps[2]["frames"]) + np.count_nonzero(case["gain"])
    # 'static' comes after the neuron or before it: either way nothing of the step is left.
    for most in range(events):
        with pytest.raises(BudgetError) as caught:
            runtime.step(steps[2], max_events=most)
        assert caught.value.events <= most
        assert runtime.state() == before
    for frame in steps[2:]:
        most = np.count_nonzero(frame["frames"]) + np.count_nonzero(case["gain"])
        assert equal(runtime.step(frame, raw=True, max_events=most), other.step(frame, raw=True))


def test_a_step_is_undone_where_its_neurons_had_fired() -> None:
    runtime = Runtime.load(bytes_of(two_layers()))
    frame = np.full((1, 3, 3, 4), 2, "uint8")
    first = runtime.step(frame)
    before = runtime.state()
    with pytest.raises(BudgetError, match="'out'"):
        runtime.step(frame, max_events=frame.size)
    assert runtime.state() == before
    runtime.step(frame, max_events=2 * frame.size)
    runtime.reset()
    assert equal(runtime.step(frame), first)


@pytest.mark.parametrize("most", [-1, 1.5, "many", True, np.float64(3), [3]])
def test_bad_budgets(most: object) -> None:
    graph = GRAPHS["still"]
    runtime, x = Runtime.load(bytes_of(graph)), draw(graph)["x"]
    for call in (runtime.run, runtime.step, runtime.profile):
        with pytest.raises(RangeError, match="max_events: expected a whole number"):
            call(x, max_events=most)
