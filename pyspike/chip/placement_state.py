"""Tiles on cores while they are being placed: what is left of every core, and what the placement costs.

`pyspike.chip.placement` explains the cost and is the door to this.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyspike.chip.config import MAX_DESTINATIONS, Chip

EDGE = -1
RESOURCES = ("potential words", "weight bits", "ports", "destinations")
Needs = tuple[int, int, int, int]


@dataclass(frozen=True)
class Demand:
    """What a tile needs of its core.

    potential: words of potential SRAM. weight_bits: bits of weight SRAM that are its own; weights: (key, bits) of
    blocks that it shares with every tile of its core that names the same key. ports, destinations: table entries.
    phase: tiles of one phase work at the same time; load: cycles for which it keeps its core busy, an estimate.
    """

    name: str
    potential: int
    weight_bits: int = 0
    weights: tuple[tuple[str, int], ...] = ()
    ports: int = 1
    destinations: int = 1
    phase: int = 0
    load: int = 0

    @property
    def needs(self) -> Needs:
        """What it needs of each of `RESOURCES` in an empty core."""
        return self.potential, self.weight_bits + sum(bits for _, bits in self.weights), self.ports, self.destinations


class Flow(NamedTuple):
    """Flits from one tile, by its number, to another, an estimate; `EDGE` is the host."""

    source: int
    target: int
    flits: int


def capacity(chip: Chip) -> Needs:
    """What an empty core has of each of `RESOURCES`."""
    return chip.potential_words, chip.weight_capacity, chip.port_table, MAX_DESTINATIONS


class State:
    """Where tiles are, what every core has left, and the cost, all kept up to date by `put` and `exchange`.

    The edge is one tile more, the last (so `core[EDGE]` is its place), in a core of its own where core 0 is. Tiles
    without a place are `nowhere`, a core at distance 0 from all: their flows cost nothing yet.
    """

    def __init__(self, tiles: Sequence[Demand], flows: Iterable[Flow], chip: Chip, balance: float) -> None:
        self.tiles, self.width, self.height, self.balance = tiles, chip.width, chip.height, balance
        self.edge, self.nowhere, self.room = chip.cores, chip.cores + 1, capacity(chip)
        self.core = [self.nowhere] * len(tiles) + [self.edge]
        self.held: list[list[int]] = [[] for _ in range(chip.cores)]
        self.blocks: list[dict[str, int]] = [{} for _ in range(chip.cores)]  # key -> tiles of the core that name it
        self.potential, self.weight, self.ports, self.destinations = ([n] * chip.cores for n in self.room)
        self.distance = _distances(chip)
        self.from_edge = np.frombuffer(self.distance[self.edge], dtype=np.uint8)[: chip.cores]
        self.neighbours = _neighbours(len(tiles), flows)
        self.loads: dict[int, dict[int, int]] = {tile.phase: {} for tile in tiles}  # phase -> core -> load
        self.unavoidable = _unavoidable(tiles, chip.cores)
        self.excess = {phase: -least for phase, least in self.unavoidable.items()}  # nothing is placed yet
        self.flit_hops = 0

    @property
    def imbalance(self) -> float:
        """Cycles by which the busiest core exceeds what is unavoidable, summed over phases."""
        return sum(self.excess.values())

    @property
    def cost(self) -> float:
        """What annealing minimises."""
        return self.flit_hops + self.balance * self.imbalance

    def fits(self, tile: int, core: int) -> bool:
        """Whether `core` has room for `tile`."""
        wants = self.tiles[tile]
        return (
            wants.potential <= self.potential[core]
            and wants.ports <= self.ports[core]
            and wants.destinations <= self.destinations[core]
            and self.new_weights(tile, core) <= self.weight[core]
        )

    def new_weights(self, tile: int, core: int) -> int:
        """Bits of weight SRAM that `tile` would take in `core`, where some of its blocks may lie already."""
        wants, blocks = self.tiles[tile], self.blocks[core]
        return wants.weight_bits + sum(bits for key, bits in wants.weights if key not in blocks)

    def free(self, core: int) -> Needs:
        """What `core` has left of each of `RESOURCES`."""
        return self.potential[core], self.weight[core], self.ports[core], self.destinations[core]

    def rise(self, tile: int, core: int) -> float:
        """By how much the cost rises when `tile`, which has no place yet, is put into `core`."""
        phase = self.tiles[tile].phase
        load = self.loads[phase].get(core, 0) + self.tiles[tile].load
        excess = max(self.excess[phase], load - self.unavoidable[phase])
        return self._hops_from(tile, core) + self.balance * (excess - self.excess[phase])

    def put(self, tile: int, core: int) -> None:
        """Place a tile that has no place yet."""
        self.flit_hops += self._hops_from(tile, core)
        self._add(tile, core)
        self.excess[self.tiles[tile].phase] = self._excess_of(self.tiles[tile].phase)

    def exchange(self, here: list[int], there: list[int], a: int, b: int, allowance: float) -> bool:
        """Move the tiles `here` from core a to b and `there` from b to a, if the cost rises by `allowance` at most.

        The lists are the caller's own. False, and nothing has moved, where it rises by more or a core lacks room.
        """
        moved = here + there
        hops = self.change(here, there, a, b)
        phases = {self.tiles[each].phase for each in moved if self.tiles[each].load}
        # Imbalance falls by no more than there is: most proposals end here.
        if hops - self.balance * sum(self.excess[phase] for phase in phases) > allowance:
            return False
        self._shift(here, a, b)
        self._shift(there, b, a)
        excess = {phase: self._excess_of(phase) for phase in phases}
        rise = hops + self.balance * sum(value - self.excess[phase] for phase, value in excess.items())
        if rise <= allowance and min(*self.free(a), *self.free(b)) >= 0:
            self.flit_hops += hops
            self.excess.update(excess)
            return True
        self._shift(here, b, a)
        self._shift(there, a, b)
        return False

    def change(self, here: list[int], there: list[int], a: int, b: int) -> int:
        """By how many flit-hops the same exchange would change the cost."""
        moved = here + there  # distances among them stay as they are
        return self._change(here, a, b, moved) + self._change(there, b, a, moved)

    def hops_everywhere(self, tile: int) -> NDArray[np.int64]:
        """Flit-hops between `tile` and all that has a place, for every core that might hold it."""
        hops = np.zeros(self.edge, dtype=np.int64)
        for other, flits in self.neighbours[tile]:
            hops += flits * np.frombuffer(self.distance[self.core[other]], dtype=np.uint8)[: self.edge].astype(np.int64)
        return hops

    def _hops_from(self, tile: int, core: int) -> int:
        row, places = self.distance[core], self.core
        return sum(flits * row[places[other]] for other, flits in self.neighbours[tile])

    def _change(self, tiles: list[int], source: int, target: int, moved: list[int]) -> int:
        old, new, places = self.distance[source], self.distance[target], self.core
        change = 0
        for tile in tiles:
            for other, flits in self.neighbours[tile]:
                if other not in moved:
                    at = places[other]
                    change += flits * (new[at] - old[at])
        return change

    def _shift(self, tiles: list[int], source: int, target: int) -> None:
        for tile in tiles:
            self._remove(tile, source)
        for tile in tiles:
            self._add(tile, target)

    def _add(self, tile: int, core: int) -> None:
        """Put `tile` into `core`, whatever room it has; what is left may fall below 0."""
        wants, blocks = self.tiles[tile], self.blocks[core]
        self.weight[core] -= self.new_weights(tile, core)
        for key, _ in wants.weights:
            blocks[key] = blocks.get(key, 0) + 1
        self.potential[core] -= wants.potential
        self.ports[core] -= wants.ports
        self.destinations[core] -= wants.destinations
        if wants.load:
            loads = self.loads[wants.phase]
            loads[core] = loads.get(core, 0) + wants.load
        self.held[core].append(tile)
        self.core[tile] = core

    def _remove(self, tile: int, core: int) -> None:
        wants, blocks = self.tiles[tile], self.blocks[core]
        for key, _ in wants.weights:
            blocks[key] -= 1
            if not blocks[key]:
                del blocks[key]
        self.weight[core] += self.new_weights(tile, core)
        self.potential[core] += wants.potential
        self.ports[core] += wants.ports
        self.destinations[core] += wants.destinations
        if wants.load:
            loads = self.loads[wants.phase]
            loads[core] -= wants.load
            if not loads[core]:
                del loads[core]
        self.held[core].remove(tile)
        self.core[tile] = self.nowhere

    def _excess_of(self, phase: int) -> float:
        return max(self.loads[phase].values(), default=0) - self.unavoidable[phase]


def _distances(chip: Chip) -> list[bytes]:
    """Hops between all cores, a byte each (at most 126); behind them the edge, and nowhere."""
    number = np.append(np.arange(chip.cores, dtype=np.int16), np.int16(0))
    y, x = number // chip.width, number % chip.width
    hops = np.zeros((chip.cores + 2, chip.cores + 2), dtype=np.uint8)
    hops[:-1, :-1] = abs(y[:, None] - y) + abs(x[:, None] - x)
    return [row.tobytes() for row in hops]


def _neighbours(tiles: int, flows: Iterable[Flow]) -> list[list[tuple[int, int]]]:
    """Of every tile: others, and how many flits pass between the two. The edge has the number `tiles`."""
    between: list[dict[int, int]] = [{} for _ in range(tiles + 1)]
    for source, target, flits in flows:
        if source != target and flits:
            a, b = source % (tiles + 1), target % (tiles + 1)
            between[a][b] = between[a].get(b, 0) + flits
            between[b][a] = between[b].get(a, 0) + flits
    return [list(each.items()) for each in between]


def _unavoidable(tiles: Sequence[Demand], cores: int) -> dict[int, float]:
    """Load that the busiest core of a phase has in any placement: that of the largest tile, or the mean."""
    loads: dict[int, list[int]] = {}
    for tile in tiles:
        loads.setdefault(tile.phase, []).append(tile.load)
    return {phase: max(max(each), sum(each) / cores) for phase, each in loads.items()}
