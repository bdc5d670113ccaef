"""Recorded neurons, fan-outs and densities on a network small enough to count by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pyspike.nn import IntegerLIF, SpikeCounter, fanouts, record_neurons
from pyspike.nn.layers import SpikingConv
from pyspike.nn.record import density_and_penalty


def network() -> nn.Sequential:
    return nn.Sequential(
        SpikingConv(IntegerLIF(D=4), 1, 2, norm=False), SpikingConv(IntegerLIF(D=4), 2, 3, 3, stride=2, norm=False)
    )


def test_records_drive_and_counts_only_while_open() -> None:
    model = network()
    x = torch.tensor([[[[-1.0, 1.2], [2.6, 9.0]]]])
    with record_neurons(model) as recorded:
        model(x)
    drive, counts = recorded["0.neuron"]
    assert torch.equal(drive, x)
    assert counts.flatten().tolist() == [0, 1, 3, 4]
    assert set(recorded) == {"0.neuron", "1.neuron"}
    recorded.clear()
    model(x)
    assert not recorded


def test_fanouts_are_macs_per_input_element() -> None:
    found = fanouts(network(), torch.zeros(1, 1, 8, 4))
    # 1x1 to 2 channels: 2 MACs per element. 3x3, stride 2, 3 outputs: 3 * 9 * 2 * (4 * 2) / (2 * 8 * 4)
    assert found == {"0.neuron": 2.0, "1.neuron": 3 * 9 * 2 * 8 / 64}


def test_densities_weigh_elements_and_fanout() -> None:
    recorded = {
        "a": (torch.zeros(4), torch.tensor([0.0, 1.0, 3.0, 0.0])),
        "b": (torch.zeros(2), torch.tensor([4.0, 1.0])),
    }
    counter = SpikeCounter({"a": 1.0, "b": 8.0})
    counter.add(recorded)
    s = counter.statistics()
    assert s.density == {"a": 0.5, "b": 1.0}
    assert s.mean_count == {"a": 1.0, "b": 2.5}
    assert s.element_density == pytest.approx(4 / 6)
    assert s.synaptic_density == pytest.approx((2 * 1 + 2 * 8) / (4 * 1 + 2 * 8))
    assert s.network_density == pytest.approx((4 / 6 + 18 / 20) / 2)
    density, penalty = density_and_penalty(recorded, {"a": 1.0, "b": 8.0})
    assert density == pytest.approx(s.network_density)
    assert float(penalty) == pytest.approx((9 / 6 + (4 * 1 + 5 * 8) / 20) / 2)


def test_penalty_pushes_drives_down_through_the_surrogate() -> None:
    model = network()
    x = torch.tensor([[[[-1.0, 1.2], [2.6, 9.0]]]], requires_grad=True)
    with record_neurons(model) as recorded:
        model(x)
    recorded = {"0.neuron": recorded["0.neuron"]}
    density_and_penalty(recorded, {"0.neuron": 2.0})[1].backward()
    assert x.grad.flatten().tolist() == [0, 0.25, 0.25, 0]
