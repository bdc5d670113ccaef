"""All subcommands in one typer application."""

from __future__ import annotations

from typing import Annotated

import typer

import pyspike
from pyspike.cli import (
    compile,
    demo,
    detect,
    energy,
    import_checkpoint,
    inspect,
    latency,
    map,
    profile,
    run,
    simulate,
    sweep,
    tune,
    verify,
)

app = typer.Typer(
    name="pyspike",
    help="Spiking neural networks, exactly, with integer additions only.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)

COMMANDS = (
    demo.demo, import_checkpoint.import_checkpoint, compile.compile, run.run, detect.detect, inspect.inspect,
    profile.profile, latency.latency, tune.tune, energy.energy, map.map, simulate.simulate, sweep.sweep, verify.verify,
)  # fmt: skip
for command in COMMANDS:
    app.command(no_args_is_help=command is not demo.demo)(command)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pyspike {pyspike.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Spiking neural networks, exactly, with integer additions only."""
