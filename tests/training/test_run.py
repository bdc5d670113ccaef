"""Schedules and parameter groups of a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pyspike.models.spikeyolo import SpikeYOLOConfig
from training.detect.config import Config
from training.detect.data import letterboxed
from training.detect.formats import read_split
from training.detect.optimise import parameter_groups
from training.detect.run import Trainer, empty_model

from .scenes import CLASSES, write_scenes

CONFIG = replace(
    Config(),
    model=SpikeYOLOConfig(width=0.0625, num_classes=2, reg_max=4, box_channels=8, class_channels=8),
    classes=CLASSES,
    width=64,
    height=64,
    batch=2,
    steps=(10, 10, 10),
    warmup=2,
)


@pytest.fixture
def trainer(tmp_path: Path) -> Trainer:
    samples = letterboxed(read_split(write_scenes(tmp_path / "data", 2, 1), "train", CLASSES), 64, 64)
    return Trainer(CONFIG, samples, samples, tmp_path / "out")


def test_folded_tensors_move_by_a_share_of_their_own_scale() -> None:
    model = empty_model(CONFIG, 2).train()
    before = [p.detach().clone() for p in model.parameters()]
    groups = parameter_groups(model, CONFIG, folded=True)
    assert sum(len(g["params"]) for g in groups) == len(before)
    for group in groups:
        group["lr"] = 0.01 * group["scale"]
    optimiser = torch.optim.AdamW(groups)
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    optimiser.step()
    stem = dict(model.named_parameters())["stem.weight"]
    assert float(stem.detach().abs().max()) < 0.01  # divided by 255: an absolute step of 0.01 would drown it
    for p, old in zip(model.parameters(), before, strict=True):
        rms = max(float(old.square().mean().sqrt()), 1e-6)
        # to a part of the spacing of float32 at the largest weight
        assert float((old - p.detach()).mean()) == pytest.approx(0.01 * rms, rel=1e-3)


def test_float_weights_decay_and_biases_do_not() -> None:
    groups = parameter_groups(empty_model(CONFIG, 0), CONFIG, folded=False)
    assert [g["weight_decay"] for g in groups] == [CONFIG.weight_decay, 0.0]
    assert {p.ndim for p in groups[0]["params"]} == {4}
    assert {p.ndim for p in groups[1]["params"]} == {1}


def test_rates_warm_up_and_fall_in_every_stage(trainer: Trainer) -> None:
    for stage, peak in enumerate(CONFIG.rates):
        trainer.stage, rates = stage, []
        for step in range(10 * stage, 10 * (stage + 1)):
            trainer.step = step
            rates.append(trainer.rate())
        assert rates[0] == pytest.approx(peak / 2)
        assert max(rates) == rates[1]
        assert rates[1:] == sorted(rates[1:], reverse=True)
        assert peak * 0.05 < rates[-1] < peak * 0.1


def test_mosaic_rests_at_the_end_of_the_first_and_last_stage(trainer: Trainer) -> None:
    assert [s for s in range(30) if not trainer.mosaic_at(s)] == [7, 8, 9, 27, 28, 29]
