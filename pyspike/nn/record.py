"""Watching spikes: recorded neurons, mean counts, densities, and the weights of a firing-rate penalty."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pyspike.nn.neuron import IntegerLIF


@contextmanager
def record_neurons(model: nn.Module) -> Iterator[dict[str, tuple[Tensor, Tensor]]]:
    """Record every neuron of `model` while the context is open.

    Yields a dict, filled by the forward calls inside: module path -> (drive, counts), both of the neuron's shape and
    attached to the graph if there is one. A later call overwrites an earlier one.
    """
    recorded: dict[str, tuple[Tensor, Tensor]] = {}

    def hook(name: str) -> Any:
        def keep(module: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> None:
            recorded[name] = (args[0], out)

        return keep

    handles = [m.register_forward_hook(hook(n)) for n, m in model.named_modules() if isinstance(m, IntegerLIF)]
    try:
        yield recorded
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def fanouts(folded: nn.Module, example: Tensor) -> dict[str, float]:
    """Fan-out per neuron of a FOLDED model: multiply-accumulates per input element of the synapses that read it.

    Runs `example` once. A neuron that no convolution or linear layer reads directly has fan-out 0.
    """
    readers: dict[int, str] = {}
    keep_alive: list[Tensor] = []  # ids are unique only among living tensors
    out: dict[str, float] = {}

    def fired(name: str) -> Any:
        def hook(module: nn.Module, args: tuple[Tensor, ...], counts: Tensor) -> None:
            readers[id(counts)] = name
            keep_alive.append(counts)
            out[name] = 0.0

        return hook

    def read(module: nn.Module, args: tuple[Tensor, ...], result: Tensor) -> None:
        name = readers.get(id(args[0]))
        weight: Any = module.weight
        if name is not None:  # every output element takes one MAC per weight of its row
            out[name] += result.numel() * weight[0].numel() / args[0].numel()

    handles = []
    for name, m in folded.named_modules():
        if isinstance(m, IntegerLIF):
            handles.append(m.register_forward_hook(fired(name)))
        elif isinstance(m, nn.Conv2d | nn.Linear):
            handles.append(m.register_forward_hook(read))
    try:
        folded(example)
    finally:
        for handle in handles:
            handle.remove()
    return out


@dataclass(frozen=True)
class SpikeStatistics:
    """Counts of one or more forward calls: per neuron and for the network.

    mean_count, density: module path -> mean count and share of non-zero counts. `element_density` weighs each element
    alike, `synaptic_density` by the fan-out of its neuron (so it is the share of synaptic rows that must be added);
    `network_density` is the mean of the two.
    """

    mean_count: dict[str, float]
    density: dict[str, float]
    element_density: float
    synaptic_density: float

    @property
    def network_density(self) -> float:
        """Half element density, half synaptic density."""
        return (self.element_density + self.synaptic_density) / 2


class SpikeCounter:
    """Accumulates recorded neurons over forward calls; `fanout` comes from `fanouts` of the folded model."""

    def __init__(self, fanout: dict[str, float]) -> None:
        self.fanout = fanout
        self.sums: dict[str, list[float]] = {}

    @torch.no_grad()
    def add(self, recorded: dict[str, tuple[Tensor, Tensor]]) -> None:
        """Add one forward call."""
        for name, (_, counts) in recorded.items():
            total = self.sums.setdefault(name, [0.0, 0.0, 0.0])
            total[0] += counts.numel()
            total[1] += float(counts.sum(dtype=torch.float64))
            total[2] += _nonzero(counts)

    def statistics(self) -> SpikeStatistics:
        """Statistics of all calls so far."""
        synapses = sum(n * self.fanout.get(k, 0.0) for k, (n, _, _) in self.sums.items())
        driven = sum(z * self.fanout.get(k, 0.0) for k, (_, _, z) in self.sums.items())
        return SpikeStatistics(
            mean_count={k: s / n for k, (n, s, _) in self.sums.items()},
            density={k: z / n for k, (n, _, z) in self.sums.items()},
            element_density=sum(z for _, _, z in self.sums.values()) / sum(n for n, _, _ in self.sums.values()),
            synaptic_density=driven / max(synapses, 1e-12),
        )


def _nonzero(counts: Tensor) -> float:
    # ten times as fast as torch.count_nonzero, whose share of a training step showed
    return float(counts.clamp(max=1).sum(dtype=torch.promote_types(counts.dtype, torch.float32)))


def density_and_penalty(recorded: dict[str, tuple[Tensor, Tensor]], fanout: dict[str, float]) -> tuple[float, Tensor]:
    """(network density as a number, its differentiable stand-in) of one recorded forward call.

    The stand-in is the same average with counts in place of "is not zero": an L1 penalty on mean counts, whose gradient
    the neurons' surrogate carries.
    """
    elements = sum(c.numel() for _, c in recorded.values())
    synapses = sum(c.numel() * fanout[k] for k, (_, c) in recorded.items())
    terms, density = [], 0.0
    for name, (_, counts) in recorded.items():
        weight = 0.5 / elements + 0.5 * fanout[name] / synapses
        terms.append(counts.sum() * weight)
        density += _nonzero(counts.detach()) * weight
    return density, torch.stack(terms).sum()
