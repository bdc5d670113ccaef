"""Which tile sends to which: every edge of the dataflow, between the tiles that its events connect."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pyspike.chip.dataflow import Dataflow, Edge, HostInput, Step
from pyspike.chip.placement import EDGE
from pyspike.chip.tiling import TileSpec, Window, estimated_events, needed


@dataclass(frozen=True, eq=False)
class Link:
    """Events of `edge` in `window` go from a tile (None: the host) to another."""

    edge: Edge
    source: TileSpec | None
    target: TileSpec
    window: Window


class Links:
    """The links of a pass, by the edge and tile at either end."""

    def __init__(self, dataflow: Dataflow, tiles: list[TileSpec]) -> None:
        self.tiles = tiles
        self.of_place: dict[int, list[TileSpec]] = {}
        for tile in tiles:
            self.of_place.setdefault(id(tile.place), []).append(tile)
        self.arriving: dict[tuple[int, int], list[Link]] = {}
        self.leaving: dict[tuple[int, int], list[Link]] = {}
        for step in dataflow.steps():
            for edge in step.edges:
                for target in self.of_place[id(edge.place)]:
                    for link in self._between(edge, target):
                        self._add(link)

    def into(self, edge: Edge, target: TileSpec) -> list[Link]:
        """The links that end in one port: producers of `edge` for `target`."""
        return self.arriving.get((id(edge), target.index), [])

    def out_of(self, source: Step | HostInput, tile: TileSpec | None) -> list[Link]:
        """The links that start at a step of `tile` (or at a host input)."""
        return self.leaving.get((id(source), EDGE if tile is None else tile.index), [])

    def ports(self, tile: TileSpec) -> int:
        """Entries of the port table that a tile takes."""
        return sum(bool(self.into(edge, tile)) for step in tile.place.steps for edge in step.edges)

    def destinations(self, tile: TileSpec) -> int:
        """Destination records that a tile takes."""
        return sum(len(self.out_of(step, tile)) + (step.delivery is not None) for step in tile.place.steps)

    def flits(self) -> Iterator[tuple[int, int, float]]:
        """Source tile, target tile (`EDGE`: the host) and expected flits, tokens included."""
        for links in self.arriving.values():
            for link in links:
                source = EDGE if link.source is None else link.source.index
                yield source, link.target.index, estimated_events(link.edge, link.window) + 1
                yield link.target.index, source, 1.0
        for tile in self.tiles:
            for step in tile.place.steps:
                if step.delivery is not None:
                    yield tile.index, EDGE, float(tile.rows * tile.columns * tile.channels)

    def _between(self, edge: Edge, target: TileSpec) -> Iterator[Link]:
        window = needed(edge, target)
        if window is None:
            return
        if isinstance(edge.source, HostInput):
            yield Link(edge, None, target, window)
            return
        for source in self.of_place[id(edge.source.place)]:
            common = _common(window, source.window)
            if common is not None:
                yield Link(edge, source, target, common)

    def _add(self, link: Link) -> None:
        source = EDGE if link.source is None else link.source.index
        self.arriving.setdefault((id(link.edge), link.target.index), []).append(link)
        self.leaving.setdefault((id(link.edge.source), source), []).append(link)


def _common(a: Window, b: Window) -> Window | None:
    low = [max(a[i], b[i]) for i in (0, 2, 4)]
    high = [min(a[i], b[i]) for i in (1, 3, 5)]
    if any(x > y for x, y in zip(low, high, strict=True)):
        return None
    return low[0], high[0], low[1], high[1], low[2], high[2]
