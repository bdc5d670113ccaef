"""The integer twin: a quantised model whose floating-point arithmetic is exact, hence the integer network itself."""

from __future__ import annotations

import copy

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
    of negative parts over the input range 0..hi, bias included, in real units), steps = M * 2^f, exact = steps < 2^24.
    """
    rows: list[dict[str, object]] = []
    for name, module in model.named_modules():
        if not isinstance(module, QuantisedSynapse):
            continue
        w, e, bias, f = module.integers()
        flat = w.reshape(len(w), -1).astype(object) * 2 ** (f - e.astype(object))[:, None]
        positive = (flat * (flat > 0)).sum(1) * module.input_hi
        negative = -(flat * (flat < 0)).sum(1) * module.input_hi
        if bias is not None:
            positive = positive + [max(int(b), 0) for b in bias]
            negative = negative + [max(-int(b), 0) for b in bias]
        steps = int(max(positive.max(), negative.max()))
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
