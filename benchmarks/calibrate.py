"""Firing rates put into an untrained network: biases are shifted until every neuron fires as often as is asked.

Neurons are visited in the order in which they run; the shift that sets a neuron's mean count is that of the batch norm
(of the convolution, where it is folded) that ran last before it, which on a residual stream is the one added last. All
in one forward call: a drive is corrected where it arrives, in place, so that all that follows sees it corrected.
Biases of convolutions are shifted on the grid that quantisation has for all of them, so that in a network of quantised
weights what was set is what runs.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from pyspike.errors import RangeError
from pyspike.nn.neuron import IntegerLIF
from pyspike.nn.record import record_neurons

TOLERANCE = 0.05  # of a neuron's mean count; most are within 0.001, but a mass of equal drives cannot be split
SWEEPS = 4
BIAS_GRID = 2.0**-12  # part of the grid of every synapse


@dataclass(frozen=True)
class Spikes:
    """What neurons emitted: mean count, share of counts that are not zero, bit-planes set per event, elements."""

    mean: float
    nonzero: float
    planes: float
    elements: int


def neurons_in_order(model: nn.Module, x: Tensor) -> tuple[str, ...]:
    """Module paths of the neurons, in the order in which they run."""
    return tuple(spikes(model, x))


@torch.no_grad()
def calibrate(
    model: nn.Module, x: Tensor, rates: Sequence[float], what: Literal["mean", "nonzero"] = "mean"
) -> dict[str, float]:
    """Shift biases of `model`, whose neurons have T = 1, until neuron i in order of execution has the mean count (or
    the share of counts that are not zero) rates[i] on `x`, in eval mode; returns what was reached, by module path.

    Batch norms take the statistics of what they read: every channel has unit variance before its shift. Neurons that
    read one and the same tensor share a rate, that of the first. Raises `RangeError` for a number of rates that is not
    that of the neurons, or where a rate is not reached within `TOLERANCE`.
    """
    order = neurons_in_order(model.eval(), x)
    if len(rates) != len(order):
        raise RangeError(f"expected {len(order)} rates, one for each neuron, found {len(rates)}")
    wanted = dict(zip(order, rates, strict=True))
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    model.train(bool(norms))
    for _ in range(SWEEPS):
        shared = _sweep(model, x, wanted, what)
        wanted |= {name: wanted[first] for name, first in shared.items()}
        found = {name: getattr(each, what) for name, each in spikes(model.eval(), x).items()}
        wrong = [name for name in order if abs(found[name] - wanted[name]) > TOLERANCE * wanted[name]]
        if not wrong:
            return found
    worst = max(wrong, key=lambda name: abs(found[name] / wanted[name] - 1))
    raise RangeError(f"{worst}: wanted {what} {wanted[worst]:.4f}, reached {found[worst]:.4f}")


class _Writers(TorchFunctionMode):
    """Tells every tensor which module with biases ran last among those that it is made of: attribute `writer`."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if isinstance(out, Tensor) and not hasattr(out, "writer"):
            writers = [each.writer for each in tree_leaves(args) if hasattr(each, "writer")]
            if writers:
                out.writer = max(writers, key=lambda writer: writer[0])  # type: ignore[attr-defined]
        return out


def _sweep(model: nn.Module, x: Tensor, wanted: dict[str, float], what: str) -> dict[str, str]:
    """One forward call that sets the shifts. Returns neuron -> the earlier one that reads the same tensor."""
    running = itertools.count()
    shared: dict[str, str] = {}

    def ran(module: nn.Module, args: tuple[Tensor, ...], out: Any) -> None:
        out.writer = next(running), module

    def arrives(name: str) -> Callable[..., None]:
        def correct(neuron: nn.Module, args: tuple[Any, ...]) -> None:
            assert isinstance(neuron, IntegerLIF)
            drive = args[0]
            if hasattr(drive, "first_reader"):
                shared[name] = drive.first_reader
                return
            drive.first_reader = name
            _, writer = drive.writer
            levels = 1 if what == "nonzero" else neuron.D
            fresh, rest = _parts(drive, writer.weight.shape[0])
            total = wanted[name] * drive.numel() - _total(neuron, levels, rest)
            shift = _shift(neuron, levels, fresh, total)
            fresh += shift
            writer.bias += shift

        return correct

    with ExitStack() as hooks:
        for name, module in model.named_modules():
            if isinstance(module, nn.BatchNorm2d | nn.Conv2d):
                hooks.callback(module.register_forward_hook(ran).remove)
            elif isinstance(module, IntegerLIF):
                hooks.callback(module.register_forward_pre_hook(arrives(name)).remove)
        hooks.enter_context(_Writers())
        model(x)
    return shared


def _parts(drive: Tensor, channels: int) -> tuple[Tensor, Tensor]:
    """What of a drive was written last, and the rest: where two streams are concatenated the new one is in front."""
    return drive.split([channels, channels], 1) if drive.shape[1] == 2 * channels else (drive, drive[:, :0])


def _shift(neuron: IntegerLIF, levels: int, fresh: Tensor, total: float) -> float:
    """What must be added to `fresh` so that its counts, each at most `levels`, have the sum `total`: by bisection."""
    ordered = np.sort(fresh.numpy(), axis=None)
    tops = [neuron.theta * (k - 0.5) / neuron.gain for k in range(1, levels + 1)]
    # of values that are just a half, half_even rounds those below an odd count down
    sides = ["right" if neuron.rounding == "half_even" and k % 2 else "left" for k in range(1, levels + 1)]

    def reached(shift: float) -> int:
        below = sum(int(np.searchsorted(ordered, top - shift, side)) for top, side in zip(tops, sides, strict=True))
        return len(ordered) * levels - below

    low, high = -64.0, 64.0
    while high - low > BIAS_GRID / 4:
        middle = (low + high) / 2
        low, high = (low, middle) if reached(middle) >= total else (middle, high)
    low, high = math.floor(low / BIAS_GRID) * BIAS_GRID, math.ceil(high / BIAS_GRID) * BIAS_GRID
    return min(low, high, key=lambda shift: abs(reached(shift) - total))


def _total(neuron: IntegerLIF, levels: int, drive: Tensor) -> float:
    return float(neuron.forward(drive).clamp(max=levels).sum(dtype=torch.float64))


def spikes(model: nn.Module, x: Tensor) -> dict[str, Spikes]:
    """What every neuron emits in one forward call, by module path, in order of execution."""
    with torch.no_grad(), record_neurons(model) as recorded:
        model(x)
    return {name: of_counts(counts) for name, (_, counts) in recorded.items()}


def of_counts(counts: Tensor) -> Spikes:
    """The same of one tensor of counts 0..255."""
    counts = counts.to(torch.uint8)
    events = int(counts.count_nonzero())
    planes = sum(int((counts >> plane & 1).sum()) for plane in range(8))
    mean = float(counts.sum(dtype=torch.float64)) / counts.numel()
    return Spikes(mean, events / counts.numel(), planes / max(1, events), counts.numel())


def overall(parts: Sequence[Spikes]) -> Spikes:
    """All neurons as one, every element weighing alike."""
    elements = sum(each.elements for each in parts)
    events = sum(each.nonzero * each.elements for each in parts)
    mean = sum(each.mean * each.elements for each in parts) / elements
    planes = sum(each.planes * each.nonzero * each.elements for each in parts) / max(1.0, events)
    return Spikes(mean, events / elements, planes, elements)
