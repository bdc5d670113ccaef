"""`pyspike profile`: spikes, synaptic operations, additions and time, layer by layer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from pyspike.cli.console import out, percent, si, steps, table
from pyspike.cli.inputs import load_inputs
from pyspike.runtime import Model


def profile(
    model: Annotated[Path, typer.Argument(help="A model image (.spk).")],
    source: Annotated[
        Path | None,
        typer.Argument(metavar="[INPUT]", help="A .npy or .npz file, or a photograph; random integers without it."),
    ] = None,
    threads: Annotated[int, typer.Option(help="Number of threads.")] = 1,
    isa: Annotated[str | None, typer.Option(help="Instruction set: portable, avx2, avx512.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the random input.")] = 0,
) -> None:
    """Run a model once, counting, and show where spikes, operations and time go.

    SOPs count n x targets for every event of count n, as papers do; additions are those that were performed.

    Example: [bold]pyspike profile network.spk photograph.jpg --threads 2[/bold]
    """
    loaded = Model.load(model)
    inputs = load_inputs(loaded, source, seed)
    with steps("Profiling"):
        found = loaded.runtime(threads=threads, isa=isa).profile(inputs)
    listing = table("layer", ">density", ">events", ">SOPs", ">additions", ">moved", ">ms", ">share")
    for layer in found.layers:
        counts = (f"{layer.events:,}", si(layer.sops), si(layer.adds)) if layer.sops or layer.adds else ("", "", "")
        time = (f"{1e3 * layer.seconds:.3f}", percent(layer.seconds, found.seconds))
        listing.add_row(escape(layer.name), percent(layer.density, 1), *counts, si(layer.bytes, "B"), *time)
    total = (f"{found.events:,}", si(found.sops), si(found.adds), si(found.bytes, "B"), f"{1e3 * found.seconds:.3f}")
    listing.add_row("total", "", *total, "", style="bold")
    out.print(listing)
