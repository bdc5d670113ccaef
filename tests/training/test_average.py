"""Re-estimated batch norms hold the statistics of the data under the present weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from pyspike.models.spikeyolo import SpikeYOLO
from training.detect.average import recalibrated
from training.detect.config import Config
from training.detect.data import letterboxed, training_batch
from training.detect.formats import read_split

from .scenes import CLASSES, write_scenes

CONFIG = replace(Config(), classes=CLASSES, width=64, height=64, batch=3)


def test_statistics_are_those_of_one_epoch(tmp_path: Path) -> None:
    samples = letterboxed(read_split(write_scenes(tmp_path / "data"), "train", CLASSES), 64, 64)
    torch.manual_seed(0)
    model = SpikeYOLO(width=0.0625, num_classes=2, box_channels=8, class_channels=8).train()
    with torch.no_grad():
        model(torch.rand(2, 3, 64, 64) * 9)  # statistics of other data, to be forgotten
    model.eval()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    fresh = recalibrated(model, samples, CONFIG)
    assert not fresh.training
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    batches = [training_batch(samples, step, CONFIG, mosaic=False) for step in (0, 1)]
    with torch.no_grad():
        drives = [model.stem.conv(torch.from_numpy(b.images).permute(0, 3, 1, 2).float() / 255) for b in batches]
    means = torch.stack([d.mean((0, 2, 3)) for d in drives]).mean(0)
    variances = torch.stack([d.var((0, 2, 3)) for d in drives]).mean(0)
    torch.testing.assert_close(fresh.stem.bn.running_mean, means, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(fresh.stem.bn.running_var, variances, rtol=1e-4, atol=1e-6)
    norms = [m for m in fresh.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert {m.momentum for m in norms} == {0.03}
    assert all(torch.equal(a, b) for a, b in zip(fresh.parameters(), model.parameters(), strict=True))
