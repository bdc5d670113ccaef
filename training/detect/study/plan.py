"""The trainings of the study, in the order in which they are done."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from training.detect.config import Config

SEEDS = (0, 1, 2)
FOLDS = (0, 1, 2, 3)
STEPS = 1500  # of float training, for every network alike
CROWN_STEPS = 1200
RATE_STEPS = 900  # with the firing-rate penalty
INTEGER_STEPS = 600
NEURONS: dict[str, dict[str, Any]] = {
    "D=4": {"D": 4},
    "ANN": {"neuron": "relu"},
    "D=1": {"D": 1},
    "D=2": {"D": 2},
    "D=3": {"D": 3},
    "D=8": {"D": 8},
    "T=2 D=2": {"T": 2, "D": 2},
    "T=4 D=1": {"T": 4, "D": 1},
}
LONG = ("T=2 D=2", "T=4 D=1")  # a step takes T times as long
BITS = (8, 6, 4)
CONVERTED_BITS = (8, 7, 6, 4)
DENSITIES = (0.15, 0.10, 0.07, 0.05)


@dataclass(frozen=True)
class Job:
    """One training, or one evaluation.

    what: the experiment it belongs to ("neurons", "crowns", "integer", "converted", "rate"); setting: what is compared
    in it; replicate: seed or fold; data: name of the data set; parent: a job whose float training this one goes on
    from; converted: no training, the parent's network rounded to `config.bits` bits.
    """

    what: str
    setting: str
    replicate: int
    data: str
    config: Config
    parent: str | None = None
    converted: bool = False

    @property
    def name(self) -> str:
        """Unique in the study; the job's folder."""
        return f"{self.what}/{self.setting.replace(' ', '-')}/{self.replicate}"


def _float(what: str, setting: str, replicate: int, data: str, config: Config) -> Job:
    config = replace(config, model=replace(config.model, **NEURONS[setting]))
    return Job(what, setting, replicate, data, config)


def cells(seed: int) -> Config:
    """Blood cells: the demo's settings, float training alone."""
    return Config(steps=(STEPS, 0, 0), seed=seed, evaluate_every=500)


def crowns() -> Config:
    """Tree crowns: the same, for tiles of 320 x 320 pixels and one class."""
    model = replace(Config().model, num_classes=1)
    return Config(
        model=model, classes=("Tree",), width=320, height=320, steps=(CROWN_STEPS, 0, 0), evaluate_every=CROWN_STEPS
    )


def _rounded(seed: int) -> list[Job]:
    """A float network's weights rounded as they are, and trained on as integers."""
    parent, c = f"neurons/D=4/{seed}", replace(cells(seed), select_every=INTEGER_STEPS)
    jobs = [
        Job("converted", f"{bits} bits", seed, "cells", replace(c, bits=bits), parent, converted=True)
        for bits in CONVERTED_BITS
    ]
    for bits in BITS:
        # the penalty's weight shrinks to nothing under a target that is always met
        exact = replace(c, steps=(STEPS, 0, INTEGER_STEPS), bits=bits, densities=(1.0,), penalty=1e-3)
        jobs.append(Job("integer", f"{bits} bits", seed, "cells", exact, parent))
    return jobs


def _sparser(seed: int) -> list[Job]:
    """A float network trained on towards each density, and freely: what further training brings by itself."""
    parent = f"neurons/D=4/{seed}"
    c = replace(cells(seed), select_every=INTEGER_STEPS, steps=(STEPS, RATE_STEPS, 0))
    jobs = [Job("rate", f"{d:g}", seed, "cells", replace(c, densities=(d,)), parent) for d in DENSITIES]
    return [*jobs, Job("rate", "free", seed, "cells", replace(c, densities=(1.0,), penalty=1e-3), parent)]


def plan() -> list[Job]:
    """All jobs. A parent stands before its children, and what takes long or only narrows intervals at the end."""
    first, *others = SEEDS
    short = [n for n in NEURONS if n not in LONG]
    jobs = [_float("neurons", n, seed, "cells", cells(seed)) for seed in SEEDS for n in short]
    for fold in FOLDS:
        jobs += [_float("crowns", n, fold, f"crowns/fold{fold}", crowns()) for n in ("D=4", "ANN")]
    jobs += [job for seed in SEEDS for job in _rounded(seed)]
    jobs += _sparser(first)
    jobs += [_float("neurons", n, seed, "cells", cells(seed)) for seed in SEEDS for n in LONG]
    return jobs + [job for seed in others for job in _sparser(seed)]
