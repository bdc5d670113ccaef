"""What a runtime's answers are worth: mAP50 of the demo's detector over a validation split, by any contestant.

An int8 peer re-quantises the residual stream and so computes another function than the integer network; whether it is
as good is measured, not supposed.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

import pyspike
from benchmarks.contestants import Contestant
from benchmarks.networks import DATA
from benchmarks.peers.protocol import Process
from pyspike.tasks.detect import DetectTask, decode_boxes


def map50(contestant: Contestant, data: Path) -> float:
    """mAP50 over `val` of the data set in the folder `data` (any format that training reads)."""
    from training.detect.config import Config
    from training.detect.data import letterboxed
    from training.detect.evaluate import candidates, score
    from training.detect.formats import read_split

    task = DetectTask.from_metadata(pyspike.Model.load(DATA / "demo.spk").metadata)
    config = Config()
    height, width = task.size
    samples = letterboxed(read_split(data, "val", task.classes), width, height)
    found = []
    for heads in _outputs(contestant, np.stack([sample.image.transpose(2, 0, 1)[None] for sample in samples])):
        boxes, scores = decode_boxes(heads, task.strides, len(task.classes), task.reg_max)
        low, high = boxes[:, :2], boxes[:, 2:]
        decoded = np.concatenate([(low + high) / 2, high - low, scores], 1).T
        found.append(candidates(decoded, config.confidence, config.nms_iou))
    return score(found, samples, task.classes).map50


def _outputs(contestant: Contestant, images: np.ndarray) -> list[list[np.ndarray]]:
    """Head tensors for each of `images` [n, 1, 3, H, W]."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Process(contestant.module, contestant.options, contestant.environment) as process,
    ):
        stack, results = Path(folder) / "images.npy", Path(folder) / "outputs.npz"
        np.save(stack, np.ascontiguousarray(images))
        process.ask("load")
        process.ask("each", images=str(stack), path=str(results))
        with np.load(results) as arrays:
            heads = [arrays[name] for name in arrays.files]
    return [[head[i] for head in heads] for i in range(len(images))]
