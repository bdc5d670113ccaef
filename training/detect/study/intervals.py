"""What a setting of an experiment found in all its trainings, and intervals of it and of paired differences.

Images are drawn with repetition, and so are trainings. The networks of an experiment that are evaluated on the same
images see the same draws of them, and two settings the same draws of trainings (seeds or folds), so that their
difference is paired in both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.detect.evaluate import Evaluation, drawn, resample

METRICS = ("map50", "map50_95")


@dataclass(frozen=True)
class Replicate:
    """One training, evaluated: its metrics [2], and those of every draw of images [draws, 2]."""

    values: NDArray[np.float64]
    draws: NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """mAP50 and mAP50:95 over several trainings: mean [2] and 95% interval [2] each; single: of each training."""

    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    single: dict[int, NDArray[np.float64]]

    @property
    def sign(self) -> int:
        """Of mAP50: 1 or -1 where the interval excludes 0, else 0; 0 too where one training is all there is."""
        if len(self.single) < 2:
            return 0
        return int(self.low[0] > 0) - int(self.high[0] < 0)

    def to_dict(self) -> dict[str, object]:
        """Plain numbers."""
        out: dict[str, object] = {}
        for m, metric in enumerate(METRICS):
            out[metric] = {
                "mean": float(self.mean[m]),
                "interval": [float(self.low[m]), float(self.high[m])],
                "single": {str(k): float(v[m]) for k, v in self.single.items()},
            }
        return out


def replicate(evaluation: Evaluation, draws: int, seed: int = 0) -> Replicate:
    """Resample one evaluation. Evaluations on the same images that are given the same `seed` see the same draws."""
    values = np.array([evaluation.map50, evaluation.map50_95])
    return Replicate(values, resample(evaluation, drawn(len(evaluation.tables[0]), draws, seed)))


def estimate(replicates: dict[int, Replicate], own_images: bool = False) -> Estimate:
    """Over trainings, drawn with repetition in every draw. `own_images`: each was evaluated on images of its own."""
    draws = np.stack([r.draws for r in replicates.values()])
    kinds, size = draws.shape[:2]
    picked = np.random.default_rng(0).integers(0, kinds, (size, kinds))
    rows = np.arange(size)[:, None]
    if own_images:  # a training that is drawn twice must not bring the same images twice
        rows = (rows + np.arange(kinds)) % size
    low, high = np.nanquantile(np.nanmean(draws[picked, rows], 1), [0.025, 0.975], axis=0)
    single = {k: r.values for k, r in replicates.items()}
    return Estimate(np.mean(list(single.values()), 0), low, high, single)


def difference(first: dict[int, Replicate], second: dict[int, Replicate], own_images: bool = False) -> Estimate | None:
    """`first` - `second`, training by training, of those that both have; None where there is none."""
    both = [k for k in first if k in second]
    if not both:
        return None
    paired = {k: Replicate(first[k].values - second[k].values, first[k].draws - second[k].draws) for k in both}
    return estimate(paired, own_images)
