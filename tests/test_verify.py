"""verify: agreement is counted, and a difference is named by tensor, position and integers."""

from __future__ import annotations

import numpy as np
import pytest

import pyspike
from pyspike import image
from pyspike import verify as verification
from pyspike.graph import Graph, Port, Tensor
from pyspike.ops import Conv2d, Fire


def small() -> Graph:
    rng = np.random.default_rng(0)
    graph = Graph(metadata={"float_exact": True})
    graph.add_input(Port("x", "x", "uint8"), Tensor((1, 6, 6, 3), 0, 255))
    for name, source, fan_in in (("a", "x", 3), ("b", "a_n", 8)):
        weight = rng.integers(-20, 21, (8, 3, 3, fan_in))
        graph.add(Conv2d(weight, [6] * 8, [0] * 8, None, padding=(1, 1, 1, 1)), [source], name)
        graph.add(Fire([[300, 900, 1500, 2100]]), [name], f"{name}_n")
    graph.add_output(Port("y", "b_n", "int32"))
    return graph


def test_all_executors_agree() -> None:
    report = pyspike.verify(image.to_bytes(small()))
    assert report.differences == 0
    assert report.first is None
    assert report.executors[0] == "reference"
    assert any(name.startswith("runtime (portable, 1") for name in report.executors)
    assert report.values == 2 * 6 * 6 * 8 * (len(report.executors) - 1)
    assert "0 differences" in str(report)


def test_the_first_difference_is_named(monkeypatch) -> None:
    executor = pytest.importorskip("pyspike.nn.executor")
    honest = executor.LOWERINGS[Conv2d]

    def off_by_one(op, x):
        y = honest(op, x)
        y[0, 2, 3, 1] += 1
        return y

    monkeypatch.setitem(executor.LOWERINGS, Conv2d, off_by_one)
    graph = small()
    graph.add_output(Port("acc", "b", "int32"))
    report = pyspike.verify(image.to_bytes(graph))
    assert report.differences > 0
    assert report.first is not None
    tensor, index, integers = report.first
    assert (tensor, index) == ("a", (0, 2, 3, 1))
    assert integers["torch float64"] == integers["reference"] + 1
    assert "first difference in tensor 'a' at (0, 2, 3, 1)" in str(report)


def test_a_missing_executor_is_named(monkeypatch) -> None:
    def absent(dtype: str):
        raise pyspike.errors.missing_extra("torch", "train")

    import sys

    monkeypatch.setattr(sys.modules["pyspike.verify"], "_torch", absent)
    report = pyspike.verify(image.to_bytes(small()))
    assert [name.split(":")[0] for name in report.missing] == ["torch float64", "torch float32"]
    assert "pyspike-runtime[train]" in report.missing[0]
    assert not any("torch" in name for name in report.executors)


def test_callers_inputs_are_used() -> None:
    x = np.full((1, 6, 6, 3), 255, np.uint8)
    one = pyspike.verify(image.to_bytes(small()), inputs={"x": x})
    two = pyspike.verify(image.to_bytes(small()), inputs=[{"x": x}, {"x": x}])
    assert two.values == 2 * one.values


def test_the_function_is_what_the_name_gives() -> None:
    assert callable(pyspike.verify)
    assert verification is pyspike.verify


def exported(tmp_path, bits_of_noise: float = 0.0):
    """A small network as ONNX file and image; with noise its weights are on no grid."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")
    from pyspike.nn import IntegerLIF, export_onnx

    torch.manual_seed(0)
    conv = torch.nn.Conv2d(3, 8, 3, padding=1)
    with torch.no_grad():
        noise = bits_of_noise * torch.randn_like(conv.weight)
        conv.weight.copy_((torch.round(conv.weight * 64) / 64 + noise) / 64)  # pixels are up to 255
        conv.bias.zero_()

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.neuron = conv, IntegerLIF(D=4)

        def forward(self, pixels):
            return self.neuron(self.conv(pixels.to(torch.float32)))

    path = tmp_path / "net.onnx"
    export_onnx(Net().eval(), path, torch.zeros(1, 3, 16, 16, dtype=torch.uint8))
    pyspike.compile(path, tmp_path / "net.spk")
    return path, tmp_path / "net.spk"


def test_the_onnx_file_is_a_witness(tmp_path) -> None:
    onnx, spk = exported(tmp_path)
    report = pyspike.verify(spk, onnx=onnx)
    assert report.executors[-1] == "onnxruntime"
    assert report.differences == 0
    onnx, spk = exported(tmp_path, bits_of_noise=1e-3)
    report = pyspike.verify(spk, onnx=onnx)
    assert report.executors[-1] == "reference on the recompiled ONNX file"
    assert report.differences == 0


@pytest.mark.parametrize(("noise", "steps"), [(0.0, 1), (1e-3, 40)])  # the grid of arbitrary weights is finer
def test_one_weight_off_shows_against_the_onnx_file(tmp_path, noise, steps) -> None:
    onnx, spk = exported(tmp_path, noise)
    graph = image.read(spk)
    node = next(node for node in graph.nodes if isinstance(node.op, Conv2d))
    changed = node.op.weight.copy()
    changed[0, 1, 1, 0] -= steps * np.sign(changed[0, 1, 1, 0])
    object.__setattr__(node.op, "weight", changed)
    image.write(graph, spk)
    report = pyspike.verify(spk, onnx=onnx)
    assert report.differences > 0
    assert report.first is not None
    assert report.executors[-1] in report.first[2]


def test_another_network_is_refused(tmp_path) -> None:
    onnx, _ = exported(tmp_path)
    with pytest.raises(pyspike.ShapeError, match="another network"):
        pyspike.verify(image.to_bytes(small()), onnx=onnx)
    (tmp_path / "no.onnx").write_bytes(b"garbage")
    with pytest.raises(pyspike.ModelFormatError):
        pyspike.verify(image.to_bytes(small()), onnx=tmp_path / "no.onnx")
