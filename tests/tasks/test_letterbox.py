"""The letterbox against its definition in exact rational arithmetic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyspike.errors import RangeError, ShapeError
from pyspike.tasks.letterbox import Letterbox, axis_weights, letterbox, resize

sides = st.integers(1, 24)


def _exact_weights(n: int, m: int) -> list[dict[int, Fraction]]:
    """Share of every source pixel in every output pixel: overlap for m <= n, linear between centres for m > n."""
    rows: list[dict[int, Fraction]] = []
    for i in range(m):
        row: dict[int, Fraction] = {}
        if m <= n:
            start, stop = Fraction(i * n, m), Fraction((i + 1) * n, m)
            for j in range(n):
                row[j] = max(Fraction(0), min(stop, Fraction(j + 1)) - max(start, Fraction(j))) / (stop - start)
        else:
            centre = (Fraction(2 * i + 1, 2) * n) / m - Fraction(1, 2)
            j = centre.numerator // centre.denominator
            for pixel, share in ((j, 1 - (centre - j)), (j + 1, centre - j)):
                pixel = min(max(pixel, 0), n - 1)
                row[pixel] = row.get(pixel, Fraction(0)) + share
        rows.append(row)
    return rows


@given(sides, sides)
def test_weights_are_the_shares_of_the_definition(n: int, m: int) -> None:
    indices, weights, total = axis_weights(n, m)
    for i, row in enumerate(_exact_weights(n, m)):
        found: dict[int, Fraction] = {}
        for j, w in zip(indices[i], weights[i], strict=True):
            found[int(j)] = found.get(int(j), Fraction(0)) + Fraction(int(w), total)
        assert {j: w for j, w in found.items() if w} == {j: w for j, w in row.items() if w}


@given(st.tuples(sides, sides), st.tuples(sides, sides), st.integers(0, 2**32 - 1))
def test_resize_rounds_the_exact_mean_once(size: tuple[int, int], target: tuple[int, int], seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (*size, 1), dtype=np.uint8)
    found = resize(image, target)
    rows, columns = _exact_weights(size[0], target[0]), _exact_weights(size[1], target[1])
    for y, row in enumerate(rows):
        for x, column in enumerate(columns):
            exact = sum(a * b * int(image[j, i, 0]) for j, a in row.items() for i, b in column.items())
            assert int(found[y, x, 0]) == (exact + Fraction(1, 2)).__floor__()


def test_half_scale_is_the_rounded_mean_of_two_by_two() -> None:
    image = np.random.default_rng(1).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    fitted, place = letterbox(image, (256, 320))
    assert place == Letterbox((480, 640), (256, 320), (240, 320), (8, 0))
    blocks = image.astype(np.int64).reshape(240, 2, 320, 2, 3).sum(axis=(1, 3))
    assert np.array_equal(fitted[8:248], (blocks + 2) // 4)
    assert (fitted[:8] == 114).all()
    assert (fitted[248:] == 114).all()


def test_scale_one_changes_nothing() -> None:
    image = np.random.default_rng(2).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    assert np.array_equal(letterbox(image, (32, 48))[0], image)


@given(st.tuples(st.integers(1, 3000), st.integers(1, 3000)), st.tuples(st.integers(1, 600), st.integers(1, 600)))
def test_placement_fills_one_side_and_keeps_proportions(source: tuple[int, int], target: tuple[int, int]) -> None:
    place = Letterbox.fit(source, target)
    (h, w), (H, W), (rh, rw), (top, left) = place.source, place.target, place.resized, place.offset
    assert 1 <= rh <= H
    assert 1 <= rw <= W
    assert rh == H or rw == W
    assert 0 <= (H - rh) - 2 * top <= 1
    assert 0 <= (W - rw) - 2 * left <= 1
    scale = min(Fraction(H, h), Fraction(W, w))
    assert abs(rh - h * scale) <= Fraction(1, 2) or rh == 1
    assert abs(rw - w * scale) <= Fraction(1, 2) or rw == 1


def test_boxes_go_there_and_back() -> None:
    place = Letterbox.fit((480, 640), (256, 320))
    boxes = np.array([[10.0, 20.0, 630.0, 470.0], [0.0, 0.0, 640.0, 480.0]])
    assert np.array_equal(place.to_target(boxes)[1], [0, 8, 320, 248])
    assert np.array_equal(place.to_source(place.to_target(boxes)), boxes)
    assert np.array_equal(place.to_source(np.array([[-5.0, 0.0, 400.0, 256.0]])), [[0, 0, 640, 480]])


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        [[1, 2, 3]],
    ],
)
def test_what_is_no_photograph_is_refused(image: object) -> None:
    with pytest.raises(ShapeError, match="photograph: expected"):
        letterbox(image, (8, 8))  # type: ignore[arg-type]


def test_bad_fill_and_size_are_refused() -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    with pytest.raises(RangeError, match="fill: expected 0 to 255, found 256"):
        letterbox(image, (8, 8), fill=256)
    with pytest.raises(ShapeError, match="target: expected sides"):
        letterbox(image, (0, 8))
