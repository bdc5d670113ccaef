"""From places to firmware: tiles that cover them, weights that are stored once, limits that hold."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pyspike import _simulator
from pyspike.chip.config import MAX_DESTINATIONS, Chip
from pyspike.chip.emit import packed
from pyspike.chip.firmware import EDGE, MAX, from_bytes, to_bytes
from pyspike.chip.links import Links
from pyspike.chip.mapping import PLANS, MappedNetwork, map_network, weight_bits
from pyspike.chip.tiling import block_key, needs
from pyspike.errors import ChipError
from pyspike.graph import Graph
from pyspike.ops import Conv2d
from tests.exact.test_chip import chips, tight_chips

from .networks import networks
from .small import AMPLE, Net, assert_exact, mapped, residual


def tried(graph: Graph, chip: Chip) -> MappedNetwork:
    try:
        return mapped(graph, chip)
    except ChipError:
        assume(False)
        raise


@st.composite
def mappings(draw) -> MappedNetwork:
    graph = draw(networks())
    return tried(graph, draw(st.one_of(chips(), tight_chips(graph))))


# Tiles


@given(mappings())
def test_tiles_cover_every_place_exactly_once(onto: MappedNetwork) -> None:
    for each in onto.passes:
        for place in each.dataflow.places:
            covered = np.zeros(place.canvas, dtype=int)
            for tile in each.tiles:
                if tile.place is place:
                    rows, columns = slice(tile.y, tile.y + tile.rows), slice(tile.x, tile.x + tile.columns)
                    covered[rows, columns, tile.channel : tile.channel + tile.channels] += 1
                    assert tile.channel % onto.chip.lanes == 0, "tiles begin at whole words"
            assert (covered == 1).all(), place.name


@given(mappings())
def test_input_channels_are_never_split(onto: MappedNetwork) -> None:
    """Every tile receives, once, all events that its sums need: those of all producers together."""
    for each in onto.passes:
        links = Links(each.dataflow, list(each.tiles))
        for tile in each.tiles:
            for step in tile.place.steps:
                for edge in step.edges:
                    arriving = links.into(edge, tile)
                    s = edge.synapses
                    source = edge.source.canvas if hasattr(edge.source, "canvas") else edge.source.place.canvas
                    sent = np.zeros(source, dtype=int)
                    for link in arriving:
                        y0, y1, x0, x1, c0, c1 = link.window
                        sent[y0 : y1 + 1, x0 : x1 + 1, c0 : c1 + 1] += 1
                    assert sent.max(initial=0) <= 1
                    if s.load or tile.place.mode == MAX:
                        continue
                    for c in range(edge.low, edge.high):
                        first = s.channel + (c + edge.dc) // s.inputs * s.outputs
                        meets = first < tile.channel + tile.channels and first + s.outputs > tile.channel
                        assert bool(sent[..., c].any()) == (meets and bool(arriving)), (edge.synapses.layer, c)


@given(mappings())
def test_memories_and_tables_hold_what_is_in_them(onto: MappedNetwork) -> None:
    chip = onto.chip
    for each in onto.passes:
        firmware = each.firmware
        _simulator.check(to_bytes(firmware))
        assert from_bytes(to_bytes(firmware)) is not None
        fed = Counter((to.core, to.port) for to in firmware.destinations if to.core != EDGE)
        for core in firmware.cores:
            assert core.ports <= chip.port_table
            assert core.destinations <= MAX_DESTINATIONS
            tiles = firmware.tiles[core.first_tile : core.first_tile + core.tiles]
            own = [t for t, at in zip(each.tiles, each.placement.cores, strict=True) if at == core.number]
            assert len(own) == len(tiles)
            words = sum(needs(tile, chip.lanes, firmware.weight_bits).potential for tile in own)
            assert words <= chip.potential_words
            bits = core.weights * chip.lanes * firmware.weight_bits + core.shifts * chip.lanes * 5 + 32 * core.constants
            assert bits <= chip.weight_capacity
            for number, port in enumerate(firmware.ports[core.first_port : core.first_port + core.ports]):
                assert port.producers >= 1
                host = sum(
                    producer.core == EDGE
                    for producer in firmware.producers[port.first_producer : port.first_producer + port.producers]
                )
                assert fed[core.number, number] == port.producers, host
        for step in firmware.steps:
            ports = firmware.ports[step.first_port : step.first_port + step.ports]
            assert step.ends == sum(port.producers for port in ports)


@given(mappings())
def test_ports_find_their_weights_and_equal_blocks_are_stored_once(onto: MappedNetwork) -> None:
    lanes = onto.chip.lanes
    for each in onto.passes:
        links, firmware, cores = Links(each.dataflow, list(each.tiles)), each.firmware, each.placement.cores
        order = sorted(each.tiles, key=lambda tile: (cores[tile.index], tile.index))
        ports = iter(firmware.ports)
        stored: dict[int, dict[str, int]] = {core.number: {} for core in firmware.cores}
        of_core = {core.number: core for core in firmware.cores}
        for tile in order:
            core = of_core[cores[tile.index]]
            for edge in (edge for step in tile.place.steps for edge in step.edges if links.into(edge, tile)):
                port = next(ports)
                if edge.synapses.weight is None:
                    continue
                weight, shift = packed(edge.synapses, tile, lanes)
                at = (core.first_weight + port.weight) * lanes, (core.first_shift + port.shift) * lanes
                assert np.array_equal(firmware.weights[at[0] : at[0] + len(weight)], weight), edge.synapses.layer
                assert np.array_equal(firmware.shifts[at[1] : at[1] + len(shift)], shift), edge.synapses.layer
                stored[core.number][block_key(edge, tile)] = len(weight)
        for core in firmware.cores:
            assert core.weights * lanes == sum(stored[core.number].values())


def test_tiles_of_one_core_share_weights() -> None:
    n = Net()
    graph = n.out(n.fire("b", n.conv("a", n.input(rows=16, columns=16), out=8)))
    one = mapped(graph, replace(AMPLE, lanes=8)).passes[0]
    assert len(one.tiles) == 2
    (core,) = one.firmware.cores
    assert core.weights == 3 * 3 * 8  # one word of eight lanes for every tap and input
    assert {port.weight for port in one.firmware.ports} == {0}
    apart = mapped(graph, replace(AMPLE, lanes=8, mesh=(2, 1)), fixed={0: 0, 1: 1}).passes[0]
    assert [core.weights for core in apart.firmware.cores[:2]] == [72, 72]


def test_places_of_more_work_have_more_tiles() -> None:
    n = Net()
    b = n.fire("b", n.conv("a", n.input(rows=16, columns=16), out=32, kernel=1))
    graph = n.out(n.fire("d", n.conv("c", b, out=32, kernel=5)))
    tiles = Counter(tile.place.name for tile in mapped(graph, Chip(mesh=(4, 4))).passes[0].tiles)
    assert tiles["c"] > tiles["a"]
    assert sum(tiles.values()) >= 16


# The same every time, by hand, and with an eye on it


def test_the_same_arguments_give_the_same_firmware() -> None:
    graph, chip = residual(), Chip(mesh=(3, 3), lanes=8)
    images = [to_bytes(map_network(graph, chip, seed=seed, effort=20).passes[0].firmware) for seed in (1, 1, 2)]
    assert images[0] == images[1]
    assert images[0] != images[2]


def test_tiles_can_be_fixed_and_outputs_stay() -> None:
    graph, chip = residual(), Chip(mesh=(3, 3), lanes=8)
    free = mapped(graph, chip).passes[0]
    fixed = {tile.index: (3 * tile.index) % 9 for tile in free.tiles}
    onto = mapped(graph, chip, fixed=fixed)
    assert dict(enumerate(onto.passes[0].placement.cores)) == fixed
    assert_exact(graph, onto)


def test_progress_is_told_and_may_stop_the_mapping() -> None:
    class Enough(Exception):
        pass

    told = []

    def progress(what: str, done: int, of: int) -> None:
        told.append((what, done, of))
        if len(told) > 2:
            raise Enough

    with pytest.raises(Enough):
        map_network(residual(), Chip(mesh=(3, 3), lanes=8), progress=progress)
    assert told[0][0] == "placing tiles"
    assert all(0 <= done <= of for _, done, of in told)


def test_weight_bits_are_those_stated_or_needed() -> None:
    def bits(greatest: int, **metadata: object) -> int:
        graph = Graph(metadata=dict(metadata))
        n = Net()
        n.graph = graph
        x = n.input()
        n.op("a", Conv2d(np.full((8, 1, 1, 8), greatest), np.zeros(8), np.zeros(8), None), x)
        return weight_bits(graph)

    assert [bits(each) for each in (0, 1, 2, 3, 4, 7, 8, 127)] == [2, 2, 3, 3, 4, 4, 5, 8]
    assert bits(1, weight_bits=4) == 4
    assert bits(127, weight_bits=4) == 8  # a model that says less than its weights need
    assert bits(1, weight_bits="many") == 2


# What does not fit


def test_a_tile_that_fits_no_core() -> None:
    needs = "no tile of 'a' fits a core: one site and 8 channels need 1 words of potentials and [0-9]+ bits of weights"
    with pytest.raises(ChipError, match=needs) as caught:
        mapped(residual(), Chip(mesh=(4, 4), lanes=8, weight_sram=100))
    assert "a core has 4096 and 800" in str(caught.value)
    assert "more SRAM" in str(caught.value)


def test_a_network_that_no_pass_can_hold() -> None:
    with pytest.raises(ChipError, match="'a' alone does not fit chip 'tiny': give it a larger mesh, or more SRAM"):
        mapped(residual(), Chip(mesh=(1, 1), lanes=8, potential_sram=4 * 8 * 16, name="tiny"))


def test_a_crowded_chip_takes_fewer_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fits with the fewest tiles, or in more passes, is not refused because more tiles would be faster."""
    n = Net()
    graph = n.out(n.fire("b", n.conv("a", n.input(rows=8, columns=5))))
    crowded = Chip(mesh=(2, 2), lanes=8, potential_sram=4 * 8 * 14, port_table=255)
    assert_exact(graph, crowded)
    monkeypatch.setattr("pyspike.chip.mapping.PLANS", PLANS[:1])
    with pytest.raises(ChipError, match="chip 'default' is full"):
        mapped(graph, crowded)
