"""`pyspike run`: one inference, its outputs summed up or saved."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from pyspike._files import write_whole
from pyspike.cli.console import out, steps, table
from pyspike.cli.inputs import load_inputs
from pyspike.runtime import Model


def run(
    model: Annotated[Path, typer.Argument(help="A model image (.spk).")],
    source: Annotated[
        Path | None,
        typer.Argument(metavar="[INPUT]", help="A .npy or .npz file, or a photograph; random integers without it."),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Save the outputs as .npz.")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Integers instead of real values.")] = False,
    threads: Annotated[int, typer.Option(help="Number of threads.")] = 1,
    isa: Annotated[str | None, typer.Option(help="Instruction set: portable, avx2, avx512.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the random input.")] = 0,
) -> None:
    """Run a model once and show what came out.

    Example: [bold]pyspike run network.spk input.npy --output result.npz[/bold]
    """
    loaded = Model.load(model)
    inputs = load_inputs(loaded, source, seed)
    with steps("Running"):
        outputs = loaded.runtime(threads=threads, isa=isa).run(inputs, raw=raw)
    listing = table("output", "dtype", "shape", ">min", ">mean", ">max", ">non-zero")
    for name, values in outputs.items():
        nonzero = f"{np.count_nonzero(values):,}"
        edges = (f"{values.min():.6g}", f"{values.mean():.6g}", f"{values.max():.6g}")
        listing.add_row(name, str(values.dtype), " x ".join(map(str, values.shape)), *edges, nonzero)
    out.print(listing)
    if output is not None:
        _save(output, dict(outputs))
        out.print(f"outputs saved in {output}")


def _save(path: Path, outputs: dict[str, NDArray[Any]]) -> None:
    """Write an .npz file under exactly this name, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **outputs)
    write_whole(path, content.getvalue())
