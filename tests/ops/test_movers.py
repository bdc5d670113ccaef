"""The operators that move, join, pool and round integers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyspike.errors import RangeError, ShapeError
from pyspike.graph import Scale, Tensor
from pyspike.ops import (
    Add,
    Align,
    Concat,
    Constant,
    Expand,
    MaxPool,
    Mean,
    Pad,
    Reshape,
    Slice,
    Transpose,
    Upsample,
)  # fmt: skip


def infer(op, *shapes, lo=0, hi=4, **fields) -> Tensor:
    return op.infer(*(Tensor(shape, lo, hi, **fields) for shape in shapes))


def test_add_shifts_to_the_common_f_and_broadcasts() -> None:
    op = Add((2, 0))
    a, b = Tensor((2, 1), -1, 3, Scale(1)), Tensor((3,), 0, 5, Scale(3))
    out = op.infer(a, b)
    assert (out.shape, out.lo, out.hi, out.scale) == ((2, 3), -4, 17, Scale(3))
    np.testing.assert_array_equal(op.reference(np.array([[1], [2]]), np.array([0, 1, 2])), [[4, 5, 6], [8, 9, 10]])
    with pytest.raises(ShapeError, match="different scales"):
        Add((0, 0)).infer(a, b)
    with pytest.raises(ShapeError, match="broadcast"):
        infer(Add(), (2,), (3,))
    with pytest.raises(RangeError):
        infer(Add(), (1,), (1,), hi=2**30)


def test_concat_joins_scales_by_channel() -> None:
    op = Concat(1, (0, 0))
    out = op.infer(Tensor((1, 2), 0, 4, Scale((1, 2))), Tensor((1, 1), -3, 1, Scale(5)))
    assert (out.shape, out.lo, out.hi, out.scale) == ((1, 3), -3, 4, Scale((1, 2, 5)))
    out = Concat(0, (1, 0)).infer(Tensor((1, 2), 0, 4, Scale(1)), Tensor((2, 2), 0, 1, Scale(2)))
    assert (out.shape, out.hi, out.scale) == ((3, 2), 8, Scale(2))
    with pytest.raises(ShapeError):
        Concat(0, (0, 0)).infer(Tensor((1, 2), 0, 4, Scale(1)), Tensor((2, 2), 0, 1, Scale(2)))
    with pytest.raises(ShapeError):
        infer(Concat(0, (0, 0)), (1, 2), (1, 3))


def test_max_pool_ignores_what_lies_outside() -> None:
    op = MaxPool((3, 3), (2, 2), (1, 1, 1, 1))
    x = -np.arange(1, 17).reshape(1, 4, 4, 1)
    assert infer(op, x.shape).shape == (1, 2, 2, 1)
    np.testing.assert_array_equal(op.reference(x)[0, :, :, 0], [[-1, -2], [-5, -6]])
    with pytest.raises(ShapeError, match="padding"):
        MaxPool((2, 2), (1, 1), (2, 0, 0, 0))


def test_upsample_repeats_neighbours() -> None:
    op = Upsample((2, 3))
    x = np.arange(4).reshape(1, 2, 2, 1)
    np.testing.assert_array_equal(op.reference(x)[0, :, :, 0], np.kron(x[0, :, :, 0], np.ones((2, 3), int)))
    assert infer(op, x.shape).shape == (1, 4, 6, 1)


def test_mean_is_a_sum_whose_scale_carries_the_divisor() -> None:
    out = infer(Mean((1, 2), keepdims=True), (1, 3, 4, 5), lo=-1, scale=Scale(2))
    assert (out.shape, out.lo, out.hi, out.scale) == ((1, 1, 1, 5), -12, 48, Scale(4, 3))
    assert float(out.scale.unit()) == 1 / 4 / 12
    out = infer(Mean((), False, steps=2), (1, 3), time=True)
    assert (out.hi, out.scale, out.time) == (8, Scale(1), False)
    with pytest.raises(ShapeError, match="varies in time"):
        infer(Mean((), False, steps=2), (1, 3))


def test_slice_keeps_the_f_of_its_channels() -> None:
    op = Slice((0, 1), (2, 4), (1, 2))
    out = op.infer(Tensor((2, 4), 0, 4, Scale((1, 2, 3, 4))))
    assert (out.shape, out.scale) == ((2, 2), Scale((2, 4)))
    np.testing.assert_array_equal(op.reference(np.arange(8).reshape(2, 4)), [[1, 3], [5, 7]])
    for bad in [
        Slice((0,), (2,), (1,)),
        Slice((0, 0), (3, 4), (1, 1)),
        Slice((0, 0), (2, 4), (1, 0)),
        Slice((1, 0), (1, 4), (1, 1)),
    ]:
        with pytest.raises(ShapeError):
            infer(bad, (2, 4))


def test_movers_refuse_what_does_not_fit() -> None:
    for op in [Reshape((7,)), Reshape((1, 1, 1, 1, 2, 4)), Transpose((0, 0)), Expand((3, 4)), Pad((1,), (1,))]:
        with pytest.raises(ShapeError):
            infer(op, (2, 4))
    for op in [Reshape((8,)), Transpose((1, 0)), Expand((2, 2, 4)), Pad((0, 0), (0, 1)), Mean((0,))]:
        with pytest.raises(ShapeError, match="one f for all channels"):
            infer(op, (2, 4), scale=Scale((1, 2, 3, 4)))


def test_expand_over_time_varies() -> None:
    assert infer(Expand((2, 4), time=True), (1, 4)).time
    assert not infer(Expand((2, 4)), (1, 4)).time


def test_pad_widens_the_range_to_its_value() -> None:
    out = infer(Pad((0, 1), (0, 0), -7), (1, 2))
    assert (out.shape, out.lo, out.hi) == ((1, 3), -7, 4)


@given(st.integers(-(2**31), 2**31 - 1), st.integers(1, 31))
def test_align_rounds_half_up(p, shift) -> None:
    rounded = int(Align(shift).reference(np.array([p], dtype=np.int64))[0])
    assert 2 * abs(rounded * 2**shift - p) <= 2**shift
    if (p * 2) % 2 ** (shift + 1) == 2**shift:
        assert rounded * 2**shift > p
    assert Align(shift).infer(Tensor((1,), p, p, Scale(40))).scale == Scale(40 - shift)


def test_constant_knows_its_range() -> None:
    out = Constant(np.array([[3, -2]]), 4).infer()
    assert (out.shape, out.lo, out.hi, out.scale) == ((1, 2), -2, 3, Scale(4))
