"""The weight grid."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyspike.errors import RangeError
from pyspike.quantise import exponent_cap, quantise_rows, round_bias, synapse_fraction


def test_caps() -> None:
    assert [exponent_cap(hi) for hi in (1, 4, 8, 9, 16, 255)] == [14, 14, 14, 15, 15, 19]


@given(st.integers(0, 2**32 - 1), st.sampled_from([2, 4, 5, 6, 7, 8]), st.floats(1e-6, 1e3))
def test_exponent_is_the_best_of_all_and_the_smallest_of_equals(seed, bits, spread) -> None:
    rows = np.random.default_rng(seed).normal(0, spread, (3, 10))
    integers, exponents = quantise_rows(rows, bits)
    limit = 2 ** (bits - 1) - 1
    assert np.abs(integers).max() <= limit
    for row, q, e in zip(rows, integers, exponents, strict=True):
        errors = {
            k: ((row - np.clip(np.rint(row * 2.0**k), -limit, limit) * 2.0**-k) ** 2).sum() for k in range(-8, 15)
        }
        assert e == min(k for k, error in errors.items() if error == min(errors.values()))
        np.testing.assert_array_equal(q, np.clip(np.rint(row * 2.0**e), -limit, limit))


@given(st.integers(0, 2**32 - 1), st.sampled_from([4, 8]), st.integers(-20, 30))
def test_rows_on_a_grid_come_back_whatever_the_cap(seed, bits, e) -> None:
    limit = 2 ** (bits - 1) - 1
    grid = np.random.default_rng(seed).integers(-limit, limit, (4, 9), endpoint=True)
    grid[:, 0] = 1  # odd: no smaller exponent does
    integers, exponents = quantise_rows(np.ldexp(grid.astype(float), -e), bits)
    np.testing.assert_array_equal(integers, grid)
    np.testing.assert_array_equal(exponents, e)


@given(st.integers(0, 2**32 - 1), st.sampled_from([4, 6, 8]))
def test_quantising_twice_changes_nothing(seed, bits) -> None:
    rows = np.random.default_rng(seed).normal(0, 0.1, (5, 8))
    integers, exponents = quantise_rows(rows, bits)
    again = quantise_rows(np.ldexp(integers.astype(float), -exponents[:, None]), bits)
    np.testing.assert_array_equal(again[0], integers)
    np.testing.assert_array_equal(again[1], exponents)


def test_even_integers_take_the_smaller_exponent_and_zeros_take_none() -> None:
    integers, exponents = quantise_rows(np.array([[2.0, 4.0], [0.0, 0.0], [0.75, -0.5]]))
    np.testing.assert_array_equal(exponents, [-1, 0, 2])
    np.testing.assert_array_equal(integers, [[1, 2], [0, 0], [3, -2]])


def test_bias_and_fraction() -> None:
    np.testing.assert_array_equal(round_bias(np.array([0.5, -0.5, 0.25, -0.75]), 0), [1, 0, 0, -1])
    assert synapse_fraction(np.array([3, 14]), 0) == 14
    assert synapse_fraction(np.array([3]), 2) == 12


def test_weights_that_are_not_finite_are_refused() -> None:
    with pytest.raises(RangeError, match="finite"):
        quantise_rows(np.array([[1.0, np.nan]]))
