"""Runs that go on from the run before: frame after frame, `==` to a runtime that never saw another frame."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyspike import image
from pyspike.errors import BudgetError, RangeError, UnsupportedOpError
from pyspike.graph import Graph, Port, Tensor
from pyspike.ops import Conv2d, Fire, Linear
from pyspike.runtime import Model, available_isas
from tests.exact.graphs import graphs, inputs_of
from tests.exact.test_executors import assert_same

CONFIGURATIONS = [(isa, threads) for isa in available_isas() for threads in (1, 2)]
SETTINGS = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
Frame = dict[str, np.ndarray]


def changed(draw: Callable, graph: Graph, frame: Frame) -> Frame:
    """Another frame: the same, or one integer, a few, or a block of it changed, or all of it."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["same", "one", "sparse", "sparse", "block", "new", "lo", "hi"]))
    after = {}
    for port in graph.inputs:
        tensor, values = graph.tensors[port.tensor], frame[port.name]
        other = rng.integers(tensor.lo, tensor.hi, values.shape, endpoint=True)
        at = np.zeros(values.shape, bool)
        if kind == "one":
            at.reshape(-1)[rng.integers(values.size)] = True
        elif kind == "sparse":
            at = rng.random(values.shape) < draw(st.sampled_from([0.01, 0.1, 0.4]))
        elif kind == "block":
            at[tuple(slice(*sorted(rng.integers(0, size + 1, 2))) for size in values.shape)] = True
        elif kind != "same":
            at[:] = True
            other = {"new": other, "lo": np.full_like(other, tensor.lo), "hi": np.full_like(other, tensor.hi)}[kind]
        after[port.name] = np.where(at, other, values).astype(values.dtype)
    return after


def frames_of(draw: Callable, graph: Graph, most: int = 5) -> list[Frame]:
    frames = [draw(inputs_of(graph))]
    for _ in range(draw(st.integers(1, most))):
        frames.append(changed(draw, graph, frames[-1]))
    return frames


def has_state(graph: Graph) -> bool:
    return any(node.op.stateful for node in graph.nodes)


@SETTINGS
@given(st.data())
def test_every_frame_equals_a_fresh_run(data) -> None:
    graph = data.draw(graphs(most_timesteps=1))
    model = Model.load(image.to_bytes(graph))
    if has_state(graph):
        with pytest.raises(UnsupportedOpError, match="one timestep"):
            model.runtime(incremental=True)
        return
    frames = frames_of(data.draw, graph)
    expected = [model.runtime().run(frame, raw=True) for frame in frames]
    for isa, threads in CONFIGURATIONS:
        runtime = model.runtime(threads, isa, incremental=True)
        for i, frame in enumerate(frames):
            found = runtime.run(frame, raw=True)
            assert_same(graph, expected[i], found, f"frame {i} ({isa}, {threads} threads)")


@SETTINGS
@given(st.data())
def test_what_was_stopped_or_refused_is_forgotten(data) -> None:
    graph = data.draw(graphs(most_timesteps=1))
    if has_state(graph):
        return
    model = Model.load(image.to_bytes(graph))
    runtime = model.runtime(incremental=True)
    for frame in frames_of(data.draw, graph):
        expected = model.runtime().run(frame, raw=True)
        act = data.draw(st.sampled_from(["run", "budget", "step", "reset", "profile"]))
        if act == "budget":
            with contextlib.suppress(BudgetError):
                runtime.run(frame, raw=True, max_events=data.draw(st.integers(0, 400)))
        elif act == "step":
            runtime.step({each.name: frame[each.name].reshape(each.step_shape) for each in model.inputs}, raw=True)
        elif act == "reset":
            runtime.reset()
        elif act == "profile":
            runtime.profile(frame)
        assert_same(graph, expected, runtime.run(frame, raw=True), f"after {act}")


def layers(hi: int, size: int = 12, channels: int = 24) -> Graph:
    """Two convolutions of counts with a neuron after each, and a classifier: 'drive0', 'spikes0', ..., 'scores'."""
    rng = np.random.default_rng(hi)
    graph = Graph()
    graph.add_input(Port("x", "x", "uint8"), Tensor((1, size, size, channels), 0, hi))
    name = "x"
    for i in range(2):
        weight = rng.integers(-30, 30, (channels, 3, 3, channels), endpoint=True)
        conv = Conv2d(weight, np.zeros(channels), np.zeros(channels), None, padding=(1, 1, 1, 1))
        graph.add(conv, [name], f"drive{i}")
        name = graph.add(Fire([[40, 160]]), [f"drive{i}"], f"spikes{i}")
    graph.add(Linear(rng.integers(-9, 9, (5, channels)), np.zeros(5), np.zeros(5), None), [name], "scores")
    graph.add_output(Port("scores", "scores", "int32"))
    return graph


def test_only_what_changed_is_counted() -> None:
    graph = layers(4)
    model = Model.load(image.to_bytes(graph))
    runtime = model.runtime(incremental=True)
    x = np.random.default_rng(0).integers(0, 4, (1, 12, 12, 24), endpoint=True).astype(np.uint8)
    first = runtime.profile(x)
    assert first.events == model.runtime().profile(x).events
    assert runtime.profile(x).events == 0
    after = x.copy()
    after[0, 3, 4, :2] = [4 - x[0, 3, 4, 0], 4 - x[0, 3, 4, 1]] if (x[0, 3, 4, :2] != 2).all() else [0, 4]
    number = int((after != x).sum())
    layers_of = {layer.name: layer for layer in runtime.profile(after).layers}
    assert layers_of["drive0"].events == layers_of["drive0"].nonzero == number > 0
    assert layers_of["drive0"].elements == x.size
    assert 0 < layers_of["drive0"].adds <= number * 2 * 9 * 24
    assert layers_of["drive1"].events < first.layers[2].events / 2


def test_a_budget_counts_what_changed() -> None:
    model = Model.load(image.to_bytes(layers(4)))
    runtime = model.runtime(incremental=True)
    x = np.ones((1, 12, 12, 24), np.uint8)
    runtime.run(x)
    after = x.copy()
    after[0, 5, 5, 0] = 3
    events = model.runtime(incremental=True)
    events.run(x)
    needed = events.profile(after).events
    assert 0 < needed < x.size
    with pytest.raises(BudgetError):
        runtime.run(after, max_events=needed - 1)
    with pytest.raises(BudgetError):  # forgotten: all of it is to be done
        runtime.run(after, max_events=needed)
    runtime.run(x)
    assert runtime.run(after, raw=True, max_events=needed)["scores"].tolist() == (
        model.runtime().run(after, raw=True)["scores"].tolist()
    )


def test_a_refused_frame_changes_nothing() -> None:
    model = Model.load(image.to_bytes(layers(4)))
    runtime = model.runtime(incremental=True)
    x = np.ones((1, 12, 12, 24), np.uint8)
    runtime.run(x)
    with pytest.raises(RangeError):
        runtime.run(np.full_like(x, 5))
    assert runtime.profile(x).events == 0


@pytest.mark.parametrize("hi", [1, 3, 4, 255])
def test_layers_of_every_range(hi: int) -> None:
    model = Model.load(image.to_bytes(layers(hi)))
    rng = np.random.default_rng(hi)
    x = rng.integers(0, hi, (1, 12, 12, 24), endpoint=True).astype(np.uint8)
    for isa, threads in CONFIGURATIONS:
        runtime = model.runtime(threads, isa, incremental=True)
        for share in (1, 0, 0.001, 0.01, 0.1, 0.3, 1):
            x = np.where(rng.random(x.shape) < share, rng.integers(0, hi, x.shape, endpoint=True), x).astype(np.uint8)
            assert runtime.run(x, raw=True)["scores"].tolist() == model.runtime().run(x, raw=True)["scores"].tolist()


def test_more_memory_is_known_before() -> None:
    graph = layers(4)
    model = Model.load(image.to_bytes(graph))
    plain, incremental = model.memory(), model.memory(incremental=True)
    counts = sum(graph.tensors[name].size for name in ("x", "spikes0", "spikes1"))
    potentials = sum(4 * graph.tensors[name].size for name in ("drive0", "drive1", "scores"))
    assert incremental.arena >= 3 * counts + potentials + 4 * graph.tensors["drive0"].size
    assert incremental.arena > plain.arena
    assert incremental.arena + incremental.scratch > plain.arena + plain.scratch
    assert incremental.weights == plain.weights
