"""What a job leaves: metrics, spikes, and the tables from which intervals are drawn."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pyspike.nn import record_neurons
from training.detect import checkpoint
from training.detect.config import Config
from training.detect.data import AnySample, collate
from training.detect.evaluate import Evaluation

FILE = "result.pt"


def save(
    folder: Path, evaluation: Evaluation, neurons: dict[str, dict[str, float]], config: Config, name: str = FILE
) -> None:
    """Write what a job found into its folder."""
    tables = [[(torch.from_numpy(s), torch.from_numpy(h), n) for s, h, n in rows] for rows in evaluation.tables]
    content = {"summary": evaluation.summary(), "neurons": neurons, "tables": tables, "config": asdict(config)}
    checkpoint.save(folder / name, content)


def load(folder: Path, name: str = FILE) -> tuple[Evaluation, dict[str, Any], dict[str, dict[str, float]]]:
    """(evaluation without spikes, its summary, neurons) of a finished job."""
    content = checkpoint.load(folder / name)
    summary = content["summary"]
    tables = [[(s.numpy(), h.numpy(), n) for s, h, n in rows] for rows in content["tables"]]
    per_class = {k: (v["ap50"], v["ap50_95"]) for k, v in summary["per_class"].items()}
    return Evaluation(summary["map50"], summary["map50_95"], per_class, None, tables), summary, content["neurons"]


@torch.no_grad()
def extremes(model: nn.Module, samples: list[AnySample], config: Config, raw: bool) -> dict[str, dict[str, float]]:
    """Per neuron layer, over all `samples`: shares of neurons (channel, row, column) that are dead (no spike on any
    image) and saturated (their largest count on every image and timestep), of channels that are dead, and of counts
    that are the largest.
    """
    least: dict[str, Tensor] = {}
    most: dict[str, Tensor] = {}
    full: dict[str, list[int]] = {}
    levels, first = config.model.D, next(model.parameters())
    for start in range(0, len(samples), config.batch):
        batch = collate(samples[start : start + config.batch])
        with record_neurons(model) as recorded:
            model(batch.inputs() if raw else batch.inputs(first) / 255)
        for name, (_, counts) in recorded.items():
            low, high = counts.amin(0), counts.amax(0)
            least[name] = torch.minimum(least[name], low) if name in least else low
            most[name] = torch.maximum(most[name], high) if name in most else high
            seen = full.setdefault(name, [0, 0])
            seen[0] += int((counts == levels).sum())
            seen[1] += counts.numel()
    return {
        name: {
            "neurons": float(np.prod(most[name].shape)),
            "dead": float((most[name] == 0).double().mean()),
            "saturated": float((least[name] == levels).double().mean()),
            "dead_channels": float((most[name].flatten(1).amax(1) == 0).double().mean()),
            "largest": full[name][0] / full[name][1],
        }
        for name in most
    }
