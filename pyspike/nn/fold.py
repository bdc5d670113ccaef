"""Folding: every convolution with batch norms becomes one plain convolution with bias and zero padding, or two.

A re-parameterised layer that has `factored()` may stay a product of two: its dense kernel K[o,i] = taps[o] weight[o,i]
has rank one in each output channel, and is not multiplied out.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from pyspike.errors import RangeError
from pyspike.nn.layers import FactoredConv
from pyspike.nn.neuron import IntegerLIF

Factor = bool | Literal["auto"]


@dataclass(frozen=True)
class AdditionModel:
    """Additions per output value of the two forms of a 3x3 kernel of rank one, for inputs 0..`counts`.

    A count in 0..D is held in `planes` bits, each of them an addition where it is set; `density` is the share of inputs
    that are not zero, taken to have all bits set. A potential is dense, and is weighed by the `bits` of its tap.

        dense     9 * I * density * planes
        factored      I * density * planes + 9 * bits
    """

    counts: int = 4
    density: float = 0.2
    bits: int = 8
    taps: int = 9

    @property
    def events(self) -> float:
        """Additions that one input of a 1x1 convolution makes for one output."""
        return self.density * self.counts.bit_length()

    def dense(self, inputs: int) -> float:
        """Additions per output of the dense kernel over `inputs` channels."""
        return self.taps * inputs * self.events

    def factored(self, inputs: int) -> float:
        """Additions per output of the 1x1 convolution over `inputs` channels and the depthwise behind it."""
        return inputs * self.events + self.taps * self.bits


@torch.no_grad()
def fold(model: nn.Module, factor: Factor = False) -> nn.Module:
    """A deep copy of `model`, in eval mode, in which every layer that has `folded()` is one `nn.Conv2d` of the same
    name.

    `factor` is about layers that have `factored()` as well (`SepRepConvBN`): with True each becomes a `FactoredConv`
    of the same name, with "auto" where that takes fewer additions (`AdditionModel` of the model's largest D).

    Folding is computed in float64 and stored in the parameters' own dtype. The stem of a folded model reads raw pixels
    0..255 instead of 0..1. `model` itself is left as it was. Raises `RangeError` for another `factor`.
    """
    if factor not in (True, False, "auto"):
        raise RangeError(f"factor must be True, False or 'auto', found {factor!r}")
    copied = copy.deepcopy(model).eval()
    counts = max((m.D for m in model.modules() if isinstance(m, IntegerLIF)), default=AdditionModel.counts)
    return _fold_children(copied, factor, AdditionModel(counts))


def _fold_children(module: nn.Module, factor: Factor, cost: AdditionModel) -> nn.Module:
    if callable(getattr(module, "folded", None)):
        dtype = next(module.parameters()).dtype
        plain: nn.Module = _folded(module.double(), factor, cost)
        return plain.to(dtype).eval()
    for name, child in module.named_children():
        setattr(module, name, _fold_children(child, factor, cost))
    return module


def _folded(layer: nn.Module, factor: Factor, cost: AdditionModel) -> nn.Module:
    factored = getattr(layer, "factored", None)
    if factor and callable(factored):
        two: FactoredConv = factored()
        inputs = two.pointwise.in_channels
        if factor is True or cost.factored(inputs) < cost.dense(inputs):
            return two
    one: nn.Module = layer.folded()  # type: ignore[operator]
    return one
