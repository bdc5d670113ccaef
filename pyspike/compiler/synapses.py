"""Quantising synapses and neurons: float weights, thresholds and decays become the fields of integer operators."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from pyspike.compiler.facts import Facts, FireFacts, SynapseFacts
from pyspike.compiler.program import Reals
from pyspike.errors import RangeError
from pyspike.graph import INT32_MAX, INT32_MIN, Tensor
from pyspike.ops import Fire
from pyspike.ops.base import require_int32
from pyspike.ops.fire import clamp_ladder, guard_bits, ladder, leak_terms
from pyspike.quantise import quantise_rows, round_bias, synapse_fraction

MOST_GUARD = 8


@dataclass(frozen=True)
class IntegerSynapse:
    """Weights [out, ...], exponents, shifts and biases [out] of a synapse, ready for an operator."""

    weight: NDArray[np.int64]
    exponent: NDArray[np.int64]
    shift: NDArray[np.int64]
    bias: NDArray[np.int64] | None
    facts: SynapseFacts


def quantise_synapse(weight: Reals, bias: Reals | None, x: Tensor, bits: int) -> IntegerSynapse:
    """The integer synapse of float rows `weight` [out, ...] that reads `x`, whose scale is a power of two.

    Raises `RangeError` where a bias or a shift does not fit.
    """
    f_x = x.scale.f
    assert isinstance(f_x, int)
    w, e = quantise_rows(weight, bits, reach(x))
    f = synapse_fraction(e, f_x)
    shift = f - f_x - e
    if shift.max(initial=0) > 31:
        raise RangeError(f"weights are too coarse for an output with {f} fractional bits")
    integers = None
    if bias is not None:
        if np.abs(np.ldexp(bias, f)).max(initial=0.0) >= INT32_MAX:
            raise RangeError(f"biases of up to {np.abs(bias).max():.3g} do not fit int32 with {f} fractional bits")
        integers = round_bias(bias, f)
    exact = np.ldexp(w.astype(np.float64), -e.reshape(-1, *[1] * (w.ndim - 1)))
    norm = float(np.sqrt(np.square(weight).sum()))
    error = float(np.sqrt(np.square(exact - weight).sum()))
    bias_error = 0.0
    if bias is not None and integers is not None:
        bias_error = float(np.abs(np.ldexp(integers.astype(np.float64), -f) - bias).max(initial=0.0))
        if not integers.any():
            integers = None
    facts = SynapseFacts(e, f, error / norm if norm else 0.0, bias_error)
    return IntegerSynapse(w, e, shift, integers, facts)


def reach(x: Tensor) -> int:
    """The largest magnitude of `x` in real units, rounded up: what the cap of the exponents depends on."""
    f = x.scale.f
    assert isinstance(f, int)
    most = max(abs(x.lo), abs(x.hi))
    return -(-most >> f) if f >= 0 else most << -f


def stateless_fire(facts: FireFacts, drive: Tensor, biases: list[Fraction] | None = None) -> Fire:
    """The ladder of a neuron without membrane; `biases`: real biases by channel that the drive leaves out."""
    channels = drive.shape[-1] if drive.shape else 1
    several = facts.channels > 1 or biases is not None or not isinstance(drive.scale.f, int)
    rows = []
    for c in range(channels if several else 1):
        scale, shift = facts.affine(c)
        bias = Fraction(0) if biases is None else biases[c]
        unit = drive.scale.unit(c) * scale
        row = ladder(facts.count, unit, theta=facts.theta, bias=scale * bias + shift, half_even=facts.half_even)
        rows.append(clamp_ladder(row, drive.lo, drive.hi))
    if all(row == rows[0] for row in rows):
        rows = rows[:1]
    return Fire(np.array(rows, dtype=np.int64))


@dataclass(frozen=True)
class Membrane:
    """A neuron with state in real numbers: `theta` is the threshold over the gain, `steps` what the range is proven
    for.
    """

    decay: float
    hard_reset: bool
    timesteps: int
    steps: int


def stateful_fire(facts: FireFacts, membrane: Membrane, drive: Tensor, name: str, log: Facts) -> Fire:
    """The neuron with a membrane on `drive`, with as many guard bits as int32 allows; notes in `log` what is not exact.

    Raises `RangeError` where the membrane does not fit int32 even without guard bits.
    """
    leak, error = leak_terms(membrane.decay)
    if error:
        log.decay_errors[name] = error
        log.changes.append(f"fire {name!r}: decay {membrane.decay} is approximated, error {error:.3g}")
    wanted = guard_bits(leak, membrane.steps, MOST_GUARD)
    for guard in range(wanted, -1, -1):
        try:
            fire, exact = _membrane(facts, membrane, drive, leak, guard)
        except RangeError:
            if guard == 0:
                raise
            continue
        break
    if not exact:
        log.changes.append(f"fire {name!r}: the amounts of its reset are rounded")
    if guard < max(leak[1::2], default=0) * (membrane.timesteps - 1):
        log.short_guards.append(name)
    return fire


def _membrane(
    facts: FireFacts, membrane: Membrane, drive: Tensor, leak: tuple[int, ...], guard: int
) -> tuple[Fire, bool]:
    """The operator with `guard` guard bits, and whether its reset table is exact."""
    unit = drive.scale.unit() / 2**guard
    amounts = [n * facts.theta / unit for n in range(facts.count + 1)]
    reset = [(2 * a.numerator + a.denominator) // (2 * a.denominator) for a in amounts]
    require_int32(0, reset[-1], "reset amounts")
    steps = membrane.steps
    row = [
        min(max(t, INT32_MIN), INT32_MAX)
        for t in ladder(facts.count, unit, theta=facts.theta, half_even=facts.half_even)
    ]

    def fire(thresholds: list[int]) -> Fire:
        table = None if membrane.hard_reset else np.array(reset)
        return Fire(np.array([thresholds]), True, leak, membrane.hard_reset, table, guard, steps)

    lo, hi = fire(row).membrane_range(drive.lo, drive.hi)
    exact = membrane.hard_reset or all(a.denominator == 1 for a in amounts)
    return fire(clamp_ladder(row, lo, hi)), exact
