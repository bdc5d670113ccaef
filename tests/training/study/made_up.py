"""A made-up study: results of trainings that never were, with detections drawn at random."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from training.detect import checkpoint
from training.detect.data import Sample
from training.detect.evaluate import Evaluation, score
from training.detect.study import result
from training.detect.study.plan import CONVERTED_BITS, Job
from training.detect.study.tiles import OTHERS

IMAGES = 12
NEURONS = {"stem": {"neurons": 30.0, "dead": 0.5, "saturated": 0.0, "dead_channels": 0.0, "largest": 0.1}}
LAST = {"neurons": 10.0, "dead": 0.1, "saturated": 0.2, "dead_channels": 0.0, "largest": 0.3}


def evaluation(quality: float, seed: int, classes: tuple[str, ...], images: int = IMAGES) -> Evaluation:
    """Detections that hit a share `quality` of the boxes, which are the same for every seed."""
    truth, luck = np.random.default_rng(1), np.random.default_rng(seed)
    samples, found = [], []
    for i in range(images):
        corner = truth.uniform(0, 200, (8, 2))
        boxes = np.concatenate([corner, corner + truth.uniform(20, 40, (8, 2))], 1)
        labels = truth.integers(0, len(classes), 8)
        image = np.zeros((256, 256, 3), np.uint8)
        samples.append(Sample(str(i), image, boxes.astype(np.float32), labels.astype(np.int64)))
        hit = luck.uniform(size=8) < quality
        shifted = np.where(hit[:, None], boxes + luck.normal(0, 1, boxes.shape), boxes + 500)
        found.append((shifted, luck.uniform(size=8), labels))
    return score(found, samples, classes)


def write(out: Path, jobs: Iterable[Job], quality: dict[str, float]) -> None:
    """Write results of `jobs`; `quality` by setting, or by "experiment/setting"."""
    for job in jobs:
        folder = out / job.name
        folder.mkdir(parents=True)
        good = quality.get(f"{job.what}/{job.setting}", quality.get(job.setting, 0.6))
        spiking = job.config.model.neuron != "relu"
        seed = job.replicate * 100 + sum(job.setting.encode())
        save(folder, evaluation(good, seed, job.config.classes), spiking, job, result.FILE)
        if job.what == "crowns":
            for name in OTHERS:
                save(folder, evaluation(good / 2, seed, job.config.classes, 3), spiking, job, f"other-{name}.pt")
        if (job.what, job.setting) == ("neurons", "D=4"):
            rows = {
                bits: [[("stem", 1000, 2 * (9 - bits), 1), ("last", 1000, 4 * (9 - bits) + job.replicate, 1)]] * 2
                for bits in CONVERTED_BITS
            }
            checkpoint.save(folder / "counts.pt", rows)
    (out / "data" / "others").mkdir(parents=True, exist_ok=True)


def save(folder: Path, found: Evaluation, spiking: bool, job: Job, name: str) -> None:
    """One result, with a density that its setting decides."""
    result.save(folder, found, {**NEURONS, "last": LAST} if spiking else {}, job.config, name)
    if spiking:
        content = checkpoint.load(folder / name)
        density = float(job.setting) if job.setting.startswith("0.") else 0.3
        content["summary"] |= {"density": density, "mean_count": 2 * density}
        checkpoint.save(folder / name, content)
