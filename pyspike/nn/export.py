"""Export to ONNX: each neuron is one node `pyspike::IntegerLIF`, backed by a model-local function.

The function is plain ONNX, so that a stock ONNX Runtime runs the file; whoever knows the node reads its attributes and
leaves the body alone. Attributes and defaults: `D` (required), `half_even` 0, `T` 1, `decay` 0, `gain` 1, `theta` 1,
`reset` 0 (0 soft, 1 hard). With T > 1 axis 0 of the drive is time. m = 0 before the first step; each step

    m = decay * m + gain * u[t]
    n = clip(m / theta, 0, D), rounded (half_even: Round, else floor(x + 1/2))
    m = m - n * theta  (reset 0)   or   0 where n > 0  (reset 1)

One body serves all neurons of one structure (rounding, reset, whether T > 1, whether gain or theta is 1); numbers are
read from the node's attributes. A file with several structures holds one overload of the function for each.
"""

from __future__ import annotations

import ast
import json
import logging
import os
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from pyspike._files import write_whole
from pyspike.errors import UnsupportedOpError, missing_extra

try:
    import onnx
    import onnxscript  # noqa: F401  torch's exporter needs it
    from onnx import helper
except ImportError as missing:
    raise missing_extra(missing.name or "onnx", "onnx") from missing

DOMAIN, NEURON, VERSION = "pyspike", "IntegerLIF", 1
DEFAULTS: Mapping[str, int | float] = {
    "half_even": 0, "T": 1, "decay": 0.0, "gain": 1.0, "theta": 1.0, "reset": 0,
}  # fmt: skip
METADATA_KEY = "pyspike"
_SCOPES = "pkg.torch.onnx.name_scopes"
_MAIN = {NEURON, "Conv", "Gemm", "MatMul"}


def export_onnx(
    module: torch.nn.Module,
    path: str | os.PathLike[str],
    example: torch.Tensor | tuple[torch.Tensor, ...],
    *,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    metadata: Mapping[str, object] | None = None,
) -> None:
    """Write `module`, in eval mode and with the shapes and dtypes of `example`, to the ONNX file `path`.

    Shapes are fixed to the example's. A uint8 example makes uint8 inputs, as raw pixels and counts should be. Names
    default to those of `forward`'s arguments and of the traced values. `metadata` (JSON) is stored under the key
    "pyspike" of the model's metadata_props. Weights are inside the file; the same module and example give the same
    bytes. The file appears whole or not at all; the module's mode is left as it was.

    Raises `MissingExtraError` without onnx or onnxscript, `UnsupportedOpError` where PyTorch cannot export the module.
    """
    model = onnx_model(module, example, input_names=input_names, output_names=output_names)
    if metadata is not None:
        entry = model.metadata_props.add()
        entry.key, entry.value = METADATA_KEY, json.dumps(metadata, sort_keys=True, allow_nan=False)
    write_whole(path, model.SerializeToString(deterministic=True))


def onnx_model(
    module: torch.nn.Module,
    example: torch.Tensor | tuple[torch.Tensor, ...],
    *,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
) -> onnx.ModelProto:
    """The model that `export_onnx` writes, in memory."""
    arguments = example if isinstance(example, tuple) else (example,)
    modes = [(each, each.training) for each in module.modules()]
    module.eval()
    try:
        with _quiet():
            program = torch.onnx.export(
                module,
                arguments,
                dynamo=True,
                verbose=False,
                input_names=input_names,
                output_names=output_names,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        raise UnsupportedOpError(f"PyTorch cannot export {type(module).__name__} to ONNX: {error}") from error
    finally:
        for each, training in modes:
            each.training = training
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    _name_nodes(model)
    _strip(model)
    attach_functions(model)
    return model


@dataclass(frozen=True, order=True)
class Structure:
    """What decides the nodes of a neuron's body, as opposed to the numbers in them."""

    half_even: bool = False
    over_time: bool = False
    hard_reset: bool = False
    gain: bool = False
    theta: bool = False

    @classmethod
    def of(cls, node: onnx.NodeProto) -> Structure:
        """The structure of one neuron node."""
        given = dict(DEFAULTS)
        given |= {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        over_time = given["T"] > 1
        return cls(
            half_even=given["half_even"] == 1,
            over_time=over_time,
            hard_reset=over_time and given["reset"] == 1,
            gain=given["gain"] != 1,
            theta=given["theta"] != 1,
        )


def attach_functions(model: onnx.ModelProto) -> None:
    """Give every neuron node of `model` a body: adds the functions it needs and imports their domain."""
    neurons = [node for node in model.graph.node if (node.domain, node.op_type) == (DOMAIN, NEURON)]
    opset = next(each.version for each in model.opset_import if each.domain == "")
    structures = sorted({Structure.of(node) for node in neurons})
    overloads = {s: "" if i == 0 else f"variant{i}" for i, s in enumerate(structures)}
    kept = [f for f in model.functions if (f.domain, f.name) != (DOMAIN, NEURON)]
    del model.functions[:]
    model.functions.extend([*kept, *(neuron_function(s, opset, overloads[s]) for s in structures)])
    for node in neurons:
        node.overload = overloads[Structure.of(node)]
    if neurons and all(each.domain != DOMAIN for each in model.opset_import):
        model.opset_import.append(onnx.helper.make_opsetid(DOMAIN, VERSION))


def neuron_function(structure: Structure, opset: int, overload: str = "") -> onnx.FunctionProto:
    """The body of a neuron: Clip and Round or Floor for T = 1, a Scan over axis 0 for T > 1."""
    numbers = [("D", "int", "top")]
    if structure.over_time:
        numbers.append(("decay", "float", "decay"))
    numbers += [(name, "float", name) for name in ("gain", "theta") if getattr(structure, name)]
    nodes = [node for number in numbers for node in _attribute(*number)]
    nodes += [*_constant(0.0, "zero"), *_constant(0.5, "half")]
    if not structure.over_time:
        nodes += _scaled("u", "gain", "driven", structure.gain)
        nodes += _fire("driven" if structure.gain else "u", "n", structure)
    else:
        nodes += [
            helper.make_node("Shape", ["u"], ["membrane_shape"], start=1),
            helper.make_node("Expand", ["zero", "membrane_shape"], ["m_first"]),
            helper.make_node("Scan", ["m_first", "u"], ["m_last", "n"], body=_step(structure), num_scan_inputs=1),
        ]
    return helper.make_function(
        DOMAIN, NEURON, ["u"], ["n"], nodes, [helper.make_opsetid("", opset)],
        attributes=["D"],
        attribute_protos=[helper.make_attribute(name, value) for name, value in DEFAULTS.items()],
        overload=overload,
    )  # fmt: skip


def _step(structure: Structure) -> onnx.GraphProto:
    """One timestep: (m, u_t) -> (m after reset, n)."""
    nodes = [helper.make_node("Mul", ["m", "decay"], ["leaked"])]
    nodes += _scaled("u_t", "gain", "driven", structure.gain)
    nodes.append(helper.make_node("Add", ["leaked", "driven" if structure.gain else "u_t"], ["potential"]))
    nodes += _fire("potential", "n_t", structure)
    if structure.hard_reset:
        nodes += [
            helper.make_node("Greater", ["n_t", "zero"], ["fired"]),
            helper.make_node("Where", ["fired", "zero", "potential"], ["m_next"]),
        ]
    else:
        nodes += _scaled("n_t", "theta", "emitted", structure.theta)
        nodes.append(helper.make_node("Sub", ["potential", "emitted" if structure.theta else "n_t"], ["m_next"]))
    nodes.append(helper.make_node("Identity", ["n_t"], ["n_out"]))

    def value(name: str) -> onnx.ValueInfoProto:
        return onnx.ValueInfoProto(name=name)

    return helper.make_graph(nodes, "timestep", [value("m"), value("u_t")], [value("m_next"), value("n_out")])


def _fire(potential: str, counts: str, structure: Structure) -> list[onnx.NodeProto]:
    nodes = []
    if structure.theta:
        nodes.append(helper.make_node("Div", [potential, "theta"], ["in_thetas"]))
    nodes.append(helper.make_node("Clip", ["in_thetas" if structure.theta else potential, "zero", "top"], ["clipped"]))
    if structure.half_even:
        return [*nodes, helper.make_node("Round", ["clipped"], [counts])]
    return [
        *nodes,
        helper.make_node("Add", ["clipped", "half"], ["raised"]),
        helper.make_node("Floor", ["raised"], [counts]),
    ]


def _scaled(value: str, factor: str, result: str, wanted: bool) -> list[onnx.NodeProto]:
    return [helper.make_node("Mul", [value, factor], [result])] if wanted else []


def _attribute(attribute: str, kind: str, result: str) -> list[onnx.NodeProto]:
    """A scalar of the drive's dtype that holds an attribute of the calling node."""
    reference = onnx.AttributeProto(name=f"value_{kind}", ref_attr_name=attribute)
    reference.type = onnx.AttributeProto.INT if kind == "int" else onnx.AttributeProto.FLOAT
    node = helper.make_node("Constant", [], [f"{result}_given"])
    node.attribute.append(reference)
    return [node, helper.make_node("CastLike", [f"{result}_given", "u"], [result])]


def _constant(value: float, result: str) -> list[onnx.NodeProto]:
    given = f"{result}_given"
    return [
        helper.make_node("Constant", [], [given], value_float=value),
        helper.make_node("CastLike", [given, "u"], [result]),
    ]


def _name_nodes(model: onnx.ModelProto) -> None:
    """Name each node after the module that made it ("stage1.0.conv", or "stage1.0.add_3" where that made several)."""
    made: list[tuple[str, str]] = []
    for node in model.graph.node:
        notes = {entry.key: entry.value for entry in node.metadata_props}
        scopes = ast.literal_eval(notes.get(_SCOPES, "[]"))
        made.append((scopes[-2], scopes[-1]) if len(scopes) > 1 else ("", node.output[0]))
    alone = {module for module, count in Counter(module for module, _ in made).items() if count == 1}
    main = Counter(module for (module, _), node in zip(made, model.graph.node, strict=True) if node.op_type in _MAIN)
    taken: Counter[str] = Counter()
    for node, (module, value) in zip(model.graph.node, made, strict=True):
        leads = module in alone or (main[module] == 1 and node.op_type in _MAIN)
        name = module if module and leads else f"{module}.{value}".lstrip(".")
        taken[name] += 1
        node.name = name if taken[name] == 1 else f"{name}.{taken[name]}"


def _strip(model: onnx.ModelProto) -> None:
    """Remove what names the machine or the run: stack traces, doc strings, exporter notes."""
    model.doc_string = ""
    del model.metadata_props[:]
    graph = model.graph
    graph.doc_string = ""
    del graph.metadata_props[:]
    for each in (*graph.node, *graph.initializer, *graph.value_info, *graph.input, *graph.output, *model.functions):
        each.doc_string = ""
        del each.metadata_props[:]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's remarks on packages that are not there and on its own deprecations."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
