"""The integer twin: a quantised model whose floating-point arithmetic is exact, hence the integer network itself."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import nn

from pyspike.errors import RangeError
from pyspike.nn.qat import QuantConv2d, QuantisedSynapse, QuantLinear


def integer_twin(model: nn.Module) -> nn.Module:
    """A deep copy of a quantised model in float64 and eval mode, without gradients: the exact integer network.

    Why it is exact: all values are integers times powers of two. Inputs are integers, weights w * 2^-e, biases integers
    times 2^-f; products, sums in any order, max pools, upsampling and the neuron at dyadic decay, gain and threshold
    keep that form, and float64 represents each of them while it stays below 2^53 steps of its grid. Integer networks
    bound potentials by 2^31 steps, so no rounding ever happens. The counts equal those of any other exact executor.

    Raises `RangeError` where a synapse is not quantised.
    """
    exact = (QuantConv2d, QuantLinear)
    plain = [n for n, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.Linear) and not isinstance(m, exact)]
    if plain:
        raise RangeError(f"a twin needs a quantised model: {len(plain)} synapses are float, first {plain[0]!r}")
    twin = copy.deepcopy(model).double().eval()
    return twin.requires_grad_(False)


@torch.no_grad()
def float_exactness(model: nn.Module) -> list[dict[str, object]]:
    """Per quantised synapse: is every partial sum exact in float32?

    One dict a synapse: name, f (fractional bits of its output), e_min, e_max, M (the larger of the sums of positive and
    of negative parts over the input range, bias included, in real units), steps = M * 2^f, exact = steps < 2^24. The
    range is 0..hi for counts and pixels, and that of its source for a synapse on potentials.
    """
    rows: list[dict[str, object]] = []
    for name, module in model.named_modules():
        if not isinstance(module, QuantisedSynapse):
            continue
        _, e, bias, f = module.integers()
        least, greatest = _sums(module)
        positive, negative = greatest, [-v for v in least]
        if bias is not None:
            positive = [v + max(int(b), 0) for v, b in zip(positive, bias, strict=True)]
            negative = [v + max(-int(b), 0) for v, b in zip(negative, bias, strict=True)]
        steps = max(*positive, *negative)
        rows.append(
            {
                "name": name,
                "f": f,
                "e_min": int(e.min()),
                "e_max": int(e.max()),
                "M": steps / 2**f,
                "steps": steps,
                "exact": steps < 2**24,
            }
        )
    return rows


def _sums(module: QuantisedSynapse) -> tuple[list[int], list[int]]:
    """Per output channel the least and the greatest weighted sum, in steps of the output's grid, without bias."""
    w, e, _, f = module.integers()
    low, high = 0, module.input_hi << module.input_fraction
    if module.source is not None:
        low, high = _range(module.source)
    flat = w.reshape(len(w), -1)
    positive, negative = np.where(flat > 0, flat, 0).sum(1).tolist(), np.where(flat < 0, flat, 0).sum(1).tolist()
    shifts = (f - module.input_fraction - e).tolist()
    rows = list(zip(positive, negative, shifts, strict=True))
    return [(p * low + n * high) << s for p, n, s in rows], [(p * high + n * low) << s for p, n, s in rows]


def _range(module: QuantisedSynapse) -> tuple[int, int]:
    """The least and the greatest output, in steps of its grid."""
    bias = module.integers()[2]
    biases = [0] * len(module.weight) if bias is None else bias.tolist()
    least, greatest = _sums(module)
    return min(map(sum, zip(least, biases, strict=True))), max(map(sum, zip(greatest, biases, strict=True)))
