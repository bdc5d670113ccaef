"""Which spike counts change when a float network's weights are rounded: per neuron, on true inputs.

Compared end to end, two networks part at the first count that rounds otherwise, and what later layers then say is about
chaos, not about their weights. Here both run side by side in one batch, and every neuron hands the first network's
counts to both, so that a layer is judged by its own synapses alone. What adds real values up (a residual stream, a
membrane's leak) carries the rounding of all that was added.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pyspike.nn.side_by_side import SideBySide


@dataclass(frozen=True)
class CountChange:
    """One neuron layer: its path, the number of counts compared and of those that differ, the largest difference."""

    neuron: str
    counts: int
    changed: int
    largest: int

    @property
    def share(self) -> float:
        """Share of counts that differ, 0..1."""
        return self.changed / self.counts if self.counts else 0.0


@dataclass(frozen=True)
class CountReport:
    """All neuron layers in the order in which they fire; `str()` of it is a table."""

    neurons: tuple[CountChange, ...]
    end_to_end: bool

    @property
    def share(self) -> float:
        """Share of all counts that differ, 0..1."""
        return sum(n.changed for n in self.neurons) / max(sum(n.counts for n in self.neurons), 1)

    @property
    def worst(self) -> CountChange:
        """The layer of which the largest share differs."""
        return max(self.neurons, key=lambda n: n.share)

    def __str__(self) -> str:
        wide = max(len(n.neuron) for n in self.neurons)
        how = "end to end" if self.end_to_end else "on true inputs"
        lines = [f"{'counts changed ' + how:<{wide}}  {'share':>9}  {'largest':>7}  {'counts':>12}"]
        lines += [f"{n.neuron:<{wide}}  {n.share:>9.4%}  {n.largest:>7}  {n.counts:>12,}" for n in self.neurons]
        counts = sum(n.counts for n in self.neurons)
        largest = max(n.largest for n in self.neurons)
        lines.append(f"{'all':<{wide}}  {self.share:>9.4%}  {largest:>7}  {counts:>12,}")
        lines.append(f"worst: {self.worst.neuron}, {self.worst.share:.4%}")
        return "\n".join(lines)


@torch.no_grad()
def compare_counts(
    float_model: nn.Module, quantised_model: nn.Module, inputs: Tensor | Iterable[Tensor], end_to_end: bool = False
) -> CountReport:
    """Which counts of `float_model` (folded) change in `quantised_model`, the same network with other weights.

    inputs: one batch or several, each of a form that both models take, with the batch alone on axis 0: a folded
    detector's are raw pixels [B, 3, H, W], uint8. Inside the models axis 0 is the batch or T * B, time outer. Both run
    in float64 and eval mode, as copies; there the quantised one is the exact integer network. With T > 1 the float
    model's counts reset the membranes of both. `end_to_end` hands nothing on: each network then goes its own way.

    Raises `RangeError` for a model without neurons, models of different layers, or no input; `ShapeError` for weights
    of different shapes, or an axis 0 that holds something else.
    """
    side = SideBySide(end_to_end)
    side.run(side.joined(float_model, quantised_model), inputs)
    return CountReport(tuple(CountChange(name, *seen) for name, seen in side.seen.items()), end_to_end)
