"""The whole study as it stands: what its finished jobs found, and the comparisons that are drawn from it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from pyspike.nn import CountReport
from training.detect.study import result
from training.detect.study.gather import Setting
from training.detect.study.intervals import Estimate, difference, estimate
from training.detect.study.plan import BITS, CONVERTED_BITS, DENSITIES, NEURONS, Job

SPIKING = tuple(n for n in ("D=1", "D=2", "D=3", "D=4", "D=8", "T=2 D=2", "T=4 D=1") if n in NEURONS)
ORDER = (*SPIKING, "ANN")
PARENT = ("neurons", "D=4")
FREE = ("rate", "free")
TARGETS = tuple(f"{d:g}" for d in DENSITIES)
LIMIT = 0.005  # share of counts that rounding to 8 bits may change in a layer

Key = tuple[str, str]


@dataclass
class Findings:
    """found: (experiment, setting) -> its trainings; others: (photograph, setting) -> networks of all folds on it;
    counts: seed -> bits -> counts changed on true inputs and end to end; seconds: setting -> of a training step.
    """

    jobs: list[Job]
    out: Path
    found: dict[Key, Setting] = field(default_factory=dict)
    others: dict[Key, Setting] = field(default_factory=dict)
    counts: dict[int, dict[int, tuple[CountReport, CountReport]]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def images(self) -> int:
        """Number of validation images of the blood cells; 0 where no job is done."""
        setting = next((s for (what, _), s in self.found.items() if what != "crowns"), None)
        return setting.images if setting else 0

    def open_jobs(self) -> list[str]:
        """Names of the jobs that are not done."""
        return [job.name for job in self.jobs if not (self.out / job.name / result.FILE).exists()]

    def dates(self) -> list[str]:
        """The days (UTC) on which the first and the last job ended."""
        ends = [p.stat().st_mtime for job in self.jobs if (p := self.out / job.name / result.FILE).exists()]
        return [datetime.fromtimestamp(t, UTC).date().isoformat() for t in (min(ends), max(ends))] if ends else []

    def estimate(self, what: str, setting: str) -> Estimate | None:
        """Over the trainings of a setting."""
        return _estimate(self.found.get((what, setting)), own_images=what == "crowns")

    def change(self, first: Key, second: Key) -> Estimate | None:
        """`first` - `second`, paired."""
        return _difference(self.found.get(first), self.found.get(second), own_images=first[0] == "crowns")

    def transfer(self, photograph: str, setting: str) -> Estimate | None:
        """Networks of all folds on another photograph."""
        return _estimate(self.others.get((photograph, setting)))

    def transfer_change(self, photograph: str) -> Estimate | None:
        """D=4 - ANN there."""
        return _difference(self.others.get((photograph, "D=4")), self.others.get((photograph, "ANN")))

    def comparisons(self) -> dict[tuple[Key, Key], Estimate]:
        """Every paired difference that the page shows."""
        pairs: list[tuple[Key, Key]] = []
        for reference in (PARENT, ("neurons", "ANN")):
            pairs += [(("neurons", n), reference) for n in ORDER if n != reference[1]]
        pairs.append((("crowns", "D=4"), ("crowns", "ANN")))
        pairs += [(("converted", f"{b} bits"), PARENT) for b in CONVERTED_BITS]
        pairs += [(("integer", f"{b} bits"), PARENT) for b in BITS]
        pairs += [(("integer", f"{b} bits"), ("converted", f"{b} bits")) for b in BITS]
        pairs += [(("rate", t), reference) for t in TARGETS for reference in (PARENT, FREE)]
        pairs.append((FREE, PARENT))
        found = {(a, b): self.change(a, b) for a, b in pairs}
        return {pair: change for pair, change in found.items() if change is not None}

    def numbers(self) -> dict[str, Any]:
        """Everything, as plain numbers."""
        return {
            "jobs": len(self.jobs),
            "open": self.open_jobs(),
            "ended": self.dates(),
            "machine": machine(),
            "seconds_per_step": self.seconds,
            "settings": {f"{w}/{s}": _numbers(v, self.estimate(w, s)) for (w, s), v in self.found.items()},
            "differences": {f"{'/'.join(a)} - {'/'.join(b)}": e.to_dict() for (a, b), e in self.comparisons().items()},
            "transfer": {f"{p}/{s}": _numbers(v, _estimate(v)) for (p, s), v in self.others.items()},
            "transfer_differences": {
                p: e.to_dict() for p in dict.fromkeys(p for p, _ in self.others) if (e := self.transfer_change(p))
            },
            "counts_changed": {
                str(seed): {str(bits): _counts(*reports) for bits, reports in by_bits.items()}
                for seed, by_bits in self.counts.items()
            },
        }


def _estimate(setting: Setting | None, own_images: bool = False) -> Estimate | None:
    return estimate(setting.replicates, own_images) if setting else None


def _difference(first: Setting | None, second: Setting | None, own_images: bool = False) -> Estimate | None:
    return difference(first.replicates, second.replicates, own_images) if first and second else None


def _numbers(setting: Setting, found: Estimate | None) -> dict[str, Any]:
    assert found is not None
    return found.to_dict() | {
        "summaries": {str(k): v for k, v in setting.summaries.items()},
        "neurons": mean_neurons(setting.neurons.values()),
    }


def _counts(handed: CountReport, free: CountReport) -> dict[str, Any]:
    return {
        "share": handed.share,
        "end_to_end": free.share,
        "largest": max(n.largest for n in handed.neurons),
        "neurons": {n.neuron: n.share for n in handed.neurons},
    }


def mean_neurons(trainings: Iterable[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Layer -> measure -> mean over trainings."""
    tables = [t for t in trainings if t]
    if not tables:
        return {}
    return {
        layer: {key: sum(t[layer][key] for t in tables) / len(tables) for key in measures}
        for layer, measures in tables[0].items()
    }


def in_all(neurons: dict[str, dict[str, float]], key: str) -> float:
    """A share over all neurons of a network."""
    total = sum(n["neurons"] for n in neurons.values())
    return sum(n["neurons"] * n[key] for n in neurons.values()) / total


def machine() -> str:
    """What the page says about the computer."""
    found = Path("/proc/cpuinfo")
    lines = found.read_text().splitlines() if found.exists() else []
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "CPU")
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return f"{os.cpu_count()} cores of an {name}, {gpu}"
