"""The simulated chip against the reference: whatever the chip is like, outputs and synaptic operations are the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from pyspike import reference
from pyspike.chip.config import Chip
from pyspike.chip.figures import CORE
from pyspike.chip.mapping import map_network
from pyspike.chip.places import network
from pyspike.chip.simulate import CLASSES, SimulationReport, simulate
from pyspike.errors import ChipError
from pyspike.graph import Graph
from tests.chip.networks import networks
from tests.exact.graphs import inputs_of
from tests.exact.test_executors import assert_same

SETTINGS = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
AMPLE = Chip(mesh=(1, 1), weight_sram=2**26, potential_sram=2**26, port_table=255)
DEPTHS = st.sampled_from([1, 2, 3, 4, 16, 64])


@st.composite
def chips(draw: Callable) -> Chip:
    """Any chip with SRAM for every network."""
    return replace(
        AMPLE,
        mesh=(draw(st.integers(1, 4)), draw(st.integers(1, 4))),
        lanes=draw(st.sampled_from([8, 16, 32])),
        coding=draw(st.sampled_from(["unary", "bitwise", "folded"])),
        router_fifo=draw(DEPTHS),
        out_fifo=draw(DEPTHS),
        axon_fifo=draw(DEPTHS),
        link_delay=draw(st.integers(0, 3)),
    )


@st.composite
def tight_chips(draw: Callable, graph: Graph) -> Chip:
    """A chip whose SRAM holds the largest place of `graph`, and little more."""
    chip = draw(chips())
    needed = 1
    for place in network(graph).dataflow.places:
        rows, columns, channels = place.canvas
        needed = max(needed, rows * columns * -(-channels // chip.lanes) * (1 + place.membranes))
    words = -(-needed * 5 // (4 * chip.cores)) + draw(st.integers(1, 1 + needed // chip.cores))
    return replace(chip, potential_sram=words * 4 * chip.lanes)


def run(graph: Graph, chip: Chip, case: dict[str, np.ndarray], seed: int = 0, effort: int = 0) -> SimulationReport:
    return simulate(map_network(graph, chip, seed=seed, effort=effort), case, windows=0, raster=0)


def assert_sops(graph: Graph, report: SimulationReport, watched: dict[str, list[np.ndarray]]) -> None:
    """SOPs are the reference's and `extra_sops`, but for synapses of which no place has all (cropped potentials)."""
    counted = reference.synaptic_operations(graph, watched)
    extra, copies = report.extra_sops, report.mapped.network.copies
    found = {layer.name: int(np.sum(layer.counts.sops)) - extra.get(layer.name, 0) for layer in report.layers}
    cropped = {name for name, places in copies.items() if not any(places.values())}
    for name in set(counted) - cropped:
        assert found.get(name, 0) == counted[name], (name, copies)
    if not cropped:
        assert report.sops == sum(counted.values()) + sum(extra.values())


@SETTINGS
@given(st.data())
def test_chip_equals_reference(data) -> None:
    graph, chip = data.draw(networks()), data.draw(chips())
    case = data.draw(inputs_of(graph))
    watched: dict[str, list[np.ndarray]] = {}
    expected = reference.run(graph, case, watched)
    report = run(graph, chip, case, seed=data.draw(st.integers(0, 9)), effort=data.draw(st.sampled_from([0, 5])))
    assert_same(graph, expected, report.outputs, str(chip))
    assert_sops(graph, report, watched)


@SETTINGS
@given(st.data())
def test_timing_changes_nothing_but_cycles(data) -> None:
    """Tiles are cut by mesh, lanes, SRAM and coding; where they lie, FIFOs and delays change no count but of cycles."""
    graph, chip, other = data.draw(networks()), data.draw(chips()), data.draw(chips())
    other = replace(other, mesh=chip.mesh, lanes=chip.lanes, coding=chip.coding)
    case = data.draw(inputs_of(graph))
    one, two = run(graph, chip, case), run(graph, other, case, seed=data.draw(st.integers(1, 9)), effort=5)
    assert_same(graph, one.outputs, two.outputs, "other timing")
    for name in set(CORE) - {*CLASSES, "hops_x", "hops_y"}:
        assert sum(each.total(name) for each in one.passes) == sum(each.total(name) for each in two.passes), name


@SETTINGS
@given(st.data())
def test_several_passes_equal_reference(data) -> None:
    graph = data.draw(networks())
    chip = data.draw(tight_chips(graph))
    case = data.draw(inputs_of(graph))
    watched: dict[str, list[np.ndarray]] = {}
    expected = reference.run(graph, case, watched)
    try:
        report = run(graph, chip, case)
    except ChipError:
        assume(False)
    assert_same(graph, expected, report.outputs, str(chip))
    assert_sops(graph, report, watched)
