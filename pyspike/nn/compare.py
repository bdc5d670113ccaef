"""Which spike counts change when a float network's weights are rounded: per neuron, on true inputs.

Compared end to end, two networks part at the first count that rounds otherwise, and what later layers then say is about
chaos, not about their weights. Here both run side by side in one batch, and every neuron hands the first network's
counts to both, so that a layer is judged by its own synapses alone. What adds real values up (a residual stream, a
membrane's leak) carries the rounding of all that was added.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pyspike.errors import RangeError, ShapeError
from pyspike.nn.neuron import IntegerLIF


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
    side = _SideBySide(end_to_end)
    both = side.joined(float_model, quantised_model)
    for batch in [inputs] if isinstance(inputs, Tensor) else inputs:
        if batch.is_floating_point():
            batch = batch.double()
        side.batch = len(batch)
        both(torch.cat([batch, batch]))
    if not side.seen:
        raise RangeError("compare_counts expects at least one batch of inputs, found none")
    return CountReport(tuple(CountChange(name, *seen) for name, seen in side.seen.items()), end_to_end)


class _SideBySide:
    """What the layers of the joined network share. batch: images of each network in the batch that runs now."""

    def __init__(self, end_to_end: bool) -> None:
        self.end_to_end = end_to_end
        self.batch = 0
        self.seen: dict[str, tuple[int, int, int]] = {}  # neuron -> counts, changed, largest difference

    def joined(self, first: nn.Module, second: nn.Module) -> nn.Module:
        """A copy of `second` that runs both: the first half of its batch has the weights of `first`."""
        exact = copy.deepcopy(first).double().eval()
        both = copy.deepcopy(second).double().eval()
        theirs = dict(exact.named_modules(remove_duplicate=False))
        layers = list(both.named_modules(remove_duplicate=False))
        neurons = {name: m for name, m in layers if isinstance(m, IntegerLIF)}
        if not neurons:
            raise RangeError(f"compare_counts expects models with IntegerLIF neurons, found none in {type(both)}")
        steps = max(neuron.T for neuron in neurons.values())
        for name, module in layers:
            if isinstance(module, nn.Conv2d | nn.Linear):
                both.set_submodule(name, _Synapses(_counterpart(theirs, name, module), module, self, steps))
        for name, neuron in neurons.items():
            other = theirs.get(name)
            if not isinstance(other, IntegerLIF) or repr(other) != repr(neuron):
                raise RangeError(f"compare_counts expects the same neurons: {name!r} is {neuron} and {other}")
            both.set_submodule(name, _Neurons(neuron, name, self))
        return both

    def steps_of(self, x: Tensor) -> int:
        """Timesteps on axis 0 of `x`."""
        steps, rest = divmod(len(x), 2 * self.batch)
        if rest or not steps:
            raise ShapeError(
                f"compare_counts expects axis 0 to be the batch or T * batch: in a batch of {self.batch}, which is "
                f"doubled, found {tuple(x.shape)}"
            )
        return steps

    def fired(self, name: str, counts: Tensor) -> Tensor:
        """Note what differs between the halves of `counts`; returns what is handed on."""
        mine, other = counts.chunk(2)
        difference = (mine - other).abs()
        total, changed, largest = self.seen.get(name, (0, 0, 0))
        most = int(difference.max()) if difference.numel() else 0
        self.seen[name] = (total + mine.numel(), changed + int((difference > 0).sum()), max(largest, most))
        return counts if self.end_to_end else torch.cat([mine, mine])


class _Synapses(nn.Module):
    """Two synapses, each for its half of the batch. [T * 2B, ...] or [2B, ...]."""

    def __init__(self, first: nn.Module, second: nn.Module, side: _SideBySide, steps: int) -> None:
        super().__init__()
        self.first, self.second, self.side, self.steps = first, second, side, steps

    def forward(self, x: Tensor) -> Tensor:
        groups = self.side.steps_of(x) if self.steps > 1 else 1
        halves = x.unflatten(0, (groups, 2, -1))
        out = [s(halves[:, i].flatten(0, 1)) for i, s in enumerate((self.first, self.second))]
        return torch.stack([o.unflatten(0, (groups, -1)) for o in out], 1).flatten(0, 2)


class _Neurons(IntegerLIF):
    """The neurons of both networks: they fire, and the counts handed on are also what resets their membranes."""

    def __init__(self, like: IntegerLIF, name: str, side: _SideBySide) -> None:
        super().__init__(like.D, like.T, like.decay, like.gain, like.theta, True, like.rounding, like.reset)
        self.name, self.side = name, side

    def forward(self, u: Tensor) -> Tensor:
        if self.T > 1 and self.side.steps_of(u) != self.T:
            raise ShapeError(
                f"compare_counts expects models that take batches and spread them over time themselves: "
                f"{self.name!r} with T={self.T} reads {tuple(u.shape)}; the batch, doubled, is {2 * self.side.batch}"
            )
        return super().forward(u)

    def _fire(self, membrane: Tensor) -> Tensor:
        return self.side.fired(self.name, super()._fire(membrane))


def _counterpart(theirs: dict[str, nn.Module], name: str, module: nn.Conv2d | nn.Linear) -> nn.Module:
    """The float model's synapse of that name."""
    found = theirs.get(name)
    if not isinstance(found, nn.Conv2d | nn.Linear):
        raise RangeError(
            f"compare_counts expects the folded float model that was quantised: {name!r} is no synapse there, but "
            f"{type(found).__name__}; call fold first"
        )
    if found.weight.shape != module.weight.shape:
        shapes = tuple(found.weight.shape), tuple(module.weight.shape)
        raise ShapeError(f"compare_counts expects weights of one shape: {name!r} has {shapes[0]} and {shapes[1]}")
    return found
