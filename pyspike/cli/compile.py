"""`pyspike compile`: an ONNX file to a model image."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

import pyspike
from pyspike.cli.console import out, steps
from pyspike.cli.inputs import InputFileError


def compile(
    source: Annotated[Path, typer.Argument(help="An ONNX file whose neurons are pyspike::IntegerLIF nodes.")],
    output: Annotated[
        Path | None, typer.Argument(help="The model image to write; by default beside the source.")
    ] = None,
    weight_bits: Annotated[int, typer.Option(help="Bits of a weight.", min=2, max=8)] = 8,
    calibration: Annotated[
        Path | None, typer.Option(help="A .npz file of sample inputs, by input name, for float inputs.")
    ] = None,
    max_timesteps: Annotated[
        int | None, typer.Option(help="Longest stream, for neurons that never leak.", min=1)
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Do not print the report by layer.")] = False,
) -> None:
    """Compile an ONNX file to a model image of integers, and report what became of each layer.

    Example: [bold]pyspike compile network.onnx network.spk[/bold]
    """
    target = output or source.with_suffix(".spk")
    samples = None
    if calibration is not None:
        try:
            with np.load(calibration, allow_pickle=False) as loaded:
                samples = {name: loaded[name] for name in loaded.files}
        except (ValueError, AttributeError) as error:
            raise InputFileError(f"{calibration}: expected a .npz file of sample inputs: {error}") from None
    with steps(f"Compiling {source.name}"):
        report = pyspike.compile(
            source, target, weight_bits=weight_bits, calibration=samples, max_timesteps=max_timesteps
        )
    if not quiet:
        out.print(str(report), markup=False)
    out.print(f"{target}: {target.stat().st_size:,} bytes")
