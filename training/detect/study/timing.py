"""What a training step of every kind of neuron costs, side by side in one process."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from statistics import median

from rich.progress import track

from training.detect import checkpoint
from training.detect.data import letterboxed
from training.detect.formats import read_split
from training.detect.run import Trainer
from training.detect.study.plan import Job

FILE = "seconds.pt"
ROUNDS = 5


def step_seconds(jobs: Iterable[Job], out: Path) -> dict[str, float]:
    """Setting -> seconds of a float training step: the median of `ROUNDS` rounds in which each setting takes one step.

    The trainings' own logs cannot be compared: what else the machine did changed from one to the next. Measured once.
    """
    kept = out / FILE
    if not kept.exists():
        firsts = {job.setting: job for job in reversed(list(jobs)) if job.what == "neurons"}
        any_job = next(iter(firsts.values()))
        config = any_job.config  # neurons are all that differs
        samples = letterboxed(
            read_split(out / "data" / any_job.data, "train", config.classes), config.width, config.height
        )
        with tempfile.TemporaryDirectory() as aside:
            trainers = {n: Trainer(j.config, samples, [], Path(aside) / n) for n, j in firsts.items()}
            taken: dict[str, list[float]] = {name: [] for name in trainers}
            for step in track(range(ROUNDS + 1), "seconds of a step"):
                for name, trainer in trainers.items():
                    taken[name].append(_step(trainer, step))
        # the first steps fill caches
        checkpoint.save(kept, {name: median(itertools.islice(seconds, 1, None)) for name, seconds in taken.items()})
    found: dict[str, float] = checkpoint.load(kept)
    return found


def _step(trainer: Trainer, step: int) -> float:
    batch = trainer.batch(step)  # trainings read it ahead
    began = time.perf_counter()
    trainer.train_step(batch)
    return time.perf_counter() - began
