"""Folding: every convolution with batch norms becomes one plain convolution with bias and zero padding."""

from __future__ import annotations

import copy

import torch
from torch import nn


@torch.no_grad()
def fold(model: nn.Module) -> nn.Module:
    """A deep copy of `model`, in eval mode, in which every layer that has `folded()` is one `nn.Conv2d` of the same
    name.

    Folding is computed in float64 and stored in the parameters' own dtype. The stem of a folded model reads raw pixels
    0..255 instead of 0..1. `model` itself is left as it was.
    """
    copied = copy.deepcopy(model).eval()
    return _fold_children(copied)


def _fold_children(module: nn.Module) -> nn.Module:
    folded = getattr(module, "folded", None)
    if callable(folded):
        dtype = next(module.parameters()).dtype
        plain: nn.Module = module.double().folded()  # type: ignore[operator]
        return plain.to(dtype).eval()
    for name, child in module.named_children():
        setattr(module, name, _fold_children(child))
    return module
