"""Inputs that make few and many events.

The events of inner layers cannot be set, only the inputs: silence, saturation, and noise of several densities, evenly
spread and in patches, which convolutions answer differently.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from pyspike.runtime import Inputs, TensorInfo

Draw = Callable[[TensorInfo, np.random.Generator], NDArray[np.int64]]
Recipe = tuple[str, Draw]
Case = tuple[str, Inputs]


def _silence(port: TensorInfo) -> int:
    return min(max(0, port.lo), port.hi)


def _most_bits(port: TensorInfo) -> int:
    """The dearest event: of -1, the ends of the range and 2^k - 1 below its upper end, what has the most bits set."""
    ones = (1 << (max(port.hi, 0) + 1).bit_length() - 1) - 1
    within = [value for value in (port.hi, ones, -1, port.lo) if port.lo <= value <= port.hi]
    return max(within, key=lambda value: (value & 0xFFFFFFFF).bit_count())


def _constant(value: Callable[[TensorInfo], int]) -> Draw:
    return lambda port, _: np.full(port.shape, value(port), np.int64)


def _noise(density: float, patch: int = 1) -> Draw:
    """Non-zero integers at a share `density` of positions; in patches along every axis that is longer than one."""

    def draw(port: TensorInfo, rng: np.random.Generator) -> NDArray[np.int64]:
        sides = [patch if size > patch else 1 for size in port.shape]
        coarse = [-(-size // side) for size, side in zip(port.shape, sides, strict=True)]
        values = rng.integers(port.lo, port.hi, coarse, endpoint=True)
        values[values == 0] = port.hi or port.lo
        values[rng.random(coarse) >= density] = _silence(port)
        for axis, side in enumerate(sides):
            values = values.repeat(side, axis)
        return values[tuple(slice(size) for size in port.shape)]

    return draw


FITTED: tuple[Recipe, ...] = (
    ("silence", _constant(_silence)),
    ("all lo", _constant(lambda port: port.lo)),
    ("all hi", _constant(lambda port: port.hi)),
    ("most bits", _constant(_most_bits)),
    *((f"density {d:g}", _noise(d)) for d in (0.02, 0.1, 0.25, 0.5, 0.75, 1.0)),
    *((f"density {d:g} in patches", _noise(d, 8)) for d in (0.1, 0.5, 1.0)),
)
HELD_OUT: tuple[Recipe, ...] = (
    *((f"density {d:g}", _noise(d)) for d in (0.05, 0.35, 0.9)),
    *((f"density {d:g} in patches", _noise(d, 8)) for d in (0.25, 0.75)),
)


def synthetic(ports: Sequence[TensorInfo], seed: int, recipes: Sequence[Recipe]) -> Iterator[Case]:
    """Inputs of every recipe; those equal to an earlier one are left out."""
    seen: set[bytes] = set()
    rng = np.random.default_rng(seed)
    for name, draw in recipes:
        arrays = {port.name: draw(port, rng).astype(port.dtype) for port in ports}
        key = b"".join(array.tobytes() for array in arrays.values())
        if key not in seen:
            seen.add(key)
            yield name, arrays
