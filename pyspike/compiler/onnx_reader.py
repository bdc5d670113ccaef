"""The ONNX frontend: a model becomes a float program; every operator that cannot is named, all at once.

Constants (initialisers, Constant nodes, shape arithmetic) are folded with ONNX's own reference implementation. Function
bodies are not looked at: a neuron is read from the attributes of its node.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyspike.compiler.program import Fixed, FloatOp, Floor, Program, Result, Shape, Source, Step, require_finite
from pyspike.errors import ModelFormatError, ShapeError, UnsupportedOpError, missing_extra

try:
    import onnx
    from onnx import helper, inliner, numpy_helper
    from onnx.reference import ReferenceEvaluator
except ImportError as missing:
    raise missing_extra(missing.name or "onnx", "onnx") from missing

METADATA_KEY = "pyspike"
_INTEGERS: dict[int, str] = {onnx.TensorProto.UINT8: "uint8", onnx.TensorProto.INT8: "int8"}
_FLOATS = {onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16}
_STANDARD = ("", "ai.onnx")
NEURON = ("pyspike", "IntegerLIF")
_MALFORMED = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


class Refused(Exception):
    """Why a node cannot become part of a program; collected by the reader."""


@dataclass(frozen=True)
class Node:
    """One ONNX node with its attributes decoded."""

    op_type: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    def get(self, name: str, default: Any) -> Any:
        """An attribute; strings come as str."""
        value = self.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value


class Reader:
    """Walks a model's nodes in order; the handlers of `onnx_ops` call its methods."""

    def __init__(self, model: onnx.ModelProto, shapes: Mapping[str, Shape]) -> None:
        self.opset = max((o.version for o in model.opset_import if o.domain in _STANDARD), default=1)
        self.constants = {each.name: _array(each) for each in model.graph.initializer}
        self.values: dict[str, str] = {}  # ONNX value -> program value, Identity and the like looked through
        self.shapes: dict[str, Shape] = {}
        self.integers: set[str] = set()  # program values of an integer dtype, whose arithmetic would wrap
        self.steps: list[Step] = []
        self.inputs = [self._input(each, shapes) for each in model.graph.input if each.name not in self.constants]

    def constant(self, name: str) -> np.ndarray[Any, Any] | None:
        """The value of a constant input, None where it is computed or absent."""
        return self.constants.get(name)

    def has(self, name: str) -> bool:
        """Whether a value of that name has been made."""
        return name in self.constants or name in self.values

    def value(self, name: str) -> str:
        """The program value of an input; constants become steps of their own."""
        if name in self.constants and name not in self.values:
            values = np.asarray(self.constants[name], dtype=np.float64)
            self.values[name] = self.emit(Fixed(values), (), name, name)
        return self.values[name]

    def emit(self, op: FloatOp, inputs: tuple[str, ...], output: str, name: str) -> str:
        """Append a step; returns its value, whose name is `output` or, where that is taken, a variant of it."""
        unique = output
        while unique in self.shapes:
            unique += "'"
        shape = op.shape(*(self.shapes[each] for each in inputs))
        if any(size < 1 for size in shape):
            raise ShapeError(f"its output of shape {shape} is empty")
        self.shapes[unique] = shape
        if inputs and all(each in self.integers for each in inputs):
            self.integers.add(unique)
        self.steps.append(Step(op, inputs, unique, name))
        return unique

    def rename(self, name: str, value: str) -> None:
        """From now on the ONNX value `name` is the program's `value`."""
        self.values[name] = value

    def fold_constant(self, node: Node, proto: onnx.NodeProto) -> bool:
        """Evaluate a node whose inputs are all known now, shapes included; returns whether that was so."""
        if node.op_type in ("Shape", "Size") and node.inputs[0] in self.values:
            shape = self.shapes[self.values[node.inputs[0]]]
            known = np.asarray(shape, dtype=np.int64)
            start, end = node.get("start", 0), node.get("end", len(shape))
            part = known[start:end] if node.op_type == "Shape" else np.asarray(np.prod(known))
            self.constants[node.outputs[0]] = part
            return True
        if proto.domain not in _STANDARD or any(name and name not in self.constants for name in node.inputs):
            return False
        graph = helper.make_graph(
            [proto],
            "constant",
            [onnx.ValueInfoProto(name=name) for name in dict.fromkeys(node.inputs) if name],
            [onnx.ValueInfoProto(name=name) for name in node.outputs if name],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)])
        feeds = {name: self.constants[name] for name in node.inputs if name}
        results: list[Any] = list(ReferenceEvaluator(model).run(None, feeds))
        self.constants.update(zip([name for name in node.outputs if name], results, strict=True))
        return True

    def _input(self, info: onnx.ValueInfoProto, shapes: Mapping[str, Shape]) -> Source:
        kind = info.type.tensor_type
        dims = shapes.get(info.name) or shapes.get("") or tuple(d.dim_value or 0 for d in kind.shape.dim)
        if any(size < 1 for size in dims):
            named = [d.dim_param or d.dim_value for d in kind.shape.dim]
            raise ShapeError(
                f"input {info.name!r} has axes of unknown size, {named}: pass an example of the shape to run"
            )
        if kind.elem_type not in _INTEGERS and kind.elem_type not in _FLOATS:
            raise ShapeError(
                f"input {info.name!r} has dtype {dtype_name(kind.elem_type)}, expected uint8, int8 or float32"
            )
        self.values[info.name] = info.name
        self.shapes[info.name] = dims
        if kind.elem_type in _INTEGERS:
            self.integers.add(info.name)
        return Source(info.name, dims, _INTEGERS.get(kind.elem_type, "float32"))


def read(model: onnx.ModelProto, shapes: Mapping[str, Shape] | None = None) -> Program:
    """The float program of `model`; `shapes` overrides declared input shapes by name ("" stands for any).

    Raises `UnsupportedOpError` naming every node that cannot be compiled, `ShapeError` for inputs of unknown size,
    `RangeError` naming nodes whose constants are not finite.
    """
    from pyspike.compiler.patterns import find_copies, find_rounds

    if any((each.domain, each.name) != NEURON for each in model.functions):
        model = inliner.inline_selected_functions(model, [NEURON], exclude=True)
    reader = Reader(model, shapes or {})
    refused: list[str] = []
    unknown: set[str] = set()  # values behind a refused node
    for proto in model.graph.node:
        reason = None if unknown.isdisjoint(proto.input) else ""
        if reason is None or _handler(proto) is None:
            reason = _refusal(reader, proto) if reason is None else "unknown operator"
        if reason:
            refused.append(_describe(proto, reason))
        if reason is not None:
            unknown.update(proto.output)
    absent = [o.name for o in model.graph.output if not reader.has(o.name) and o.name not in unknown]
    if absent:
        raise ModelFormatError(f"outputs that no node makes: {absent}")
    known = tuple(Result(o.name, reader.value(o.name)) for o in model.graph.output if o.name not in unknown)
    program = Program(tuple(reader.inputs), tuple(reader.steps), known, _metadata(model)).with_steps(reader.steps)
    program = find_copies(find_rounds(program))
    refused += [f"Floor {s.name!r} (floor alone; only Mul 2^f, Add 1/2, Floor, Mul 2^-f is understood)"
                for s in program.steps if isinstance(s.op, Floor)]  # fmt: skip
    if refused:
        raise UnsupportedOpError(
            f"{len(refused)} node{'s' * (len(refused) > 1)} cannot be compiled: " + "; ".join(refused)
        )
    require_finite(program)
    return program


def dtype_name(code: int) -> str:
    """The name of an ONNX dtype in a message."""
    known = onnx.TensorProto.DataType
    return known.Name(code).lower() if code in known.values() else f"number {code}"


def _refusal(reader: Reader, proto: onnx.NodeProto) -> str | None:
    """Read one node; returns why it cannot be, None where it could."""
    handler = _handler(proto)
    try:
        attributes = {a.name: helper.get_attribute_value(a) for a in proto.attribute}
        node = Node(proto.op_type, _name(proto), tuple(proto.input), tuple(proto.output), attributes)
        if reader.fold_constant(node, proto):
            return None
        if handler is None:
            return "unknown operator"
        handler(reader, node)
    except (Refused, ShapeError) as reason:
        return str(reason)
    except _MALFORMED as error:  # a node that breaks the rules of its operator, such as one with too few inputs
        return f"malformed: {type(error).__name__} {error}"
    return None


def _handler(proto: onnx.NodeProto) -> Callable[[Reader, Node], None] | None:
    from pyspike.compiler.onnx_ops import HANDLERS

    ours = proto.domain in _STANDARD or (proto.domain, proto.op_type) == NEURON
    return HANDLERS.get(proto.op_type) if ours else None


def _array(tensor: onnx.TensorProto) -> np.ndarray[Any, Any]:
    try:
        return numpy_helper.to_array(tensor)
    except _MALFORMED as error:
        raise ModelFormatError(f"malformed constant {tensor.name!r}: {error}") from error


def _name(proto: onnx.NodeProto) -> str:
    return proto.name or next((o for o in proto.output if o), proto.op_type)


def _describe(proto: onnx.NodeProto, reason: str) -> str:
    kind = f"{proto.domain}::{proto.op_type}" if proto.domain not in _STANDARD else proto.op_type
    return f"{kind} {_name(proto)!r} ({reason})"


def _metadata(model: onnx.ModelProto) -> dict[str, object]:
    """The JSON object under our key of the file's metadata; what is no object is left out."""
    for entry in model.metadata_props:
        if entry.key == METADATA_KEY:
            try:
                found = json.loads(entry.value)
            except ValueError:
                return {}
            return found if isinstance(found, dict) else {}
    return {}
