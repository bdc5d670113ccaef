"""Bias correction: what rounding the weights shifts on average is taken out of the biases.

Rounding errors of a row do not average out where its inputs have one sign, as pixels and counts have: they shift the
whole channel, and so every neuron that reads it. The mean of that shift over some inputs is known once both networks
have run, and a bias can hold it. "Data-Free Quantization Through Weight Equalization and Bias Correction" (ICCV 2019),
section 4.2, with the mean measured, on the float network's own counts.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from pyspike.nn.side_by_side import SideBySide, Synapses


@torch.no_grad()
def correct_biases(float_model: nn.Module, quantised_model: nn.Module, inputs: Tensor | Iterable[Tensor]) -> nn.Module:
    """A copy of `quantised_model`, in eval mode, each of whose synapses gives on average over `inputs` what the float
    model's gives on the same counts. Weights stay as they are; a synapse without bias too.

    The networks and `inputs` are as in `compare_counts`, and so are the errors raised. Some dozens of inputs of the
    kind that will be seen are enough: there is one number to measure for each channel.
    """
    side = SideBySide(end_to_end=False)
    both = side.joined(float_model, quantised_model)
    side.run(both, inputs)
    corrected = copy.deepcopy(quantised_model)
    for name, synapses in both.named_modules():
        if isinstance(synapses, Synapses):
            bias = corrected.get_submodule(name).bias
            if isinstance(bias, Tensor):
                bias -= torch.as_tensor(synapses.shift).to(bias)
    return corrected.eval()
