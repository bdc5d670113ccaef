"""Affine maps go where they belong, and where they cannot they are refused or become a synapse."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from pyspike.compiler import compile, lower
from pyspike.compiler.fold import fold
from pyspike.compiler.onnx_reader import read
from pyspike.compiler.program import Affine, Conv, Dense, Fire, Pad
from pyspike.errors import UnsupportedOpError
from pyspike.ops import Align, Conv2d
from tests.compiler.networks import Writer, onnxruntime_outputs, reals

RNG = np.random.default_rng(5)


def started(channels: int = 2, size: int = 5) -> tuple[Writer, str]:
    writer = Writer()
    return writer, writer.cast(writer.input("x", (1, channels, size, size)))


def folded(writer: Writer, *outputs: str):
    return fold(read(writer.model(outputs)))


def norm(writer: Writer, x: str, axis_size: int) -> tuple[str, np.ndarray, np.ndarray]:
    """A batch norm node, and the scale and shift it stands for."""
    gamma, beta, mean = RNG.uniform(0.5, 2, axis_size), RNG.normal(size=axis_size), RNG.normal(size=axis_size)
    variance = RNG.uniform(0.5, 2, axis_size)
    parameters = [writer.constant(p.astype(np.float32)) for p in (gamma, beta, mean, variance)]
    y = writer.node("BatchNormalization", [x, *parameters], writer.shapes[x], epsilon=1e-3)
    g, b, m, v = (p.astype(np.float32).astype(float) for p in (gamma, beta, mean, variance))
    scale = g / np.sqrt(v + np.float32(1e-3))
    return y, scale, b - m * scale


def test_a_norm_behind_a_convolution_goes_into_its_rows_and_bias():
    writer, x = started()
    weight, bias = RNG.integers(-9, 9, (3, 2, 3, 3)).astype(float), np.array([1.0, -2.0, 0.5])
    y, scale, shift = norm(writer, writer.conv(x, weight, bias, pads=[1, 1, 1, 1]), 3)
    (step,) = folded(writer, y).steps
    assert np.allclose(step.op.weight, weight * scale[:, None, None, None], rtol=1e-12)
    assert np.allclose(step.op.bias, bias * scale + shift, rtol=1e-12)


@pytest.mark.parametrize("groups", [1, 2])
def test_a_norm_in_front_goes_into_the_columns_and_bias_of_an_unpadded_convolution(groups):
    writer, x = started(4)
    counts = writer.fire(writer.conv(x, np.ones((4, 4, 1, 1))), 4)
    y, scale, shift = norm(writer, counts, 4)
    weight = RNG.integers(-9, 9, (6, 4 // groups, 2, 2)).astype(float)
    steps = folded(writer, writer.conv(y, weight, group=groups)).steps
    assert [type(s.op) for s in steps] == [Conv, Fire, Conv]
    out = np.arange(6)[:, None]
    columns = out // (6 // groups) * (4 // groups) + np.arange(4 // groups)
    assert np.allclose(steps[-1].op.weight, weight * scale[columns][:, :, None, None], rtol=1e-12)
    assert np.allclose(steps[-1].op.bias, (weight.sum((2, 3)) * shift[columns]).sum(1), rtol=1e-12)


def test_a_scale_in_front_of_a_padded_convolution_folds():
    writer, x = started()
    y = writer.conv(writer.node("Div", [x, writer.constant(np.array(255.0))], writer.shapes[x]), np.ones((1, 2, 3, 3)),
                    pads=[1, 1, 1, 1])  # fmt: skip
    (step,) = folded(writer, y).steps
    assert np.allclose(step.op.weight, 1 / 255, rtol=1e-15)


def test_an_offset_in_front_of_a_padded_convolution_is_refused_by_name():
    writer, x = started()
    shifted = writer.node("Add", [x, writer.constant(np.array([0.25, 0.5]).reshape(2, 1, 1))], writer.shapes[x])
    y = writer.conv(shifted, np.ones((1, 2, 3, 3)), pads=[1, 1, 1, 1])
    with pytest.raises(UnsupportedOpError, match=r"Conv 'Conv_\d+' \(after 'Add_\d+'\)"):
        lower(writer.model([y]))


def test_an_offset_that_is_zero_at_a_whole_pixel_pads_with_that_pixel(tmp_path):
    """(x - 128) / 128: zero padding behind it is padding with 128 in front."""
    writer, x = started()
    minus = writer.node("Sub", [x, writer.constant(np.array(128.0))], writer.shapes[x])
    scaled = writer.node("Div", [minus, writer.constant(np.array(128.0))], writer.shapes[x])
    y = writer.conv(scaled, RNG.integers(-9, 9, (3, 2, 3, 3)) / 8, pads=[1, 1, 1, 1])
    model = writer.model([y])
    steps = fold(read(model)).steps
    assert [type(s.op) for s in steps] == [Pad, Conv]
    assert steps[0].op.value == 128
    report = compile(model, tmp_path / "m.spk")
    assert report.float_exact
    pixels = {"x": np.random.default_rng(0).integers(0, 256, (1, 2, 5, 5), dtype=np.uint8)}
    (expected,) = onnxruntime_outputs(model, pixels).values()
    (found,) = reals(report.graph, pixels).values()
    assert (found == expected).all()


def test_maps_in_a_row_become_one():
    writer, x = started()
    for op, value in (("Sub", 3.0), ("Mul", 0.5), ("Add", 1.0), ("Div", 4.0)):
        x = writer.node(op, [x, writer.constant(np.array(value))], writer.shapes[x])
    (step,) = folded(writer, x).steps
    assert isinstance(step.op, Affine)
    assert (step.op.scale.item(), step.op.shift.item()) == (0.125, -0.125)


def test_a_positive_map_before_a_neuron_goes_into_its_thresholds(tmp_path):
    """y = 3 x - 1 per channel behind an addition, where no synapse can take it."""
    writer, x = started(2, 2)
    a = writer.conv(x, np.full((2, 2, 1, 1), 0.125))
    total = writer.node("Add", [a, a], writer.shapes[a])
    scale, shift = (
        writer.constant(np.array([3.0, 0.5]).reshape(2, 1, 1)),
        writer.constant(np.array([-1.0, 2.0]).reshape(2, 1, 1)),
    )
    mapped = writer.node("Add", [writer.node("Mul", [total, scale], writer.shapes[a]), shift], writer.shapes[a])
    model = writer.model([writer.fire(mapped, 4, half_even=1)])
    assert [type(s.op).__name__ for s in fold(read(model)).steps] == ["Conv", "Add", "Fire"]
    report = compile(model, tmp_path / "m.spk")
    fire = report.graph.nodes[-2].op
    assert report.float_inexact_because is not None
    assert "power of two" in report.float_inexact_because
    unit = report.graph.tensors[report.graph.nodes[-3].output].scale.unit()
    for c, (s, t) in enumerate([(3, -1), (Fraction(1, 2), 2)]):
        for k, threshold in enumerate(fire.thresholds[c].tolist(), 1):
            x_k = ((k - Fraction(1, 2)) - t) / s / unit
            expected = -(-x_k // 1) + (x_k.denominator == 1 and k % 2 == 1)
            drive = report.graph.tensors[report.graph.nodes[-3].output]
            assert threshold == min(max(expected, drive.lo), drive.hi + 1)


def test_maps_that_share_their_first_part_all_go_into_thresholds(tmp_path):
    """y = 2 x + 1, then y / 2 + 2 for one neuron and 4 y - 3 for another; none can go into the sum that makes x."""
    writer, x = started(2, 3)
    a = writer.conv(x, np.full((2, 2, 1, 1), 2.0**-7))
    shape = writer.shapes[a]

    def mapped(value, factor, offset):
        scaled = writer.node("Mul", [value, writer.constant(np.array(factor))], shape)
        return writer.node("Add", [scaled, writer.constant(np.array(offset))], shape)

    first = mapped(writer.node("Add", [a, a], shape), 2.0, 1.0)
    drives = mapped(first, 0.5, 2.0), mapped(first, 4.0, -3.0)
    model = writer.model([writer.fire(drives[0], 8, half_even=1), writer.fire(drives[1], 8)])
    assert not any(isinstance(s.op, Affine) for s in fold(read(model)).steps)
    report = compile(model, tmp_path / "m.spk")
    assert report.float_exact
    pixels = {"x": np.random.default_rng(0).integers(0, 256, (1, 2, 3, 3), dtype=np.uint8)}
    found = reals(report.graph, pixels)
    for name, values in onnxruntime_outputs(model, pixels).items():
        assert (found[name] == values).all()


def test_counts_divided_by_d_scale_the_next_weights():
    """NI-LIF: n / D passes max pools, joins and reshapes on its way to a synapse."""
    writer, x = started(2, 4)
    quarter = writer.constant(np.array(0.25))
    counts = writer.fire(writer.conv(x, np.ones((2, 2, 1, 1)) / 64), 4)
    share = writer.node("Mul", [counts, quarter], writer.shapes[counts])
    pooled = writer.node("MaxPool", [share], (1, 2, 2, 2), kernel_shape=[2, 2], strides=[2, 2])
    flat = writer.reshape(writer.node("Concat", [pooled, pooled], (1, 4, 2, 2), axis=1), (1, 16))
    weight = np.ones((3, 16))
    y = writer.node("Gemm", [flat, writer.constant(weight)], (1, 3), transB=1)
    steps = folded(writer, y).steps
    assert not any(isinstance(s.op, Affine) for s in steps)
    assert isinstance(steps[-1].op, Dense)
    assert (steps[-1].op.weight == 0.25).all()


def test_a_border_is_scaled_when_a_factor_passes_it(tmp_path):
    """n / 4 bordered by 1/2 is n bordered by 2, over 4."""
    writer, x = started(2, 4)
    counts = writer.fire(writer.conv(x, np.ones((2, 2, 1, 1)) / 64), 4)
    share = writer.node("Div", [counts, writer.constant(np.array(4.0))], writer.shapes[counts])
    pads = writer.constant(np.array([0, 0, 1, 1, 0, 0, 1, 1]))
    padded = writer.node("Pad", [share, pads, writer.constant(np.array(0.5))], (1, 2, 6, 6))
    model = writer.model([writer.conv(padded, RNG.integers(-9, 9, (3, 2, 3, 3)) / 8)])
    (pad,) = (s.op for s in fold(read(model)).steps if isinstance(s.op, Pad))
    assert pad.value == 2
    report = compile(model, tmp_path / "m.spk")
    pixels = {"x": np.random.default_rng(0).integers(0, 256, (1, 2, 4, 4), dtype=np.uint8)}
    (expected,) = onnxruntime_outputs(model, pixels).values()
    (found,) = reals(report.graph, pixels).values()
    assert (found == expected).all()


def test_a_share_that_others_read_too_is_split():
    writer, x = started(2, 4)
    counts = writer.fire(writer.conv(x, np.ones((2, 2, 1, 1)) / 64), 4)
    share = writer.node("Mul", [counts, writer.constant(np.array(0.25))], writer.shapes[counts])
    y = writer.conv(share, np.ones((2, 2, 1, 1)))
    steps = folded(writer, writer.node("Add", [y, share], writer.shapes[y])).steps
    conv = next(s.op for s in steps if s.output == y)
    assert (conv.weight == 0.25).all()
    assert sum(isinstance(s.op, Affine) for s in steps) == 1


def test_a_factor_that_nothing_takes_is_a_synapse_with_one_weight_a_channel(tmp_path):
    writer, x = started(3, 4)
    factor = writer.constant(np.array([0.5, -2.0, 3.0]).reshape(3, 1, 1))
    model = writer.model([writer.node("Mul", [x, factor], writer.shapes[x])])
    report = compile(model, tmp_path / "m.spk")
    (op,) = (node.op for node in report.graph.nodes if isinstance(node.op, Conv2d))
    assert op.depthwise
    assert (op.weight[:, 0, 0, 0] * 2.0**-op.exponent).tolist() == [0.5, -2.0, 3.0]
    pixels = {"x": np.random.default_rng(0).integers(0, 256, (1, 3, 4, 4), dtype=np.uint8)}
    assert (reals(report.graph, pixels)["v3"] == onnxruntime_outputs(model, pixels)["v3"]).all()


def test_a_mean_over_nine_on_its_way_to_a_synapse_is_a_sum_with_the_ninth_in_the_weights(tmp_path):
    writer, x = started(2, 3)
    counts = writer.fire(writer.conv(x, np.ones((2, 2, 1, 1)) / 64), 4)
    mean = writer.node("GlobalAveragePool", [counts], (1, 2, 1, 1))
    flat = writer.reshape(mean, (1, 2))
    y = writer.node("Gemm", [flat, writer.constant(np.array([[9.0, 18.0]]))], (1, 1), transB=1)
    program = folded(writer, y)
    assert [type(s.op).__name__ for s in program.steps] == ["Conv", "Fire", "Conv", "Reshape", "Dense"]
    assert program.steps[2].op.fixed
    assert np.allclose(program.steps[-1].op.weight, [[1.0, 2.0]], rtol=1e-15)


@pytest.mark.parametrize(("stride", "kernel"), [(1, 2), (2, 2), (2, 3)])
def test_average_pools_are_sums_of_windows(tmp_path, stride, kernel):
    writer, x = started(2, 6)
    counts = writer.fire(writer.conv(x, np.ones((2, 2, 1, 1)) / 64), 4)
    side = (6 - kernel) // stride + 1
    pooled = writer.node("AveragePool", [counts], (1, 2, side, side), kernel_shape=[kernel] * 2, strides=[stride] * 2)
    model = writer.model([writer.conv(pooled, np.full((1, 2, 1, 1), float(kernel**2)))])
    report = compile(model, tmp_path / "m.spk")
    assert report.float_exact
    pixels = {"x": np.random.default_rng(0).integers(0, 256, (1, 2, 6, 6), dtype=np.uint8)}
    (expected,) = onnxruntime_outputs(model, pixels).values()
    (found,) = reals(report.graph, pixels).values()
    assert np.allclose(found, expected, rtol=1e-6)


def test_the_written_out_rounding_is_one_align(tmp_path):
    writer, x = started(1, 4)
    fine = writer.conv(x, np.full((1, 1, 1, 1), 77 * 2.0**-14))
    half, up, down = (writer.constant(np.array(v)) for v in (0.5, 2.0**4, 2.0**-4))
    shape = writer.shapes[fine]
    raised = writer.node("Add", [writer.node("Mul", [fine, up], shape), half], shape)
    y = writer.node("Mul", [writer.node("Floor", [raised], shape), down], shape)
    model = writer.model([y])
    report = compile(model, tmp_path / "m.spk")
    (op,) = (node.op for node in report.graph.nodes if isinstance(node.op, Align))
    assert op.shift == 10
    assert [(a.shift, a.why) for a in report.aligns] == [(10, "source")]
    assert report.source_exact
    assert report.float_exact
    pixels = {"x": np.arange(16, dtype=np.uint8).reshape(1, 1, 4, 4) * 16}
    assert (reals(report.graph, pixels)[y] == onnxruntime_outputs(model, pixels)[y]).all()


@pytest.mark.parametrize("keepdims", [0, 1])
def test_a_linear_layer_runs_before_a_mean_over_three_steps(tmp_path, keepdims):
    writer = Writer()
    counts = writer.fire(writer.cast(writer.input("x", (3, 2, 5))), 4, T=3, decay=0.5)
    mean = writer.node(
        "ReduceMean", [counts, writer.constant(np.array([0]))], (*[1] * keepdims, 2, 5), keepdims=keepdims
    )
    weight = writer.constant(RNG.integers(-9, 9, (5, 4)) / 8)
    model = writer.model([writer.node("MatMul", [mean, weight], (*[1] * keepdims, 2, 4))])
    report = compile(model, tmp_path / "m.spk")
    assert [node.op.name for node in report.graph.nodes if node.op.name != "reshape"] == ["fire", "linear", "mean"]
    pixels = {"x": np.random.default_rng(0).integers(0, 5, (3, 2, 5), dtype=np.uint8)}
    (expected,) = onnxruntime_outputs(model, pixels).values()
    (found,) = reals(report.graph, pixels).values()
    assert found.shape == expected.shape
    assert np.allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_a_mean_over_three_cannot_be_read_by_a_synapse():
    writer = Writer()
    counts = writer.fire(writer.cast(writer.input("x", (1, 3, 2))), 4)
    mean = writer.node("ReduceMean", [counts, writer.constant(np.array([1]))], (1, 2), keepdims=0)
    y = writer.node("Gemm", [mean, writer.constant(np.ones((1, 2)))], (1, 1), transB=1)
    with pytest.raises(UnsupportedOpError, match=r"Gemm_\d+.*mean over a count that is no power of two"):
        lower(writer.model([y]))
