"""`Model`: what it says of itself, and where it may be loaded from."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import pyspike
from pyspike import ModelFormatError, RangeError, image, reference
from pyspike.runtime import Model, Runtime, available_isas
from tests.runtime.models import SHAPE, bytes_of, draw, spiking, still


def test_inputs_and_outputs() -> None:
    model = Model.load(bytes_of(still()))
    (x,) = model.inputs
    assert (x.name, x.shape, x.dtype, x.axes) == ("x", SHAPE, "uint8", "NHWC")
    assert (x.lo, x.hi, x.scale, x.dynamic) == (0, 4, 1.0, False)
    counts, scores, pooled = model.outputs
    assert (counts.lo, counts.hi, counts.shape) == (0, 4, (1, 5, 6, 8))
    assert (scores.dtype, scores.scale) == ("int32", 0.25)
    assert pooled.scale == 2**-1 / 15  # the mean of 30 positions
    assert model.metadata == {"name": "still"}
    assert "x: uint8" in repr(model)


def test_time_axes() -> None:
    model = Model.load(bytes_of(spiking(3, 7)))
    frames, gain = model.inputs
    assert (frames.shape, frames.step_shape, frames.scale) == ((3, 2, 4), (2, 4), 0.5)
    assert gain.shape == gain.step_shape == (2, 4)
    assert [each.shape for each in model.outputs] == [(3, 2, 5), (2, 5), (2, 5)]
    assert (model.timesteps, model.max_timesteps) == (3, 7)


def test_a_membrane_without_leak_bounds_streams() -> None:
    assert Model.load(bytes_of(spiking(3, None, leak=(1, 0)))).max_timesteps == 3
    assert Model.load(bytes_of(spiking(3, 50, leak=(1, 0)))).max_timesteps == 50
    assert Model.load(bytes_of(spiking(3, None))).max_timesteps is None


def test_channels_with_scales_of_their_own() -> None:
    graph = still()
    conv = graph.nodes[0].op
    graph = pyspike.graph.Graph()
    graph.add_input(pyspike.graph.Port("x", "x", "uint8"), pyspike.graph.Tensor(SHAPE, 0, 4))
    own = type(conv)(conv.weight, np.arange(8), np.zeros(8), None, padding=(1, 1, 1, 1))
    graph.add(own, ["x"], "drive")
    graph.add_output(pyspike.graph.Port("drive", "drive", "int32"))
    model = Model.load(image.to_bytes(graph))
    assert model.outputs[0].scale == tuple(2.0**-f for f in range(8))
    x = draw(graph)
    expected = reference.run(graph, x)["drive"] * np.array(model.outputs[0].scale)
    assert np.array_equal(model.runtime().run(x)["drive"], expected)


@pytest.mark.parametrize("mmap", [False, True])
def test_load_from_a_file(tmp_path, mmap) -> None:
    path = tmp_path / "still.spk"
    image.write(still(), path)
    for source in (path, str(path)):
        model = Model.load(source, mmap=mmap)
        expected = reference.run(still(), draw(still()))
        found = model.runtime().run(draw(still()), raw=True)
        assert all(np.array_equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_load_from_bytes(kind) -> None:
    data = bytearray(bytes_of(still()))
    model = Model.load(kind(data))
    data[:] = bytes(len(data))  # the model has a copy of its own
    expected = reference.run(still(), draw(still()))["scores"]
    assert np.array_equal(model.runtime().run(draw(still()), raw=True)["scores"], expected)


def test_a_model_without_references_stays_alive_in_its_runtimes() -> None:
    runtime = Runtime.load(bytes_of(still()))
    assert runtime.run(draw(still()))["scores"].shape == (1, 5, 6, 4)
    assert runtime.inputs == runtime.model.inputs
    assert runtime.outputs == runtime.model.outputs


def test_memory_is_known_before_anything_is_allocated() -> None:
    data = bytes_of(spiking())
    model = Model.load(data)
    plan = model.memory()
    assert plan.weights == len(data)
    assert plan.arena >= 2 * 4 + 4 * 2 * 5
    assert plan.state == 64
    assert model.memory(threads=2).scratch >= plan.scratch >= 0


def test_threads_share_a_model() -> None:
    graph = still()
    model = Model.load(bytes_of(graph))
    x = draw(graph, count=20)
    expected = model.runtime().run(x, raw=True)["scores"]
    found: dict[int, np.ndarray] = {}

    def work(number: int) -> None:
        found[number] = model.runtime(threads=1 + number % 2).run(x, raw=True)["scores"]

    workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == 4
    assert all(np.array_equal(each, expected) for each in found.values())


def test_isa_and_threads(monkeypatch) -> None:
    model = Model.load(bytes_of(still()))
    assert available_isas()[-1] == "portable"
    for isa in available_isas():
        assert model.runtime(isa=isa).isa == isa
    assert model.runtime().isa == available_isas()[0]
    monkeypatch.setenv("PYSPIKE_ISA", "portable")
    assert model.runtime().isa == "portable"
    assert model.runtime(threads=2).threads == 2
    monkeypatch.setenv("PYSPIKE_ISA", "abacus")
    with pytest.raises(RangeError, match="abacus"):
        model.runtime()
    with pytest.raises(RangeError, match="abacus"):
        model.runtime(isa="abacus")
    for threads in (0, -1, 257, 1.5, True):
        with pytest.raises(RangeError, match="threads"):
            model.runtime(threads=threads)


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b'{"a": 1}', b'{"b":1,"a":2}', b"\xff", b'{"a":NaN}', b"[" * 10**5])
def test_broken_metadata_is_a_format_error(text) -> None:
    import hashlib

    data = bytearray(bytes_of(still()))
    old = len(b'{"name":"still"}')
    data[-old:] = text
    data[64 + 36 : 64 + 40] = len(text).to_bytes(4, "little")
    data[16:24] = len(data).to_bytes(8, "little")
    data[32:64] = hashlib.sha256(data[64:]).digest()
    with pytest.raises(ModelFormatError):
        Model.load(bytes(data))
    with pytest.raises(ModelFormatError):
        image.from_bytes(bytes(data))
