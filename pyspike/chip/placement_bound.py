"""A lower bound of flits x hops over all placements, by stars: how near can all partners of one tile lie?

**One star.** A tile u sits in some core; at most N(d) cores lie within d hops of it, N counted from the centre of the
mesh, where it is largest for every d. (For the edge: around core 0.) A measure gives every tile a share of a core such
that the tiles of one core never sum above 1: its share of one resource, or 1 for a tile that takes more than half of it
(1/2 for exactly half), as no two of those share a core. Then the partners within d hops of u measure at most N(d) - the
share of u, and a partner that cannot share u's core lies at least one hop away. Let partners be cut into fractions,
which only lowers the cost: best is to fill the nearest places with those that send the most flits per share. The
largest result over all measures holds.

**All stars.** Every flow lies in the stars of its two ends. Counted half in each, or whole in its source's, or whole
in its target's, the stars' bounds sum to a bound of the whole; the largest is taken. The edge's flows count whole in
its own star. Shared weights are left out of the shares, so the measures hold whoever shares them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from pyspike.chip.config import Chip
from pyspike.chip.placement_state import EDGE, Demand, Flow, Needs, capacity

# How a flow is split between the stars of its source and its target.
_SPLITS = ((0.5, 0.5), (1.0, 0.0), (0.0, 1.0))
_NOTHING = 1e-12

Star = dict[int, float]  # partner -> flits


def lower_bound(tiles: Sequence[Demand], flows: Iterable[Flow], chip: Chip) -> int:
    """Flit-hops below which no placement of `tiles` on the mesh can come."""
    room = capacity(chip)
    shares = [_measures(tile, room) for tile in tiles]
    edge: Star = {}
    inner = []
    for flow in flows:
        ends = sorted(flow[:2])
        if ends[0] == EDGE != ends[1]:
            edge[ends[1]] = edge.get(ends[1], 0.0) + flow.flits
        elif ends[0] != ends[1]:
            inner.append(flow)
    total = _star_bound([(flits, shares[tile], False) for tile, flits in edge.items()], None, _rings(chip, 0, 0))
    rings = _rings(chip, (chip.width - 1) // 2, (chip.height - 1) // 2)
    apart = {(a, b): _apart(tiles[a], tiles[b], room) for a, b in {(flow.source, flow.target) for flow in inner}}
    sums = []
    for at_source, at_target in _SPLITS:
        stars: list[Star] = [{} for _ in tiles]
        for source, target, flits in inner:
            stars[source][target] = stars[source].get(target, 0.0) + at_source * flits
            stars[target][source] = stars[target].get(source, 0.0) + at_target * flits
        bounds = 0.0
        for u, star in enumerate(stars):
            partners = [
                (flits, shares[v], apart[(u, v) if (u, v) in apart else (v, u)]) for v, flits in star.items() if flits
            ]
            bounds += _star_bound(partners, shares[u], rings)
        sums.append(bounds)
    total += max(sums)
    return math.ceil(total - 1e-9 * (1 + total))  # flit-hops are whole; the margin is for rounding


def _measures(tile: Demand, room: Needs) -> list[float]:
    """Shares of a core that `tile` has by every measure."""
    needs = (tile.potential, tile.weight_bits, tile.ports, tile.destinations)
    halves = [0.5 * (2 * need > most) + 0.5 * (2 * need >= most) for need, most in zip(needs, room, strict=True)]
    return [need / most for need, most in zip(needs, room, strict=True)] + halves


def _apart(a: Demand, b: Demand, room: Needs) -> bool:
    """Whether no core holds both."""
    blocks = dict(a.weights) | dict(b.weights)
    weights = a.weight_bits + b.weight_bits + sum(blocks.values())
    return (
        a.potential + b.potential > room[0]
        or weights > room[1]
        or a.ports + b.ports > room[2]
        or a.destinations + b.destinations > room[3]
    )


def _rings(chip: Chip, x: int, y: int) -> list[int]:
    """Number of cores at every distance from (x, y)."""
    rings = [0] * (chip.width + chip.height - 1)
    for row in range(chip.height):
        for column in range(chip.width):
            rings[abs(column - x) + abs(row - y)] += 1
    return rings


def _star_bound(partners: list[tuple[float, list[float], bool]], centre: list[float] | None, rings: list[int]) -> float:
    """The largest bound over all measures; a partner is (flits, shares, whether it cannot share the centre's core)."""
    if not partners:
        return 0.0
    best = 0.0
    for k in range(len(partners[0][1])):
        own = 1.0 - (centre[k] if centre else 0.0)
        best = max(best, _fill([(flits, shares[k], apart) for flits, shares, apart in partners], own, rings))
    return best


def _fill(partners: list[tuple[float, float, bool]], own: float, rings: list[int]) -> float:
    """Flits x distance with the most flits per share nearest. `own`: what is left of the centre's core."""
    total, distance, room = 0.0, 0, 0.0
    for flits, share, apart in sorted(partners, key=lambda each: -each[0] / max(each[1], _NOTHING)):
        left = share
        if apart:
            total += flits * (share <= _NOTHING)  # it measures nothing, and lies in another core all the same
        else:
            taken = min(left, own)
            own -= taken
            left -= taken
        while left > _NOTHING:
            if room <= _NOTHING:
                distance += 1
                if distance == len(rings):
                    return total  # the mesh is full: nothing more can be said
                room = rings[distance]
            taken = min(left, room)
            total += flits * taken / share * distance
            room -= taken
            left -= taken
    return total
