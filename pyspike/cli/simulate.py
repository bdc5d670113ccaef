"""`pyspike simulate`: an inference on the simulated chip, with time, energy and a report to look at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.markup import escape
from rich.table import Table

import pyspike
from pyspike.chip.config import Chip
from pyspike.chip.dense import compare
from pyspike.chip.energy import load as load_preset
from pyspike.chip.simulate import SimulationReport
from pyspike.cli.console import PERCENT, Steps, out, percent, si, steps, table
from pyspike.cli.inputs import Arrays, load_inputs
from pyspike.errors import ChipError
from pyspike.runtime import Model

ChipOption = Annotated[str, typer.Option(help="A preset (default, large) or a TOML file.")]
CodingOption = Annotated[str | None, typer.Option(help="unary, bitwise or folded; the chip's own without it.")]
SeedOption = Annotated[int, typer.Option(help="Seed of the placement.")]


def simulate(
    model: Annotated[Path, typer.Argument(help="A model image (.spk).")],
    source: Annotated[
        Path | None,
        typer.Argument(metavar="[INPUT]", help="A .npy or .npz file, or a photograph; random integers without it."),
    ] = None,
    chip: ChipOption = "default",
    coding: CodingOption = None,
    energy: Annotated[str | None, typer.Option(help="An energy preset or a TOML file.")] = None,
    seed: SeedOption = 0,
    threads: Annotated[int, typer.Option(help="Threads of the simulator.")] = 1,
    html: Annotated[Path, typer.Option(help="Where the report goes.")] = Path("out/chip.html"),
    trace: Annotated[Path | None, typer.Option(help="A trace for ui.perfetto.dev (.json).")] = None,
    retire: Annotated[Path | None, typer.Option(help="The retire-level trace, a line for every act.")] = None,
) -> None:
    """Run a model on the simulated chip, cycle by cycle, and compare its outputs with the runtime's.

    Exit code 1 where any integer differs.

    Example: [bold]pyspike simulate network.spk photograph.jpg --chip large --html report.html[/bold]
    """
    loaded = Model.load(model)
    inputs = load_inputs(loaded, source, seed)
    described = load_chip(chip, coding, energy)
    with steps("Mapping", total=PERCENT) as bar:
        report = pyspike.simulate(
            model, inputs, described, seed=seed, threads=threads, trace=retire, progress=teller(bar)
        )  # fmt: skip
    different = differences(report, loaded, inputs)
    agreement = (
        f"{different:,} of the outputs differ from the runtime's" if different else "outputs equal the runtime's"
    )
    out.print(listing(report))
    out.print(str(report), markup=False)
    out.print(f"{'int8 twin':<12}{beside_twin(report)}", markup=False)
    out.print(f"{'agreement':<12}{agreement}", markup=False)
    report.write_html(html, f"{model.name} on chip {described.name}", agreement)
    out.print(f"{'report':<12}{html}", markup=False)
    if trace is not None:
        report.write_trace(trace, model.name)
        out.print(f"{'trace':<12}{trace}", markup=False)
    if different:
        raise typer.Exit(1)


def load_chip(chip: str, coding: str | None = None, energy: str | None = None) -> Chip:
    """The chip that the options describe; its energy preset is read now, not when all is simulated."""
    changes = {key: value for key, value in (("coding", coding), ("energy", energy)) if value is not None}
    described = Chip.load(chip).replace(**changes)
    load_preset(described.energy)
    return described


def teller(bar: Steps) -> Callable[[str, int, int], None]:
    """A progress callback that moves `bar`."""

    def tell(what: str, done: int, of: int) -> None:
        bar.at(what.capitalize(), 100.0 * done / max(of, 1))

    return tell


def differences(report: SimulationReport, model: Model, inputs: Arrays) -> int:
    """How many output integers differ from the runtime's."""
    return report.differences(model.runtime().run(inputs, raw=True))


def beside_twin(report: SimulationReport) -> str:
    """A line on the same network in int8 on the same chip."""
    try:
        found = compare(report)
    except ChipError as error:
        return f"not compared: {error}"
    text = f"{1e6 * found.dense.total:.4g} uJ on the same chip, memory traffic included; "
    text += f"the spiking network takes {found.ratio:.3g} times as much"
    if not found.lost:
        return f"{text}, less on every synapse"
    worst = found.lost[0]
    text += f", more on {len(found.lost)} of {len(found.layers)} synapses, most on {worst.name} "
    return f"{text}({1e6 * worst.spiking:.4g} against {1e6 * worst.dense:.4g} uJ)"


def listing(report: SimulationReport) -> Table:
    """The layers of a run."""
    found = table("layer", "kind", ">tiles' cores", ">cycles", ">density", ">events", ">SOPs", ">additions", ">uJ")
    for layer in report.layers:
        counts = layer.counts.total()
        fired = percent(int(counts.fired), layer.neurons) if layer.kind in ("fire", "relay") else ""
        work = (f"{counts.events:,}", si(int(counts.sops)), si(int(counts.adds))) if counts.events else ("", "", "")
        cycles = f"{layer.last_cycle - layer.first_cycle + 1:,}"
        found.add_row(
            escape(layer.name), layer.kind, str(len(layer.cores)), cycles, fired, *work,
            f"{1e6 * float(np.sum(layer.energy.total)):.3g}",
        )  # fmt: skip
    return found
