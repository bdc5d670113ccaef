"""Which core holds which tile: a greedy start, then simulated annealing over moves and exchanges.

    cost = sum over flows of flits x hops  +  balance x sum over phases of (busiest core's load - what is unavoidable)

Hops are those of XY routing, |dx| + |dy|; the edge lies at router (0, 0), as the link to the host is no hop. Tiles of
one phase work at the same time: in one core their loads add. At least the largest tile's load and the mean over all
cores are unavoidable in a phase. Temperatures fall geometrically while the range of moves shrinks to the neighbours
(Kirkpatrick, Gelatt and Vecchi, Science 1983; range limits as in Betz and Rose, FPL 1997); the best state seen is kept.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyspike.chip.config import Chip
from pyspike.chip.placement_bound import lower_bound
from pyspike.chip.placement_state import EDGE, RESOURCES, Demand, Flow, Needs, State, capacity
from pyspike.errors import ChipError, RangeError

__all__ = ["EDGE", "RESOURCES", "Demand", "Flow", "Placement", "link_loads", "place"]

RANDOM_PLACEMENTS = 5
_BLOCKS = 100  # of constant temperature
_HOT, _COLD = 1.0, 0.01  # first and last temperature, in mean changes of a proposal at the start

Exchange = tuple[list[int], list[int], int, int]
Progress = Callable[[int, int, float], None]


@dataclass(frozen=True)
class Placement:
    """Where the tiles are, and how good that is.

    cores: core number of each tile. cost = flit_hops + balance x imbalance; start_cost is that before annealing.
    bound: no placement has fewer flit_hops. random_cost, random_flit_hops: means over random feasible placements, NaN
    where none was found. links: int64 [cores, 5], flits through the outputs L, N, E, S, W of every router;
    busiest_link: the most through a link between two routers. use: the fullest core's share of each resource.
    """

    cores: tuple[int, ...]
    cost: float
    flit_hops: int
    imbalance: float
    start_cost: float
    bound: int
    random_cost: float
    random_flit_hops: float
    links: NDArray[np.int64]
    busiest_link: int
    use: dict[str, float]


def place(
    tiles: Sequence[Demand],
    flows: Sequence[Flow],
    chip: Chip,
    *,
    seed: int = 0,
    fixed: Mapping[int, int] | None = None,
    balance: float = 1.0,
    effort: int = 1000,
    progress: Progress | None = None,
) -> Placement:
    """Place `tiles` on the cores of `chip`; the same arguments give the same placement.

    fixed: tile -> core, placed by hand. balance: flit-hops that a cycle of imbalance is worth. effort: proposals of the
    annealing per tile; 0 leaves the greedy start. progress(proposals made, of how many, cost) may raise to stop.
    Raises `ChipError` where a tile fits no core, where the chip is full, or where `fixed` asks for the impossible.
    """
    if effort < 0 or effort != int(effort):
        raise RangeError(f"effort: expected a whole number of at least 0, found {effort!r}")
    problem = _Problem(tiles, [flow for flow in flows if flow.source != flow.target], chip, dict(fixed or {}), balance)
    _check(problem)
    state = _start(problem)
    start_cost = state.cost
    state = problem.state(_anneal(state, problem, random.Random(seed), effort, progress))
    scattered = [_scatter(problem, random.Random(f"{seed}/{k}")) for k in range(RANDOM_PLACEMENTS)]
    found = [each for each in scattered if each is not None]
    cores = tuple(state.core[: len(tiles)])
    ends = (*cores, EDGE)
    links = link_loads([Flow(ends[flow.source], ends[flow.target], flow.flits) for flow in flows], chip)
    return Placement(
        cores=cores,
        cost=state.cost,
        flit_hops=state.flit_hops,
        imbalance=state.imbalance,
        start_cost=start_cost,
        bound=lower_bound(tiles, problem.flows, chip),
        random_cost=float(np.mean([each.cost for each in found])) if found else math.nan,
        random_flit_hops=float(np.mean([each.flit_hops for each in found])) if found else math.nan,
        links=links,
        busiest_link=_busiest_link(links, chip),
        use=_use(state, chip),
    )


def link_loads(flows: Iterable[Flow], chip: Chip) -> NDArray[np.int64]:
    """Flits through the outputs L, N, E, S, W of every router, [cores, 5], under XY routing.

    Here `source` and `target` are cores, or `EDGE`, whose flits leave through output W of router (0, 0).
    """
    # +1 where a run of links begins and -1 behind its end; sums along the rows and columns give the loads.
    loads = np.zeros((5, chip.height + 1, chip.width + 1), dtype=np.int64)
    local, north, east, south, west = loads
    for source, target, flits in flows:
        y0, x0 = divmod(max(source, 0), chip.width)
        y1, x1 = divmod(max(target, 0), chip.width)
        if target != EDGE:
            local[y1, x1] += flits
        east[y0, min(x0, x1)] += flits * (x1 > x0)
        east[y0, x1] -= flits * (x1 > x0)
        west[y0, x1 + 1] += flits * (x1 < x0)
        west[y0, x0 + 1] -= flits * (x1 < x0)
        south[y0, x1] += flits * (y1 > y0)
        south[y1, x1] -= flits * (y1 > y0)
        north[y1 + 1, x1] += flits * (y1 < y0)
        north[y0 + 1, x1] -= flits * (y1 < y0)
    for horizontal in (east, west):
        np.cumsum(horizontal, axis=1, out=horizontal)
    for vertical in (north, south):
        np.cumsum(vertical, axis=0, out=vertical)
    west[0, 0] += sum(flow.flits for flow in flows if flow.target == EDGE)
    return np.ascontiguousarray(loads[:, :-1, :-1].reshape(5, -1).T)


class _Problem(NamedTuple):
    """All that is asked."""

    tiles: Sequence[Demand]
    flows: Sequence[Flow]
    chip: Chip
    fixed: dict[int, int]
    balance: float

    def state(self, cores: Mapping[int, int]) -> State:
        """A state with these tiles at these cores."""
        state = State(self.tiles, self.flows, self.chip, self.balance)
        for tile, core in cores.items():
            state.put(tile, core)
        return state

    @property
    def movable(self) -> list[int]:
        """Tiles that are not placed by hand, in the given order."""
        return [tile for tile in range(len(self.tiles)) if tile not in self.fixed]

    def by_size(self) -> list[int]:
        """The same, those first that take the largest share of any resource."""
        room = capacity(self.chip)
        size = [max(need / most for need, most in zip(tile.needs, room, strict=True)) for tile in self.tiles]
        return sorted(self.movable, key=lambda tile: -size[tile])


def _start(problem: _Problem) -> State:
    """Each tile to its cheapest core, in the given order; where that fails by size, then as tightly as it goes."""
    attempts = (
        (problem.movable, _cheapest),
        (problem.by_size(), _cheapest),
        (problem.by_size(), _tightest),
    )
    for order, choose in attempts:
        state = problem.state(problem.fixed)
        for tile in order:
            core = choose(state, tile)
            if core is None:
                break
            state.put(tile, core)
        else:
            return state
    raise _full(problem, state, tile)


def _cheapest(state: State, tile: int) -> int | None:
    """The core where `tile` raises the cost least; among equals the nearest to the edge."""
    hops = state.hops_everywhere(tile)
    best: tuple[float, int] | None = None
    for core in np.lexsort((state.from_edge, hops)).tolist():
        if best is not None and hops[core] >= best[0]:
            break  # imbalance can only add to it
        if state.fits(tile, core):
            rise = state.rise(tile, core)
            if best is None or rise < best[0]:
                best = (rise, core)
    return None if best is None else best[1]


def _tightest(state: State, tile: int) -> int | None:
    """The fullest core that has room for `tile`."""

    def emptiness(core: int) -> float:
        return sum(left / most for left, most in zip(state.free(core), state.room, strict=True))

    return min((core for core in range(state.edge) if state.fits(tile, core)), key=emptiness, default=None)


def _scatter(problem: _Problem, rng: random.Random) -> State | None:
    """A random feasible placement, the largest tiles first; None where it finds none."""
    state = problem.state(problem.fixed)
    cores = range(problem.chip.cores)
    for tile in problem.by_size():
        tried = (core for core in rng.choices(cores, k=32) if state.fits(tile, core))
        core = next(tried, None)
        if core is None:
            fitting = [core for core in cores if state.fits(tile, core)]
            if not fitting:
                return None
            core = rng.choice(fitting)
        state.put(tile, core)
    return state


def _anneal(
    state: State, problem: _Problem, rng: random.Random, effort: int, progress: Progress | None
) -> dict[int, int]:
    """Improve `state`, and return the best placement seen."""
    movable = problem.movable
    best, best_cost = list(state.core), state.cost
    proposals = effort * len(movable) if state.edge > 1 else 0
    scale = _scale(state, movable, rng) if proposals else 0.0
    widest = max(state.width, state.height)
    done = 0
    for block in range(_BLOCKS if proposals else 0):
        cooled = block / (_BLOCKS - 1)
        temperature = scale * _HOT * (_COLD / _HOT) ** cooled
        reach = max(1, round(widest ** (1 - cooled)))
        until = proposals * (block + 1) // _BLOCKS
        for _ in range(done, until):
            proposal = _proposal(state, movable[int(rng.random() * len(movable))], reach, rng)
            if proposal is None or not problem.fixed.keys().isdisjoint(proposal[0] + proposal[1]):
                continue
            allowance = -temperature * math.log(1.0 - rng.random())
            if state.exchange(*proposal, allowance) and state.cost < best_cost:
                best, best_cost = list(state.core), state.cost
        done = until
        if progress is not None:
            progress(done, proposals, best_cost)
    return dict(enumerate(best[:-1]))


def _proposal(state: State, tile: int, reach: int, rng: random.Random) -> Exchange | None:
    """What might change places: one tile, two, or all that two cores hold; within `reach`, or beside a partner."""
    at = here = state.core[tile]
    partners = state.neighbours[tile]
    if partners and rng.random() < 0.5:
        at = state.core[partners[int(rng.random() * len(partners))][0]]
        at, reach = (0 if at == state.edge else at), 1
    y, x = divmod(at, state.width)
    x = min(max(x + int(rng.random() * (2 * reach + 1)) - reach, 0), state.width - 1)
    y = min(max(y + int(rng.random() * (2 * reach + 1)) - reach, 0), state.height - 1)
    there = y * state.width + x
    if there == here:
        return None
    if rng.random() < 0.8 and state.fits(tile, there):
        return [tile], [], here, there
    held = state.held[there]
    if held and rng.random() < 0.5:
        return [tile], [held[int(rng.random() * len(held))]], here, there
    return state.held[here].copy(), held.copy(), here, there


def _scale(state: State, movable: list[int], rng: random.Random) -> float:
    """Mean change of flit-hops over proposals."""
    changes = []
    for _ in range(500):
        proposal = _proposal(state, rng.choice(movable), 1, rng)
        if proposal is not None:
            changes.append(abs(state.change(*proposal)))
    return sum(changes) / max(1, len(changes))


def _use(state: State, chip: Chip) -> dict[str, float]:
    """The fullest core's share of every resource."""
    room = capacity(chip)
    left = np.array([state.free(core) for core in range(chip.cores)]).min(axis=0)
    return {name: 1.0 - int(least) / most for name, least, most in zip(RESOURCES, left, room, strict=True)}


def _busiest_link(links: NDArray[np.int64], chip: Chip) -> int:
    between = links[:, 1:].copy()
    between[0, 3] = 0  # W of router (0, 0) leads to the host
    return int(between.max())


def _check(problem: _Problem) -> None:
    tiles, flows, chip, _, _ = problem
    room = capacity(chip)
    for tile in tiles:
        if min(*tile.needs, tile.weight_bits, tile.load, *(bits for _, bits in tile.weights)) < 0:
            raise ChipError(f"tile {tile.name!r}: expected needs and load of at least 0, found {tile}")
        if len(dict(tile.weights)) != len(tile.weights):
            raise ChipError(f"tile {tile.name!r}: expected every block of weights once, found {tile.weights}")
        lacks = [
            f"{need} {name}, a core has {most}"
            for name, need, most in zip(RESOURCES, tile.needs, room, strict=True)
            if need > most
        ]
        if lacks:
            raise ChipError(
                f"tile {tile.name!r} fits no core of chip {chip.name!r}: it needs {'; '.join(lacks)}. "
                "Cut it into smaller tiles, or take a chip with larger cores"
            )
    for flow in flows:
        if min(flow[:2]) < EDGE or max(flow[:2]) >= len(tiles) or flow.flits < 0:
            raise ChipError(
                f"expected flows of at least 0 flits between tiles 0..{len(tiles) - 1} or the edge, found {flow}"
            )
    _check_fixed(problem)


def _check_fixed(problem: _Problem) -> None:
    tiles, _, chip, fixed, _ = problem
    state = problem.state({})
    for tile, core in fixed.items():
        if not (0 <= tile < len(tiles) and 0 <= core < chip.cores):
            raise ChipError(
                f"placed by hand: expected a tile 0..{len(tiles) - 1} and a core 0..{chip.cores - 1}, "
                f"found tile {tile} at core {core}"
            )
        if not state.fits(tile, core):
            raise ChipError(
                f"placed by hand: tile {tiles[tile].name!r} needs {_named(tiles[tile].needs)}, "
                f"but core {core} has left {_named(state.free(core))}"
            )
        state.put(tile, core)


def _full(problem: _Problem, state: State, tile: int) -> ChipError:
    """What to say when no core has room for `tile`."""
    tiles, chip = problem.tiles, problem.chip
    placed = sum(core != state.nowhere for core in state.core) - 1
    frees = [state.free(core) for core in range(chip.cores)]
    largest = [max((free[k], -core) for core, free in enumerate(frees)) for k in range(len(RESOURCES))]
    free = ", ".join(f"{most} {name} (core {-core})" for name, (most, core) in zip(RESOURCES, largest, strict=True))
    return ChipError(
        f"chip {chip.name!r} is full: {placed} of {len(tiles)} tiles have a core, and no core has room for "
        f"tile {tiles[tile].name!r}, which needs {_named(tiles[tile].needs)}. The largest still free are {free}. "
        "Take a larger mesh or more SRAM, or cut the network into more passes"
    )


def _named(needs: Needs) -> str:
    return ", ".join(f"{need} {name}" for name, need in zip(RESOURCES, needs, strict=True))
