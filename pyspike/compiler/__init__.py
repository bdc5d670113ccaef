"""The compiler: a trained network becomes one integer model image.

    source -> ONNX -> float program -> fold -> find time -> lower (quantise) -> swallow -> image

Every pass takes a program or graph and returns a new one. docs/compiler.md describes them, docs/semantics.md what the
integers mean.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from pyspike import image
from pyspike.compiler.exactness import inexact_because
from pyspike.compiler.facts import Facts, Lowered
from pyspike.compiler.report import CompileReport, LayerRow, make_rows
from pyspike.errors import ModelFormatError, RangeError, UnsupportedOpError, missing_extra
from pyspike.graph import Graph
from pyspike.ops import Synapse

if TYPE_CHECKING:
    import onnx
    import torch

    Source: TypeAlias = str | os.PathLike[str] | onnx.ModelProto | torch.nn.Module | Graph

__all__ = ["CompileReport", "LayerRow", "compile", "lower"]

Calibration: TypeAlias = Mapping[str, Sequence[int]]


def compile(
    source: Source,
    path: str | os.PathLike[str],
    *,
    example: Any = None,
    weight_bits: int = 8,
    calibration: Calibration | None = None,
    max_timesteps: int | None = None,
    metadata: Mapping[str, object] | None = None,
) -> CompileReport:
    """Compile `source` to the model image `path` and report on every layer.

    `source`: the path of an ONNX file, an `onnx.ModelProto`, a torch module (with `example`, a tensor or tuple of
    tensors; batch norms are folded first), or an integer `Graph`, which is written as it is. `example`: for ONNX
    sources an array, or dict of arrays by input name, whose shapes stand in for axes of unknown size. `weight_bits`: 4
    to 8, or 2 for ternary weights. `calibration`: for inputs that are no 8-bit integers in the file, by name (lo, hi,
    f): integers lo..hi stand for lo * 2**-f .. hi * 2**-f; it may narrow the range of 8-bit inputs too.
    `max_timesteps`: the longest stream for which ranges of membranes are proven, at least (and by default) the model's
    T. `metadata`: JSON facts for users of the image (names, classes, preprocessing), merged over those of the source;
    the keys `float_exact`, `source_exact`, `weight_bits` and `calibration` are the compiler's own.

    The same source and options give the same bytes. Raises `UnsupportedOpError` naming every operator that cannot be
    compiled, `RangeError` naming the layer that does not fit int32, `ShapeError` for shapes that are unknown or do not
    fit together, `MissingExtraError` without onnx or torch where they are needed, `ModelFormatError` for a file that
    is no ONNX model, `FileNotFoundError`.
    """
    if isinstance(source, Graph):
        return _write_graph(source, path, metadata or {})
    parts = _lower(source, example, weight_bits, calibration, max_timesteps)
    because, facts = inexact_because(parts.plain), parts.final.facts
    own: dict[str, object] = {
        "float_exact": because is None, "source_exact": not facts.changes, "weight_bits": weight_bits
    }  # fmt: skip
    if calibration:
        own["calibration"] = {name: [int(v) for v in grid] for name, grid in calibration.items()}
    graph = replace(parts.final.graph, metadata={**parts.metadata, **(metadata or {}), **own})
    return _written(Lowered(graph, facts), path, because)


def lower(
    source: Source,
    *,
    example: Any = None,
    weight_bits: int = 8,
    calibration: Calibration | None = None,
    max_timesteps: int | None = None,
) -> Graph:
    """The integer graph that `compile` would write for `source`; same arguments and errors, no file."""
    if isinstance(source, Graph):
        return source
    return _lower(source, example, weight_bits, calibration, max_timesteps).final.graph


@dataclass(frozen=True)
class _Parts:
    """`plain`: every synapse with shift and bias; `final`: thresholds have swallowed what they can."""

    plain: Lowered
    final: Lowered
    metadata: Mapping[str, object]


def _lower(
    source: Any, example: Any, weight_bits: int, calibration: Calibration | None, max_timesteps: int | None
) -> _Parts:
    if weight_bits != 2 and not 4 <= weight_bits <= 8:
        raise RangeError(f"weight_bits must be 4 to 8, or 2 for ternary weights: found {weight_bits}")
    if max_timesteps is not None and max_timesteps < 1:
        raise RangeError(f"max_timesteps must be positive, found {max_timesteps}")
    model, shapes = _as_onnx(source, example)
    from pyspike.compiler.fold import fold
    from pyspike.compiler.lowering import Options
    from pyspike.compiler.lowering import lower as lower_program
    from pyspike.compiler.onnx_reader import read
    from pyspike.compiler.program import require_finite
    from pyspike.compiler.swallow import swallow
    from pyspike.compiler.timing import find_time

    program = fold(read(model, shapes))
    require_finite(program)
    _check_calibration(calibration, {source.name: source.dtype for source in program.inputs})
    plain = lower_program(program, find_time(program), Options(weight_bits, calibration, max_timesteps))
    return _Parts(plain, swallow(plain), program.metadata)


def _write_graph(graph: Graph, path: str | os.PathLike[str], metadata: Mapping[str, object]) -> CompileReport:
    """Write a graph as it is. What thresholds swallowed no longer tells how large sums were: its metadata does."""
    lowered = Lowered(graph, Facts())
    because = inexact_because(lowered)
    if not graph.metadata.get("float_exact", True):
        because = because or "as its metadata says"
    facts = {"source_exact": True, **graph.metadata, **metadata, "float_exact": because is None}
    return _written(Lowered(replace(graph, metadata=facts), lowered.facts), path, because)


def _written(lowered: Lowered, path: str | os.PathLike[str], because: str | None) -> CompileReport:
    graph, facts = lowered.graph, lowered.facts
    image.write(graph, path)
    return CompileReport(
        graph=graph,
        layers=make_rows(graph, facts),
        float_exact=because is None,
        float_inexact_because=because,
        source_exact=bool(graph.metadata["source_exact"]),
        changes=tuple(facts.changes),
        aligns=tuple(facts.aligns),
        decay_errors=dict(facts.decay_errors),
        timesteps=graph.timesteps,
        max_timesteps=graph.max_timesteps,
        weight_bytes=sum(node.op.weight.nbytes for node in graph.nodes if isinstance(node.op, Synapse)),
        total_bytes=Path(path).stat().st_size,
    )


def _as_onnx(source: Any, example: Any) -> tuple[onnx.ModelProto, dict[str, tuple[int, ...]]]:
    """The ONNX model of any source, and the shapes that `example` gives its inputs."""
    if isinstance(source, (str, os.PathLike)):
        target = Path(source)
        if target.suffix == ".nir":
            raise UnsupportedOpError(
                f"{target.name}: NIR files cannot be compiled yet. Export the network to ONNX with one "
                "pyspike::IntegerLIF node a neuron (pyspike.nn.export_onnx) and compile that"
            )
        return _read(target), _example_shapes(example)
    if type(source).__name__ == "ModelProto":
        return source, _example_shapes(example)
    return _from_torch(source, example), {}


def _read(path: Path) -> onnx.ModelProto:
    try:
        import onnx
        from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    except ImportError as error:
        raise missing_extra(error.name or "onnx", "onnx") from error
    try:
        model = onnx.load(path)
    except (DecodeError, IsADirectoryError) as error:
        raise ModelFormatError(f"{path.name} is no ONNX file: {error}") from error
    if not model.graph.output:
        raise ModelFormatError(f"{path.name} is no ONNX file of a network: it has no outputs")
    return model


def _from_torch(module: Any, example: Any) -> onnx.ModelProto:
    try:
        import torch
    except ImportError as error:
        raise missing_extra("torch", "train") from error
    if not isinstance(module, torch.nn.Module):
        raise UnsupportedOpError(
            f"cannot compile a {type(module).__name__}: expected an ONNX path or model, a torch module or a graph"
        )
    if example is None:
        raise UnsupportedOpError("a torch module needs an example input: compile(module, path, example=tensor)")
    from pyspike.nn import fold
    from pyspike.nn.export import onnx_model

    arguments = tuple(example) if isinstance(example, (tuple, list)) else (example,)
    return onnx_model(fold(module), tuple(torch.as_tensor(each) for each in arguments))


def _example_shapes(example: Any) -> dict[str, tuple[int, ...]]:
    if example is None:
        return {}
    if isinstance(example, Mapping):
        return {str(name): tuple(np.shape(value)) for name, value in example.items()}
    return {"": tuple(np.shape(example))}


def _check_calibration(calibration: Calibration | None, inputs: dict[str, str]) -> None:
    for name, grid in (calibration or {}).items():
        if name not in inputs:
            raise RangeError(f"calibration names {name!r}, which is no input: inputs are {sorted(inputs)}")
        if len(grid) != 3 or any(int(v) != v for v in grid) or not grid[0] <= grid[1]:
            raise RangeError(f"calibration of {name!r}: expected whole numbers (lo, hi, f) with lo <= hi, found {grid}")
        if inputs[name] != "float32" and grid[2] != 0:
            raise RangeError(
                f"calibration of {name!r}: {inputs[name]} integers stand for themselves, f = 0, found {grid}"
            )
