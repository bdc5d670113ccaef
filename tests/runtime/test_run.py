"""`Runtime.run` and `profile`: forms of input and output, and errors that say what was expected."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from pyspike import BusyError, RangeError, ShapeError, reference
from pyspike.graph import Graph, Port, Tensor
from pyspike.ops import Linear
from pyspike.runtime import Model, Runtime
from tests.runtime.models import SHAPE, bytes_of, draw, spiking, still

GRAPH = still()
X = draw(GRAPH)["x"]
EXPECTED = reference.run(GRAPH, {"x": X})


@pytest.fixture(name="runtime")
def _runtime() -> Runtime:
    return Runtime.load(bytes_of(GRAPH))


def assert_expected(found) -> None:
    assert list(found) == list(EXPECTED)
    for name, integers in EXPECTED.items():
        assert np.array_equal(found[name], integers), name


def test_raw_gives_the_integers(runtime) -> None:
    found = runtime.run(X, raw=True)
    assert_expected(found)
    assert [each.dtype for each in found.values()] == ["uint8", "int32", "int32"]


def test_reals_are_integers_times_their_scale(runtime) -> None:
    found = runtime.run({"x": X})
    assert {each.dtype for each in found.values()} == {np.dtype("float64")}
    assert np.array_equal(found["scores"], EXPECTED["scores"] / 4)
    assert np.array_equal(found["pooled"], EXPECTED["pooled"] / 2 / 15)


@pytest.mark.parametrize(("axis", "merged"), [(0, False), (1, False), (2, False), (1, True)])
def test_scales_of_channels_go_with_their_channels_wherever_time_stands(axis: int, merged: bool) -> None:
    graph = Graph(timesteps=3)
    graph.add_input(Port("x", "x", "uint8", time_axis=0), Tensor((2, 4), 0, 4, time=True))
    graph.add(Linear(np.arange(20).reshape(5, 4) % 7, np.arange(5), np.zeros(5), None), ["x"], "y")
    graph.add_output(Port("y", "y", "int32", time_axis=axis, merged=merged))
    x = draw(graph)["x"]
    runtime = Runtime.load(bytes_of(graph))
    real, integers = runtime.run(x)["y"], runtime.run(x, raw=True)["y"]
    channels = 2 if axis < 2 else 1
    if merged:
        real, integers = (each.reshape(2, 3, 5) for each in (real, integers))
    apart = np.moveaxis(integers, channels, -1) / 2.0 ** np.arange(5)
    assert integers.any()
    assert np.array_equal(np.moveaxis(real, channels, -1), apart)
    runtime.reset()
    assert np.array_equal(runtime.step(x[0])["y"], runtime.step(x[0], raw=True)["y"] / 2.0 ** np.arange(5))


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint64", "int16"])
def test_other_integer_types_are_taken_where_values_fit(runtime, dtype) -> None:
    assert_expected(runtime.run(X.astype(dtype), raw=True))


def test_booleans_lists_and_strided_arrays(runtime) -> None:
    ones = np.ones(SHAPE, bool)
    assert np.array_equal(runtime.run(ones)["scores"], runtime.run(ones.astype("uint8"))["scores"])
    assert_expected(runtime.run(X.tolist(), raw=True))
    wide = np.zeros((1, 5, 12, 3), "uint8")
    wide[:, :, ::2] = X
    assert_expected(runtime.run(wide[:, :, ::2], raw=True))
    assert_expected(runtime.run(np.asfortranarray(X), raw=True))
    assert_expected(runtime.run(X.astype(">i4"), raw=True))


def test_stacks_of_samples(runtime) -> None:
    stack = draw(GRAPH, count=3)["x"]
    found = runtime.run(stack, raw=True)
    for i, sample in enumerate(stack):
        single = runtime.run(sample, raw=True)
        assert all(np.array_equal(found[name][i], single[name]) for name in single)
    assert runtime.run(stack[:0])["scores"].shape == (0, 1, 5, 6, 4)


def test_stacks_of_several_inputs() -> None:
    graph = spiking()
    runtime = Runtime.load(bytes_of(graph))
    stack = draw(graph, count=3)
    found = runtime.run(stack, raw=True)
    for i in range(3):
        expected = reference.run(graph, {name: array[i] for name, array in stack.items()})
        assert all(np.array_equal(found[name][i], expected[name]) for name in expected)
    with pytest.raises(ShapeError, match="different numbers"):
        runtime.run(stack | {"gain": stack["gain"][:2]})
    with pytest.raises(ShapeError, match="different numbers"):
        runtime.run(stack | {"gain": stack["gain"][0]})


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("count", [None, 2])
def test_out_is_written_into(runtime, raw, count) -> None:
    x = X if count is None else np.stack([X] * count)
    fresh = runtime.run(x, raw=raw)
    out = {name: np.full_like(each, 7) for name, each in fresh.items()}
    arrays = dict(out)
    assert runtime.run(x, out=out, raw=raw) is out
    assert all(out[name] is arrays[name] and np.array_equal(out[name], fresh[name]) for name in fresh)


def test_bad_out(runtime) -> None:
    good = {name: np.zeros_like(each) for name, each in runtime.run(X).items()}
    locked = np.zeros_like(good["scores"])
    locked.flags.writeable = False
    bad = [
        {},
        good | {"more": np.zeros(1)},
        good | {"scores": good["scores"].astype("float32")},
        good | {"scores": np.zeros((1, 5, 6, 3))},
        good | {"scores": locked},
        good | {"scores": good["scores"].tolist()},
        good["scores"],
    ]
    for out in bad:
        with pytest.raises(ShapeError, match="out"):
            runtime.run(X, out=out)


@pytest.mark.parametrize(
    ("x", "error", "match"),
    [
        (X[0], ShapeError, r"expected shape \(1, 5, 6, 3\).*found \(5, 6, 3\)"),
        (X[..., :2], ShapeError, "found"),
        (np.zeros((2, 2, 1, 5, 6, 3), "uint8"), ShapeError, "found"),
        (np.zeros((0,), "uint8"), ShapeError, "found"),
        (np.uint8(3), ShapeError, "found"),
        (X.astype(float), ShapeError, "uint8 integers in 0..4, found dtype float64"),
        (X.astype("float32"), ShapeError, "float32"),
        (X.astype(complex), ShapeError, "complex128"),
        (X.astype(object), ShapeError, "object"),
        (X.astype(str), ShapeError, "dtype"),
        (X.astype("datetime64[s]"), ShapeError, "dtype"),
        (None, ShapeError, "object"),
        ([[1, 2], [3]], ShapeError, "array"),
        (np.full(SHAPE, np.nan), RangeError, "NaN"),
        (np.full(SHAPE, 5, "uint8"), RangeError, r"0\.\.4, found 5\.\.5"),
        (np.full(SHAPE, 255, "uint8"), RangeError, "found 255"),
        (np.full(SHAPE, -1, "int8"), RangeError, "found -1"),
        (np.full(SHAPE, 2**32, "int64"), RangeError, "found 4294967296"),
        (np.full(SHAPE, 2**64 - 1, "uint64"), RangeError, "found 18446744073709551615"),
        ({}, ShapeError, "inputs"),
        ({"y": X}, ShapeError, r"expected inputs \['x'\], found \['y'\]"),
        ({"x": X, "y": X}, ShapeError, "inputs"),
        ({0: X}, ShapeError, "inputs"),
    ],
)  # fmt: skip
def test_bad_inputs_are_refused_and_change_nothing(runtime, x, error, match) -> None:
    for call in (runtime.run, runtime.step, runtime.profile):
        with pytest.raises(error, match=match):
            call(x)
    assert runtime.timestep == 0
    assert_expected(runtime.run(X, raw=True))


def test_one_bad_integer_is_found(runtime) -> None:
    for at in ((0, 0, 0, 0), (0, 4, 5, 2), (0, 2, 3, 1)):
        x = X.copy()
        x[at] = 5
        with pytest.raises(RangeError, match="'x'"):
            runtime.run(x)


def test_an_array_is_not_enough_for_two_inputs() -> None:
    with pytest.raises(ShapeError, match="dict"):
        Runtime.load(bytes_of(spiking())).run(X)


def test_a_second_thread_is_refused() -> None:
    runtime = Runtime.load(bytes_of(GRAPH))
    inside, leave = threading.Event(), threading.Event()

    class Slow:
        def __array__(self, dtype=None, copy=None):
            inside.set()
            leave.wait(30)
            return X

    results: list[object] = []
    worker = threading.Thread(target=lambda: results.append(runtime.run(Slow(), raw=True)))
    worker.start()
    assert inside.wait(30)
    for call in (lambda: runtime.run(X), lambda: runtime.step(X), runtime.reset, runtime.state):
        with pytest.raises(BusyError):
            call()
    leave.set()
    worker.join()
    assert_expected(results[0])
    assert_expected(runtime.run(X, raw=True))


def test_profile_counts(runtime) -> None:
    profile = runtime.profile(X)
    assert [layer.name for layer in profile.layers] == ["drive", "counts", "pooled", "scores"]
    assert [layer.op for layer in profile.layers] == ["conv2d", "fire", "mean", "linear"]
    drive, counts, _, scores = profile.layers
    watched: dict[str, list[np.ndarray]] = {}
    reference.run(GRAPH, {"x": X}, watched)
    sops = reference.synaptic_operations(GRAPH, watched)
    assert (drive.sops, scores.sops) == (sops["drive"], sops["scores"])
    assert drive.events == drive.nonzero == np.count_nonzero(X)
    assert drive.density == np.count_nonzero(X) / X.size
    assert counts.density == np.count_nonzero(EXPECTED["counts"]) / EXPECTED["counts"].size
    assert profile.sops == sum(layer.sops for layer in profile.layers) > 0
    assert profile.lane_adds >= profile.adds > 0
    assert profile.bytes > 0
    assert profile.seconds > 0
    with pytest.raises(ShapeError, match="stack"):
        runtime.profile(np.stack([X, X]))


def test_nothing_fires_without_input(runtime) -> None:
    profile = runtime.profile(np.zeros(SHAPE, "uint8"))
    assert (profile.layers[0].sops, profile.layers[0].events, profile.layers[0].adds) == (0, 0, 0)


def test_results_are_the_same_for_every_configuration() -> None:
    from pyspike.runtime import available_isas

    model = Model.load(bytes_of(GRAPH))
    for isa in available_isas():
        for threads in (1, 2, 3):
            assert_expected(model.runtime(threads=threads, isa=isa).run(X, raw=True))
