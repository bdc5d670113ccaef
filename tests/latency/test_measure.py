"""Measuring a model: which inputs, how often, in which order, and that fresh inputs stay within the bound."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from pyspike import RangeError
from pyspike.latency import LatencyBound, latency_bound
from pyspike.latency.inputs import FITTED, HELD_OUT, synthetic
from pyspike.latency.measure import timed
from pyspike.runtime import Model, TensorInfo
from tests.latency.made_up import Sampler, noise
from tests.runtime.models import bytes_of, draw, spiking, still

GRAPHS = {"still": still(), "pixels": still(255), "in time": spiking(3)}
A, B = 4e-6, 3e-9


def port(lo: int, hi: int, shape: tuple[int, ...] = (1, 16, 24, 3), dtype: str = "int32") -> TensorInfo:
    return TensorInfo("x", shape, dtype, "", lo, hi, 1.0, False, shape)


def run_once(model: Model, **options) -> LatencyBound:
    """By the clock, but no more often than needed."""
    return model.latency_bound(repetitions=1, **options)


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_fresh_inputs_stay_within_the_bound(name: str, seed: int) -> None:
    """Layers of other constants, 10 % of noise that is never the same, and a rare long disturbance."""
    model = Model.load(bytes_of(GRAPHS[name]))

    def rule(number: int, events: int, taken: int) -> float:
        true = A * (number + 1) + B * (number + 1) * events
        disturbed = 1e-4 if taken % 61 == 0 and number == taken // 61 % 4 else 0.0
        return true * (1 + noise(1000 * taken + number, 0.1)) + disturbed

    sampler = Sampler(model.runtime(), rule, extra=7e-6)
    bound = latency_bound(model, sampler=sampler, repetitions=20, quantile=0.95, seed=seed)
    for each in bound.fitted:
        assert each.median <= each.quantile <= each.bound
        assert each.within >= 0.95
    assert bound.within >= 0.95
    assert all(each.within >= 0.8 and each.quantile <= 1.02 * each.bound for each in bound.held_out)
    # A bound that is far off would be kept as well.
    assert bound.a <= 2 * (sampler.extra + A * 10) + 2e-4
    for number, layer in enumerate(bound.layers):
        assert layer.b <= 3 * B * (len(bound.layers) + 2), number


def test_the_constants_are_found_where_nothing_disturbs() -> None:
    model = Model.load(bytes_of(GRAPHS["still"]))
    sampler = Sampler(model.runtime(), lambda number, events, taken: A + B * events, extra=7e-6)
    bound = latency_bound(model, sampler=sampler, repetitions=3)
    first = bound.layers[0]
    assert (first.name, first.a, first.b, first.source) == ("drive", pytest.approx(A), pytest.approx(B), "measured")
    assert (first.fewest, first.greatest, first.most) == (0, 90, 90)
    assert bound.others == pytest.approx(7e-6 + 2 * A)  # a neuron, a mean
    assert bound.tail <= 1.001e-9
    # As slow as without events, and the dearest events everywhere.
    assert bound.worst == pytest.approx(7e-6 + 4 * A + B * bound.most, rel=1e-3)


def test_inputs_take_turns() -> None:
    model = Model.load(bytes_of(GRAPHS["still"]))
    sampler = Sampler(model.runtime(), lambda number, events, taken: A)
    seen: list[bytes] = []

    def watched(x):
        seen.append(x["x"].tobytes())
        return sampler(x)

    told: list[tuple[int, int]] = []
    bound = latency_bound(model, sampler=watched, repetitions=3, progress=lambda done, of: told.append((done, of)))
    count, fresh = len(bound.fitted), len(bound.held_out)
    assert len(seen) == 4 * (count + fresh)  # each once to warm up
    turns = [seen[i * count : (i + 1) * count] for i in range(4)]
    assert len(set(turns[0])) == count
    assert all(turn == turns[0] for turn in turns)
    of = 3 * (count + fresh)
    assert told == [(i + 1, of) for i in range(of)]


def test_own_samples_are_measured_and_held_out() -> None:
    graph = GRAPHS["in time"]
    samples = [draw(graph, seed) for seed in range(3)]
    bound = run_once(Model.load(bytes_of(graph)), inputs=samples)
    assert [each.name for each in bound.fitted][-1] == "sample 1"
    assert [each.name for each in bound.held_out][-2:] == ["sample 0", "sample 2"]


def test_what_is_stated_is_what_ran() -> None:
    model = Model.load(bytes_of(GRAPHS["still"]))
    bound = run_once(model, threads=2, isa="portable", quantile=1)
    assert (bound.threads, bound.isa, bound.repetitions, bound.quantile) == (2, "portable", 1, 1)
    assert [layer.name for layer in bound.layers] == ["drive", "scores"]
    assert bound.a > 0
    assert bound.first > 0
    profile = model.runtime().profile(draw(GRAPHS["still"]))
    events = {layer.name: layer.events for layer in profile.layers if layer.op in ("conv2d", "linear")}
    assert bound.a <= bound.seconds(events) <= bound.seconds(profile.events) * (1 + 1e-9) <= bound.worst * (1 + 1e-8)


def test_every_synapse_of_the_runtime_is_one_here() -> None:
    for graph in GRAPHS.values():
        for x in (draw(graph), draw(graph, 1)):
            layers = timed(Model.load(bytes_of(graph)).runtime())(x).layers
            assert [layer.op in ("conv2d", "linear") for layer in layers] == [layer.sops > 0 for layer in layers]


@pytest.mark.parametrize(("lo", "hi"), [(0, 1), (0, 4), (0, 255), (-3, 3), (-128, 127), (2, 9), (-9, -2), (0, 2**20)])
@pytest.mark.parametrize("recipes", [FITTED, HELD_OUT])
def test_drawn_inputs_keep_their_range(lo: int, hi: int, recipes) -> None:
    ports = [port(lo, hi)]
    drawn = [arrays["x"] for _, arrays in synthetic(ports, 0, recipes)]
    for x in drawn:
        assert x.shape == ports[0].shape
        assert x.dtype == "int32"
        assert lo <= x.min()
        assert x.max() <= hi
    assert all(not np.array_equal(a, b) for a, b in itertools.combinations(drawn, 2))
    if recipes is FITTED and lo <= 0 <= hi:
        densities = [np.count_nonzero(x) / x.size for x in drawn]
        assert min(densities) == 0
        assert max(densities) == 1


def test_recipes_are_what_they_say() -> None:
    drawn = dict(synthetic([port(0, 4, (1, 64, 64, 8))], 0, FITTED))
    assert not drawn["silence"]["x"].any()
    assert (drawn["all hi"]["x"] == 4).all()
    assert (drawn["most bits"]["x"] == 3).all()
    for density in (0.02, 0.25, 1.0):
        x = drawn[f"density {density:g}"]["x"]
        assert np.count_nonzero(x) / x.size == pytest.approx(density, abs=0.01)
    patches = drawn["density 0.5 in patches"]["x"]
    assert (patches[:, :8, :8] == patches[:, :1, :1]).all()
    assert len(np.unique(patches)) > 2
    dearest = {(-4, 4): -1, (-9, -2): -2, (0, 2**20): 2**20 - 1, (0, 6): 6, (2, 9): 7, (-(2**31), 5): -1}
    for (lo, hi), most in dearest.items():
        assert any((x["x"] == most).all() for _, x in synthetic([port(lo, hi)], 0, FITTED)), (lo, hi)
    again = dict(synthetic([port(0, 4, (1, 64, 64, 8))], 0, FITTED))
    assert all(np.array_equal(drawn[name]["x"], again[name]["x"]) for name in drawn)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"repetitions": 0}, "repetitions"), ({"repetitions": 1.5}, "repetitions"), ({"repetitions": True}, "repet"),
        ({"quantile": 0}, "quantile"), ({"quantile": 1.01}, "quantile"), ({"quantile": "p99"}, "quantile"),
        ({"quantile": float("nan")}, "quantile"), ({"seed": -1}, "seed"), ({"threads": 0}, "threads"),
        ({"isa": "none"}, "isa"),
    ],
)  # fmt: skip
def test_bad_arguments(options, match: str) -> None:
    with pytest.raises(RangeError, match=match):
        Model.load(bytes_of(GRAPHS["still"])).latency_bound(**options)
