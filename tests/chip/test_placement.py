"""Placement: capacities and the cost recomputed from scratch, bounds against exhaustive search, errors by name."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyspike import ChipError
from pyspike.chip import placement
from pyspike.chip.config import Chip
from pyspike.chip.placement import EDGE, Demand, Flow, Placement, link_loads, place
from pyspike.chip.placement_bound import lower_bound
from pyspike.chip.placement_state import State

# Ten potential words and 128 bits of weights a core.
SMALL = Chip(mesh=(3, 2), lanes=8, potential_sram=320, weight_sram=16, port_table=6)
BLOCK_BITS = {"a": 30, "b": 50, "c": 70}


@st.composite
def demands(draw: st.DrawFn) -> Demand:
    blocks = draw(st.sets(st.sampled_from(sorted(BLOCK_BITS)), max_size=2).filter(lambda found: found != {"b", "c"}))
    return Demand(
        name="tile",
        potential=draw(st.integers(1, 10)),
        weight_bits=draw(st.integers(0, 28)),
        weights=tuple((key, BLOCK_BITS[key]) for key in sorted(blocks)),
        ports=draw(st.integers(1, 4)),
        destinations=draw(st.sampled_from([0, 1, 9000])),
        phase=draw(st.integers(0, 2)),
        load=draw(st.integers(0, 40)),
    )


@st.composite
def problems(draw: st.DrawFn, most: int = 7) -> tuple[list[Demand], list[Flow]]:
    tiles = draw(st.lists(demands(), min_size=1, max_size=most))
    ends = st.integers(EDGE, len(tiles) - 1)
    return tiles, draw(st.lists(st.builds(Flow, ends, ends, st.integers(0, 50)), max_size=12))


def hops(a: int, b: int, chip: Chip) -> int:
    (ya, xa), (yb, xb) = divmod(max(a, 0), chip.width), divmod(max(b, 0), chip.width)
    return abs(ya - yb) + abs(xa - xb)


def used(tiles: list[Demand]) -> tuple[int, int, int, int]:
    """What tiles that share a core take of it."""
    blocks = {key: bits for tile in tiles for key, bits in tile.weights}
    return (
        sum(tile.potential for tile in tiles),
        sum(tile.weight_bits for tile in tiles) + sum(blocks.values()),
        sum(tile.ports for tile in tiles),
        sum(tile.destinations for tile in tiles),
    )


def fits(tiles: list[Demand], cores: tuple[int, ...], chip: Chip) -> bool:
    held: defaultdict[int, list[Demand]] = defaultdict(list)
    for tile, core in zip(tiles, cores, strict=True):
        held[core].append(tile)
    room = (chip.potential_words, chip.weight_capacity, chip.port_table, 16384)
    return all(need <= most for each in held.values() for need, most in zip(used(each), room, strict=True))


def flit_hops(flows: list[Flow], cores: tuple[int, ...], chip: Chip) -> int:
    ends = (*cores, EDGE)
    return sum(flow.flits * hops(ends[flow.source], ends[flow.target], chip) for flow in flows)


def imbalance(tiles: list[Demand], cores: tuple[int, ...], chip: Chip) -> float:
    excess = 0.0
    for phase in {tile.phase for tile in tiles}:
        loads = [tile.load * (tile.phase == phase) for tile in tiles]
        busiest = max(sum(n for n, at in zip(loads, cores, strict=True) if at == core) for core in range(chip.cores))
        excess += busiest - max(max(loads), sum(loads) / chip.cores)
    return excess


def placed(tiles: list[Demand], flows: list[Flow], chip: Chip = SMALL, **options: object) -> Placement | None:
    """The placement, or None where the chip is said to be full."""
    try:
        return place(tiles, flows, chip, **options)  # type: ignore[arg-type]
    except ChipError as error:
        if "is full" not in str(error):
            raise
        return None


@given(problems(), st.integers(0, 3), st.floats(0, 5))
def test_capacities_hold_and_the_figures_are_those_of_the_cores(
    problem: tuple[list[Demand], list[Flow]], seed: int, balance: float
) -> None:
    tiles, flows = problem
    found = placed(tiles, flows, seed=seed, balance=balance, effort=60)
    if found is None:
        return
    assert fits(tiles, found.cores, SMALL)
    assert found.flit_hops == flit_hops(flows, found.cores, SMALL)
    assert found.imbalance == pytest.approx(imbalance(tiles, found.cores, SMALL))
    assert found.cost == pytest.approx(found.flit_hops + balance * found.imbalance)
    assert found.bound <= found.flit_hops
    assert found.cost <= found.start_cost
    assert not found.random_flit_hops < found.bound
    held = [[tile for tile, at in zip(tiles, found.cores, strict=True) if at == core] for core in range(SMALL.cores)]
    room = (SMALL.potential_words, SMALL.weight_capacity, SMALL.port_table, 16384)
    assert tuple(found.use.values()) == pytest.approx(np.max([used(each) for each in held], axis=0) / room)
    assert place(tiles, flows, SMALL, seed=seed, balance=balance, effort=60).cores == found.cores


@given(problems(most=4))
def test_no_placement_at_all_is_below_the_bound(problem: tuple[list[Demand], list[Flow]]) -> None:
    tiles, flows = problem
    every = [
        flit_hops(flows, cores, SMALL)
        for cores in itertools.product(range(SMALL.cores), repeat=len(tiles))
        if fits(tiles, cores, SMALL)
    ]
    found = place(tiles, flows, SMALL, balance=0.0, effort=200)
    assert lower_bound(tiles, flows, SMALL) == found.bound <= min(every) <= found.flit_hops


@given(problems(), st.data())
def test_exchanges_leave_the_books_of_a_fresh_start(
    problem: tuple[list[Demand], list[Flow]], data: st.DataObject
) -> None:
    """Whatever is moved, swapped or refused, what every core has left and the cost are those of its tiles."""
    tiles, flows = problem
    state, cores = State(tiles, flows, SMALL, 1.5), st.integers(0, SMALL.cores - 1)
    for tile in range(len(tiles)):
        fitting = [core for core in range(SMALL.cores) if state.fits(tile, core)]
        if not fitting:
            return
        before, core = state.cost, data.draw(st.sampled_from(fitting))
        rise = state.rise(tile, core)
        state.put(tile, core)
        assert state.cost == pytest.approx(before + rise)
    for _ in range(8):
        a, b = data.draw(cores), data.draw(cores)
        if a == b:
            continue
        here = [tile for tile in state.held[a] if data.draw(st.booleans())]
        there = [tile for tile in state.held[b] if data.draw(st.booleans())]
        before, places = state.cost, list(state.core)
        allowance = data.draw(st.floats(-20, 60))
        if state.exchange(here, there, a, b, allowance):
            assert state.cost <= before + allowance + 1e-9
        else:
            assert (state.cost, state.core) == (before, places)
        assert fits(tiles, tuple(state.core[:-1]), SMALL)
        fresh = State(tiles, flows, SMALL, 1.5)
        for tile, core in enumerate(state.core[:-1]):
            fresh.put(tile, core)
        assert [state.free(core) for core in range(6)] == [fresh.free(core) for core in range(6)]
        assert (state.flit_hops, state.imbalance) == (fresh.flit_hops, pytest.approx(fresh.imbalance))
        assert (state.blocks, state.loads) == (fresh.blocks, fresh.loads)
        assert [sorted(each) for each in state.held] == [sorted(each) for each in fresh.held]


@given(problems(), st.data())
def test_tiles_placed_by_hand_stay_or_are_refused(
    problem: tuple[list[Demand], list[Flow]], data: st.DataObject
) -> None:
    tiles, flows = problem
    numbers = st.integers(0, len(tiles) - 1)
    fixed = data.draw(st.dictionaries(numbers, st.integers(0, SMALL.cores - 1), min_size=1))
    held = [[tiles[tile] for tile, at in fixed.items() if at == core] for core in range(SMALL.cores)]
    room = (SMALL.potential_words, SMALL.weight_capacity, SMALL.port_table, 16384)
    if any(need > most for each in held for need, most in zip(used(each), room, strict=True)):
        with pytest.raises(ChipError, match=r"placed by hand: tile 'tile' needs .* but core \d has left"):
            place(tiles, flows, SMALL, fixed=fixed)
        return
    found = placed(tiles, flows, fixed=fixed, effort=40)
    if found is not None:
        assert {tile: found.cores[tile] for tile in fixed} == fixed
        assert fits(tiles, found.cores, SMALL)


def grid(size: int) -> tuple[list[Demand], list[Flow], Chip]:
    """Tiles that each fill a core and talk to their neighbours in a square, in an order that hides the square."""
    order = np.random.default_rng(5).permutation(size * size).tolist()
    tiles = [Demand(f"tile {k}", potential=8) for k in range(size * size)]
    pairs = [(k, k + 1) for k in range(size * size) if (k + 1) % size]
    pairs += [(k, k + size) for k in range(size * (size - 1))]
    return tiles, [Flow(order[a], order[b], 10) for a, b in pairs], replace(SMALL, mesh=(size, size))


def test_a_hidden_square_is_found_again() -> None:
    """Every flow has one hop at best, which the bound knows; the greedy start is far from it."""
    tiles, flows, chip = grid(4)
    found = min((place(tiles, flows, chip, seed=seed, effort=500) for seed in range(3)), key=lambda each: each.cost)
    assert found.bound == 240 == found.flit_hops
    assert sorted(found.cores) == list(range(16))
    assert found.start_cost > 1.2 * 240
    assert found.random_flit_hops > 1.8 * 240
    assert found.busiest_link == 10


def test_the_best_placement_seen_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain, whose greedy start is good, and temperatures so hot that anything is accepted until the end."""
    monkeypatch.setattr(placement, "_HOT", 100.0)
    monkeypatch.setattr(placement, "_COLD", 100.0)
    tiles, _, chip = grid(4)
    found = place(tiles, [Flow(k, k + 1, 10) for k in range(15)], chip, effort=100)
    assert found.bound <= found.cost <= found.start_cost < 0.7 * found.random_cost


def test_two_tiles_of_full_cores_change_places() -> None:
    """The greedy start fills core 0 with the first two tiles, which have nothing to say to each other."""
    tiles, flows = [Demand("half", 5) for _ in range(4)], [Flow(0, 2, 10), Flow(1, 3, 10)]
    found = place(tiles, flows, replace(SMALL, mesh=(2, 1)), effort=100)
    assert (found.start_cost, found.cost) == (20, 0)


def test_the_bound_of_a_star_fills_the_rings() -> None:
    """Nine tiles that each need a core: four at distance 1, four at 2; from the edge at 0, 1, 1, 2, 2, 2, 3, 3, 4."""
    tiles = [Demand("tile", potential=8) for _ in range(9)]
    chip = replace(SMALL, mesh=(3, 3))
    star = [Flow(0, leaf, 10) for leaf in range(1, 9)]
    assert lower_bound(tiles, star, chip) == 10 * (4 + 8)
    assert place(tiles, star, chip, effort=300).flit_hops == 10 * (4 + 8)
    assert lower_bound(tiles, [Flow(EDGE, leaf, 10) for leaf in range(9)], chip) == 10 * 18
    # Two to a core (4 of 10 words): eight take four places, the first of them beside the centre tile.
    small = [Demand("tile", potential=4) for _ in range(9)]
    assert lower_bound(small, star, chip) < place(small, star, chip, effort=300).flit_hops == 10 * 7


def test_shared_weights_count_once_a_core() -> None:
    chip = replace(SMALL, mesh=(2, 1))
    same = [Demand("same", 1, weight_bits=10, weights=(("a", 100),)) for _ in range(4)]
    assert place(same[:2], [Flow(0, 1, 1)], chip).flit_hops == 0
    assert len(set(place(same, [], chip).cores)) == 2  # 100 + 3 x 10 is more than 128
    other = [replace(same[0], weights=((key, 100),)) for key in "abc"]
    with pytest.raises(ChipError, match="is full"):
        place(other, [], chip)


def test_loads_of_one_phase_spread_and_of_several_share() -> None:
    chip = replace(SMALL, mesh=(3, 1))
    tiles = [Demand("tile", 1, phase=0, load=100) for _ in range(3)]
    chain = [Flow(0, 1, 10), Flow(1, 2, 10)]
    assert sorted(place(tiles, chain, chip).cores) == [0, 1, 2]
    three_on_two = place(tiles, [], replace(SMALL, mesh=(2, 1)))
    assert (three_on_two.imbalance, three_on_two.cost) == (50, 50)  # 200 on one core; 150 is the mean
    apart = [replace(tile, phase=k) for k, tile in enumerate(tiles)]
    assert len(set(place(apart, chain, chip).cores)) == 1
    assert len(set(place(tiles, chain, chip, balance=0.0).cores)) == 1


def test_a_tight_chip_is_filled_where_the_given_order_fails() -> None:
    """Small tiles first would take the room of the large ones."""
    sizes = [3, 3, 3, 3, 7, 7, 7, 7]
    tiles = [Demand(f"tile {k}", size) for k, size in enumerate(sizes)]
    cores = place(tiles, [], replace(SMALL, mesh=(4, 1)), effort=0).cores
    assert sorted(cores[:4]) == sorted(cores[4:]) == [0, 1, 2, 3]


def test_link_loads_follow_xy_routes() -> None:
    """Against the routes walked link by link."""
    chip = Chip(mesh=(5, 4))
    rng = np.random.default_rng(1)
    ends = rng.integers(EDGE, chip.cores, (200, 2)).tolist()
    flows = [Flow(a, b, int(rng.integers(0, 99))) for a, b in ends if a != b]
    expected = np.zeros((chip.cores, 5), dtype=np.int64)
    for source, target, flits in flows:
        (y, x), (ty, tx) = divmod(max(source, 0), 5), divmod(max(target, 0), 5)
        while x != tx:
            expected[y * 5 + x, 2 if tx > x else 4] += flits
            x += 1 if tx > x else -1
        while y != ty:
            expected[y * 5 + x, 3 if ty > y else 1] += flits
            y += 1 if ty > y else -1
        expected[y * 5 + x, 4 if target == EDGE else 0] += flits
    np.testing.assert_array_equal(link_loads(flows, chip), expected)


def test_the_link_to_the_host_is_not_between_routers() -> None:
    found = place([Demand("tile", 1)], [Flow(0, EDGE, 70), Flow(EDGE, 0, 30)], SMALL)
    assert (found.cores, found.flit_hops, found.busiest_link) == ((0,), 0, 0)
    assert (found.links[0, 4], found.links[0, 0], found.links.sum()) == (70, 30, 100)


def test_progress_is_told_and_may_stop() -> None:
    tiles, flows, chip = grid(3)
    seen: list[tuple[int, int, float]] = []
    found = place(tiles, flows, chip, effort=50, progress=lambda *each: seen.append(each))
    assert [each[1] for each in seen] == [450] * len(seen)
    assert seen[-1][0] == 450
    assert seen[-1][2] == found.cost

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        place(tiles, flows, chip, progress=stop)


def test_seeds_differ() -> None:
    tiles, flows, chip = grid(4)
    assert len({place(tiles, flows, chip, seed=seed, effort=5).cores for seed in range(4)}) > 1


def test_nothing_and_a_single_core() -> None:
    nothing = place([], [], SMALL)
    assert (nothing.cores, nothing.cost, nothing.bound, nothing.busiest_link) == ((), 0, 0, 0)
    alone = place([Demand("tile", 1)] * 3, [Flow(0, 1, 5), Flow(EDGE, 2, 5)], replace(SMALL, mesh=(1, 1)))
    assert (alone.cores, alone.cost, alone.bound, alone.random_cost) == ((0, 0, 0), 0, 0, 0)


@pytest.mark.parametrize(
    ("tile", "message"),
    [
        (
            Demand("big", 11),
            "tile 'big' fits no core of chip 'default': it needs 11 potential words, a core has 10. Cut",
        ),
        (Demand("heavy", 1, 29, (("a", 100),)), "needs 129 weight bits, a core has 128"),
        (Demand("both", 11, ports=7), "needs 11 potential words, a core has 10; 7 ports, a core has 6"),
        (Demand("wide", 1, destinations=16385), "needs 16385 destinations, a core has 16384"),
        (Demand("odd", 1, load=-1), "tile 'odd': expected needs and load of at least 0"),
        (Demand("twice", 1, 0, (("a", 1), ("a", 2))), "tile 'twice': expected every block of weights once"),
    ],
)
def test_impossible_tiles_are_named(tile: Demand, message: str) -> None:
    with pytest.raises(ChipError, match=message):
        place([Demand("fine", 1), tile], [], SMALL)


def test_a_full_chip_says_what_is_left() -> None:
    tiles = [Demand(f"tile {k}", 6, weight_bits=20, ports=2) for k in range(7)]
    with pytest.raises(ChipError) as found:
        place(tiles, [], SMALL)
    assert str(found.value) == (
        "chip 'default' is full: 6 of 7 tiles have a core, and no core has room for tile 'tile 6', which needs "
        "6 potential words, 20 weight bits, 2 ports, 1 destinations. The largest still free are 4 potential words "
        "(core 0), 108 weight bits (core 0), 4 ports (core 0), 16383 destinations (core 0). Take a larger mesh or more "
        "SRAM, or cut the network into more passes"
    )


@pytest.mark.parametrize("flow", [Flow(0, 1, 5), Flow(-2, 0, 5), Flow(0, EDGE, -5)])
def test_impossible_flows_are_refused(flow: Flow) -> None:
    with pytest.raises(
        ChipError, match=r"expected flows of at least 0 flits between tiles 0..0 or the edge, found Flow"
    ):
        place([Demand("tile", 1)], [flow], SMALL)


@pytest.mark.parametrize("fixed", [{0: 6}, {0: -1}, {1: 0}, {-1: 0}])
def test_impossible_places_are_refused(fixed: dict[int, int]) -> None:
    with pytest.raises(ChipError, match=r"placed by hand: expected a tile 0..0 and a core 0..5, found tile"):
        place([Demand("tile", 1)], [], SMALL, fixed=fixed)


def test_annealing_beats_random_placement_by_far() -> None:
    """A pipeline of layers, each of several tiles that read their neighbours in the layer before."""
    rng = np.random.default_rng(7)
    tiles = [Demand(f"{k}", int(rng.integers(2, 8)), phase=k // 6, load=int(rng.integers(10, 99))) for k in range(48)]
    flows = [Flow(EDGE, k, 50) for k in range(6)] + [Flow(k, EDGE, 20) for k in range(42, 48)]
    flows += [
        Flow(a, b, int(rng.integers(20, 80)))
        for a in range(42)
        for b in range((a // 6 + 1) * 6, (a // 6 + 2) * 6)
        if abs(a % 6 - b % 6) <= 1
    ]
    found = place(tiles, flows, replace(SMALL, mesh=(7, 6)), effort=200)
    assert found.bound <= found.cost < 0.9 * found.start_cost
    assert found.cost < 0.4 * found.random_cost
    assert not math.isnan(found.random_cost)
