"""Bias correction: planted shifts are taken out to the last bit, and means agree on what was shown."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from pyspike.errors import RangeError
from pyspike.models.spikeyolo import SpikeYOLO
from pyspike.nn import IntegerLIF, compare_counts, correct_biases, fold, integer_twin, quantise, record_neurons
from pyspike.nn.layers import SpikingConv

DRIVE = torch.rand(5, 4, 6, 6, generator=torch.Generator().manual_seed(1)) * 5


def network(bias: bool = True) -> nn.Sequential:
    torch.manual_seed(3)
    body = [SpikingConv(IntegerLIF(4), 4, 4, 3, norm=False) for _ in range(3)]
    for layer in body if not bias else ():
        layer.synapse.bias = None
    return nn.Sequential(*body).double().requires_grad_(False)


def mean_by_channel(x: Tensor) -> Tensor:
    return x.mean((0, 2, 3))


def test_a_planted_shift_is_taken_out() -> None:
    model = network()
    other = copy.deepcopy(model)
    shift = torch.tensor([0.5, -0.25, 0.0, 1.0], dtype=torch.float64)
    other[1].synapse.bias += shift
    corrected = correct_biases(model, other, [DRIVE, DRIVE.flip(0)])
    for layer in range(3):
        assert torch.allclose(corrected[layer].synapse.bias, model[layer].synapse.bias, atol=1e-12)
    assert torch.equal(other[1].synapse.bias, model[1].synapse.bias + shift)  # itself left as it was
    assert compare_counts(model, corrected, DRIVE).share == 0


def test_means_agree_on_the_float_networks_counts() -> None:
    model = network()
    other = copy.deepcopy(model)
    for layer in other:
        layer.synapse.weight.mul_(1.1)
    corrected = correct_biases(model, other, DRIVE)
    with record_neurons(model) as recorded:
        model(DRIVE.double())
    for i in range(3):
        counts = recorded[f"{i}.neuron"][1]
        wanted, found, before = (mean_by_channel(m[i].synapse(counts)) for m in (model, corrected, other))
        assert torch.allclose(found, wanted, atol=1e-12)
        assert not torch.allclose(before, wanted, atol=1e-3)
        assert torch.equal(corrected[i].synapse.weight, other[i].synapse.weight)


def test_a_detector_changes_fewer_counts_after_it() -> None:
    torch.manual_seed(5)
    model = SpikeYOLO(width=0.0625, num_classes=2, box_channels=16, class_channels=16)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    photographs = torch.randint(0, 256, (3, 3, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        model.train()(photographs / 255)
    folded = fold(model)
    rounded = quantise(folded, 4)
    corrected = correct_biases(folded, rounded, photographs)
    before, after = (compare_counts(folded, m, photographs).share for m in (rounded, corrected))
    assert after < 0.95 * before
    integer_twin(corrected)  # still on the grid


def test_a_synapse_without_bias_stays() -> None:
    model = network(bias=False)
    other = copy.deepcopy(model)
    other[1].synapse.weight.mul_(1.1)
    corrected = correct_biases(model, other, DRIVE)
    assert all(layer.synapse.bias is None for layer in corrected)


def test_needs_inputs() -> None:
    with pytest.raises(RangeError, match="at least one batch"):
        correct_biases(network(), network(), [])
