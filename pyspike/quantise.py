"""The weight grid: real weight = w * 2**-e, w an integer of `bits` bits, one exponent e per output channel.

NumPy alone, so that the compiler and `pyspike.nn` share one rule (docs/semantics.md, "Exponents").
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pyspike.errors import RangeError

MIN_EXPONENT = -8
SMALLEST_FRACTION = 12  # a synapse's output has at least this many fractional bits


def exponent_cap(input_hi: int) -> int:
    """The largest exponent that the search may choose for an input of range 0..`input_hi`.

    14 for spike counts; wider inputs carry a small factor in their weights (1/255 for pixels), hence
    14 + ceil(log2(input_hi / 8)) above 8: 19 for 8-bit pixels.
    """
    return 14 if input_hi <= 8 else 14 + math.ceil(math.log2(input_hi / 8))


def quantise_rows(
    weights: NDArray[np.floating], bits: int = 8, input_hi: int = 1
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Quantise `weights` [out, ...] row by row; returns integers [out, ...] and exponents [out].

    The exponent minimises the squared error over -8 <= e <= `exponent_cap(input_hi)`, ties to the smaller; integers are
    rounded half to even and clipped to +-(2**(bits - 1) - 1). Rows of zeros take e = 0. Rows that already are integers
    of that range times 2**-e keep the smallest such e, whatever the cap, so that quantising twice changes nothing.

    Raises `RangeError` for weights that are not finite.
    """
    rows = np.asarray(weights, dtype=np.float64).reshape(len(weights), -1)
    if not np.isfinite(rows).all():
        raise RangeError("weights must be finite: found NaN or infinity")
    limit = 2 ** (bits - 1) - 1
    best_error = np.full(len(rows), np.inf)
    exponents = np.zeros(len(rows), dtype=np.int64)
    for e in range(MIN_EXPONENT, exponent_cap(input_hi) + 1):
        grid = np.clip(np.rint(np.ldexp(rows, e)), -limit, limit)
        error = np.square(rows - np.ldexp(grid, -e)).sum(axis=1)
        better = error < best_error
        best_error[better], exponents[better] = error[better], e
    exact = _smallest_exact_exponents(rows, limit)
    exponents = np.where(exact == _NONE, exponents, exact)
    integers = np.clip(np.rint(np.ldexp(rows, exponents[:, None])), -limit, limit)
    return integers.astype(np.int64).reshape(np.shape(weights)), exponents


def synapse_fraction(exponents: NDArray[np.int64], input_fraction: int) -> int:
    """Fractional bits f of a synapse's output: max(12, max e + f_x)."""
    return max(SMALLEST_FRACTION, int(exponents.max(initial=0)) + input_fraction)


def round_bias(bias: NDArray[np.floating], fraction: int) -> NDArray[np.int64]:
    """Biases on the grid 2**-`fraction`: floor(b * 2**fraction + 1/2), as integers."""
    return np.floor(np.ldexp(np.asarray(bias, dtype=np.float64), fraction) + 0.5).astype(np.int64)


_NONE = np.iinfo(np.int64).min


def _smallest_exact_exponents(rows: NDArray[np.float64], limit: int) -> NDArray[np.int64]:
    """Per row the smallest e for which row * 2**e are integers within +-limit, `_NONE` where there is none, 0 for
    zeros.
    """
    mantissa, exponent = np.frexp(rows)  # row = mantissa * 2**exponent, 0.5 <= |mantissa| < 1
    digits = np.ldexp(mantissa, 53).astype(np.int64)  # exact: an integer of 53 bits
    lowest_bit = digits & -digits
    trailing_zeros = np.frexp(lowest_bit.astype(np.float64))[1] - 1
    needed = np.where(digits == 0, _NONE, 53 - exponent.astype(np.int64) - trailing_zeros)
    smallest = needed.max(axis=1, initial=_NONE)
    zero = smallest == _NONE
    scaled = np.ldexp(rows, np.where(zero, 0, smallest)[:, None])
    fits = (np.abs(scaled) <= limit).all(axis=1) & ~zero
    return np.where(zero, 0, np.where(fits, smallest, _NONE))
