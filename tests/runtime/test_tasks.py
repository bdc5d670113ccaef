"""csrc/tasks against pyspike/tasks: letterboxing to the last bit, boxes and scores in float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyspike import ShapeError, _native
from pyspike.tasks import detect
from pyspike.tasks.letterbox import Letterbox, letterbox

SIDES = st.integers(1, 90)


@given(SIDES, SIDES, SIDES, SIDES, st.integers(0, 255), st.integers(0, 2**32 - 1))
def test_letterbox_is_equal_to_the_last_bit(h, w, height, width, fill, seed) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (h, w, 3), dtype=np.uint8)
    expected, _ = letterbox(image, (height, width), fill)
    assert np.array_equal(_native.letterbox(image, (height, width), fill), expected)


@pytest.mark.parametrize(
    ("source", "target"), [((480, 640), (240, 320)), ((900, 1600), (256, 320)), ((7, 900), (64, 64))]
)
def test_letterbox_of_photographs(source, target) -> None:
    image = np.random.default_rng(1).integers(0, 256, (*source, 3), dtype=np.uint8)
    assert np.array_equal(_native.letterbox(image, target, 114), letterbox(image, target, 114)[0])


def test_letterbox_refuses_impossible_sides() -> None:
    with pytest.raises(ShapeError):
        _native.letterbox(np.zeros((0, 3, 3), np.uint8), (4, 4), 0)


@given(SIDES, SIDES, SIDES, SIDES, st.integers(0, 2**32 - 1))
def test_boxes_go_back_to_the_photograph(h, w, height, width, seed) -> None:
    boxes = np.random.default_rng(seed).uniform(-20, 120, (10, 4))
    expected = Letterbox.fit((h, w), (height, width)).to_source(boxes)
    assert np.array_equal(_native.letterbox_to_source(boxes, (h, w), (height, width)), expected)


@given(st.integers(1, 4), st.integers(1, 16), st.integers(0, 2**32 - 1))
def test_boxes_and_scores(classes, reg_max, seed) -> None:
    rng = np.random.default_rng(seed)
    heads = [rng.normal(0, 4, (1, 4 * reg_max + classes, *shape)) for shape in ((5, 3), (2, 2))]
    boxes, scores = detect.decode_boxes(heads, (8, 16), classes, reg_max)
    found_boxes, found_scores = _native.decode_boxes(heads, [8, 16], classes, reg_max)
    assert np.allclose(found_boxes, boxes, rtol=1e-12, atol=1e-12)
    assert np.allclose(np.reshape(found_scores, scores.shape), scores, rtol=1e-12, atol=0)


def test_heads_of_another_shape() -> None:
    with pytest.raises(ShapeError):
        _native.decode_boxes([np.zeros((1, 7, 2, 2))], [8], 4, 1)
    with pytest.raises(ShapeError):
        _native.decode_boxes([np.zeros((1, 8, 2, 2))], [8, 16], 4, 1)


@given(st.integers(0, 40), st.integers(1, 3), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_nms_keeps_the_same_boxes(count, classes, iou, seed) -> None:
    rng = np.random.default_rng(seed)
    corners = rng.integers(0, 20, (count, 2))
    boxes = np.concatenate([corners, corners + rng.integers(0, 12, (count, 2))], axis=1).astype(float)
    scores = rng.integers(0, 8, count) / 8  # ties
    labels = rng.integers(0, classes, count)
    assert _native.nms(boxes, scores, labels, iou) == detect.nms(boxes, scores, labels, iou).tolist()
