"""A run beside its int8 twin."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pyspike.chip.config import Chip
from pyspike.chip.dense import compare
from pyspike.chip.simulate import simulate
from pyspike.errors import ChipError
from pyspike.graph import Graph, Port, Scale, Tensor
from pyspike.ops import Conv2d, Fire

SIZE = 8


def network() -> Graph:
    """Two 3x3 convolutions of 16 channels with a neuron between, the first on counts 0..4."""
    rng = np.random.default_rng(1)
    graph = Graph()
    graph.add_input(Port("x", "x", "uint8"), Tensor((1, SIZE, SIZE, 16), 0, 4, Scale()))
    for number, source in enumerate(("x", "counts")):
        weight = rng.integers(-127, 128, (16, 3, 3, 16))
        zeros = np.zeros(16, dtype=np.int64)
        graph.add(Conv2d(weight, zeros, zeros, None, padding=(1, 1, 1, 1)), [source], f"drive{number}")
        if not number:
            graph.add(Fire(np.array([[300, 900]])), ["drive0"], "counts")
    graph.add_output(Port("y", "drive1", "int32"))
    return graph


def run(density: float, energy: str = "45nm"):
    x = (np.random.default_rng(2).random((1, SIZE, SIZE, 16)) < density).astype(np.uint8)
    return simulate(network(), x, Chip(mesh=(2, 2), energy=energy))


def test_the_twin_does_not_depend_on_spikes_and_the_run_does() -> None:
    quiet, busy = compare(run(0.02)), compare(run(0.9))
    for few, many in zip(quiet.layers, busy.layers, strict=True):
        assert few.dense == pytest.approx(many.dense)
    assert quiet.layers[0].spiking < quiet.layers[0].dense
    assert busy.layers[0].spiking > busy.layers[0].dense
    assert "drive0" in [layer.name for layer in busy.lost]
    assert quiet.ratio < busy.ratio == busy.spiking.total / busy.dense.total


def test_the_twin_multiplies_every_pair_and_pays_for_both_edges() -> None:
    report = run(0.5)
    found = compare(report)
    taps = sum(min(y + 1, SIZE - 1) - max(y - 1, 0) + 1 for y in range(SIZE)) ** 2
    macs, outputs = taps * 16 * 16, SIZE * SIZE * 16
    costs = report.preset.costs(report.chip)
    multiplies = 2 * (macs * costs["multiply"] + 4 * outputs * costs["multiply"])
    adds = 2 * (macs + outputs) * costs["add"]
    assert found.dense.parts["synapse"] >= (multiplies + adds) / 1e18
    flits = math.ceil(outputs * 8 / 32)
    assert found.dense.parts["edge"] == pytest.approx(2 * flits * costs["edge_flit"] / 1e18)


def test_what_prices_no_multiplication_has_no_twin() -> None:
    with pytest.raises(ChipError, match="loihi"):
        compare(run(0.1, "loihi"))


def test_energies_of_cores_sum_to_the_whole_and_papers_know_no_cores() -> None:
    report = run(0.3)
    assert report.energy_by_core.total_attojoules == report.energy.total_attojoules
    papers = run(0.3, "paper")
    with pytest.raises(ChipError, match="papers"):
        _ = papers.energy_by_core
    with pytest.raises(ChipError, match="memory"):
        compare(papers)
