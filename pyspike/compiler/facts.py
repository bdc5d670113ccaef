"""What a compilation learns beside the graph itself: for thresholds, for reports, for the proof of float-exactness."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from pyspike.compiler.program import Reals
from pyspike.graph import Graph


@dataclass(frozen=True)
class SynapseFacts:
    """How a synapse was quantised: exponents [out], fractional bits f of its output, and what rounding cost.

    `weight_error` is relative, in the L2 norm; `bias_error` the largest change of a bias, in real units.
    """

    exponents: NDArray[np.int64]
    fraction: int
    weight_error: float
    bias_error: float


@dataclass(frozen=True)
class FireFacts:
    """What a ladder is made from: real thresholds (k - 1/2) theta, the rounding, and an affine map of the drive.

    `scale` and `shift` hold one number or one for each channel (the last stored axis).
    """

    count: int
    theta: Fraction
    half_even: bool
    scale: Reals
    shift: Reals

    def affine(self, channel: int) -> tuple[Fraction, Fraction]:
        """(scale, shift) of one channel, exactly."""
        s = self.scale[channel if len(self.scale) > 1 else 0]
        t = self.shift[channel if len(self.shift) > 1 else 0]
        return Fraction(float(s)), Fraction(float(t))

    @property
    def channels(self) -> int:
        """How many different ladders the affine map asks for."""
        return max(len(self.scale), len(self.shift))


@dataclass(frozen=True)
class Aligned:
    """An align that the compiler put in: where, how many fractional bits it dropped, why ('range' or 'source')."""

    name: str
    shift: int
    why: str


@dataclass
class Facts:
    """Facts by tensor name. `changes`: in order, what makes the integers compute something else than the source."""

    synapses: dict[str, SynapseFacts] = field(default_factory=dict)
    fires: dict[str, FireFacts] = field(default_factory=dict)
    aligns: list[Aligned] = field(default_factory=list)
    decay_errors: dict[str, float] = field(default_factory=dict)
    free_scales: list[str] = field(default_factory=list)
    short_guards: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Lowered:
    """An integer graph and the facts about it."""

    graph: Graph
    facts: Facts
