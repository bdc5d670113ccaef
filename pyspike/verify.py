"""Runs a model on every executor that is at hand and compares all integers with `==`.

The executors: the NumPy reference (on what was read back from the image), the C++ runtime (each instruction set, one
and two threads), the simulated chip, PyTorch in float64 and, where the model is float-exact, float32, and the ONNX file
that the model came from: in ONNX Runtime where float-exact, else recompiled and run by the reference.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pyspike import image, reference
from pyspike.errors import (
    ChipError,
    MissingExtraError,
    ModelFormatError,
    ShapeError,
    UnsupportedOpError,
    missing_extra,
)
from pyspike.graph import Graph, Phase, Port
from pyspike.ops.base import Ints

Arrays = Mapping[str, np.ndarray]
Executor = Callable[[Graph, Arrays], dict[str, Ints]]


@dataclass(frozen=True)
class VerifyReport:
    """`executors` ran and were compared; `missing` could not run, each with the reason; `values` integers were
    compared.

    `first` is None where nothing differs, else (tensor, index, {executor: integer}) of the first difference in
    execution order. The first executor, the NumPy reference, is what the others are compared with.
    """

    executors: tuple[str, ...]
    missing: tuple[str, ...]
    values: int
    differences: int
    first: tuple[str, tuple[int, ...], dict[str, Any]] | None = None

    def __str__(self) -> str:
        text = f"verified: {len(self.executors)} executors, {self.values:,} values, {self.differences:,} differences"
        if self.first:
            tensor, index, integers = self.first
            found = ", ".join(f"{name}: {value}" for name, value in integers.items())
            text += f"\nfirst difference in tensor {tensor!r} at {index}: {found}"
        return text + "".join(f"\nnot run: {each}" for each in self.missing)


def verify(
    model: str | os.PathLike[str] | bytes,
    onnx: str | os.PathLike[str] | None = None,
    inputs: Arrays | Sequence[Arrays] | None = None,
    progress: Callable[[str], None] | None = None,
    binary: bool = False,
) -> VerifyReport:
    """Compare all executors on `model`, an image (path or bytes).

    `inputs`: integer arrays by input name in declared shapes, or a list of such; by default one drawn at random from
    the declared ranges, and one of zeros. `onnx`: the file that the model was compiled from; it is always one of the
    executors. `progress` is told the name of each executor before it runs. With `binary` the reference runs again on
    binary spikes alone, once in the T x D unary sub-steps of the papers and once bit by bit.
    """
    data = bytes(model) if isinstance(model, (bytes, bytearray, memoryview)) else None
    graph = image.from_bytes(data) if data is not None else image.read(os.fspath(model))  # type: ignore[arg-type]
    data = data or image.to_bytes(graph)
    cases = _cases(graph, inputs)
    tally = _Tally(graph)
    say = progress or (lambda name: None)
    say("reference")
    expected = [reference.run(graph, case) for case in cases]
    for name, build in [*(_binary() if binary else ()), *_executors(graph, data, onnx)]:
        say(name)
        try:
            execute = build()
        except (MissingExtraError, UnsupportedOpError, ChipError) as error:
            tally.missing.append(f"{name}: {error}")
            continue
        tally.executors.append(name)
        for case, outputs in zip(cases, expected, strict=True):
            tally.compare(name, execute, case, outputs)
    return tally.report()


@dataclass
class _Tally:
    graph: Graph
    executors: list[str] = field(default_factory=lambda: ["reference"])
    missing: list[str] = field(default_factory=list)
    values: int = 0
    differences: int = 0
    first: tuple[str, tuple[int, ...], dict[str, Any]] | None = None

    def compare(self, name: str, execute: Executor, case: Arrays, expected: dict[str, Ints]) -> None:
        found = execute(self.graph, case)
        differs = False
        for output, integers in expected.items():
            if found[output].shape != integers.shape:
                raise ShapeError(f"{name}: output {output!r} has shape {found[output].shape}, not {integers.shape}")
            wrong = found[output] != integers
            self.values += integers.size
            self.differences += int(wrong.sum())
            differs |= bool(wrong.any())
        if differs and self.first is None:
            self.first = self._locate(name, execute, case, expected, found)

    def _locate(
        self, name: str, execute: Executor, case: Arrays, expected: dict[str, Ints], found: dict[str, Ints]
    ) -> tuple[str, tuple[int, ...], dict[str, Any]]:
        """The earliest differing tensor: run again with every tensor as an output, where the executor takes any
        graph.
        """
        if getattr(execute, "any_graph", False):
            tapped = _tapped(self.graph)
            first = _first_difference(name, reference.run(tapped, case), execute(tapped, case))
            if first is not None:
                return first
        first = _first_difference(name, expected, found)
        assert first is not None
        return first

    def report(self) -> VerifyReport:
        return VerifyReport(tuple(self.executors), tuple(self.missing), self.values, self.differences, self.first)


def _first_difference(
    name: str, expected: dict[str, Ints], found: dict[str, Ints]
) -> tuple[str, tuple[int, ...], dict[str, Any]] | None:
    for tensor, integers in expected.items():
        wrong = np.argwhere(found[tensor] != integers)
        if len(wrong):
            index = tuple(int(i) for i in wrong[0])
            return tensor, index, {"reference": int(integers[index]), name: found[tensor][index].item()}
    return None


def _tapped(graph: Graph) -> Graph:
    """`graph` with every computed tensor as an output, in execution order."""
    copy = Graph(graph.timesteps, graph.max_timesteps, metadata=graph.metadata)
    for port in graph.inputs:
        copy.add_input(port, graph.tensors[port.tensor])
    for phase in Phase:
        for node in graph.nodes_in(phase):
            copy.add(node.op, node.inputs, node.output)
    for node in copy.nodes:
        tensor = copy.tensors[node.output]
        copy.add_output(Port(node.output, node.output, "int32", time_axis=0 if tensor.time else None))
    return copy


def _cases(graph: Graph, inputs: Arrays | Sequence[Arrays] | None) -> list[Arrays]:
    if inputs is not None:
        return [inputs] if isinstance(inputs, Mapping) else list(inputs)
    rng = np.random.default_rng(0)
    random, least = {}, {}
    for port in graph.inputs:
        tensor = graph.tensors[port.tensor]
        shape = port.declared_shape(tensor, graph.timesteps)
        random[port.name] = rng.integers(tensor.lo, tensor.hi, shape, dtype=np.int64, endpoint=True).astype(port.dtype)
        least[port.name] = np.full(shape, max(tensor.lo, min(0, tensor.hi)), dtype=port.dtype)
    return [random, least]


def _executors(
    graph: Graph, data: bytes, onnx: str | os.PathLike[str] | None
) -> list[tuple[str, Callable[[], Executor]]]:
    """(name, how to build it) of everything but the reference; building raises `MissingExtraError`,
    `UnsupportedOpError` or `ChipError` where it cannot run.
    """
    from pyspike import runtime

    exact = bool(graph.metadata.get("float_exact"))
    found: list[tuple[str, Callable[[], Executor]]] = []
    for isa in runtime.available_isas():
        for threads in (1, 2):
            found.append((f"runtime ({isa}, {threads} thread{'s' * (threads > 1)})", _runtime(data, isa, threads)))
    found.append(("chip", lambda: _chip(graph)))
    found.append(("torch float64", lambda: _torch("float64")))
    if exact:
        found.append(("torch float32", lambda: _torch("float32")))
    if onnx is not None:
        path = Path(onnx)
        # In ONNX Runtime the file is the same network only if its weights were on the grid already.
        if exact and graph.metadata.get("source_exact"):
            found.append(("onnxruntime", lambda: _onnxruntime(path)))
        else:
            found.append(("reference on the recompiled ONNX file", lambda: _recompiled(path, graph)))
    return found


def _binary() -> list[tuple[str, Callable[[], Executor]]]:
    """Every synapse on binary spikes, sub-step by sub-step."""

    def coded(coding: str) -> Executor:
        return _takes_any_graph(lambda graph, case: reference.run(graph, case, coding=coding))

    return [(f"binary spikes ({coding})", partial(coded, coding)) for coding in ("unary", "bitwise")]


def _takes_any_graph(execute: Executor) -> Executor:
    execute.any_graph = True  # type: ignore[attr-defined]
    return execute


def _runtime(data: bytes, isa: str, threads: int) -> Callable[[], Executor]:
    def build() -> Executor:
        from pyspike.runtime import Model

        own = Model.load(data).runtime(threads=threads, isa=isa)
        graph_of_own: list[Graph] = []

        def execute(graph: Graph, case: Arrays) -> dict[str, Ints]:
            if not graph_of_own:
                graph_of_own.append(graph)
            same = graph is graph_of_own[0]
            runtime = own if same else Model.load(image.to_bytes(graph)).runtime(threads=threads, isa=isa)
            return {name: values.astype(np.int64) for name, values in runtime.run(case, raw=True).items()}

        return _takes_any_graph(execute)

    return build


def _chip(graph: Graph) -> Executor:
    """The simulated chip `default`; where tiles lie changes no integer, so they are placed in no time."""
    from pyspike.chip.config import Chip
    from pyspike.chip.mapping import map_network
    from pyspike.chip.simulate import simulate

    mapped = map_network(graph, Chip.load("default"), effort=0)

    def execute(graph: Graph, case: Arrays) -> dict[str, Ints]:
        return simulate(mapped, case, windows=0, raster=0).outputs

    return execute


def _torch(dtype: str) -> Executor:
    try:
        import torch
    except ImportError as error:
        raise missing_extra("torch", "train") from error
    from pyspike.nn import executor

    def execute(graph: Graph, case: Arrays) -> dict[str, Ints]:
        return executor.run(graph, case, getattr(torch, dtype))

    return _takes_any_graph(execute)


def _onnxruntime(path: Path) -> Executor:
    try:
        import onnxruntime
    except ImportError as error:
        raise missing_extra("onnxruntime", "onnx") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    except (RuntimeError, ValueError) as error:
        raise ModelFormatError(f"ONNX Runtime cannot load {path}: {error}") from error
    types = {entry.name: entry.type for entry in session.get_inputs()}

    def execute(graph: Graph, case: Arrays) -> dict[str, Any]:
        feeds = {port.name: _as_in_file(graph, port, case[port.name], types) for port in graph.inputs}
        names = [output.name for output in session.get_outputs()]
        _require_outputs(graph, path, names)
        reals = dict(zip(names, session.run(None, feeds), strict=True))
        found = {}
        for port in graph.outputs:
            scale = graph.tensors[port.tensor].scale
            assert isinstance(scale.f, int)
            # Exact: a multiplication by a power of two, then by a small odd number, in float64.
            found[port.name] = np.ldexp(reals[port.name].astype(np.float64), scale.f) * scale.divisor
        return found

    return execute


def _as_in_file(graph: Graph, port: Port, integers: np.ndarray, types: Mapping[str, str]) -> np.ndarray:
    """What the ONNX file takes: the integers, or, where its input is of floats, the real values they stand for."""
    if port.name not in types:
        raise ShapeError(f"the ONNX file has inputs {sorted(types)}, the model {port.name!r}: another network?")
    if "float" not in types[port.name] and "double" not in types[port.name]:
        return integers
    f = graph.tensors[port.tensor].scale.f
    assert isinstance(f, int)
    return np.ldexp(integers.astype(np.float64), -f).astype("float64" if "double" in types[port.name] else "float32")


def _require_outputs(graph: Graph, path: Path, names: Sequence[str]) -> None:
    expected = [port.name for port in graph.outputs]
    if sorted(names) != sorted(expected):
        raise ShapeError(f"{path} has outputs {sorted(names)}, the model {sorted(expected)}: another network?")


def _recompiled(path: Path, compiled: Graph) -> Executor:
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise missing_extra("onnx", "onnx") from error
    from pyspike.compiler import lower

    facts: Mapping[str, Any] = compiled.metadata
    recompiled = lower(
        path,
        weight_bits=facts.get("weight_bits", 8),
        calibration={name: tuple(grid) for name, grid in facts.get("calibration", {}).items()} or None,
        max_timesteps=compiled.max_timesteps,
    )
    _require_outputs(compiled, path, [port.name for port in recompiled.outputs])

    def execute(graph: Graph, case: Arrays) -> dict[str, Ints]:
        return reference.run(recompiled, case)

    return execute
