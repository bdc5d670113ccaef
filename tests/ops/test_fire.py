"""fire: ladders against rounding in exact arithmetic, membranes against the real-valued recurrence."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyspike.errors import RangeError, ShapeError
from pyspike.graph import Tensor
from pyspike.ops import Fire
from pyspike.ops.fire import clamp_ladder, guard_bits, ladder, leak_terms

THETAS = st.fractions(min_value=Fraction(1, 8), max_value=8, max_denominator=64)


def rounded_count(x: Fraction, count: int, half_even: bool) -> int:
    """clip(x, 0, D), rounded; Python's round() of a Fraction is half to even."""
    clipped = min(max(x, Fraction(0)), Fraction(count))
    return round(clipped) if half_even else (clipped + Fraction(1, 2)).__floor__()


@given(
    st.integers(1, 9), st.integers(0, 6), THETAS, st.fractions(-3, 3, max_denominator=64), st.booleans(),
    st.integers(-600, 600), st.sampled_from([1, 3, 5]),
)  # fmt: skip
def test_ladder_is_the_rounding_neuron(count, f, theta, bias, half_even, m, divisor) -> None:
    unit = Fraction(1, 2**f * divisor)
    thresholds = ladder(count, unit, theta=theta, bias=bias, half_even=half_even)
    expected = rounded_count((m * unit + bias) / theta, count, half_even)
    assert sum(m >= t for t in thresholds) == expected
    clamped = clamp_ladder(thresholds, -600, 600)
    assert sum(m >= t for t in clamped) == expected
    assert min(clamped) >= -600
    assert max(clamped) <= 601


def test_ties_go_to_even_or_up() -> None:
    halves = np.array([1, 3, 5, 7])  # 0.5, 1.5, 2.5, 3.5 at f = 1
    even = Fire([ladder(4, Fraction(1, 2), half_even=True)])
    up = Fire([ladder(4, Fraction(1, 2), half_even=False)])
    np.testing.assert_array_equal(even.reference(halves), [0, 2, 2, 4])
    np.testing.assert_array_equal(up.reference(halves), [1, 2, 3, 4])


def test_thresholds_may_differ_by_channel() -> None:
    op = Fire([[0, 10], [5, 6]])
    np.testing.assert_array_equal(op.reference(np.array([[0, 5], [10, 6], [-1, 4]])), [[1, 1], [2, 2], [0, 0]])
    with pytest.raises(ShapeError, match="channels"):
        op.infer(Tensor((4, 3), 0, 9))


def real_neuron(drive: list[Fraction], decay: Fraction, count: int, half_even: bool, hard: bool) -> list[int]:
    m, counts = Fraction(0), []
    for u in drive:
        m = decay * m + u
        n = rounded_count(m, count, half_even)
        m = Fraction(0) if hard and n > 0 else m - (0 if hard else n)
        counts.append(n)
    return counts


@given(
    st.lists(st.integers(-700, 700), min_size=1, max_size=4), st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]),
    st.sampled_from([1, 2, 4, 8]), st.booleans(), st.booleans(),
)  # fmt: skip
def test_membrane_is_the_real_neuron_while_guard_bits_last(drive, decay, count, half_even, hard) -> None:
    f, steps = 7, len(drive)
    leak, error = leak_terms(decay)
    guard = guard_bits(leak, steps, most=20)
    thresholds = ladder(count, Fraction(1, 2 ** (f + guard)), half_even=half_even)
    amounts = None if hard else [n << (f + guard) for n in range(count + 1)]
    op = Fire([thresholds], True, leak, hard, amounts, guard, steps)
    op.infer(Tensor((1,), -700, 700, time=True))
    stored, found = op.initial_membrane((1,)), []
    lo, hi = op.membrane_range(-700, 700)
    for u in drive:
        potential = op.decayed(stored) + (np.array([u]) << guard)
        assert lo <= potential[0] <= hi
        counts, stored = op.reference_step(np.array([u]), stored)
        found.append(int(counts[0]))
    assert error == 0
    assert found == real_neuron([Fraction(u, 2**f) for u in drive], Fraction(decay), count, half_even, hard)


@given(st.floats(0, 1))
def test_leak_is_the_nearest_sum_of_three_terms(decay) -> None:
    leak, error = leak_terms(decay)
    assert len(leak) <= 6
    value = sum(Fraction(sign, 2**k) for sign, k in zip(leak[::2], leak[1::2], strict=True))
    assert abs(float(abs(value - Fraction(decay))) - error) < 1e-15
    assert error <= 1 / 64


def test_leaks_that_are_exact() -> None:
    assert leak_terms(0.0) == ((), 0.0)
    assert leak_terms(1.0) == ((1, 0), 0.0)
    assert leak_terms(0.25) == ((1, 2), 0.0)
    assert leak_terms(0.75)[1] == 0.0


def test_a_membrane_that_grows_for_ever_is_refused() -> None:
    def neuron(leak: tuple[int, ...], steps: int) -> Fire:
        return Fire([[8]], True, leak, False, [0, 8], 0, steps)

    drive = Tensor((1,), -10, 10, time=True)
    with pytest.raises(RangeError, match="max_timesteps"):
        neuron((1, 0), steps=0).infer(drive)
    assert neuron((1, 0), steps=100).infer(drive).hi == 1
    assert neuron((1, 1), steps=0).infer(drive).hi == 1
    with pytest.raises(RangeError, match="int32"):
        neuron((1, 0), steps=2**20).infer(Tensor((1,), -(2**30), 10, time=True))


@pytest.mark.parametrize(
    "fields",
    [
        {"thresholds": [[3, 2]]},
        {"thresholds": [[1], [2]], "membrane": True, "hard_reset": True},
        {"thresholds": [[1]], "membrane": True},
        {"thresholds": [[1]], "membrane": True, "hard_reset": True, "leak": (1, 9)},
        {"thresholds": [[1]], "membrane": True, "hard_reset": True, "leak": (2, 1)},
        {"thresholds": [[0] * 256]},
    ],
)
def test_impossible_neurons_are_refused(fields) -> None:
    with pytest.raises(ShapeError):
        Fire(**fields)


def test_a_membrane_needs_time() -> None:
    with pytest.raises(ShapeError, match="varies in time"):
        Fire([[1]], True, (), True).infer(Tensor((1,), 0, 1))
