"""`pyspike import-checkpoint`: a published checkpoint to safetensors, without running its code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pyspike.cli.console import PERCENT, out, steps
from pyspike.errors import missing_extra

NEXT = """\
from pyspike.models.spikeyolo_checkpoint import load_imported
model = load_imported({name!r})  # then fold, quantise and compile it: docs/importing.md"""


def import_checkpoint(
    source: Annotated[Path, typer.Argument(help="A published SpikeYOLO checkpoint (.pt).")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The safetensors file; beside the source without it.")
    ] = None,
    timesteps: Annotated[int | None, typer.Option(help="T; what the checkpoint says, or 1, without it.", min=1)] = None,
    counts: Annotated[
        int | None, typer.Option(help="D, a neuron's largest count; as in the checkpoint, or 4, without it.", min=1)
    ] = None,
    neuron: Annotated[str | None, typer.Option(help="coco or gen1; as in the checkpoint, or coco, without it.")] = None,
) -> None:
    """Turn a published checkpoint into safetensors. Nothing in the checkpoint is executed.

    Such files are pickles, which can run any program when they are loaded; here they are read as data, and what is
    neither a tensor nor a known module is refused.

    Example: [bold]pyspike import-checkpoint best.pt -o best.safetensors[/bold]
    """
    try:
        from pyspike.models import spikeyolo_checkpoint
    except ImportError as error:
        raise missing_extra(error.name or "torch", "train") from error
    target = output or source.with_suffix(".safetensors")
    with steps(f"Reading {source.name}", total=PERCENT) as bar:
        found = spikeyolo_checkpoint.import_checkpoint(
            source,
            target,
            T=timesteps,
            D=counts,
            neuron=neuron,
            progress=lambda done, of: bar.at("Reading tensors" if done < of else "Writing", 100 * done / of),
        )
    config = found.config
    scale = (
        f"scale {found.scale}"
        if found.scale
        else f"of its own scale (depth {config.depth:.3g}, width {config.width:.4g})"
    )
    what = f"{scale}, {config.num_classes} classes, T {config.T}, D {config.D}, {config.neuron} neurons"
    out.print(f"{'network':<12}{found.metadata['family']}, {what}", markup=False)
    out.print(f"{'source':<12}{source}, SHA-256 {found.metadata['source_sha256']}", markup=False)
    counted = f"{found.tensors:,} with {found.numbers:,} numbers, {found.widened:,} widened from 16 bits to float32"
    out.print(f"{'tensors':<12}{counted}", markup=False)
    out.print(f"{'written':<12}{target}, {target.stat().st_size:,} bytes", markup=False)
    out.print(f"{'next':<12}{NEXT.format(name=str(target)).replace(chr(10), chr(10) + ' ' * 12)}", markup=False)
