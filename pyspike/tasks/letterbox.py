"""Fitting a photograph into the input of a network, in integers, the same in Python and C++ to the last bit.

`csrc/tasks` implements the same definition:

Geometry. A photograph of h x w pixels goes into H x W with its proportions kept. If H * w <= W * h the height decides:
h' = H and w' = max(1, (2 * w * H + h) // (2 * h)); otherwise w' = W and h' = max(1, (2 * h * W + w) // (2 * w)). It is
placed at top = (H - h') // 2, left = (W - w') // 2; all other pixels are `fill`.

Resampling of one axis from n to m pixels is a list of integer weights a[i, j] for output i and source pixel j, whose
sum over j is the same `total` for every i:

- m <= n (area): a[i, j] = the length of [i * n, (i + 1) * n) that lies in [j * m, (j + 1) * m); total = n.
- m > n (bilinear, pixel centres at one half): with s = (2 * i + 1) * n - m, j = floor(s / (2 * m)) and
  t = s - 2 * m * j, pixel j weighs 2 * m - t and pixel j + 1 weighs t, both indices clamped to 0..n - 1; total = 2 * m.

An output pixel is (2 * sum + total) // (2 * total) with sum = sum_y sum_x a[y] * a[x] * pixel and total the product of
both axes' totals: rounded to nearest, a half upwards, once. No sum exceeds 255 * total, which fits 63 bits for sides
up to `MAX_SIDE`. A scale of exactly one half is therefore the rounded mean of 2 x 2 pixels, a scale of one the
identity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyspike.errors import RangeError, ShapeError

MAX_SIDE = 65535


@dataclass(frozen=True)
class Letterbox:
    """Where a photograph lies inside a network's input.

    `source` (h, w) of the photograph, `target` (H, W) of the input, `resized` (h', w') and `offset` (top, left)
    inside the target, all in pixels.
    """

    source: tuple[int, int]
    target: tuple[int, int]
    resized: tuple[int, int]
    offset: tuple[int, int]

    @classmethod
    def fit(cls, source: tuple[int, int], target: tuple[int, int]) -> Letterbox:
        """The placement of a photograph of size `source` in `target`; `ShapeError` for sides outside 1..65535."""
        for what, size in (("photograph", source), ("target", target)):
            if not all(1 <= side <= MAX_SIDE for side in size):
                raise ShapeError(f"{what}: expected sides of 1 to {MAX_SIDE} pixels, found {size[0]} x {size[1]}")
        (h, w), (H, W) = source, target
        if H * w <= W * h:
            resized = (H, max(1, (2 * w * H + h) // (2 * h)))
        else:
            resized = (max(1, (2 * h * W + w) // (2 * w)), W)
        return cls(source, target, resized, ((H - resized[0]) // 2, (W - resized[1]) // 2))

    def to_source(self, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Boxes [n, 4] (x1, y1, x2, y2) in pixels of the target, in pixels of the photograph and clipped to it."""
        (h, w), (rh, rw), (top, left) = self.source, self.resized, self.offset
        scale = np.array([w / rw, h / rh] * 2)
        moved = (np.asarray(boxes, dtype=np.float64).reshape(-1, 4) - np.array([left, top] * 2)) * scale
        inside: NDArray[np.float64] = np.clip(moved, 0.0, np.array([w, h] * 2, dtype=np.float64))
        return inside

    def to_target(self, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Boxes [n, 4] (x1, y1, x2, y2) in pixels of the photograph, in pixels of the target."""
        (h, w), (rh, rw), (top, left) = self.source, self.resized, self.offset
        scale = np.array([rw / w, rh / h] * 2)
        moved: NDArray[np.float64] = np.asarray(boxes, dtype=np.float64).reshape(-1, 4) * scale + np.array(
            [left, top] * 2
        )
        return moved


def axis_weights(n: int, m: int) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Source indices [m, taps], integer weights [m, taps] and their sum per row, for resampling n pixels to m."""
    i = np.arange(m, dtype=np.int64)[:, None]
    if m <= n:
        first = (i * n) // m
        j = first + np.arange(-(-n // m) + 1, dtype=np.int64)
        weights = np.minimum((i + 1) * n, (j + 1) * m) - np.maximum(i * n, j * m)
        weights, total = np.maximum(weights, 0), n
    else:
        s = (2 * i + 1) * n - m
        j = s // (2 * m) + np.arange(2, dtype=np.int64)
        t = s % (2 * m)
        weights, total = np.concatenate([2 * m - t, t], axis=1), 2 * m
    used = weights.any(axis=0)
    return np.clip(j, 0, n - 1)[:, used], weights[:, used], total


def resize(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """`image` uint8 [h, w, channels] resampled to uint8 [size[0], size[1], channels] as the module defines."""
    rows, row_weights, row_total = axis_weights(image.shape[0], size[0])
    columns, column_weights, column_total = axis_weights(image.shape[1], size[1])
    total = row_total * column_total
    across = np.zeros((image.shape[0], size[1], image.shape[2]), dtype=np.int64)
    for tap in range(columns.shape[1]):
        across += image[:, columns[:, tap]] * column_weights[None, :, tap, None]
    down = np.zeros((*size, image.shape[2]), dtype=np.int64)
    for tap in range(rows.shape[1]):
        down += across[rows[:, tap]] * row_weights[:, tap, None, None]
    return ((2 * down + total) // (2 * total)).astype(np.uint8)


def letterbox(image: NDArray[np.uint8], size: tuple[int, int], fill: int = 114) -> tuple[NDArray[np.uint8], Letterbox]:
    """Fit `image` uint8 [h, w, 3] into uint8 [H, W, 3], (H, W) = `size`; returns it and the placement.

    Raises `ShapeError` for another rank, dtype, number of channels or size, `RangeError` for a `fill` outside 0..255.
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        found = f"{image.dtype} {list(image.shape)}" if isinstance(image, np.ndarray) else type(image).__name__
        raise ShapeError(f"photograph: expected uint8 [height, width, 3], found {found}")
    if not 0 <= fill <= 255:
        raise RangeError(f"fill: expected 0 to 255, found {fill}")
    place = Letterbox.fit((image.shape[0], image.shape[1]), (int(size[0]), int(size[1])))
    canvas = np.full((*place.target, 3), fill, dtype=np.uint8)
    (top, left), (rh, rw) = place.offset, place.resized
    canvas[top : top + rh, left : left + rw] = resize(image, place.resized)
    return canvas, place
