"""A float network and the same network with other weights, run side by side in one batch: the first half float, the
second half quantised. Every neuron hands the float network's counts to both, so that a layer is judged by itself.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from pyspike.errors import RangeError, ShapeError
from pyspike.nn.neuron import IntegerLIF


class SideBySide:
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
            raise RangeError(f"a comparison expects models with IntegerLIF neurons, found none in {type(both)}")
        steps = max(neuron.T for neuron in neurons.values())
        for name, module in layers:
            if isinstance(module, nn.Conv2d | nn.Linear):
                both.set_submodule(name, Synapses(_counterpart(theirs, name, module), module, self, steps))
        for name, neuron in neurons.items():
            other = theirs.get(name)
            if not isinstance(other, IntegerLIF) or repr(other) != repr(neuron):
                raise RangeError(f"a comparison expects the same neurons: {name!r} is {neuron} and {other}")
            both.set_submodule(name, Neurons(neuron, name, self))
        return both

    def run(self, both: nn.Module, inputs: Tensor | Iterable[Tensor]) -> None:
        """Show one batch or several to what `joined` returned."""
        for batch in [inputs] if isinstance(inputs, Tensor) else inputs:
            if batch.is_floating_point():
                batch = batch.double()
            self.batch = len(batch)
            both(torch.cat([batch, batch]))
        if not self.seen:
            raise RangeError("a comparison expects at least one batch of inputs, found none")

    def steps_of(self, x: Tensor) -> int:
        """Timesteps on axis 0 of `x`."""
        steps, rest = divmod(len(x), 2 * self.batch)
        if rest or not steps:
            raise ShapeError(
                f"a comparison expects axis 0 to be the batch or T * batch: in a batch of {self.batch}, which is "
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


class Synapses(nn.Module):
    """Two synapses, each for its half of the batch. [T * 2B, ...] or [2B, ...]."""

    def __init__(self, first: nn.Module, second: nn.Module, side: SideBySide, steps: int) -> None:
        super().__init__()
        self.first, self.second, self.side, self.steps = first, second, side, steps
        self.sums: Tensor | float = 0.0  # of differences, by channel
        self.summed = 0

    @property
    def shift(self) -> Tensor | float:
        """Mean of (quantised - float) by output channel, over all that was run."""
        return self.sums / max(self.summed, 1)

    def difference(self, found: Tensor) -> None:
        """Take the differences of one call, channels on axis 1 of images, last of vectors."""
        by_channel = found.movedim(1 if isinstance(self.first, nn.Conv2d) else -1, 0).flatten(1)
        self.sums, self.summed = self.sums + by_channel.sum(1), self.summed + by_channel.shape[1]

    def forward(self, x: Tensor) -> Tensor:
        groups = self.side.steps_of(x) if self.steps > 1 else 1
        halves = x.unflatten(0, (groups, 2, -1))
        out = [s(halves[:, i].flatten(0, 1)) for i, s in enumerate((self.first, self.second))]
        self.difference(out[1] - out[0])
        return torch.stack([o.unflatten(0, (groups, -1)) for o in out], 1).flatten(0, 2)


class Neurons(IntegerLIF):
    """The neurons of both networks: they fire, and the counts handed on are also what resets their membranes."""

    def __init__(self, like: IntegerLIF, name: str, side: SideBySide) -> None:
        super().__init__(like.D, like.T, like.decay, like.gain, like.theta, True, like.rounding, like.reset)
        self.name, self.side = name, side

    def forward(self, u: Tensor) -> Tensor:
        if self.T > 1 and self.side.steps_of(u) != self.T:
            raise ShapeError(
                f"a comparison expects models that take batches and spread them over time themselves: "
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
            f"a comparison expects the folded float model that was quantised: {name!r} is no synapse there, but "
            f"{type(found).__name__}; call fold first"
        )
    if found.weight.shape != module.weight.shape:
        shapes = tuple(found.weight.shape), tuple(module.weight.shape)
        raise ShapeError(f"a comparison expects weights of one shape: {name!r} has {shapes[0]} and {shapes[1]}")
    return found
