"""What the report is made of: finished jobs, and what is measured on their networks afterwards, kept beside them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pyspike.nn import CountChange, CountReport, compare_counts, fanouts, fold, quantise
from training.detect import checkpoint
from training.detect.config import Config
from training.detect.data import AnySample, collate, letterboxed
from training.detect.evaluate import Evaluation, evaluate
from training.detect.final import load_stage
from training.detect.formats import read_split
from training.detect.study import result
from training.detect.study.intervals import Replicate, replicate
from training.detect.study.plan import CONVERTED_BITS, Job
from training.detect.study.tiles import CLASSES, OTHERS, SIDE

FLOAT = "stage_a.pt"  # of a float job
Neurons = dict[str, dict[str, float]]


@dataclass
class Setting:
    """What is compared: trainings by seed or fold, their summaries and neurons."""

    replicates: dict[int, Replicate] = field(default_factory=dict)
    summaries: dict[int, dict[str, Any]] = field(default_factory=dict)
    neurons: dict[int, Neurons] = field(default_factory=dict)
    images: int = 0

    def add(self, k: int, evaluation: Evaluation, summary: dict[str, Any], draws: int, seed: int) -> None:
        """Take one training."""
        self.replicates[k] = replicate(evaluation, draws, seed)
        self.summaries[k], self.images = summary, len(evaluation.tables[0])

    def mean(self, key: str) -> float | None:
        """Mean of a summary's number over trainings; None where a network has none."""
        found = [s[key] for s in self.summaries.values() if key in s]
        return float(np.mean(found)) if found else None


def settings(jobs: Iterable[Job], out: Path, draws: int) -> dict[tuple[str, str], Setting]:
    """(experiment, setting) -> what its finished jobs found."""
    found: dict[tuple[str, str], Setting] = {}
    for job in jobs:
        folder = out / job.name
        if not (folder / result.FILE).exists():
            continue
        evaluation, summary, neurons = result.load(folder)
        setting = found.setdefault((job.what, job.setting), Setting())
        # trainings on the same split see the same draws of images; each fold has a split of its own
        setting.add(job.replicate, evaluation, summary, draws, seed=job.replicate if job.what == "crowns" else 0)
        setting.neurons[job.replicate] = neurons
    return found


def transfer(jobs: Iterable[Job], out: Path, draws: int) -> dict[tuple[str, str], Setting]:
    """(photograph, setting) -> networks of all folds on a photograph that none of them saw."""
    found: dict[tuple[str, str], Setting] = {}
    for job in jobs:
        if job.what != "crowns" or not (out / job.name / result.FILE).exists():
            continue
        for photograph in OTHERS:
            evaluation, summary = _on_photograph(job, out, photograph)
            found.setdefault((photograph, job.setting), Setting()).add(job.replicate, evaluation, summary, draws, 0)
    return found


def _on_photograph(job: Job, out: Path, photograph: str) -> tuple[Evaluation, dict[str, Any]]:
    kept = out / job.name / f"other-{photograph}.pt"
    if not kept.exists():
        samples = letterboxed(read_split(out / "data" / "others" / photograph, "val", CLASSES), SIDE, SIDE)
        model = load_stage(out / job.name / FLOAT)
        fanout = fanouts(fold(model), torch.zeros(1, 3, SIDE, SIDE))
        result.save(kept.parent, evaluate(model, samples, job.config, fanout), {}, job.config, kept.name)
    evaluation, summary, _ = result.load(kept.parent, kept.name)
    return evaluation, summary


def changed_counts(job: Job, out: Path) -> dict[int, tuple[CountReport, CountReport]]:
    """bits -> (on true inputs, end to end): counts on validation images that rounding a float job's weights changes."""
    kept = out / job.name / "counts.pt"
    found: dict[int, Any] = checkpoint.load(kept) if kept.exists() else {}
    left = [bits for bits in CONVERTED_BITS if bits not in found]
    if left:
        model = fold(load_stage(out / job.name / FLOAT))
        config = job.config
        samples = letterboxed(read_split(out / "data" / job.data, "val", config.classes), config.width, config.height)
        for bits in left:  # a minute each: what is there is kept
            rounded = quantise(model, bits)
            reports = [compare_counts(model, rounded, _batches(samples, config), free) for free in (False, True)]
            found[bits] = [[(n.neuron, n.counts, n.changed, n.largest) for n in r.neurons] for r in reports]
            checkpoint.save(kept, found)
    return {bits: _reports(*found[bits]) for bits in CONVERTED_BITS}


def _batches(samples: list[AnySample], config: Config) -> Iterable[torch.Tensor]:
    return (collate(samples[i : i + config.batch]).inputs() for i in range(0, len(samples), config.batch))


def _reports(handed: list[Any], free: list[Any]) -> tuple[CountReport, CountReport]:
    one, two = (tuple(CountChange(*row) for row in rows) for rows in (handed, free))
    return CountReport(one, False), CountReport(two, True)
