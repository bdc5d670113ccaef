"""`pyspike energy`: what papers would state for a network, what was counted, and what a simulated chip takes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from pyspike import image
from pyspike.chip.energy import PRESETS
from pyspike.cli.console import PERCENT, out, percent, si, steps, table
from pyspike.cli.inputs import Arrays, load_inputs
from pyspike.cli.simulate import load_chip, teller
from pyspike.report.activity import measure
from pyspike.report.papers import corrected, layer_energy, read_sheet, sheet_totals
from pyspike.runtime import Model

MEASURED = """\
papers: 4.6 pJ x MAC of the first layer, 0.9 pJ x mean count x MAC of the others, padding included, as if spikes were
spread evenly. counted: 0.9 pJ for every addition of a count that took place; the first layer without padding.
Neither has memory, membranes, residual sums, messages or static power; --chip counts them."""
PUBLISHED = """\
The rates are means over a data set, and stand for spikes spread evenly. `pyspike energy MODEL INPUT` takes every rate
from the run itself and counts each addition where it happens, none in the padding; --chip adds memory, membranes,
residual sums, messages and static power, which the formula leaves out."""


def energy(
    model: Annotated[Path | None, typer.Argument(metavar="[MODEL]", help="A model image (.spk).")] = None,
    source: Annotated[
        Path | None,
        typer.Argument(metavar="[INPUT]", help="A .npy or .npz file, or a photograph; random integers without it."),
    ] = None,
    chip: Annotated[str | None, typer.Option(help="Simulate on a chip too: default, large or a TOML file.")] = None,
    rates: Annotated[Path | None, typer.Option(help="A published sheet of firing rates (.json); no model.")] = None,
    timesteps: Annotated[int, typer.Option(help="T of the sheet's network.", min=1)] = 1,
    threads: Annotated[int, typer.Option(help="Number of threads.")] = 1,
    seed: Annotated[int, typer.Option(help="Seed of the random input and of the placement.")] = 0,
) -> None:
    """State the energy of an inference, layer by layer: by the papers' formula, by counts, on a simulated chip.

    With --rates, reproduce the energy that papers compute from a sheet of firing rates.

    Example: [bold]pyspike energy network.spk photograph.jpg --chip default[/bold]
    """
    if (model is None) == (rates is None):
        raise typer.BadParameter("expected a model image, or --rates with a sheet: one of the two")
    if rates is not None:
        _sheet(rates, timesteps)
        return
    assert model is not None
    inputs = load_inputs(Model.load(model), source, seed)
    _measured(model, inputs, threads)
    if chip is not None:
        _simulated(model, inputs, chip, threads, seed)


def _measured(model: Path, inputs: Arrays, threads: int) -> None:
    with steps("Measuring"):
        found = measure(image.read(model), inputs, threads=threads)
    listing = table("layer", ">MACs", ">mean count", ">SOPs", ">papers uJ", ">counted uJ", ">dense uJ")
    papers = counted = dense = 0.0
    for layer in found.synapses:
        each = layer_energy(layer)
        papers, counted, dense = papers + each.papers, counted + each.counted, dense + each.dense
        rate = "pixels" if layer.first else f"{layer.mean:.4g}"
        sops = "" if layer.first else si(layer.sops)
        listing.add_row(
            escape(layer.name), si(layer.macs), rate, sops, *map(_uj, (each.papers, each.counted, each.dense))
        )  # fmt: skip
    sops = si(sum(layer.sops for layer in found.synapses if not layer.first))
    listing.add_row("total", si(found.macs), "", sops, *map(_uj, (papers, counted, dense)), style="bold")
    out.print(listing)
    shares = (f"{_uj(part)} uJ ({percent(part, dense)} of it)" for part in (papers, counted))
    out.print("dense twin {} uJ; papers {}; counted {}".format(_uj(dense), *shares), markup=False)
    out.print(MEASURED, markup=False)


def _simulated(model: Path, inputs: Arrays, chip: str, threads: int, seed: int) -> None:
    """The run once, priced by every preset."""
    import pyspike

    described = load_chip(chip)
    presets = list(dict.fromkeys([described.energy, *PRESETS]))
    with steps("Mapping", total=PERCENT) as bar:
        run = pyspike.simulate(model, inputs, described, seed=seed, threads=threads, windows=0, progress=teller(bar))
    priced = [replace(run, mapped=replace(run.mapped, chip=described.replace(energy=name))) for name in presets]
    names = [Path(name).stem for name in presets]
    listing = table("layer", "kind", *(f">{name} uJ" for name in names), title=f"\nOn chip {described.name}, by preset")
    for layers in zip(*(each.layers for each in priced), strict=True):
        listing.add_row(escape(layers[0].name), layers[0].kind, *(_uj(layer.energy.total) for layer in layers))
    rest = [each.energy.total - sum(layer.energy.total for layer in each.layers) for each in priced]
    listing.add_row("static, edge, and what belongs to no layer", "", *map(_uj, rest))
    listing.add_row("total", "", *(_uj(each.energy.total) for each in priced), style="bold")
    out.print(listing)
    for name, each in zip(names, priced, strict=True):
        parts = ", ".join(f"{kind} {_uj(value)}" for kind, value in each.energy.parts.items() if value)
        out.print(f"{name}: {parts} uJ", markup=False)


def _sheet(path: Path, timesteps: int) -> None:
    rows = read_sheet(path)
    right, changed = corrected(rows)
    listing = table("layer", ">mean count", ">MMAC", ">spiking mJ", ">dense mJ")
    for i, (row, fixed) in enumerate(zip(rows, right, strict=True)):
        name = escape(row.layer) + ("" if row == fixed else " *")
        rate, spiking = (f"{row.rate:.4g}", fixed.spiking(timesteps)) if i else ("pixels", fixed.dense)
        listing.add_row(name, rate, f"{fixed.macs / 1e6:.2f}", _mj(spiking), _mj(fixed.dense))
    out.print(listing)
    if changed:
        out.print("* a shape that is not the network's in the sheet; the rows show the right one", markup=False)
    as_written = sheet_totals(rows, timesteps, first_as_spikes=True)
    variants = [
        ("as in the sheet", as_written, "the first layer at 0.9 pJ x what stands for its rate"),
        ("first layer at 4.6 pJ", sheet_totals(rows, timesteps), "its pixels are multiplied"),
    ]
    if changed:
        variants.append(("shapes corrected too", sheet_totals(right, timesteps), ", ".join(changed)))
    for name, found, why in variants:
        figures = f"{_mj(found.spiking)} mJ, dense {_mj(found.dense)} mJ, {found.macs / 1e9:#.5g} GMAC"
        out.print(f"{name:<23}{figures}: {why}", markup=False)
    out.print(PUBLISHED, markup=False)


def _mj(joules: float) -> str:
    return f"{1e3 * joules:#.5g}"


def _uj(joules: float) -> str:
    return f"{1e6 * joules:.4g}"
