"""fire: every spiking neuron. n = number of k in 1..D with m >= T[c][k], m the drive or the membrane potential.

Without state (T = 1) m is the drive. With state, at each timestep t (m = 0 and n = 0 before the first),

    m[t] = leak(m[t-1] - reset(n[t-1])) + (drive[t] << guard)
    n[t] = number of k with m[t] >= T[k]

where leak(m) is a sum of at most three terms +-floor(m / 2**k) and reset(n) a table (soft: n * theta) or m itself
(hard, where n > 0). `guard` extra fractional bits keep the leak exact for as many steps as they last; beyond, the
floor is the definition. What is stored between steps is the potential after reset and before leak.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pyspike.errors import RangeError
from pyspike.graph import INT32_MAX, INT32_MIN, MAX_TIMESTEPS, Scale, Tensor
from pyspike.ops.base import Ints, Op, array, require, require_int32

MAX_COUNT = 255
MAX_LEAK_SHIFT = 8
_SETTLED = 4096  # steps within which the range of an endless stream must stop growing


@dataclass(frozen=True, eq=False)
class Fire(Op):
    """Counts 0..D of the drive's shape.

    `thresholds` int32 [1 or C, D], not decreasing along D, C the last axis. The other fields matter only where
    `membrane`:
    `leak` is (sign, k, sign, k, ...), () forgetting all and (1, 0) nothing; `hard_reset`; `reset` int32 [D + 1], the
    amounts of a soft reset; `guard` bits; `steps`, for how many timesteps the range is proven (0: any number).
    """

    kind: ClassVar[int] = 15
    name: ClassVar[str] = "fire"
    onnx: ClassVar[tuple[str, ...]] = ("IntegerLIF", "Round", "Floor")

    thresholds: NDArray[np.int32]
    membrane: bool = False
    leak: tuple[int, ...] = ()
    hard_reset: bool = False
    reset: NDArray[np.int32] | None = None
    guard: int = 0
    steps: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "thresholds", array(self.thresholds))
        require(self.thresholds.ndim == 2, f"expected thresholds [1 or C, D], found shape {self.thresholds.shape}")
        require(1 <= self.count <= MAX_COUNT, f"D must be in 1..{MAX_COUNT}, found {self.count}")
        require(bool((np.diff(self.thresholds.astype(np.int64), axis=1) >= 0).all()), "thresholds must not decrease")
        if self.reset is not None:
            object.__setattr__(self, "reset", array(self.reset))
        if self.membrane:
            self._check_membrane()
        else:
            plain = not self.leak and not self.hard_reset and self.reset is None and self.guard == 0 and self.steps == 1
            require(plain, "leak, reset, guard and steps belong to a membrane")

    @property
    def count(self) -> int:
        """D, the greatest count."""
        return int(self.thresholds.shape[1])

    @property
    def stateful(self) -> bool:
        """Whether a membrane is kept between timesteps."""
        return self.membrane

    def shape(self, *inputs: Tensor) -> tuple[int, ...]:
        """The drive's shape."""
        (drive,) = inputs
        rows = len(self.thresholds)
        channels = drive.shape[-1] if drive.shape else 1
        require(rows in (1, channels), f"expected thresholds for 1 or {channels} channels, found {rows}")
        return drive.shape

    def range(self, *inputs: Tensor) -> tuple[int, int]:
        """0..D; the membrane's own range must fit int32."""
        if self.membrane:
            self.membrane_range(inputs[0].lo, inputs[0].hi)
        return 0, self.count

    def scale(self, *inputs: Tensor) -> Scale:
        """Counts are plain integers."""
        require(not self.membrane or isinstance(inputs[0].scale.f, int), "a membrane needs one f for all channels")
        return Scale()

    def varies(self, *inputs: Tensor) -> bool:
        """As the drive does; a membrane needs one that does."""
        require(inputs[0].time or not self.membrane, "a neuron with a membrane needs a drive that varies in time")
        return inputs[0].time

    def check_time(self, timesteps: int, max_timesteps: int | None) -> None:
        """A bound on steps covers every run and every stream; it bounds streams itself where the graph does not."""
        longest = max(timesteps, max_timesteps or 0)
        if self.membrane and self.steps and self.steps < longest:
            raise RangeError(f"a membrane is proven for {self.steps} timesteps in a graph of {longest}")

    def reference(self, *inputs: Ints) -> Ints:
        """Compare with every threshold and count (no state)."""
        return self._counts(inputs[0])

    def initial_membrane(self, shape: tuple[int, ...]) -> Ints:
        """The stored potential before the first timestep."""
        return np.zeros(shape, dtype=np.int64)

    def reference_step(self, drive: Ints, membrane: Ints) -> tuple[Ints, Ints]:
        """One timestep with state: counts, and the potential to store."""
        potential = self.decayed(membrane) + (drive << self.guard)
        counts = self._counts(potential)
        if self.hard_reset:
            return counts, np.where(counts > 0, 0, potential)
        assert self.reset is not None
        return counts, potential - self.reset.astype(np.int64)[counts]

    def decayed(self, membrane: Ints) -> Ints:
        """leak(m): the sum of its shifted terms."""
        total = np.zeros_like(membrane)
        for sign, k in self._terms():
            total += sign * (membrane >> k)
        return total

    def membrane_range(self, drive_lo: int, drive_hi: int) -> tuple[int, int]:
        """Proven range of the potential over `steps` timesteps, before reset; raises `RangeError` past int32."""
        drive = drive_lo << self.guard, drive_hi << self.guard
        stored, widest = (0, 0), (0, 0)
        for _ in range(self.steps or _SETTLED):
            lo, hi = self._leak_range(*stored)
            lo, hi = lo + drive[0], hi + drive[1]
            require_int32(lo, hi, "membrane potentials")
            grown = min(lo, widest[0]), max(hi, widest[1])
            after = self._reset_range(lo, hi)
            after = min(after[0], stored[0]), max(after[1], stored[1])
            if grown == widest and after == stored:
                return widest
            widest, stored = grown, after
        if not self.steps:
            raise RangeError("the membrane's range keeps growing: state max_timesteps")
        return widest

    def _counts(self, potential: Ints) -> Ints:
        reached = np.asarray((potential[..., None] >= self.thresholds).sum(axis=-1))
        return reached.reshape(potential.shape)  # a tensor without axes meets thresholds that have one

    def _terms(self) -> list[tuple[int, int]]:
        return list(zip(self.leak[::2], self.leak[1::2], strict=True))

    def _leak_range(self, lo: int, hi: int) -> tuple[int, int]:
        low = high = 0
        for sign, k in self._terms():
            ends = (sign * (lo >> k), sign * (hi >> k))
            low, high = low + min(ends), high + max(ends)
            require_int32(low, high, "leaked potentials")
        return low, high

    def _reset_range(self, lo: int, hi: int) -> tuple[int, int]:
        """The hull of m - reset(n) over every count n and the potentials of [lo, hi] that give it."""
        ends: list[int] = []
        for ladder in self.thresholds.tolist():
            edges = [INT32_MIN, *ladder, INT32_MAX + 1]
            for n in range(self.count + 1):
                low, high = max(lo, edges[n]), min(hi, edges[n + 1] - 1)
                if low > high:
                    continue
                if self.hard_reset and n > 0:
                    ends.append(0)
                else:
                    amount = 0 if self.reset is None or self.hard_reset else int(self.reset[n])
                    ends += [low - amount, high - amount]
        require_int32(min(ends), max(ends), "reset potentials")
        return min(ends), max(ends)

    def _check_membrane(self) -> None:
        require(len(self.thresholds) == 1, "a membrane has one ladder for all channels")
        require(len(self.leak) % 2 == 0 and len(self.leak) <= 6, f"leak has at most three terms, found {self.leak}")
        for sign, k in self._terms():
            require(sign in (-1, 1) and 0 <= k <= MAX_LEAK_SHIFT, f"bad leak term ({sign}, {k})")
        good_steps = 0 <= self.steps <= MAX_TIMESTEPS
        require(0 <= self.guard <= 31 and good_steps, f"bad guard {self.guard} or steps {self.steps}")
        require((self.reset is None) == self.hard_reset, "amounts of reset belong to a soft reset, and to it alone")
        soft = self.reset is not None and self.reset.shape == (self.count + 1,)
        require(soft or self.hard_reset, f"a soft reset needs {self.count + 1} amounts")


def ladder(
    count: int, unit: Fraction, *, theta: Fraction = Fraction(1), bias: Fraction = Fraction(0), half_even: bool = True
) -> list[int]:
    """Thresholds T_1..T_count of the rounding neuron, exactly.

    n >= k where m >= x_k = ((k - 1/2) * theta - bias) / unit: T_k = ceil(x_k), and one more where x_k is an integer
    and the tie rounds down, which `half_even` does for odd k and half-up rounding never. `unit` is the real value of
    the integer 1.
    """
    thresholds = []
    for k in range(1, count + 1):
        x = ((k - Fraction(1, 2)) * theta - bias) / unit
        tie_down = x.denominator == 1 and half_even and k % 2 == 1
        thresholds.append(math.ceil(x) + (1 if tie_down else 0))
    return thresholds


def clamp_ladder(thresholds: Sequence[int], lo: int, hi: int) -> list[int]:
    """Thresholds clamped to [lo, hi + 1], which changes no count of a potential within [lo, hi]; hi + 1 must fit
    int32.
    """
    require_int32(lo, hi + 1, "thresholds")
    return [min(max(t, lo), hi + 1) for t in thresholds]


def leak_terms(decay: float) -> tuple[tuple[int, ...], float]:
    """The sum of at most three terms +-2**-k, 0 <= k <= 8, nearest to `decay`, as `Fire.leak`, and its error.

    Fewer terms win a tie, then smaller shifts; 0 is the empty sum and 1 the single term (1, 0).
    """
    powers = [(sign, k) for k in range(MAX_LEAK_SHIFT + 1) for sign in (1, -1)]
    candidates: list[tuple[tuple[int, int], ...]] = [()]
    best: tuple[tuple[int, int], ...] = ()
    best_error = abs(Fraction(decay))
    for _ in range(3):
        candidates = [(*terms, term) for terms in candidates for term in powers if not terms or term[1] > terms[-1][1]]
        for terms in candidates:
            value = sum((Fraction(sign, 2**k) for sign, k in terms), Fraction(0))
            error = abs(value - Fraction(decay))
            if error < best_error:
                best, best_error = terms, error
    return tuple(x for term in best for x in term), float(best_error)


def guard_bits(leak: Sequence[int], steps: int, most: int = 8) -> int:
    """Guard bits g = min(k * (steps - 1), most), k the largest shift of the leak; `steps` = 0 (any number) takes
    `most`.
    """
    largest = max(leak[1::2], default=0)
    if largest == 0:
        return 0
    return most if steps == 0 else min(largest * (steps - 1), most)
