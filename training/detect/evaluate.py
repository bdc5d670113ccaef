"""Mean average precision as COCO defines it, its bootstrap intervals, and densities, of a float or integer detector."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import nn

from pyspike.nn import SpikeCounter, SpikeStatistics, record_neurons
from pyspike.tasks.detect import nms
from training.detect.config import Config
from training.detect.data import AnySample, collate

MAX_DETECTIONS = 300
MAX_CANDIDATES = 1500  # before suppression, per image
RECALLS = np.linspace(0, 1, 101)  # at which COCO reads precision
# of one class, per image: scores [n], hits per IoU threshold [10, n], number of true boxes
Rows = list[tuple[NDArray[np.float64], NDArray[np.bool_], int]]


@dataclass(frozen=True)
class Evaluation:
    """Metrics of one model on one split, and what is needed to resample them.

    map50, map50_95: COCO AP at IoU 0.5 and averaged over 0.5:0.95; per_class: class name -> (AP50, AP50:95);
    tables: per class a list over images of (scores [n], hits [10, n] bool, number of true boxes).
    """

    map50: float
    map50_95: float
    per_class: dict[str, tuple[float, float]]
    spikes: SpikeStatistics | None
    tables: list[Rows]

    def summary(self) -> dict[str, Any]:
        """Plain numbers for metrics.json."""
        out: dict[str, Any] = {"map50": self.map50, "map50_95": self.map50_95}
        out["per_class"] = {k: {"ap50": a, "ap50_95": b} for k, (a, b) in self.per_class.items()}
        if self.spikes is not None:
            out |= {
                "density": self.spikes.network_density,
                "element_density": self.spikes.element_density,
                "synaptic_density": self.spikes.synaptic_density,
                "mean_count": float(np.mean(list(self.spikes.mean_count.values()))),
            }
        return out


def candidates(
    decoded: NDArray[np.floating], confidence: float, iou: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """decoded [4 + C, A] (cx cy w h, probabilities) -> boxes [n, 4] x1 y1 x2 y2, scores [n], classes [n], best first.

    As the published validation does, an anchor may win in several classes (a deployed detector takes its best one).
    """
    anchors, classes = np.nonzero(np.greater(decoded[4:].T, confidence))
    scores = decoded[4 + classes, anchors].astype(np.float64)
    order = np.argsort(-scores, kind="stable")[:MAX_CANDIDATES]
    anchors, classes, scores = anchors[order], classes[order], scores[order]
    centre, half = decoded[:2, anchors].T.astype(np.float64), decoded[2:4, anchors].T.astype(np.float64) / 2
    boxes = np.concatenate([centre - half, centre + half], 1)
    kept = nms(boxes, scores, classes, iou)[:MAX_DETECTIONS]
    return boxes[kept], scores[kept], classes[kept].astype(np.int64)


@torch.no_grad()
def detections(
    model: nn.Module,
    samples: Sequence[AnySample],
    config: Config,
    counter: SpikeCounter | None = None,
    raw_pixels: bool = False,
) -> list[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]]:
    """Boxes, scores and classes per letterboxed sample; `model` in eval mode, fed 0..1, or uint8 where `raw_pixels`."""
    first = next(model.parameters())
    found = []
    for start in range(0, len(samples), config.batch):
        batch = collate(samples[start : start + config.batch])
        with record_neurons(model) as recorded:
            raw = model(batch.inputs().to(first.device) if raw_pixels else batch.inputs(first) / 255)
        if counter is not None:
            counter.add(recorded)
        decoded = model.decode(raw).double().cpu().numpy()  # type: ignore[operator]
        found += [candidates(d, config.confidence, config.nms_iou) for d in decoded]
    return found


def evaluate(
    model: nn.Module,
    samples: Sequence[AnySample],
    config: Config,
    fanout: dict[str, float] | None = None,
    raw_pixels: bool = False,
) -> Evaluation:
    """Evaluate on letterboxed samples; with `fanout` spikes are counted too. The model's mode is restored."""
    counter = SpikeCounter(fanout) if fanout else None  # a network without neurons has none
    training = model.training
    model.eval()
    found = detections(model, samples, config, counter, raw_pixels)
    model.train(training)
    spikes = counter.statistics() if counter is not None else None
    return score(found, samples, config.classes, spikes)


def score(
    found: list[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]],
    samples: Sequence[AnySample],
    classes: tuple[str, ...],
    spikes: SpikeStatistics | None = None,
) -> Evaluation:
    """COCO metrics of detections (boxes x1 y1 x2 y2, scores, classes per sample)."""
    truth, guesses = [], []
    for i, (s, (boxes, scores, labels)) in enumerate(zip(samples, found, strict=True)):
        for box, label in zip(s.boxes.tolist(), s.classes.tolist(), strict=True):
            w, h = box[2] - box[0], box[3] - box[1]
            entry = {"image_id": i, "category_id": label, "bbox": [box[0], box[1], w, h], "area": w * h, "iscrowd": 0}
            truth.append({**entry, "id": len(truth) + 1})
        for box, value, label in zip(boxes.tolist(), scores.tolist(), labels.tolist(), strict=True):
            w, h = box[2] - box[0], box[3] - box[1]
            guesses.append({"image_id": i, "category_id": label, "bbox": [box[0], box[1], w, h], "score": value})
    coco = COCO()
    coco.dataset = {
        "images": [{"id": i} for i in range(len(samples))],
        "categories": [{"id": i, "name": n} for i, n in enumerate(classes)],
        "annotations": truth,
    }
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
        # loadRes refuses an empty list
        results = coco.loadRes(guesses) if guesses else _without_results(coco)
        judge = COCOeval(coco, results, "bbox")
        judge.params.areaRng, judge.params.areaRngLbl = [[0, 1e10]], ["all"]
        judge.params.maxDets = [MAX_DETECTIONS]
        judge.evaluate()
        judge.accumulate()
    precision = judge.eval["precision"][:, :, :, 0, 0]  # [IoU, recall, class], -1 where a class has no true box
    per_class = {}
    for k, name in enumerate(classes):
        p = precision[:, :, k]
        per_class[name] = (float(p[0].mean()), float(p.mean())) if (p > -1).all() else (float("nan"), float("nan"))
    both = np.array(list(per_class.values()))
    tables = _tables(judge, len(samples))
    return Evaluation(float(np.nanmean(both[:, 0])), float(np.nanmean(both[:, 1])), per_class, spikes, tables)


def _without_results(coco: COCO) -> COCO:
    empty = COCO()
    empty.dataset = {**coco.dataset, "annotations": []}
    empty.createIndex()
    return empty


def _tables(judge: COCOeval, images: int) -> list[Rows]:
    tables = []
    for k in range(len(judge.params.catIds)):
        rows = []
        for entry in judge.evalImgs[k * images : (k + 1) * images]:
            if entry is None:
                rows.append((np.zeros(0), np.zeros((len(judge.params.iouThrs), 0), bool), 0))
            else:
                scores = np.array(entry["dtScores"], np.float64)
                rows.append((scores, np.asarray(entry["dtMatches"]) > 0, len(entry["gtIds"])))
        tables.append(rows)
    return tables


def average_precision(rows: Rows, counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """COCO's 101-point AP per IoU threshold, [draws, 10], where image i of `rows` is taken `counts[d, i]` times.

    counts: [draws, images]. NaN where a draw holds no true box.

    Precision only rises at hits, so its envelope and the recalls it is read at are those of the hits alone.
    """
    total = counts @ np.array([n for _, _, n in rows], np.int64)
    scores = np.concatenate([s for s, _, _ in rows])
    order = np.argsort(-scores, kind="stable")
    image = np.repeat(np.arange(len(rows)), [len(s) for s, _, _ in rows])[order]
    hits = np.concatenate([h for _, h, _ in rows], 1)[:, order]
    taken = counts[:, image].astype(np.int32)  # how often each detection is there, best first
    found = np.cumsum(taken, 1)
    out = np.zeros((len(counts), len(hits)))
    for t, hit in enumerate(hits):
        at = np.flatnonzero(hit)
        true = np.cumsum(taken[:, at], 1)
        envelope = np.maximum.accumulate((true / np.maximum(found[:, at], 1))[:, ::-1], 1)[:, ::-1]
        reached = np.searchsorted(RECALLS, true / np.maximum(total, 1)[:, None], side="right")
        out[:, t] = (envelope * np.diff(reached, prepend=0)).sum(1) / len(RECALLS)
    out[total == 0] = np.nan
    return out


def drawn(images: int, draws: int, seed: int = 0) -> NDArray[np.int64]:
    """Bootstrap draws of `images` images with repetition: how often each is taken, [draws, images]."""
    picked = np.random.default_rng(seed).integers(0, images, (draws, images))
    return np.stack([np.bincount(row, minlength=images) for row in picked])


def resample(evaluation: Evaluation, counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """(mAP50, mAP50:95) where image i is taken `counts[d, i]` times, [draws, 2]."""
    parts = np.array_split(counts, -(-len(counts) // 100))  # a hundred draws at a time take little memory
    table = np.stack([np.concatenate([average_precision(rows, part) for part in parts]) for rows in evaluation.tables])
    return np.stack([np.nanmean(table[:, :, 0], 0), np.nanmean(table, (0, 2))], 1)


def resampled(evaluations: list[Evaluation], draws: int, seed: int = 0) -> NDArray[np.float64]:
    """Bootstrap over images: (mAP50, mAP50:95) of every evaluation on the same draws of images, [draws, len, 2]."""
    counts = drawn(len(evaluations[0].tables[0]), draws, seed)
    return np.stack([resample(e, counts) for e in evaluations], 1)


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """The central 95%."""
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
