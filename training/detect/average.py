"""Averaged models and their batch norms."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import nn

from training.detect.config import Config
from training.detect.data import AnySample, training_batch


@torch.no_grad()
def recalibrated(model: nn.Module, samples: Sequence[AnySample], config: Config) -> nn.Module:
    """A copy of a float `model` in eval mode whose batch norms hold the statistics of one epoch, without mosaic.

    Running statistics lag behind weights that change, and averaged weights have statistics of their own. Spiking
    networks feel both: counts are rounded, so a small shift of a drive changes many of them.
    """
    fresh = copy.deepcopy(model)
    norms = [m for m in fresh.modules() if isinstance(m, nn.BatchNorm2d)]
    momenta = [m.momentum for m in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over batches
    fresh.train()
    first = next(fresh.parameters())
    for step in range(max(1, len(samples) // config.batch)):
        batch = training_batch(samples, step, config, mosaic=False)
        fresh(batch.inputs(first) / 255)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return fresh.eval()
