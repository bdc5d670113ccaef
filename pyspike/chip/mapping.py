"""A network onto a chip: places, order of steps, tiles, cores, firmware. `map_network` is the door."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from pyspike.chip.config import Chip
from pyspike.chip.dataflow import Dataflow
from pyspike.chip.emit import emit
from pyspike.chip.firmware import CODINGS, Firmware
from pyspike.chip.links import Links
from pyspike.chip.passes import split
from pyspike.chip.placement import EDGE, Demand, Flow, Placement, place
from pyspike.chip.places import Network, network
from pyspike.chip.tiling import TileSpec, needs, tile_network, work
from pyspike.chip.waits import number_steps
from pyspike.errors import ChipError
from pyspike.graph import Graph
from pyspike.ops import Synapse

Progress = Callable[[str, int, int], None]
MAX_TIMESTEPS = 256
"""What the field t of a flit can tell apart."""

EFFORT = 200
"""Proposals of the placement per tile: some seconds for a whole network."""

PLANS = ((0.8, 2.0), (0.8, 0.0), (0.5, 0.0))
"""What is tried until every tile has a core: the share of the chip's SRAM that a pass may need, and tiles per core."""


@dataclass(frozen=True)
class MappedPass:
    """What is on the chip at once: its tiles, where they are, and the firmware that says so."""

    dataflow: Dataflow
    tiles: tuple[TileSpec, ...]
    placement: Placement
    firmware: Firmware


@dataclass(frozen=True)
class MappedNetwork:
    """A graph on a chip, in one pass or several."""

    graph: Graph
    chip: Chip
    network: Network
    passes: tuple[MappedPass, ...]


def map_network(
    graph: Graph,
    chip: Chip,
    *,
    seed: int = 0,
    fixed: Mapping[int, int] | None = None,
    effort: int = EFFORT,
    progress: Progress | None = None,
) -> MappedNetwork:
    """Map `graph` onto `chip`. The same arguments give the same firmware.

    seed: of the placement. fixed: tile number -> core, placed by hand (networks of one pass). effort: proposals of the
    placement per tile. progress(what, done, of) may raise to stop.
    Raises `UnsupportedOpError` for an operator that the chip cannot run, `ChipError` where something does not fit.
    """
    if graph.timesteps > MAX_TIMESTEPS:
        raise ChipError(f"a chip runs up to {MAX_TIMESTEPS} timesteps, the network has {graph.timesteps}")
    found = network(graph)
    number_steps(found.dataflow)
    bits = weight_bits(graph)
    refused: ChipError | None = None
    for fill, per_core in PLANS[: 1 if fixed else None]:  # the numbers of fixed tiles are those of the first plan
        try:
            parts = split(found.dataflow, chip, bits, fill)
            if fixed and len(parts) > 1:
                raise ChipError(f"tiles are placed by hand in networks of one pass; this one takes {len(parts)}")
            passes = [map_pass(each, chip, bits, per_core, seed, fixed, effort, progress) for each in parts]
        except ChipError as error:
            refused = refused or error
        else:
            return MappedNetwork(graph, chip, found, tuple(passes))
    assert refused is not None
    raise refused


def map_pass(
    dataflow: Dataflow,
    chip: Chip,
    bits: int,
    per_core: float = PLANS[0][1],
    seed: int = 0,
    fixed: Mapping[int, int] | None = None,
    effort: int = EFFORT,
    progress: Progress | None = None,
) -> MappedPass:
    """Tiles, placement and firmware of what is on the chip at once."""
    tiles = tile_network(dataflow, chip, bits, per_core)
    links = Links(dataflow, tiles)
    dataflow.inputs = [each for each in dataflow.inputs if links.out_of(each, None)]  # the others reach nothing
    tell = (lambda done, of, cost: progress("placing tiles", done, of)) if progress else None
    placed = place(demands(tiles, links, chip, bits), flows(links), chip, seed=seed, fixed=fixed, effort=effort,
                   progress=tell)  # fmt: skip
    return MappedPass(dataflow, tuple(tiles), placed, emit(dataflow, tiles, links, placed.cores, chip, bits))


def demands(tiles: list[TileSpec], links: Links, chip: Chip, bits: int) -> list[Demand]:
    """What every tile takes of its core; a tile's phase is the number of its first step."""
    coding = CODINGS.index(chip.coding)
    found = []
    for tile in tiles:
        need = needs(tile, chip.lanes, bits)
        blocks = tuple(need.weights.items())
        load = round(work(tile, chip.lanes, coding))
        phase = tile.place.steps[0].number
        entries = links.ports(tile), links.destinations(tile)
        found.append(Demand(tile.name, need.potential, need.constants, blocks, *entries, phase, load))
    return found


def flows(links: Links) -> list[Flow]:
    """Expected flits between tiles."""
    total: dict[tuple[int, int], float] = {}
    for source, target, flits in links.flits():
        total[source, target] = total.get((source, target), 0.0) + flits
    return [Flow(source, target, max(round(flits), 1)) for (source, target), flits in total.items()]


def weight_bits(graph: Graph) -> int:
    """Bits of a weight: as the model says, or as few as its weights need; at least 2."""
    greatest = max(
        (int(np.abs(node.op.weight.astype(np.int64)).max()) for node in graph.nodes if isinstance(node.op, Synapse)),
        default=1,
    )
    stated = graph.metadata.get("weight_bits", 2)
    needed = min(greatest.bit_length() + 1, 8)
    return max(stated if isinstance(stated, int) and 2 <= stated <= 8 else 2, needed)


__all__ = ["EDGE", "MappedNetwork", "MappedPass", "map_network", "map_pass"]
