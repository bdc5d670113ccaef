"""The exported file: stock ONNX Runtime computes the module, and the file holds nothing but the model."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from torch import nn  # noqa: E402

from pyspike.errors import UnsupportedOpError  # noqa: E402
from pyspike.nn import IntegerLIF, export_onnx  # noqa: E402


class Neurons(nn.Module):
    """One output for each combination of rounding, reset, gain and threshold."""

    def __init__(self, T: int) -> None:
        super().__init__()
        choices = itertools.product(("half_even", "half_up"), ("soft", "hard"), (1.0, 0.5), (1.0, 0.75))
        self.neurons = nn.ModuleList(
            IntegerLIF(D=2 + i % 3, T=T, decay=0.25 * (i % 5), gain=gain, theta=theta, rounding=rounding, reset=reset)
            for i, (rounding, reset, gain, theta) in enumerate(choices)
        )

    def forward(self, x):
        return tuple(neuron(x) for neuron in self.neurons)


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.lif = nn.Conv2d(1, 2, 3, padding=1), IntegerLIF(T=2)

    def forward(self, images):
        return self.lif(self.conv(images.float().repeat(2, 1, 1, 1)))


def run(path: Path, x) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x.numpy()})


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("T", [1, 2, 3])
def test_onnxruntime_runs_every_kind_of_neuron(tmp_path, T, dtype):
    module = Neurons(T).eval()
    # eighths from -6 to 8: ties of every k, both ends of the clip, and beyond
    x = torch.arange(-48, 64, dtype=dtype).repeat(T, 1)[:, torch.randperm(112, generator=torch.manual_seed(T))] / 8
    export_onnx(module, tmp_path / "neurons.onnx", x)
    for i, (found, expected) in enumerate(zip(run(tmp_path / "neurons.onnx", x), module(x), strict=True)):
        assert found.dtype == expected.numpy().dtype
        assert (found == expected.numpy()).all(), module.neurons[i]


def test_neurons_are_single_nodes_with_their_attributes(tmp_path):
    export_onnx(Small(), tmp_path / "m.onnx", torch.zeros(1, 1, 4, 4, dtype=torch.uint8))
    model = onnx.load(tmp_path / "m.onnx")
    onnx.checker.check_model(model, full_check=True)
    (neuron,) = (node for node in model.graph.node if node.domain == "pyspike")
    assert (neuron.op_type, neuron.name, neuron.overload) == ("IntegerLIF", "lif", "")
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in neuron.attribute}
    assert attributes == {"D": 4, "half_even": 1, "T": 2, "decay": 0.25, "gain": 1.0, "theta": 1.0, "reset": 0}
    opsets = {o.domain: o.version for o in model.opset_import}
    assert opsets["pyspike"] == 1
    (body,) = model.functions
    assert [(o.domain, o.version) for o in body.opset_import] == [("", opsets[""])]
    assert "Scan" in {node.op_type for node in body.node}


def test_attributes_have_their_defaults(tmp_path):
    """A file written by hand may leave out all attributes but D."""
    from onnx import TensorProto, helper

    from pyspike.nn.export import attach_functions

    node = helper.make_node("IntegerLIF", ["u"], ["n"], domain="pyspike", D=2)
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [5]) for name in "un"]
    model = helper.make_model(
        helper.make_graph([node], "g", info[:1], info[1:]), opset_imports=[helper.make_opsetid("", 20)], ir_version=10
    )
    attach_functions(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (counts,) = session.run(None, {"u": np.array([-1, 0.5, 1.4, 1.5, 9], dtype=np.float32)})
    assert counts.tolist() == [0, 1, 1, 2, 2]  # halves round up


def test_one_function_for_each_structure(tmp_path):
    export_onnx(Neurons(1), tmp_path / "m.onnx", torch.zeros(3))
    functions = onnx.load(tmp_path / "m.onnx").functions
    assert sorted(f.overload for f in functions) == ["", *(f"variant{i}" for i in range(1, 8))]


def test_the_same_module_gives_the_same_bytes_without_traces_of_the_machine(tmp_path):
    module, x = Small(), torch.zeros(1, 1, 4, 4, dtype=torch.uint8)
    for name in ("a.onnx", "b.onnx"):
        export_onnx(module, tmp_path / name, x)
    data = (tmp_path / "a.onnx").read_bytes()
    assert data == (tmp_path / "b.onnx").read_bytes()
    for trace in (str(Path(__file__).parent), "site-packages", "stack_trace", "line "):
        assert trace.encode() not in data
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.onnx", "b.onnx"]


def test_nodes_carry_the_names_of_modules(tmp_path):
    net = nn.Sequential(nn.Conv2d(1, 2, 1), IntegerLIF(), nn.Sequential(nn.Conv2d(2, 2, 1)))
    export_onnx(net, tmp_path / "m.onnx", torch.zeros(1, 1, 2, 2))
    assert [n.name for n in onnx.load(tmp_path / "m.onnx").graph.node] == ["0", "1", "2.0"]


def test_names_and_metadata(tmp_path):
    export_onnx(
        Small(),
        tmp_path / "m.onnx",
        torch.zeros(1, 1, 4, 4, dtype=torch.uint8),
        input_names=["pixels"],
        output_names=["spikes"],
        metadata={"task": "count", "classes": ["a"]},
    )
    model = onnx.load(tmp_path / "m.onnx")
    assert [i.name for i in model.graph.input] == ["pixels"]
    assert [o.name for o in model.graph.output] == ["spikes"]
    (entry,) = model.metadata_props
    assert (entry.key, json.loads(entry.value)) == ("pyspike", {"task": "count", "classes": ["a"]})


def test_modes_are_left_as_they_were(tmp_path):
    module = nn.Sequential(nn.Dropout(), IntegerLIF())
    module.train()
    module[1].eval()
    export_onnx(module, tmp_path / "m.onnx", torch.zeros(2))
    assert [m.training for m in module.modules()] == [True, True, False]
    assert [n.op_type for n in onnx.load(tmp_path / "m.onnx").graph.node] == ["IntegerLIF"]  # no dropout: eval


def test_a_module_that_cannot_be_exported_leaves_no_file(tmp_path):
    class Branches(nn.Module):
        def forward(self, x):
            return x + 1 if x.sum() > 0 else x

    with pytest.raises(UnsupportedOpError, match="Branches"):
        export_onnx(Branches(), tmp_path / "m.onnx", torch.zeros(2))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.network_free
@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_missing_extras_are_named(package):
    code = f"""
import sys
sys.modules[{package!r}] = None
import pyspike.nn
try:
    pyspike.nn.export_onnx
except pyspike.MissingExtraError as error:
    print(error)
"""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert package in done.stdout
    assert "pyspike-runtime[onnx]" in done.stdout
