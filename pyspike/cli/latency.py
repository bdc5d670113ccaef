"""`pyspike latency`: a bound on the time of an inference, a + b x events, measured layer by layer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from pyspike.cli.console import PERCENT, out, steps, table
from pyspike.cli.inputs import load_inputs
from pyspike.latency import LatencyBound
from pyspike.runtime import Model


def latency(
    model: Annotated[Path, typer.Argument(help="A model image (.spk).")],
    sources: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[INPUT]...",
            help=".npy or .npz files, or photographs; the first, third, ... are held out, the others measured as well.",
        ),
    ] = None,
    threads: Annotated[int, typer.Option(help="Number of threads.")] = 1,
    isa: Annotated[str | None, typer.Option(help="Instruction set: portable, avx2, avx512.")] = None,
    repetitions: Annotated[int, typer.Option(help="Runs of each input.")] = 100,
    quantile: Annotated[float, typer.Option(help="What the bound does not lie below: a share of the runs.")] = 0.99,
    deadline: Annotated[
        float | None, typer.Option(metavar="MS", help="Name the budget of events that keeps a run within so long.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the inputs.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
) -> None:
    """Measure a bound on the time of an inference: a constant, and a constant for each event, layer by layer.

    Inputs from silence to noise everywhere are run over and over; fresh ones then test the bound. It is measured, on
    this machine under its load of the moment, and no proof; a run's max_events is kept exactly.

    Example: [bold]pyspike latency network.spk --threads 2 --deadline 20[/bold]
    """
    loaded = Model.load(model)
    inputs = [load_inputs(loaded, source, seed) for source in sources or []]
    with steps("Measuring", total=PERCENT) as bar:
        found = loaded.latency_bound(
            threads,
            isa,
            inputs=inputs,
            repetitions=repetitions,
            quantile=quantile,
            seed=seed,
            progress=lambda done, of: bar.at("Measuring", PERCENT * done / of),
        )
    if as_json:
        budget = {} if deadline is None else {"max_events": found.budget(deadline / 1e3)}
        typer.echo(json.dumps({**found.as_dict(), **budget}))
        return
    _print(found)
    if deadline is not None:
        out.print(f"max_events={found.budget(deadline / 1e3)} keeps a run within {deadline:g} ms", markup=False)


def _print(found: LatencyBound) -> None:
    head, *rows = found.rows()
    listing = table(head[0], *(f">{name}" for name in head[1:-1]), head[-1])
    for row in rows:
        listing.add_row(escape(row[0]), *row[1:], style="bold" if row is rows[-1] else None)
    out.print(listing)
    runs = table("input", ">events", ">p50 ms", f">{found.percentile} ms", ">bound ms", ">within")
    for title, measured in (("", found.fitted), ("held out: ", found.held_out)):
        for each in measured:
            times = (f"{1e3 * seconds:.3f}" for seconds in (each.median, each.quantile, each.bound))
            runs.add_row(escape(title + each.name), f"{each.events:,}", *times, f"{100 * each.within:.4g} %")
    out.print()
    out.print(runs)
    out.print(found.summary(), markup=False)
