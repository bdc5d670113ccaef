"""Optimisers and the schedules of their rates: AdamW with a cosine, or SGD as the published detectors were trained."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from training.detect.config import Config


def parameter_groups(model: nn.Module, config: Config, folded: bool) -> list[dict[str, Any]]:
    """Groups for the optimiser; `scale` multiplies the learning rate, `bias` marks additive parameters.

    Adam's steps have one absolute size. Batch norms make that harmless, but folded weights have scales of their own
    (the stem's are divided by 255), so there each tensor's rate is relative to its root mean square.
    """
    if not folded:
        heavy = [p for p in model.parameters() if p.ndim > 1]
        others = [(n, p) for n, p in model.named_parameters() if p.ndim <= 1]
        groups = [{"params": heavy, "weight_decay": config.weight_decay, "scale": 1.0}]
        plain = {"weight_decay": 0.0, "scale": 1.0}
        if config.optimiser == "adamw":
            return [*groups, {"params": [p for _, p in others], **plain}]
        biases = [p for n, p in others if n.endswith("bias")]
        scales = [p for n, p in others if not n.endswith("bias")]
        return [*groups, {"params": scales, **plain}, {"params": biases, **plain, "bias": True}]
    rms = [(p, float(p.detach().double().square().mean().sqrt())) for p in model.parameters()]
    return [{"params": [p], "weight_decay": 0.0, "scale": max(scale, 1e-6)} for p, scale in rms]


def optimiser(model: nn.Module, config: Config, folded: bool) -> torch.optim.Optimizer:
    """AdamW, or SGD with Nesterov's momentum; rates are set step by step (`set_rates`)."""
    groups = parameter_groups(model, config, folded)
    if config.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=0.0, momentum=config.momentum, nesterov=True)
    return torch.optim.AdamW(groups, lr=0.0)


def warm(config: Config, done: int) -> float:
    """How much of the warm-up the step after `done` steps of a stage has behind it, 0..1."""
    return min(1.0, (done + 1) / max(config.warmup, 1))


def decayed(config: Config, peak: float, progress: float) -> float:
    """The rate at `progress` 0..1 of a stage: from `peak` to `final_rate` of it, by a cosine or (SGD) by a line."""
    left = 1 - progress if config.optimiser == "sgd" else (1 + math.cos(math.pi * progress)) / 2
    return peak * (config.final_rate + (1 - config.final_rate) * left)


def set_rates(groups: list[dict[str, Any]], config: Config, rate: float, done: int) -> None:
    """Set rates, warmed up; with SGD biases start from a high rate instead of none, and momentum from a lower one."""
    share = warm(config, done)
    for group in groups:
        start = config.warmup_bias_rate if group.get("bias") else 0.0
        group["lr"] = (share * rate + (1 - share) * start) * group["scale"]
        if config.optimiser == "sgd":
            group["momentum"] = share * config.momentum + (1 - share) * config.warmup_momentum


def accumulated(config: Config, done: int) -> int:
    """Batches whose gradients make one update: towards `nominal_batch` images, growing through the warm-up."""
    if not config.nominal_batch:
        return 1
    most = config.nominal_batch / config.batch
    return max(1, round(1 + (most - 1) * warm(config, done)))
