"""`pyspike inspect`: what is inside a model image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from pyspike import image
from pyspike.cli.console import out, si, table
from pyspike.graph import Graph
from pyspike.ops import Synapse
from pyspike.runtime import Model


def inspect(
    model: Annotated[Path, typer.Argument(help="A model image (.spk).")],
    layers: Annotated[bool, typer.Option("--layers", help="List every operator.")] = False,
    threads: Annotated[int, typer.Option(help="Number of threads, for the memory plan.")] = 1,
) -> None:
    """Verify a model image and show its inputs, outputs, memory and metadata.

    Example: [bold]pyspike inspect network.spk --layers[/bold]
    """
    loaded = Model.load(model)
    graph = image.read(model)
    weights = sum(node.op.weight.size for node in graph.nodes if isinstance(node.op, Synapse))
    out.print(
        f"{escape(str(model))}: verified, {model.stat().st_size:,} bytes, {len(graph.nodes)} operators, "
        f"{weights:,} weights, {graph.timesteps} timestep{'s' * (graph.timesteps > 1)}"
    )
    plan = loaded.memory(threads=threads)
    parts = {"weights": plan.weights, "tensors": plan.arena, "scratch": plan.scratch, "state": plan.state}
    out.print("memory: " + ", ".join(f"{name} {si(size, 'B')}" for name, size in parts.items()))
    _print_ports("input", loaded.inputs)
    _print_ports("output", loaded.outputs)
    for key, value in _flat(graph.metadata):
        out.print(f"{key}: {value}", markup=False)
    if layers:
        out.print(_operators(graph))


def _print_ports(what: str, ports: Sequence[Any]) -> None:
    listing = table(what, "dtype", "shape", "axes", ">lo", ">hi", "scale")
    for port in ports:
        shape = " x ".join(map(str, port.shape))
        listing.add_row(port.name, str(port.dtype), shape, port.axes, str(port.lo), str(port.hi), str(port.scale))
    out.print(listing)


def _flat(metadata: object, prefix: str = "") -> list[tuple[str, str]]:
    """Nested metadata as (dotted key, text), long texts cut."""
    if isinstance(metadata, dict):
        return [pair for key, value in metadata.items() for pair in _flat(value, f"{prefix}{key}.")]
    text = str(metadata)
    return [(prefix.rstrip("."), text if len(text) <= 160 else text[:157] + "...")]


def _operators(graph: Graph) -> Any:
    listing = table(">", "operator", "output", "shape", ">lo", ">hi", ">f", ">weights")
    for number, node in enumerate(graph.nodes):
        tensor = graph.tensors[node.output]
        f = tensor.scale.f if isinstance(tensor.scale.f, int) else f"{min(tensor.scale.f)}..{max(tensor.scale.f)}"
        size = f"{node.op.weight.size:,}" if isinstance(node.op, Synapse) else ""
        shape = " x ".join(map(str, tensor.shape)) + (" x T" if tensor.time else "")
        cells = (str(number), node.op.name, node.output, shape, str(tensor.lo), str(tensor.hi), str(f), size)
        listing.add_row(*map(escape, cells))
    return listing
