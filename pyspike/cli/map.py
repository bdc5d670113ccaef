"""`pyspike map`: where a network's tiles go on the simulated chip, as a table and a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from pyspike import image
from pyspike.chip.firmware import write
from pyspike.chip.links import Links
from pyspike.chip.mapping import EDGE, EFFORT, MappedNetwork, MappedPass, demands, flows, map_network
from pyspike.chip.placement import RESOURCES
from pyspike.cli.console import PERCENT, out, percent, si, steps, table
from pyspike.cli.simulate import ChipOption, CodingOption, SeedOption, load_chip, teller
from pyspike.report.chip_map import ChipMap, MappedTile, draw


def map(
    model: Annotated[Path, typer.Argument(help="A model image (.spk).")],
    chip: ChipOption = "default",
    coding: CodingOption = None,
    seed: SeedOption = 0,
    effort: Annotated[int, typer.Option(help="Proposals of the placement per tile.")] = EFFORT,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the picture goes.")] = Path("out/map.png"),
    firmware: Annotated[Path | None, typer.Option(help="Where the firmware image (.sfw) goes.")] = None,
) -> None:
    """Map a network onto a chip: cut it into tiles, place them, and draw the result.

    A network larger than the chip takes several passes; each has a picture and a firmware image with its number.

    Example: [bold]pyspike map network.spk --chip large -o map.png[/bold]
    """
    described = load_chip(chip, coding)
    with steps("Mapping", total=PERCENT) as bar:
        mapped = map_network(image.read(model), described, seed=seed, effort=effort, progress=teller(bar))
    for number, each in enumerate(mapped.passes):
        _describe(mapped, each, number)
        path = _numbered(output, number, len(mapped.passes))
        path.parent.mkdir(parents=True, exist_ok=True)
        draw(picture(mapped, each, f"{model.name} on chip {described.name}"), path)
        out.print(f"{'picture':<12}{path}", markup=False)
        if firmware is not None:
            target = _numbered(firmware, number, len(mapped.passes))
            target.parent.mkdir(parents=True, exist_ok=True)
            write(each.firmware, target)
            out.print(f"{'firmware':<12}{target}", markup=False)


def picture(mapped: MappedNetwork, each: MappedPass, title: str) -> ChipMap:
    """What to draw of one pass."""
    links = Links(each.dataflow, list(each.tiles))
    wanted = demands(list(each.tiles), links, mapped.chip, each.firmware.weight_bits)
    cores: dict[int, list[MappedTile]] = {}
    for core, tile, demand in zip(each.placement.cores, each.tiles, wanted, strict=True):
        weight = demand.weight_bits + sum(bits for _, bits in demand.weights)
        cores.setdefault(core, []).append(MappedTile(tile.place.name, demand.phase, demand.potential, weight))
    between: dict[tuple[int, int], int] = {}
    for flow in flows(links):
        ends = tuple(EDGE if tile == EDGE else each.placement.cores[tile] for tile in (flow.source, flow.target))
        between[ends[0], ends[1]] = between.get((ends[0], ends[1]), 0) + flow.flits
    phases = {demand.phase: tile.place.name for tile, demand in zip(each.tiles, wanted, strict=True)}
    chip = mapped.chip
    found = [(source, target, flits) for (source, target), flits in between.items()]
    return ChipMap(title, chip.mesh, cores, chip.potential_words, chip.weight_capacity, found, phases)


def _describe(mapped: MappedNetwork, each: MappedPass, number: int) -> None:
    placed = each.placement
    listing = table("place", ">rows x columns x channels", ">steps", ">tiles", ">cores")
    for place in each.dataflow.places:
        own = [tile for tile in each.tiles if tile.place is place]
        used = {placed.cores[tile.index] for tile in own}
        size = " x ".join(f"{n}" for n in place.canvas)
        listing.add_row(escape(place.name), size, str(len(place.steps)), str(len(own)), str(len(used)))
    out.print(listing)
    title = f"pass {number + 1} of {len(mapped.passes)}" if len(mapped.passes) > 1 else "one pass"
    out.print(f"{'tiles':<12}{len(each.tiles)} in {len(set(placed.cores))} of {mapped.chip.cores} cores, {title}")
    out.print(
        f"{'cost':<12}{si(placed.flit_hops)} flits x hops expected; random placements {si(placed.random_flit_hops)}, "
        f"no placement below {si(placed.bound)}", markup=False,
    )  # fmt: skip
    fullest = ", ".join(f"{name} {percent(placed.use[name], 1)}" for name in RESOURCES)
    out.print(f"{'fullest':<12}core: {fullest}; busiest link {si(placed.busiest_link)} flits", markup=False)
    if each.dataflow.relays:
        out.print(f"{'relays':<12}{len(each.dataflow.relays)}", markup=False)


def _numbered(path: Path, number: int, passes: int) -> Path:
    return path.with_stem(f"{path.stem}.{number}") if passes > 1 else path
