"""`pyspike compile`: an ONNX file to a model image."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

import pyspike
from pyspike.cli.console import out, steps
from pyspike.cli.inputs import InputFileError
from pyspike.errors import RangeError


def compile(
    source: Annotated[Path, typer.Argument(help="An ONNX file whose neurons are pyspike::IntegerLIF nodes.")],
    output: Annotated[Path | None, typer.Argument(help="The model image; beside the source without it.")] = None,
    weight_bits: Annotated[int, typer.Option(help="Bits of a weight: 4 to 8, or 2 for ternary.", min=2, max=8)] = 8,
    calibration: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=LO,HI,F",
            help="The grid of an input: integers LO..HI are multiples of 2^-F. Repeatable.",
        ),
    ] = None,
    max_timesteps: Annotated[int | None, typer.Option(help="Longest stream to prove ranges for.", min=1)] = None,
    metadata: Annotated[
        Path | None, typer.Option(help="A JSON file with facts for users of the image: classes, preprocessing, ...")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Do not print the report by layer.")] = False,
) -> None:
    """Compile an ONNX file to a model image of integers, and report what became of each layer.

    Example: [bold]pyspike compile network.onnx network.spk[/bold]
    """
    target = output or source.with_suffix(".spk")
    grids = _grids(calibration or ())
    facts = None if metadata is None else _facts(metadata)
    with steps(f"Compiling {source.name}"):
        report = pyspike.compile(
            source,
            target,
            weight_bits=weight_bits,
            calibration=grids or None,
            max_timesteps=max_timesteps,
            metadata=facts,
        )
    if not quiet:
        out.print(str(report), markup=False)
    out.print(f"{target}: {target.stat().st_size:,} bytes", markup=False)


def _grids(texts: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """NAME=LO,HI,F for each input, by name."""
    found = {}
    for text in texts:
        match = re.fullmatch(r"(.+)=(-?\d+),(-?\d+),(-?\d+)", text)
        if match is None:
            raise RangeError(f"--calibration: expected NAME=LO,HI,F with whole numbers, found {text!r}")
        found[match[1]] = tuple(map(int, match.groups()[1:]))
    return found


def _facts(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputFileError(f"{path}: expected JSON: {error}") from None
    if not isinstance(facts, dict):
        raise InputFileError(f"{path}: expected a JSON object, found {type(facts).__name__}")
    return facts
