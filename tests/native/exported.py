"""Models with inputs and expected outputs as files, for `agree` to compare on other machines."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from pyspike import image, reference
from pyspike.graph import Graph


def export(graph: Graph, inputs: dict[str, np.ndarray], folder: Path) -> int:
    """Writes the model, its inputs and what the NumPy reference makes of them; returns how many integers to expect."""
    folder.mkdir(parents=True)
    (folder / "model.spk").write_bytes(image.to_bytes(graph))
    for i, port in enumerate(graph.inputs):
        np.ascontiguousarray(inputs[port.name]).tofile(folder / f"in{i}")
    outputs = reference.run(graph, inputs)
    for i, port in enumerate(graph.outputs):
        outputs[port.name].astype(np.int32).tofile(folder / f"out{i}")
    return sum(outputs[port.name].size for port in graph.outputs)


def export_cases(cases: Iterable[tuple[str, Graph, dict[str, np.ndarray]]], folder: Path) -> tuple[list[Path], int]:
    """The folders made, and how many integers they expect together."""
    folders, count = [], 0
    for name, graph, inputs in cases:
        folders.append(folder / name)
        count += export(graph, inputs, folders[-1])
    return folders, count
