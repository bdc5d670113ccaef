"""conv2d and linear against loops over every position, written from the equation alone."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyspike.errors import RangeError, ShapeError
from pyspike.graph import Scale, Tensor
from pyspike.ops import Conv2d, Linear


def conv(weight: np.ndarray, **fields) -> Conv2d:
    rows = len(weight)
    defaults = {"exponent": np.zeros(rows, int), "shift": np.zeros(rows, int), "bias": None}
    return Conv2d(weight=weight, **{**defaults, **fields})


def loops(op: Conv2d, x: np.ndarray) -> tuple[np.ndarray, int]:
    """The convolution, and its SOPs: every pair of an event and a weight that meets it inside the map."""
    n_, h_, w_, o_ = op.infer(Tensor(x.shape, int(x.min()), max(int(x.max()), 0))).shape
    inner, per_group = op.weight.shape[3], op.out_channels // op.groups
    out = np.zeros((n_, h_, w_, o_), dtype=np.int64)
    sops = 0
    for n, y, c, o in itertools.product(range(n_), range(h_), range(w_), range(o_)):
        for ky, kx, i in itertools.product(range(op.kernel[0]), range(op.kernel[1]), range(inner)):
            row = y * op.stride[0] + ky * op.dilation[0] - op.padding[0]
            column = c * op.stride[1] + kx * op.dilation[1] - op.padding[1]
            if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
                value = int(x[n, row, column, (o // per_group) * inner + i])
                out[n, y, c, o] += value * int(op.weight[o, ky, kx, i])
                sops += abs(value)
        out[n, y, c, o] = (out[n, y, c, o] << int(op.shift[o])) + (0 if op.bias is None else int(op.bias[o]))
    return out, sops


@given(st.data())
def test_conv2d_is_its_equation(data) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    groups, inner, per_group = (data.draw(st.integers(1, 3)) for _ in range(3))
    kernel = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    op = conv(
        rng.integers(-127, 128, (groups * per_group, *kernel, inner)),
        shift=rng.integers(0, 4, groups * per_group),
        bias=rng.integers(-99, 99, groups * per_group),
        stride=data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3))),
        padding=data.draw(st.tuples(*[st.integers(0, 2)] * 4)),
        dilation=data.draw(st.tuples(st.integers(1, 2), st.integers(1, 2))),
        groups=groups,
    )
    x = rng.integers(-5, 6, (1, data.draw(st.integers(5, 7)), data.draw(st.integers(5, 7)), groups * inner))
    expected, sops = loops(op, x)
    np.testing.assert_array_equal(op.reference(x), expected)
    assert op.sops(x) == sops
    assert op.macs(x.shape) == op.sops(np.ones_like(x))


def test_range_is_reached_by_the_worst_inputs() -> None:
    op = conv(np.array([[[[3, -2]]], [[[-1, -1]]]]), bias=np.array([10, 0]))
    tensor = op.infer(Tensor((1, 1, 1, 2), 0, 4))
    assert (tensor.lo, tensor.hi) == (-8, 22)
    outputs = [op.reference(np.array(x).reshape(1, 1, 1, 2)) for x in itertools.product((0, 4), repeat=2)]
    assert (min(o.min() for o in outputs), max(o.max() for o in outputs)) == (-8, 22)


def test_padding_adds_zero_to_the_range() -> None:
    op = conv(np.full((1, 3, 3, 1), 2), padding=(1, 1, 1, 1))
    assert op.infer(Tensor((1, 4, 4, 1), 5, 7)).lo == 0


def test_sums_beyond_int32_are_refused() -> None:
    op = conv(np.full((1, 1, 1, 1), 127), shift=[20])
    assert op.infer(Tensor((1, 1, 1, 1), 0, 16)).hi == 127 * 16 << 20
    with pytest.raises(RangeError, match="int32"):
        op.infer(Tensor((1, 1, 1, 1), 0, 17))
    with pytest.raises(RangeError, match="int32"):
        conv(np.full((1, 1, 1, 1), 1), bias=[2**31 - 1]).infer(Tensor((1, 1, 1, 1), 0, 1))


def test_scale_is_one_f_or_one_per_channel() -> None:
    weight = np.ones((2, 1, 1, 1))
    x = Tensor((1, 1, 1, 1), 0, 4, Scale(3))
    assert conv(weight, exponent=[5, 7], shift=[2, 0]).infer(x).scale == Scale(10)
    assert conv(weight, exponent=[5, 7]).infer(x).scale == Scale((8, 10))
    with pytest.raises(ShapeError, match="power of two"):
        conv(np.ones((1, 1, 1, 2))).infer(Tensor((1, 1, 1, 2), 0, 4, Scale((1, 2))))
    with pytest.raises(ShapeError, match="power of two"):
        conv(weight).infer(Tensor((1, 1, 1, 1), 0, 4, Scale(0, 3)))


def test_linear_is_a_matrix_product_over_the_last_axis() -> None:
    op = Linear(np.array([[1, 2], [3, -4], [0, 5]]), [0] * 3, [1, 0, 0], np.array([0, 7, 0]))
    x = np.array([[[1, 1], [2, 0]]])
    np.testing.assert_array_equal(op.reference(x), [[[6, 6, 5], [4, 13, 0]]])
    assert op.sops(x) == 4 * 3
    assert op.macs(x.shape) == 4 * 3


@pytest.mark.parametrize(
    "fields",
    [
        {"dilation": (1, 2**14)},
        {"stride": (0, 1)},
        {"padding": (-1, 0, 0, 0)},
        {"dilation": (1,)},
        {"groups": 3},
        {"shift": [32, 0]},
    ],
)
def test_impossible_fields_are_refused(fields) -> None:
    with pytest.raises(ShapeError):
        conv(np.ones((2, 3, 3, 1)), **fields)


def test_wrong_operands_are_refused() -> None:
    op = conv(np.ones((1, 3, 3, 2)))
    for shape in [(1, 5, 5, 3), (5, 5, 2), (1, 2, 5, 2)]:
        with pytest.raises(ShapeError):
            op.infer(Tensor(shape, 0, 1))
    with pytest.raises(RangeError):
        conv(np.full((1, 1, 1, 1), 128))
