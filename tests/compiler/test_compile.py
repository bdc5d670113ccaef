"""`pyspike.compile` as users call it: sources, determinism, metadata, report."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import pyspike
from pyspike import image
from pyspike.compiler import compile, lower
from pyspike.errors import RangeError, UnsupportedOpError
from tests.compiler.networks import Writer, onnxruntime_outputs, reals


def small(seed: int = 0, metadata: str | None = None) -> onnx.ModelProto:
    """Two convolutions with a membrane between, whose float weights lie on no grid."""
    rng = np.random.default_rng(seed)
    w = Writer()
    x = w.conv(w.cast(w.input("pixels", (2, 3, 8, 8))), rng.normal(size=(4, 3, 3, 3)) / 64, rng.normal(size=4))
    counts = w.fire(x, 4, T=2, decay=0.25, half_even=1)
    model = w.model([w.conv(counts, rng.normal(size=(2, 4, 1, 1)), rng.normal(size=2))])
    if metadata is not None:
        entry = model.metadata_props.add()
        entry.key, entry.value = "pyspike", metadata
    return model


def test_compiling_twice_gives_the_same_bytes(tmp_path):
    path = tmp_path / "m.onnx"
    onnx.save(small(), path)
    compile(path, tmp_path / "a.spk")
    compile(small(), tmp_path / "b.spk")
    (tmp_path / "elsewhere").mkdir()
    onnx.save(small(), tmp_path / "elsewhere" / "other.onnx")
    pyspike.compile(str(tmp_path / "elsewhere" / "other.onnx"), tmp_path / "elsewhere" / "c.spk")
    data = (tmp_path / "a.spk").read_bytes()
    assert data == (tmp_path / "b.spk").read_bytes() == (tmp_path / "elsewhere" / "c.spk").read_bytes()
    compile(small(1), tmp_path / "d.spk")
    assert data != (tmp_path / "d.spk").read_bytes()


def test_the_image_holds_the_graph_that_was_reported(tmp_path):
    report = compile(small(), tmp_path / "m.spk")
    assert image.to_bytes(report.graph) == image.to_bytes(image.read(tmp_path / "m.spk"))
    assert image.to_bytes(report.graph) == (tmp_path / "m.spk").read_bytes()
    assert report.total_bytes == (tmp_path / "m.spk").stat().st_size


def test_lower_gives_the_same_graph_without_a_file(tmp_path):
    report = compile(small(), tmp_path / "m.spk", weight_bits=5, max_timesteps=9)
    graph = lower(small(), weight_bits=5, max_timesteps=9)
    graph.metadata = dict(report.graph.metadata)
    assert image.to_bytes(graph) == image.to_bytes(report.graph)
    assert graph.max_timesteps == 9


def test_metadata_comes_from_the_source_and_the_caller(tmp_path):
    model = small(metadata='{"task": "detect", "classes": ["a", "b"]}')
    report = compile(model, tmp_path / "m.spk", metadata={"classes": ["c"], "source": "a model card"})
    assert image.read(tmp_path / "m.spk").metadata == {
        "task": "detect",
        "classes": ["c"],
        "source": "a model card",
        "float_exact": report.float_exact,
        "source_exact": False,
        "weight_bits": 8,
    }
    for broken in ("not json", "[1]"):
        assert "task" not in compile(small(metadata=broken), tmp_path / "m.spk").graph.metadata


def test_a_graph_is_written_as_it_is(tmp_path):
    first = compile(small(), tmp_path / "m.spk")
    graph = image.read(tmp_path / "m.spk")
    again = compile(graph, tmp_path / "again.spk")
    assert (tmp_path / "again.spk").read_bytes() == (tmp_path / "m.spk").read_bytes()
    assert (again.float_exact, again.source_exact) == (first.float_exact, first.source_exact)
    compile(graph, tmp_path / "named.spk", metadata={"task": "x"})
    assert image.read(tmp_path / "named.spk").metadata["task"] == "x"
    assert "task" not in graph.metadata


def test_rounding_is_reported(tmp_path):
    report = compile(small(), tmp_path / "m.spk")
    first, last = (row for row in report.layers if row.op == "conv2d")
    assert 0 < first.weight_error < 0.01
    assert not report.source_exact
    assert f"conv2d {first.name!r}" in report.changes[0]
    quantised = [node.op for node in report.graph.nodes if node.output == first.name][0]  # noqa: RUF015
    exact = np.ldexp(quantised.weight.astype(float), -quantised.exponent.astype(int)[:, None, None, None])
    float_weight = np.random.default_rng(0).normal(size=(4, 3, 3, 3)) / 64
    stored = float_weight.astype(np.float32).astype(float).transpose(0, 2, 3, 1)
    assert first.weight_error == pytest.approx(np.linalg.norm(exact - stored) / np.linalg.norm(stored), rel=1e-12)
    coarse = compile(small(), tmp_path / "m.spk", weight_bits=4)
    assert next(row for row in coarse.layers if row.op == "conv2d").weight_error > 4 * first.weight_error
    assert last.exponents is not None


def test_the_report_prints_a_table_of_all_layers(tmp_path):
    report = compile(small(), tmp_path / "m.spk")
    text = str(report)
    lines = text.splitlines()
    assert len(lines) >= 1 + len(report.graph.nodes)
    for word in ("layer", "input", "output", "weight error", "range", "head-room", "bytes", "MACs"):
        assert word in lines[0]
    for row, line in zip(report.layers, lines[1:], strict=False):
        assert line.startswith(row.name)
    row = next(r for r in report.layers if r.op == "conv2d")
    assert row.input_shape == (1, 8, 8, 3)
    assert row.output_shape == (1, 6, 6, 4)
    assert row.macs == 6 * 6 * 4 * 3 * 9
    assert row.nbytes == 4 * 27 + 4 * 4
    assert "float-exact" in text
    assert "timesteps: 2" in text


def test_headroom_is_the_bits_that_int32_has_left(tmp_path):
    w = Writer()
    y = w.node("Add", [w.input("x", (1,), "float32")] * 2, (1,))
    (row,) = compile(w.model([y]), tmp_path / "m.spk", calibration={"x": (-4, 3, 0)}).layers
    assert (row.lo, row.hi, row.headroom) == (-8, 6, 28)  # -8 needs three bits and the sign


def test_post_training_quantisation_stays_close_to_the_float_network(tmp_path):
    w = Writer()
    rng = np.random.default_rng(2)
    x = w.node("Div", [w.cast(w.input("x", (1, 3, 8, 8))), w.constant(np.array(255.0))], (1, 3, 8, 8))
    y = w.conv(x, rng.normal(size=(4, 3, 3, 3)), rng.normal(size=4), pads=[1, 1, 1, 1])
    model = w.model([y])
    report = compile(model, tmp_path / "m.spk")
    pixels = {"x": rng.integers(0, 256, (1, 3, 8, 8), dtype=np.uint8)}
    found, expected = reals(report.graph, pixels)[y], onnxruntime_outputs(model, pixels)[y]
    assert 0 < np.abs(found - expected).max() < 0.02 * np.abs(expected).max()
    assert report.layers[1].exponents is not None
    assert report.layers[1].exponents[1] > 10  # the 1/255 is in the weights


@pytest.mark.parametrize("steps", [0, -1])
def test_impossible_max_timesteps_are_refused(tmp_path, steps):
    with pytest.raises(RangeError, match="max_timesteps"):
        compile(small(), tmp_path / "m.spk", max_timesteps=steps)


def test_a_refused_model_leaves_an_old_image_alone(tmp_path):
    target = tmp_path / "m.spk"
    compile(small(), target)
    before = target.read_bytes()
    w = Writer()
    x = w.cast(w.input("x", (1, 2)))
    with pytest.raises(UnsupportedOpError):
        compile(w.model([w.node("Relu", [x], (1, 2))]), target)
    assert target.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["m.spk"]
