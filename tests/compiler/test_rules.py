"""Exponents, biases and fractional bits of compiled synapses, golden numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pyspike.compiler import compile, lower
from pyspike.errors import RangeError
from pyspike.ops import Align, Conv2d, Linear
from tests.compiler.networks import Writer, onnxruntime_outputs, reals


def one_linear(weight, bias=None, dtype="uint8", **options):
    """The synapse of a network that is one linear layer, and its output tensor."""
    writer = Writer()
    weight = np.asarray(weight, dtype=float)
    x = writer.cast(writer.input("x", (1, weight.shape[1]), dtype)) if dtype != "float32" else writer.input(
        "x", (1, weight.shape[1]), dtype
    )  # fmt: skip
    inputs = [x, writer.constant(weight)]
    if bias is not None:
        inputs.append(writer.constant(np.asarray(bias, dtype=float)))
    y = writer.node("Gemm", inputs, (1, len(weight)), transB=1)
    graph = lower(writer.model([y]), **options)
    (op,) = (node.op for node in graph.nodes if isinstance(node.op, Linear))
    return op, graph.tensors[graph.nodes[-1].output]


COUNTS = {"calibration": {"x": (0, 4, 0)}}


def test_rows_on_the_grid_keep_their_smallest_exponent():
    op, out = one_linear([[0.5, 0.25], [3.0, 1.0], [8.0, 16.0], [0.0, 0.0]], **COUNTS)
    assert op.weight.tolist() == [[2, 1], [3, 1], [1, 2], [0, 0]]
    assert op.exponent.tolist() == [2, 0, -3, 0]
    assert out.scale.f == 12
    assert op.shift.tolist() == [10, 12, 15, 12]


def test_exact_rows_may_exceed_the_cap_and_widen_f():
    op, out = one_linear([[127 * 2.0**-17, 2.0**-17]], **COUNTS)
    assert op.exponent.tolist() == [17]
    assert out.scale.f == 17
    assert op.shift.tolist() == [0]


def test_the_cap_is_14_for_counts_and_19_for_pixels():
    tiny = [[1.0001e-7, 0.9e-7]]
    assert one_linear(tiny, **COUNTS)[0].exponent.tolist() == [-8]  # rounds to zero anywhere below the cap: tie
    small = [[0.0031001, 0.0029]]
    assert one_linear(small, **COUNTS)[0].exponent.tolist() == [14]  # 127 * 2**-14 = 0.0078
    assert one_linear(small)[0].exponent.tolist() == [15]  # pixels: the least error, below the cap of 19
    smaller = [[0.00020001, 0.00019]]
    assert one_linear(smaller)[0].exponent.tolist() == [19]


def test_weights_round_half_to_even():
    op, _ = one_linear([[127.0, 0.5, 1.5, 2.5, 1e-3]], **COUNTS)  # e = 0: 127 leaves no room
    assert op.exponent.tolist() == [0]
    assert op.weight.tolist() == [[127, 0, 2, 2, 0]]


def test_biases_round_half_up_on_the_outputs_grid():
    step = 2.0**-12
    op, _ = one_linear([[1.0]] * 4, bias=[0.5 * step, -0.5 * step, 1.49 * step, 3 * step], **COUNTS)
    assert op.bias.tolist() == [1, 0, 1, 3]


def test_biases_that_round_to_zero_are_left_out():
    assert one_linear([[1.0]], bias=[2.0**-14], **COUNTS)[0].bias is None


@pytest.mark.parametrize(("bits", "limit"), [(8, 127), (5, 15), (4, 7), (2, 1)])
def test_weight_bits_bound_the_integers(bits, limit):
    rng = np.random.default_rng(0)
    op, _ = one_linear(rng.normal(size=(6, 40)), weight_bits=bits, **COUNTS)
    assert limit // 2 < np.abs(op.weight.astype(int)).max() <= limit


def test_impossible_weight_bits_are_refused():
    for bits in (1, 3, 9):
        with pytest.raises(RangeError, match="weight_bits"):
            one_linear([[1.0]], weight_bits=bits)


def test_f_follows_the_inputs_grid():
    op, out = one_linear([[0.5]], dtype="float32", calibration={"x": (-100, 100, 13)})
    assert out.scale.f == 14
    assert op.shift.tolist() == [0]
    assert (out.lo, out.hi) == (-100, 100)


def test_a_calibrated_float_input_is_integers_on_its_grid():
    writer = Writer()
    rng = np.random.default_rng(4)
    x = writer.input("x", (2, 3), "float32")
    y = writer.node("Gemm", [x, writer.constant(rng.integers(-31, 32, (4, 3)) / 8)], (2, 4), transB=1)
    model = writer.model([y, writer.fire(y, 8, half_even=1)])
    graph = lower(model, calibration={"x": (-500, 500, 5)})
    integers = rng.integers(-500, 501, (2, 3))
    expected = onnxruntime_outputs(model, {"x": np.ldexp(integers, -5).astype(np.float32)})
    for name, values in reals(graph, {"x": integers.astype(np.int16)}).items():
        assert (values == expected[name]).all()


def test_an_input_too_fine_is_aligned_before_its_sums_leave_int32(tmp_path):
    writer = Writer()
    x = writer.input("x", (1, 64), "float32")
    weight = np.full((1, 64), 127 / 128)
    y = writer.node("Gemm", [x, writer.constant(weight)], (1, 1), transB=1)
    report = compile(writer.model([y]), tmp_path / "m.spk", calibration={"x": (-(2**28), 2**28, 20)})
    align, linear = (node.op for node in report.graph.nodes)
    assert isinstance(align, Align)
    assert isinstance(linear, Linear)
    # 64 * 127 * 2**(28 - shift) < 2**31 <= 64 * 127 * 2**(29 - shift): 10 bits go, with f = 20 - 10 + 7 = 17
    assert align.shift == 10
    assert [(a.shift, a.why) for a in report.aligns] == [(10, "range")]
    assert not report.source_exact


def test_sums_that_cannot_fit_are_refused_by_name():
    writer = Writer()
    x = writer.cast(writer.input("x", (1, 1, 1, 1)))
    y = writer.conv(x, np.full((1, 1, 1, 1), 2.0**15))
    with pytest.raises(RangeError, match=r"Conv_\d+.*do not fit int32"):
        lower(writer.model([y]))


def test_a_convolution_has_its_geometry_channels_last():
    writer = Writer()
    rng = np.random.default_rng(1)
    weight = rng.integers(-7, 8, (6, 2, 3, 2)) / 8
    x = writer.cast(writer.input("x", (1, 4, 9, 8)))
    y = writer.conv(x, weight, pads=[1, 0, 2, 1], strides=[2, 1], dilations=[1, 2], group=2)
    graph = lower(writer.model([y]))
    (op,) = (node.op for node in graph.nodes if isinstance(node.op, Conv2d))
    assert (op.padding, op.stride, op.dilation, op.groups) == ((1, 0, 2, 1), (2, 1), (1, 2), 2)
    assert np.array_equal(
        np.ldexp(op.weight.astype(float), -op.exponent[:, None, None, None]), weight.transpose(0, 2, 3, 1)
    )


@pytest.mark.parametrize(
    ("mode", "size", "kernel", "stride", "expected"),
    [
        ("SAME_UPPER", 7, 3, 2, (1, 1, 1, 1)),
        ("SAME_UPPER", 8, 3, 2, (0, 0, 1, 1)),
        ("SAME_LOWER", 8, 3, 2, (1, 1, 0, 0)),
        ("VALID", 8, 3, 2, (0, 0, 0, 0)),
    ],
)
def test_automatic_padding_is_worked_out(mode, size, kernel, stride, expected):
    writer = Writer()
    x = writer.cast(writer.input("x", (1, 1, size, size)))
    weight = writer.constant(np.ones((1, 1, kernel, kernel)))
    side = (size - kernel) // stride + 1 if mode == "VALID" else -(-size // stride)
    y = writer.node("Conv", [x, weight], (1, 1, side, side), auto_pad=mode, strides=[stride, stride])
    graph = lower(writer.model([y]))
    (op,) = (node.op for node in graph.nodes if isinstance(node.op, Conv2d))
    assert op.padding == expected


def test_a_border_is_on_the_grid_of_what_it_surrounds():
    writer = Writer()
    x = writer.conv(writer.cast(writer.input("x", (1, 1, 2, 2))), np.full((1, 1, 1, 1), 0.5))
    pads = writer.constant(np.array([0, 0, 1, 0, 0, 0, 0, 2]))
    graph = lower(writer.model([writer.node("Pad", [x, pads, writer.constant(np.array(-0.25))], (1, 1, 3, 4))]))
    (op,) = (node.op for node in graph.nodes if node.op.name == "pad")
    assert (op.value, op.before, op.after) == (-1024, (0, 1, 0, 0), (0, 0, 2, 0))
    off = writer.node("Pad", [x, pads, writer.constant(np.array(2.0**-13))], (1, 1, 3, 4))
    with pytest.raises(RangeError, match=r"Pad_\d+.*no multiple"):
        lower(writer.model([off]))


def test_add_and_concat_work_at_the_largest_f():
    writer = Writer()
    x = writer.cast(writer.input("x", (1, 1, 2, 2)))
    fine, coarse = writer.conv(x, np.full((1, 1, 1, 1), 2.0**-15)), writer.conv(x, np.full((1, 1, 1, 1), 0.5))
    total = writer.node("Add", [coarse, fine], (1, 1, 2, 2))
    both = writer.node("Concat", [fine, coarse, x], (1, 3, 2, 2), axis=1)
    graph = lower(writer.model([total, both]))
    ops = {node.op.name: node.op for node in graph.nodes}
    assert ops["add"].shifts == (3, 0)
    assert ops["concat"].shifts == (0, 3, 15)


def test_a_sum_too_wide_aligns_its_finer_operand(tmp_path):
    writer = Writer()
    a, b = (writer.input(name, (1, 4), "float32") for name in "ab")
    y = writer.node("Add", [a, b], (1, 4))
    grids = {"a": (-(2**20), 2**20, 4), "b": (-(2**20), 2**20, 16)}
    report = compile(writer.model([y]), tmp_path / "m.spk", calibration=grids)
    align, add = (node.op for node in report.graph.nodes)
    # 2**20 << (f - 4) and 2**20 >> (16 - f) add up to less than 2**31 up to f = 14
    assert align.shift == 2
    assert add.shifts == (10, 0)
    assert report.aligns[0].name in report.changes[0]
