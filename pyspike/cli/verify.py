"""`pyspike verify`: every executor, one comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import pyspike
from pyspike.cli.console import out, steps
from pyspike.cli.inputs import Arrays, load_inputs
from pyspike.verify import VerifyReport


def verify(
    model: Annotated[Path, typer.Argument(help="A model image (.spk).")],
    onnx: Annotated[Path | None, typer.Option(help="The ONNX file that it was compiled from.")] = None,
    source: Annotated[
        Path | None,
        typer.Option("--input", help="A .npy or .npz file, or a photograph; random integers and zeros without it."),
    ] = None,
    binary: Annotated[
        bool, typer.Option("--binary", help="Also run on binary spikes alone: T x D unary sub-steps, and bit by bit.")
    ] = False,
) -> None:
    """Run a model on every executor at hand and compare all integers with ==. Exit code 1 where any differs.

    Example: [bold]pyspike verify network.spk --onnx network.onnx[/bold]
    """
    inputs = None if source is None else load_inputs(pyspike.Model.load(model), source)
    report = verify_with_progress(model, onnx, inputs, binary)
    out.print(str(report), markup=False)
    if report.differences:
        raise typer.Exit(1)


def verify_with_progress(model: Path, onnx: Path | None, inputs: Arrays | None, binary: bool = False) -> VerifyReport:
    """`pyspike.verify` behind a bar that names the executor at work."""
    with steps("Verifying") as bar:
        return pyspike.verify(
            model, onnx=onnx, inputs=inputs, progress=lambda name: bar.say(f"Verifying: {name}"), binary=binary
        )
