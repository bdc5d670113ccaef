"""`pyspike tune`: the fastest kernel for each layer on this machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from pyspike.cli.console import PERCENT, out, steps, table
from pyspike.cli.inputs import load_inputs
from pyspike.runtime import Model
from pyspike.tuning import TuneReport, Tuning
from pyspike.tuning.side_file import SUFFIX


def tune(
    model: Annotated[Path, typer.Argument(help="A model image (.spk).")],
    sources: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[INPUT]...", help="Like those to come: .npy or .npz files, or photographs; else random integers."
        ),
    ] = None,
    threads: Annotated[int, typer.Option(help="Number of threads.")] = 1,
    isa: Annotated[str | None, typer.Option(help="Instruction set: portable, avx2, avx512.")] = None,
    repetitions: Annotated[int, typer.Option(help="Rounds in which everything is run.")] = 20,
    seed: Annotated[int, typer.Option(help="Seed of the random input.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
) -> None:
    """Measure every kernel on every layer, and keep the fastest of each in MODEL.tune, beside the image.

    The file is used wherever the image is loaded from its own, on this CPU, with this instruction set and as many
    threads; other machines can be added to it. Results do not depend on it, and deleting it undoes it.

    Example: [bold]pyspike tune network.spk photograph.jpg --threads 2[/bold]
    """
    side = model.with_name(model.name + SUFFIX)
    known = Tuning.load(side) if side.exists() else None
    loaded = Model.load(model, tuned=False)
    inputs = [load_inputs(loaded, source, seed) for source in (sources or (None,))]
    with steps("Tuning", total=PERCENT) as bar:
        found = loaded.tune(
            inputs,
            threads,
            isa,
            repetitions=repetitions,
            progress=lambda done, of: bar.at("Tuning", PERCENT * done / of),
        )
    (known.updated(found.tuning) if known else found.tuning).save(side)
    if as_json:
        layers = [asdict(layer) for layer in found.layers]
        typer.echo(json.dumps({"before": found.before, "after": found.after, "kept": found.kept, "layers": layers}))
        return
    _print(found)
    out.print(f"Kept in {side}" if found.kept else f"{side} names no layer for this machine", markup=False)


def _print(found: TuneReport) -> None:
    if found.layers:
        listing = table("layer", "was", ">ms", "is", ">ms")
        for layer in found.layers:
            before, after = (f"{kernel} {block}" for kernel, block in (layer.before, layer.after))
            times = f"{1e3 * layer.seconds_before:.3f}", f"{1e3 * layer.seconds_after:.3f}"
            listing.add_row(escape(layer.name), before, times[0], after, times[1])
        out.print(listing)
    out.print(str(found), markup=False)
