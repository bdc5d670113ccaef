"""Object detection around the integer graph: photograph -> network input, head tensors -> named boxes.

Anchor-free heads with distributions over distances, as YOLOv8 and SpikeYOLO use them (facts re-implemented, no code
taken). A model image carries all facts in its metadata under "task":

    {"kind": "detect", "classes": ["RBC", ...], "size": [256, 320], "layout": "NCHW", "fill": 114,
     "strides": [8, 16, 32], "reg_max": 16, "confidence": 0.25, "iou": 0.7, "max_detections": 300}

`csrc/tasks` holds the same functions in C++: `letterbox` equal to the last bit, the float arithmetic behind it in
float64.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pyspike.errors import ModelFormatError, RangeError, ShapeError
from pyspike.tasks.letterbox import Letterbox, letterbox

__all__ = ["DetectTask", "Detection", "Detector", "Letterbox", "counts_per_class", "decode_boxes", "letterbox", "nms"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Detection:
    """One found object: `box` (x1, y1, x2, y2) in pixels of the photograph, `score` 0..1, class index and name."""

    box: tuple[float, float, float, float]
    score: float
    class_id: int
    name: str


@dataclass(frozen=True)
class DetectTask:
    """What a detection model says about itself in its metadata; see the module's docstring for the fields."""

    classes: tuple[str, ...]
    size: tuple[int, int]
    strides: tuple[int, ...]
    reg_max: int = 16
    layout: str = "NCHW"
    fill: int = 114
    confidence: float = 0.25
    iou: float = 0.7
    max_detections: int = 300

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> DetectTask:
        """Read `metadata["task"]`; raises `ModelFormatError` naming the first entry that is missing or of no use."""
        task = metadata.get("task")
        if not isinstance(task, Mapping) or task.get("kind") != "detect":
            kind = task.get("kind") if isinstance(task, Mapping) else task
            raise ModelFormatError(f"metadata: expected task.kind 'detect', found {kind!r}; this is no detection model")
        known: dict[str, Any] = {}
        for key, is_good, expected in _TASK_FIELDS:
            if key not in task and key in _OPTIONAL_FIELDS:
                continue
            value = task.get(key)
            if not is_good(value):
                raise ModelFormatError(f"metadata: expected task.{key} to be {expected}, found {value!r}")
            known[key] = tuple(value) if isinstance(value, list | tuple) else value
        return cls(**known)


def _is_int(value: object, lo: int, hi: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and lo <= value <= hi


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _is_list(value: object, good: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) > 0 and all(good(item) for item in value)


_TASK_FIELDS: tuple[tuple[str, Any, str], ...] = (
    ("classes", lambda v: _is_list(v, lambda name: isinstance(name, str)), "a list of names"),
    ("size", lambda v: _is_list(v, lambda side: _is_int(side, 1, 65535)) and len(v) == 2, "[height, width] in pixels"),
    ("strides", lambda v: _is_list(v, lambda stride: _is_int(stride, 1, 4096)), "a list of strides in pixels"),
    ("reg_max", lambda v: _is_int(v, 1, 256), "a number of bins from 1 to 256"),
    ("layout", lambda v: v in ("NCHW", "NHWC"), "'NCHW' or 'NHWC'"),
    ("fill", lambda v: _is_int(v, 0, 255), "a grey value from 0 to 255"),
    ("confidence", _is_share, "a number from 0 to 1"),
    ("iou", _is_share, "a number from 0 to 1"),
    ("max_detections", lambda v: _is_int(v, 1, 10**6), "a positive integer"),
)
_OPTIONAL_FIELDS = {"reg_max", "layout", "fill", "confidence", "iou", "max_detections"}


def decode_boxes(
    heads: Sequence[Floats], strides: Sequence[int], num_classes: int, reg_max: int = 16
) -> tuple[Floats, Floats]:
    """Boxes [anchors, 4] (x1, y1, x2, y2) in pixels of the network's input, and class scores [anchors, num_classes].

    `heads`: one float tensor [1, 4 * reg_max + num_classes, H / stride, W / stride] for each stride. Its first 4 *
    reg_max channels are logits over distances 0..reg_max - 1 (in strides) to the left, top, right and bottom side,
    side by side; their softmax's expectation is the distance. Anchors lie at (i + 1/2, j + 1/2) strides, x fastest,
    levels in order. The other channels are class logits; a score is their sigmoid. Raises `ShapeError` for heads of
    another shape.
    """
    if len(heads) != len(strides):
        raise ShapeError(f"heads: expected {len(strides)} tensors, one per stride, found {len(heads)}")
    channels = 4 * reg_max + num_classes
    bins = np.arange(reg_max, dtype=np.float64)
    boxes, scores = [], []
    for level, (head, stride) in enumerate(zip(heads, strides, strict=True)):
        if head.ndim != 4 or head.shape[:2] != (1, channels):
            raise ShapeError(f"head {level}: expected [1, {channels}, height, width], found {list(head.shape)}")
        rows, columns = head.shape[2:]
        flat = np.asarray(head, dtype=np.float64).reshape(channels, rows * columns)
        logits = flat[: 4 * reg_max].reshape(4, reg_max, -1)
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        left, top, right, bottom = (shares * bins[:, None]).sum(axis=1) / shares.sum(axis=1)
        y, x = np.divmod(np.arange(rows * columns), columns)
        sides = np.stack([x + 0.5 - left, y + 0.5 - top, x + 0.5 + right, y + 0.5 + bottom], axis=1)
        boxes.append(sides * stride)
        scores.append(_sigmoid(flat[4 * reg_max :]).T)
    return np.concatenate(boxes), np.concatenate(scores)


def _sigmoid(x: Floats) -> Floats:
    """1 / (1 + exp(-x)) that never overflows."""
    small = np.exp(-np.abs(x))
    result: Floats = np.where(x >= 0, 1.0, small) / (1.0 + small)
    return result


def iou_with(box: Floats, others: Floats) -> Floats:
    """Intersection over union [n] of `box` [4] with `others` [n, 4], all (x1, y1, x2, y2); 0 where both are empty."""
    top_left = np.maximum(box[:2], others[:, :2])
    bottom_right = np.minimum(box[2:], others[:, 2:])
    common = np.prod(np.maximum(bottom_right - top_left, 0.0), axis=1)
    own = np.prod(np.maximum(box[2:] - box[:2], 0.0))
    union = own + np.prod(np.maximum(others[:, 2:] - others[:, :2], 0.0), axis=1) - common
    share: Floats = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
    return share


def nms(boxes: Floats, scores: Floats, classes: NDArray[np.integer[Any]], iou: float = 0.7) -> NDArray[np.int64]:
    """Indices of the boxes to keep, best score first: greedy non-maximum suppression within each class.

    `boxes` [n, 4] (x1, y1, x2, y2), `scores` [n], `classes` [n]. A box is dropped where a better one of its class
    overlaps it with an intersection over union above `iou`; equal scores are taken in the order of their indices.
    """
    waiting = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while waiting.size:
        best, rest = waiting[0], waiting[1:]
        kept.append(int(best))
        rivals = (classes[rest] == classes[best]) & (iou_with(boxes[best], boxes[rest]) > iou)
        waiting = rest[~rivals]
    return np.array(kept, dtype=np.int64)


def select(
    boxes: Floats, scores: Floats, *, confidence: float, iou: float, limit: int
) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """The detections among decoded anchors: boxes [n, 4], scores [n] and classes [n], best score first, at most
    `limit`.

    `boxes` [anchors, 4], `scores` [anchors, classes]. An anchor stands for its best class (the lower index of two equal
    ones) and counts where that score is above `confidence`.
    """
    classes = scores.argmax(axis=1)
    best = scores[np.arange(len(scores)), classes]
    found = np.flatnonzero(best > confidence)
    boxes, best, classes = boxes[found], best[found], classes[found]
    kept = nms(boxes, best, classes, iou)[:limit]
    return boxes[kept], best[kept], classes[kept]


class _Runtime(Protocol):
    @property
    def model(self) -> Any: ...
    def run(self, x: Any) -> Mapping[str, Any]: ...


class Detector:
    """Finds objects in photographs with a compiled detection model.

    `source` is a `pyspike.Model` (a runtime of its own is made) or a `pyspike.Runtime`. `confidence` and `iou`
    override what the model's metadata says. Raises `ModelFormatError` where the metadata describes no detection
    model, `RangeError` for a `confidence` or `iou` outside 0..1.

        detector = Detector(pyspike.Model.load("cells.spk"))
        for found in detector(read_image("smear.jpg")):
            print(found.name, found.score, found.box)
    """

    def __init__(self, source: Any, *, confidence: float | None = None, iou: float | None = None) -> None:
        self.runtime: _Runtime = source if hasattr(source, "run") else source.runtime()
        self.task = DetectTask.from_metadata(self.runtime.model.metadata)
        self.confidence = self.task.confidence if confidence is None else confidence
        self.iou = self.task.iou if iou is None else iou
        for what, value in (("confidence", self.confidence), ("iou", self.iou)):
            if not 0 <= value <= 1:
                raise RangeError(f"{what}: expected a number from 0 to 1, found {value}")

    def preprocess(self, image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], Letterbox]:
        """The network's input uint8 [1, 3, H, W] (or [1, H, W, 3]) for a photograph uint8 [h, w, 3]; its placement."""
        fitted, place = letterbox(image, self.task.size, self.task.fill)
        if self.task.layout == "NCHW":
            fitted = fitted.transpose(2, 0, 1)
        return np.ascontiguousarray(fitted[None]), place

    def postprocess(self, outputs: Mapping[str, Floats], place: Letterbox) -> list[Detection]:
        """Detections, best first, from what `Runtime.run` gave for an input placed at `place`."""
        task = self.task
        boxes, scores = decode_boxes(list(outputs.values()), task.strides, len(task.classes), task.reg_max)
        boxes, best, classes = select(
            boxes, scores, confidence=self.confidence, iou=self.iou, limit=task.max_detections
        )
        return [
            Detection((float(x1), float(y1), float(x2), float(y2)), float(score), int(c), task.classes[c])
            for (x1, y1, x2, y2), score, c in zip(place.to_source(boxes), best, classes, strict=True)
        ]

    def __call__(self, image: NDArray[np.uint8]) -> list[Detection]:
        """Detections, best first, in a photograph uint8 [h, w, 3] (RGB)."""
        x, place = self.preprocess(image)
        return self.postprocess(self.runtime.run(x), place)


def counts_per_class(detections: Sequence[Detection], classes: Sequence[str]) -> dict[str, int]:
    """Number of detections of every class, in the order of `classes`, those with none included."""
    found = Counter(detection.name for detection in detections)
    return {name: found[name] for name in classes}
