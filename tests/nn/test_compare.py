"""Counts changed by other weights: seen in the layer whose synapse changed, and nowhere else."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from pyspike.errors import RangeError, ShapeError
from pyspike.models.spikeyolo import SpikeYOLO
from pyspike.nn import CountChange, IntegerLIF, compare_counts, fold, integer_twin, quantise, record_neurons
from pyspike.nn.layers import SpikingConv


class Timed(nn.Sequential):
    """Spiking layers over frames [B, T, ...]."""

    def forward(self, frames: Tensor) -> Tensor:
        out: Tensor = super().forward(frames.transpose(0, 1).flatten(0, 1))
        return out


def network(T: int = 1, decay: float = 0.25, layers: int = 3) -> nn.Sequential:
    torch.manual_seed(3)
    body = (SpikingConv(IntegerLIF(4, T, decay), 4, 4, 3, norm=False) for _ in range(layers))
    return (nn.Sequential(*body) if T == 1 else Timed(*body)).requires_grad_(False)


def changed(model: nn.Sequential, layer: int, by: float) -> nn.Sequential:
    other = copy.deepcopy(model)
    other[layer].synapse.bias += by  # type: ignore[operator, union-attr]
    return other


DRIVE = torch.rand(5, 4, 6, 6, generator=torch.Generator().manual_seed(1)) * 5


@pytest.mark.parametrize("T", [1, 2])
@pytest.mark.parametrize("end_to_end", [False, True])
def test_a_network_equals_itself(T: int, end_to_end: bool) -> None:
    drive = DRIVE if T == 1 else torch.stack([DRIVE, DRIVE.flip(0)], 1)
    report = compare_counts(network(T), network(T), drive, end_to_end)
    assert [n.neuron for n in report.neurons] == ["0.neuron", "1.neuron", "2.neuron"]
    assert [n.counts for n in report.neurons] == [T * DRIVE.numel()] * 3
    assert report.share == report.worst.share == 0
    assert all(n.changed == n.largest == 0 for n in report.neurons)


def test_a_changed_synapse_is_seen_by_its_reader_alone() -> None:
    model = network()
    other = changed(model, 0, 1.0)
    report = compare_counts(model, other, DRIVE)
    counts = []
    for weights in (model, other):
        with record_neurons(weights.double()) as recorded:
            weights(DRIVE.double())
        counts.append({name: n for name, (_, n) in recorded.items()})
    # the reader's inputs were equal in both, so that its difference is the one of two plain runs
    difference = (counts[0]["1.neuron"] - counts[1]["1.neuron"]).abs()
    assert [n.changed for n in report.neurons] == [0, int((difference > 0).sum()), 0]
    assert [n.largest for n in report.neurons] == [0, int(difference.max()), 0]
    assert report.neurons[1].share > 0.1
    assert report.worst is report.neurons[1]
    freely = compare_counts(model, other, DRIVE, end_to_end=True)
    later = (counts[0]["2.neuron"] - counts[1]["2.neuron"]).abs()
    assert freely.neurons[2].changed == int((later > 0).sum()) > 0
    assert freely.neurons[1] == report.neurons[1]


class Residual(nn.Module):
    """x + branch(x), then a neuron that reads the stream."""

    def __init__(self) -> None:
        super().__init__()
        self.branch, self.last = network(layers=2), IntegerLIF()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(x + self.branch(x))
        return out


def test_a_stream_carries_the_rounding_that_was_added() -> None:
    model, other = Residual(), Residual()
    other.branch = changed(model.branch, 1, 0.3)
    report = compare_counts(model, other, DRIVE)
    assert [n.changed > 0 for n in report.neurons] == [False, False, True]


def test_float_counts_reset_both_membranes() -> None:
    """By hand, without leak. Float: 1.6 fires 2, and -0.4 + 0.6 fires 0. The other: 1.4 fires 1; reset by 2, it is
    at -0.6 + 0.525 and fires 0, but reset by its own 1 at 0.4 + 0.525, and fires 1.
    """
    model = Timed(nn.Linear(1, 1), IntegerLIF(4, T=2, decay=1.0)).requires_grad_(False)
    for parameter, value in zip(model.parameters(), (1.0, 0.0), strict=True):
        parameter.fill_(value)
    other = copy.deepcopy(model)
    next(other.parameters()).fill_(0.875)
    frames = torch.tensor([[[1.6], [0.6]], [[0.0], [0.0]], [[0.0], [0.0]]])  # three samples of two steps
    report = compare_counts(model, other, frames)
    assert report.neurons[0] == CountChange("1", counts=6, changed=1, largest=1)
    freely = compare_counts(model, other, frames, end_to_end=True)
    assert freely.neurons[0] == CountChange("1", counts=6, changed=2, largest=1)


@pytest.mark.parametrize("T", [1, 2])
def test_a_changed_synapse_over_time(T: int) -> None:
    """Halves are not mixed up where time is on axis 0: each sample and step by itself, against plain runs."""
    model = network(T)
    other = changed(model, 0, 1.0)
    frames = DRIVE if T == 1 else torch.stack([DRIVE, DRIVE.flip(1)], 1)
    report = compare_counts(model, other, frames, end_to_end=True)
    counts = []
    for weights in (model, other):
        with record_neurons(weights.double()) as recorded:
            weights(frames.double())
        counts.append({name: n for name, (_, n) in recorded.items()})
    for row in report.neurons:
        difference = (counts[0][row.neuron] - counts[1][row.neuron]).abs()
        assert (row.changed, row.largest) == (int((difference > 0).sum()), int(difference.max()))
    handed = compare_counts(model, other, frames)
    assert [n.changed > 0 for n in handed.neurons] == [False, True, False]


@pytest.mark.parametrize(("T", "factor"), [(1, False), (2, False), (1, True)])
def test_a_detector_of_fewer_bits_changes_more(T: int, factor: bool) -> None:
    torch.manual_seed(0)
    model = SpikeYOLO(width=0.0625, num_classes=2, reg_max=4, box_channels=8, class_channels=8, T=T)
    model.train()(torch.rand(4, 3, 64, 64))  # batch norms of some statistics
    folded = fold(model, factor)
    pixels = [torch.randint(0, 256, (3, 3, 64, 64), dtype=torch.uint8) for _ in range(2)]
    shares = [compare_counts(folded, quantise(folded, bits), pixels).share for bits in (8, 6, 4)]
    assert 0 < shares[0] < shares[1] / 2 < shares[2] / 4
    rounded = quantise(folded, 4)
    freely = compare_counts(folded, rounded, pixels[:1], end_to_end=True)
    assert freely.share > shares[2]
    with record_neurons(exact := copy.deepcopy(folded).double()) as one:
        exact(pixels[0])
    with record_neurons(twin := integer_twin(rounded)) as two:
        twin(pixels[0])
    for row in freely.neurons:
        assert row.changed == int((one[row.neuron][1] != two[row.neuron][1]).sum()), row


def test_the_table_names_every_neuron_and_the_worst() -> None:
    model = network()
    report = compare_counts(model, changed(model, 1, 1.0), [DRIVE, DRIVE])
    lines = str(report).splitlines()
    assert "on true inputs" in lines[0]
    assert [line.split()[0] for line in lines[1:4]] == ["0.neuron", "1.neuron", "2.neuron"]
    assert f"{report.neurons[2].share:.4%}" in lines[3]
    assert lines[4].split() == ["all", f"{report.share:.4%}", str(report.worst.largest), f"{6 * DRIVE.numel():,}"]
    assert lines[5].startswith("worst: 2.neuron")


def test_what_cannot_be_compared_is_refused() -> None:
    model = network()
    with pytest.raises(RangeError, match="at least one batch"):
        compare_counts(model, model, [])
    with pytest.raises(RangeError, match="found none"):
        compare_counts(nn.Linear(2, 2), nn.Linear(2, 2), torch.zeros(1, 2))
    with pytest.raises(RangeError, match="same neurons"):
        compare_counts(network(T=2), model, DRIVE)
    merged = nn.Sequential(*network(T=2))
    with pytest.raises(ShapeError, match="spread them over time"):
        compare_counts(merged, merged, DRIVE[:4])
    other = copy.deepcopy(model)
    other[1].synapse = nn.Conv2d(4, 4, 1)  # type: ignore[union-attr]
    with pytest.raises(ShapeError, match="weights of one shape"):
        compare_counts(model, other, DRIVE)
    detector = SpikeYOLO(width=0.0625, num_classes=2, reg_max=4, box_channels=8, class_channels=8)
    with pytest.raises(RangeError, match="call fold first"):
        compare_counts(detector, quantise(fold(detector)), torch.zeros(1, 3, 64, 64))
