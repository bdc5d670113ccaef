"""Box decoding, suppression and the detector around a stand-in runtime."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyspike.errors import ModelFormatError, RangeError, ShapeError
from pyspike.tasks.detect import Detection, Detector, DetectTask, counts_per_class, decode_boxes, iou_with, nms, select

TASK: dict[str, Any] = {
    "kind": "detect",
    "classes": ["RBC", "WBC"],
    "size": [64, 64],
    "strides": [8, 16],
    "reg_max": 4,
    "layout": "NCHW",
    "fill": 114,
    "confidence": 0.25,
    "iou": 0.7,
}
SILENT = -20.0


def _heads() -> list[np.ndarray]:
    """Two silent heads for TASK: every class logit low, every distance undecided."""
    heads = [np.zeros((1, 4 * 4 + 2, 64 // stride, 64 // stride)) for stride in (8, 16)]
    for head in heads:
        head[:, 16:] = SILENT
    return heads


def test_decode_places_anchors_and_distances() -> None:
    heads = _heads()
    heads[1][0, [0 * 4 + 1, 1 * 4 + 2, 2 * 4 + 3, 3 * 4 + 0], 1, 2] = 50.0  # left 1, top 2, right 3, bottom 0 strides
    heads[1][0, 17, 1, 2] = 0.0
    boxes, scores = decode_boxes(heads, [8, 16], 2, 4)
    assert boxes.shape == (64 + 16, 4)
    index = 64 + 1 * 4 + 2
    np.testing.assert_array_almost_equal_nulp(boxes[index], np.array([1.5, -0.5, 5.5, 1.5]) * 16, nulp=4)
    assert scores[index, 1] == 0.5
    # Undecided distances are the mean of 0..3.
    assert np.array_equal(boxes[0], np.array([-1.0, -1.0, 2.0, 2.0]) * 8)


def test_decode_agrees_with_a_plain_loop() -> None:
    random = np.random.default_rng(3)
    heads = [random.normal(0, 3, (1, 18, 2, 3)), random.normal(0, 3, (1, 18, 1, 2))]
    boxes, scores = decode_boxes(heads, [8, 16], 2, 4)
    row = 0
    for head, stride in zip(heads, (8, 16), strict=True):
        for y in range(head.shape[2]):
            for x in range(head.shape[3]):
                d = []
                for side in range(4):
                    e = [math.exp(v) for v in head[0, side * 4 : side * 4 + 4, y, x]]
                    d.append(sum(k * v for k, v in enumerate(e)) / sum(e))
                expected = [x + 0.5 - d[0], y + 0.5 - d[1], x + 0.5 + d[2], y + 0.5 + d[3]]
                assert boxes[row] == pytest.approx([v * stride for v in expected], abs=1e-12)
                assert scores[row] == pytest.approx([1 / (1 + math.exp(-v)) for v in head[0, 16:, y, x]], abs=1e-15)
                row += 1


def test_huge_logits_do_not_overflow() -> None:
    heads = [np.full((1, 18, 1, 1), 1e6)]
    heads[0][0, 17] = -1e6
    boxes, scores = decode_boxes(heads, [8], 2, 4)
    assert np.isfinite(boxes).all()
    assert scores.tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize("shape", [(2, 18, 8, 8), (1, 17, 8, 8), (18, 8, 8)])
def test_heads_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"head 0: expected \[1, 18, height, width\]"):
        decode_boxes([np.zeros(shape)], [8], 2, 4)
    with pytest.raises(ShapeError, match="expected 2 tensors"):
        decode_boxes([np.zeros(shape)], [8, 16], 2, 4)


def test_iou() -> None:
    box = np.array([0.0, 0.0, 2.0, 2.0])
    others = np.array([[0, 0, 2, 2], [1, 0, 3, 2], [2, 2, 3, 3], [1, 1, 1, 1]], dtype=np.float64)
    assert iou_with(box, others).tolist() == [1.0, 2 / 6, 0.0, 0.0]
    assert iou_with(others[3], others[3:]).tolist() == [0.0]


def _plain_nms(boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray, iou: float) -> list[int]:
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: (-scores[i], i)):
        if all(classes[i] != classes[k] or iou_with(boxes[k], boxes[i : i + 1])[0] <= iou for k in kept):
            kept.append(i)
    return kept


@given(st.integers(0, 30), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.3, 0.7, 1.0]))
def test_nms_agrees_with_its_definition(n: int, seed: int, iou: float) -> None:
    random = np.random.default_rng(seed)
    corners = random.integers(0, 6, (n, 2)).astype(np.float64)
    boxes = np.concatenate([corners, corners + random.integers(0, 6, (n, 2))], axis=1)
    scores = random.integers(0, 4, n) / 4  # many ties
    classes = random.integers(0, 2, n)
    assert nms(boxes, scores, classes, iou).tolist() == _plain_nms(boxes, scores, classes, iou)


def test_select_takes_the_best_class_above_confidence() -> None:
    boxes = np.array([[0, 0, 4, 4], [0, 0, 4, 4], [8, 8, 9, 9]], dtype=np.float64)
    scores = np.array([[0.6, 0.5], [0.2, 0.7], [0.25, 0.1]])
    kept, best, classes = select(boxes, scores, confidence=0.25, iou=0.7, limit=300)
    assert best.tolist() == [0.7, 0.6]  # one class does not suppress another; 0.25 is not above 0.25
    assert classes.tolist() == [1, 0]
    assert len(kept) == 2
    assert len(select(boxes, scores, confidence=0.0, iou=0.7, limit=1)[0]) == 1


class _StandIn:
    """A runtime that remembers its input and gives fixed heads."""

    def __init__(self, heads: list[np.ndarray], task: object = TASK) -> None:
        self.model = SimpleNamespace(metadata={"task": task})
        self.heads = heads
        self.seen: np.ndarray | None = None

    def run(self, x: np.ndarray) -> dict[str, np.ndarray]:
        self.seen = x
        return {f"head{i}": head for i, head in enumerate(self.heads)}


def test_detector_maps_boxes_into_the_photograph() -> None:
    heads = _heads()
    heads[0][0, [1, 5, 9, 13], 3, 4] = 50.0  # one stride to every side of (4.5, 3.5) strides
    heads[0][0, 16, 3, 4] = 3.0
    runtime = _StandIn(heads)
    image = np.random.default_rng(4).integers(0, 256, (64, 128, 3), dtype=np.uint8)
    (found,) = Detector(runtime)(image)
    assert (found.name, found.class_id) == ("RBC", 0)
    assert found.score == pytest.approx(1 / (1 + math.exp(-3)))
    # The photograph is halved and lies 16 pixels down.
    assert found.box == pytest.approx((2 * 28, 2 * (20 - 16), 2 * 44, 2 * (36 - 16)))
    assert runtime.seen is not None
    assert runtime.seen.shape == (1, 3, 64, 64)
    assert runtime.seen.dtype == np.uint8
    assert (runtime.seen[0, :, 0] == 114).all()
    assert Detector(runtime, confidence=0.99)(image) == []


def test_detector_takes_a_model_and_other_layouts() -> None:
    runtime = _StandIn(_heads(), TASK | {"layout": "NHWC"})
    model = SimpleNamespace(runtime=lambda: runtime)
    assert Detector(model)(np.zeros((64, 64, 3), np.uint8)) == []
    assert runtime.seen is not None
    assert runtime.seen.shape == (1, 64, 64, 3)


def test_optional_facts_have_defaults() -> None:
    task = DetectTask.from_metadata({"task": {k: TASK[k] for k in ("kind", "classes", "size", "strides")}})
    assert (task.reg_max, task.layout, task.fill, task.confidence, task.iou) == (16, "NCHW", 114, 0.25, 0.7)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"kind": "segment"}, "task.kind"),
        ({"classes": []}, "task.classes"),
        ({"classes": [1]}, "task.classes"),
        ({"size": [64]}, "task.size"),
        ({"size": [64, 0]}, "task.size"),
        ({"strides": "8"}, "task.strides"),
        ({"reg_max": True}, "task.reg_max"),
        ({"layout": "CHW"}, "task.layout"),
        ({"fill": 256}, "task.fill"),
        ({"confidence": float("nan")}, "task.confidence"),
        ({"iou": "0.7"}, "task.iou"),
        ({"max_detections": 0}, "task.max_detections"),
    ],
)
def test_bad_metadata_is_named(change: dict[str, Any], named: str) -> None:
    with pytest.raises(ModelFormatError, match=named):
        Detector(_StandIn([], TASK | change))


@pytest.mark.parametrize("metadata", [{}, {"task": None}, {"task": "detect"}])
def test_a_model_without_a_task_is_no_detection_model(metadata: dict[str, Any]) -> None:
    with pytest.raises(ModelFormatError, match="no detection model"):
        DetectTask.from_metadata(metadata)


def test_bad_thresholds_are_refused() -> None:
    with pytest.raises(RangeError, match="confidence"):
        Detector(_StandIn([]), confidence=1.5)
    with pytest.raises(RangeError, match="iou"):
        Detector(_StandIn([]), iou=float("nan"))


def test_counts_name_every_class() -> None:
    found = [Detection((0, 0, 1, 1), 0.5, 1, "WBC")] * 2
    assert counts_per_class(found, ["RBC", "WBC"]) == {"RBC": 0, "WBC": 2}
