"""Firing rates put into a small network."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from benchmarks.calibrate import TOLERANCE, calibrate, of_counts, overall, spikes  # noqa: E402
from pyspike import nn as spiking  # noqa: E402
from pyspike.errors import RangeError  # noqa: E402
from pyspike.models.spikeyolo import SpikeYOLO  # noqa: E402


@pytest.fixture(scope="module")
def network() -> tuple[torch.nn.Module, torch.Tensor, list[float]]:
    torch.manual_seed(0)
    model = SpikeYOLO(width=0.0625, num_classes=2).double()
    x = torch.rand(1, 3, 96, 96, dtype=torch.float64)
    rates = [0.2 + 0.01 * i for i in range(len(spikes(model.eval(), x)))]
    return model, x, rates


def test_every_neuron_reaches_its_rate(network: tuple[torch.nn.Module, torch.Tensor, list[float]]) -> None:
    model, x, rates = network
    reached = calibrate(model, x, rates)
    found = spikes(model.eval(), x)
    wanted = dict(zip(found, rates, strict=True))
    assert {name: each.mean for name, each in found.items()} == reached
    # these read what the neuron named second reads
    shared = {"head.box.0.0": "down3to4", "head.box.1.0": "down4to5", "head.classes.2.0": "head.box.2.0"}
    shared |= {"head.classes.0.0": "down3to4", "head.classes.1.0": "down4to5"}
    wanted |= {f"{late}.neuron": wanted[f"{early}.neuron"] for late, early in shared.items()}
    assert reached == pytest.approx(wanted, rel=TOLERANCE)

    folded = spiking.fold(model)
    calibrate(folded, 255 * x, [0.3] * len(rates), "nonzero")
    assert all(each.nonzero == pytest.approx(0.3, rel=TOLERANCE) for each in spikes(folded, 255 * x).values())


def test_a_wrong_number_of_rates_is_told(network: tuple[torch.nn.Module, torch.Tensor, list[float]]) -> None:
    model, x, rates = network
    with pytest.raises(RangeError, match=f"expected {len(rates)} rates.*found {len(rates) - 1}"):
        calibrate(model, x, rates[1:])


def test_a_rate_that_cannot_be_is_told(network: tuple[torch.nn.Module, torch.Tensor, list[float]]) -> None:
    model, x, rates = network
    with pytest.raises(RangeError, match="wanted mean 5"):
        calibrate(model, x, [5.0] * len(rates))


def test_counts_are_summed_up() -> None:
    first, second = of_counts(torch.tensor([0, 1, 2, 3])), of_counts(torch.tensor([0.0, 0.0, 0.0, 4.0]))
    assert (first.mean, first.nonzero, first.planes, first.elements) == (1.5, 0.75, 4 / 3, 4)
    both = overall([first, second])
    assert (both.mean, both.nonzero, both.planes, both.elements) == (1.25, 0.5, 1.25, 8)
