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
    weights: NDArray[np.floating], bits: int = 8, input_hi: int = 1, most_exponent: int | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Quantise `weights` [out, ...] row by row; returns integers [out, ...] and exponents [out].

    The exponent minimises the squared error over -8 <= e <= `exponent_cap(input_hi)` (or `most_exponent`), ties to the
    smaller; integers are rounded half to even and clipped to +-(2**(bits - 1) - 1). Rows of zeros take e = 0. Rows that
    already are integers of that range times 2**-e keep the smallest such e, whatever the cap, so that quantising twice
    changes nothing.

    Raises `RangeError` for weights that are not finite.
    """
    rows = np.asarray(weights, dtype=np.float64).reshape(len(weights), -1)
    if not np.isfinite(rows).all():
        raise RangeError("weights must be finite: found NaN or infinity")
    limit = 2 ** (bits - 1) - 1
    cap = exponent_cap(input_hi) if most_exponent is None else most_exponent
    exponents = _smallest_exact_exponents(rows, limit)
    search = exponents == _NONE
    exponents[search] = _best_exponents(rows[search], limit, cap)
    integers = _on_grid(rows, exponents, limit)
    return integers.astype(np.int64).reshape(np.shape(weights)), exponents


def synapse_fraction(exponents: NDArray[np.int64], input_fraction: int) -> int:
    """Fractional bits f of a synapse's output: max(12, max e + f_x)."""
    return max(SMALLEST_FRACTION, int(exponents.max(initial=0)) + input_fraction)


def round_bias(bias: NDArray[np.floating], fraction: int) -> NDArray[np.int64]:
    """Biases on the grid 2**-`fraction`: floor(b * 2**fraction + 1/2), as integers."""
    return np.floor(np.ldexp(np.asarray(bias, dtype=np.float64), fraction) + 0.5).astype(np.int64)


_NONE = np.iinfo(np.int64).min


def _on_grid(rows: NDArray[np.float64], exponents: NDArray[np.int64], limit: int) -> NDArray[np.float64]:
    return np.clip(np.rint(np.ldexp(rows, exponents[:, None])), -limit, limit)


def _finest_exponents(rows: NDArray[np.float64], limit: int) -> NDArray[np.int64]:
    """Per row the largest e for which row * 2**e lies within +-limit (2**n - 1), 0 for zeros."""
    largest = np.abs(rows).max(axis=1, initial=0.0)
    mantissa, exponent = np.frexp(largest)  # largest = mantissa * 2**exponent, 0.5 <= mantissa < 1
    width = limit.bit_length()
    finest = width - exponent.astype(np.int64) - (np.ldexp(mantissa, width) > limit)
    return np.where(largest == 0, 0, finest)


def _smallest_exact_exponents(rows: NDArray[np.float64], limit: int) -> NDArray[np.int64]:
    """Per row the smallest e for which row * 2**e are integers within +-limit, `_NONE` where there is none, 0 for
    zeros.
    """
    found = _finest_exponents(rows, limit)
    scaled = np.ldexp(rows, found[:, None])  # a coarser grid lies within this one
    exact = (scaled == np.rint(scaled)).all(axis=1)
    used = np.bitwise_or.reduce(np.abs(scaled[exact]).astype(np.int64), axis=1)
    found[exact] -= np.where(used == 0, 0, np.frexp((used & -used).astype(np.float64))[1] - 1)
    return np.where(exact, found, _NONE)


def _best_exponents(rows: NDArray[np.float64], limit: int, cap: int) -> NDArray[np.int64]:
    """Per row the e of least squared error in `MIN_EXPONENT`..`cap`, ties to the smaller.

    While nothing is clipped a finer grid is never worse, since it holds the coarser one. So the search starts at the
    finest e without clipping, goes down while the error stays the same, and up while what the largest weight loses by
    clipping alone is less than the best error.
    """
    finest = _finest_exponents(rows, limit)
    best = np.clip(finest, MIN_EXPONENT, cap)
    least = _squared_errors(rows, best, limit)
    start, largest = best.copy(), np.abs(rows).max(axis=1, initial=0.0)
    going = np.flatnonzero(start <= finest)
    for e in range(1, cap - MIN_EXPONENT + 1):
        going = going[start[going] - e >= MIN_EXPONENT]
        going = going[_squared_errors(rows[going], start[going] - e, limit) == least[going]]
        best[going] = start[going] - e
    going = np.arange(len(rows))
    for e in range(1, cap - MIN_EXPONENT + 1):
        clipped = largest[going] - np.ldexp(float(limit), -(start[going] + e))
        going = going[(start[going] + e <= cap) & ((clipped <= 0) | (np.square(clipped) < least[going]))]
        error = _squared_errors(rows[going], start[going] + e, limit)
        better = error < least[going]
        least[going[better]], best[going[better]] = error[better], start[going[better]] + e
    return best


def _squared_errors(rows: NDArray[np.float64], exponents: NDArray[np.int64], limit: int) -> NDArray[np.float64]:
    grid = _on_grid(rows, exponents, limit)
    errors: NDArray[np.float64] = np.square(rows - np.ldexp(grid, -exponents[:, None])).sum(axis=1)
    return errors
