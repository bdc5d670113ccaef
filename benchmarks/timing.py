"""Rounds and what is made of them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

K = TypeVar("K")


class Runs(Protocol):
    """What can be told to run once; `benchmarks.peers.protocol.Process` is."""

    def ask(self, do: str, **rest: object) -> dict[str, list[float]]:
        """See `benchmarks.peers.protocol`."""


@dataclass(frozen=True)
class Times:
    """Seconds of one contestant in the rounds of a race."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Half of the rounds took less."""
        return statistics.median(self.seconds)

    @property
    def least(self) -> float:
        """The fastest round."""
        return min(self.seconds)

    @property
    def spread(self) -> float:
        """Distance of the quartiles, as a share of the median."""
        return (self.quantile(0.75) - self.quantile(0.25)) / self.median

    def quantile(self, share: float) -> float:
        """The smallest measured time that at least `share` of the rounds did not exceed."""
        ordered = sorted(self.seconds)
        return ordered[max(1, math.ceil(share * len(ordered))) - 1]


def interleaved(entrants: Mapping[K, Runs], rounds: int, warm_up: int = 3) -> dict[K, Times]:
    """Every entrant has one turn in every round, so that a machine that slows down slows all; `warm_up` rounds before
    the first do not count. In its turn it runs twice and the second run counts: the first finds caches as others left
    them, and their threads perhaps still spinning.
    """
    times: dict[K, list[float]] = {key: [] for key in entrants}
    for number in range(warm_up + rounds):
        for key, entrant in entrants.items():
            _, seconds = entrant.ask("run", times=2)["seconds"]
            if number >= warm_up:
                times[key].append(seconds)
    return {key: Times(tuple(seconds)) for key, seconds in times.items()}


def paired_ratio(peer: Times, ours: Times) -> tuple[float, float, float]:
    """(median, lower quartile, upper quartile) over rounds of the peer's time by ours in the same round."""
    ratios = Times(tuple(a / b for a, b in zip(peer.seconds, ours.seconds, strict=True)))
    return ratios.median, ratios.quantile(0.25), ratios.quantile(0.75)


def fastest(times: Mapping[K, Times], keys: Sequence[K]) -> K:
    """The key of the least median."""
    return min(keys, key=lambda key: times[key].median)
