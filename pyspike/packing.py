"""How weights lie in a model image: so that an event adds contiguous rows, whatever the machine.

ROWS (dense, grouped and linear synapses) has dims [groups, outputs, kh, kw, inputs] (outputs and inputs of one group).
The outputs of a group are cut into slabs of 64, then one of 32 and one of 16 as needed, the last filled up with zeros;
a slab holds one row of its outputs for each ky, kx, input: [group][slab][ky][kx][input][output in slab].

DEPTHWISE has dims [kh, kw, channels] and holds [ky][kx][channel], channels filled up with zeros to a multiple of 16.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pyspike.errors import ModelFormatError

PLAIN, ROWS, DEPTHWISE = 0, 1, 2
SLAB_WIDTHS = (64, 32, 16)
MAX_PACKED_BYTES = 2**31


def slabs(outputs: int) -> list[tuple[int, int]]:
    """(first output, width) of each slab of a group of `outputs`."""
    result = []
    start = 0
    while start < outputs:
        left = outputs - start
        width = next((w for w in SLAB_WIDTHS if w <= left), SLAB_WIDTHS[-1])
        result.append((start, width))
        start += width
    return result


def packed_size(packing: int, dims: Sequence[int], itemsize: int) -> int:
    """Bytes of an array of `dims` under `packing`; raises `ModelFormatError` for dims that cannot be."""
    ranks = {ROWS: 5, DEPTHWISE: 3}
    if (
        packing not in (PLAIN, ROWS, DEPTHWISE)
        or len(dims) != ranks.get(packing, len(dims))
        or min(dims, default=1) < 1
    ):
        raise ModelFormatError(f"impossible array: packing {packing}, sizes {tuple(dims)}")
    if packing == PLAIN:
        size = itemsize
        for each in dims:
            size *= each
    elif packing == ROWS:
        groups, outputs, kh, kw, inputs = dims
        width = -(-outputs // 16) * 16  # what the slabs' widths add up to
        size = groups * kh * kw * inputs * width
    else:
        kh, kw, channels = dims
        size = kh * kw * _up(channels)
    if size > MAX_PACKED_BYTES:
        raise ModelFormatError(f"array of {size} bytes is larger than the format allows ({MAX_PACKED_BYTES})")
    return size


def pack(values: np.ndarray[Any, Any], packing: int, dims: Sequence[int]) -> bytes:
    """The bytes of `values` ([out, ..., in] weights, or any plain array)."""
    if packing == PLAIN:
        return values.astype(values.dtype.newbyteorder("<")).tobytes()
    if packing == DEPTHWISE:
        kh, kw, channels = dims
        rows = values.reshape(channels, kh, kw).transpose(1, 2, 0)
        return np.pad(rows, ((0, 0), (0, 0), (0, _up(channels) - channels))).tobytes()
    groups, outputs, kh, kw, inputs = dims
    grouped = values.reshape(groups, outputs, kh, kw, inputs).transpose(0, 2, 3, 4, 1)
    parts = []
    for group in grouped:
        for start, width in slabs(outputs):
            slab = group[..., start : start + width]
            parts.append(np.pad(slab, ((0, 0), (0, 0), (0, 0), (0, width - slab.shape[-1]))).tobytes())
    return b"".join(parts)


def unpack(data: bytes, packing: int, dims: Sequence[int], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """The inverse of `pack`: weights come back as [out, kh, kw, in per group]."""
    flat = np.frombuffer(data, dtype=dtype)
    if packing == PLAIN:
        return flat.reshape(dims)
    if packing == DEPTHWISE:
        kh, kw, channels = dims
        rows = flat.reshape(kh, kw, _up(channels))[..., :channels]
        return rows.transpose(2, 0, 1)[..., None].copy()
    groups, outputs, kh, kw, inputs = dims
    weights = np.empty((groups, kh, kw, inputs, outputs), dtype=dtype)
    at = 0
    for group in weights:
        for start, width in slabs(outputs):
            size = kh * kw * inputs * width
            slab = flat[at : at + size].reshape(kh, kw, inputs, width)
            group[..., start : start + width] = slab[..., : outputs - start]
            at += size
    return weights.transpose(0, 4, 1, 2, 3).reshape(groups * outputs, kh, kw, inputs).copy()


def _up(channels: int) -> int:
    return -(-channels // 16) * 16
