"""Figures of a run by core, by layer and in time: each adds up to the whole."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyspike.chip.config import Chip
from pyspike.chip.energy import Counts
from pyspike.chip.simulate import CLASSES, SimulationReport, simulate
from tests.exact.graphs import inputs_of

from .networks import networks
from .small import AMPLE, case_of, mapped, residual, skips

CHIPS = [
    Chip(mesh=(3, 2), lanes=8, out_fifo=1, router_fifo=2, axon_fifo=3, port_table=255),
    replace(AMPLE, mesh=(2, 1), lanes=8, potential_sram=4 * 8 * 60),
]
NAMES = [each.name for each in fields(Counts)]
REMAINDER = ("edge_in", "edge_out", "core_cycles")


def assert_adds_up(report: SimulationReport) -> None:
    cores = report.chip.cores
    assert sum(report.classes.values()) == report.cycles * cores
    assert list(report.classes) == list(CLASSES)
    sent = received = 0
    layers = Counts()
    for each in report.passes:
        sent += each.flits
        received += each.total("flits_received") + int(each.raw["edge_out"])
        whole = each.by_core().total()
        windows = each.by_window().total()
        for name in NAMES:
            assert value(windows, name) == value(whole, name), name
        assert int(each.raw["window_classes"].sum()) == each.cycles * cores
        assert each.edges()[-1] == each.cycles
        assert (np.diff(each.edges()) > 0).all()
    assert sent == received == report.flits
    for layer in report.layers:
        layers += layer.counts
    total = sum((each.by_core().total() for each in report.passes), Counts())
    # Layers have all but what the edge takes and the static power of cores: an exact remainder.
    assert {name for name in NAMES if value(layers, name) != value(total, name)} <= {*REMAINDER}
    rest = Counts(**{name: value(total, name) - value(layers, name) for name in REMAINDER})
    parts, whole = report.price(layers) + report.price(rest), report.energy
    assert parts.total_attojoules == whole.total_attojoules
    assert parts.attojoules == {kind: int(np.sum(each)) for kind, each in whole.attojoules.items()}
    assert sum(layer.energy.total_attojoules for layer in report.layers) == report.price(layers).total_attojoules
    assert report.energy.total == pytest.approx(sum(report.energy.parts.values()))


def value(counts: Counts, name: str) -> int:
    return int(np.sum(getattr(counts, name)))


@pytest.mark.parametrize("chip", CHIPS, ids=["one pass", "passes"])
@pytest.mark.parametrize("coding", ["unary", "bitwise", "folded"])
@pytest.mark.parametrize("graph", [residual(2), skips(3), residual(3, True)], ids=["residual", "skips", "membranes"])
def test_everything_adds_up(graph, coding: str, chip: Chip) -> None:
    report = simulate(mapped(graph, chip.replace(coding=coding)), case_of(graph), windows=16)
    assert len(report.passes) == 1 or chip is CHIPS[1]
    assert_adds_up(report)
    assert report.addition_only == (coding != "folded")


@given(st.data())
def test_random_networks_add_up(data) -> None:
    graph = data.draw(networks())
    chip = data.draw(st.sampled_from([AMPLE, replace(AMPLE, mesh=(3, 3), lanes=8, link_delay=1)]))
    assert_adds_up(simulate(mapped(graph, chip), data.draw(inputs_of(graph)), windows=8))
