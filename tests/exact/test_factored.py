"""Factored SepRepConv layers, a 1x1 synapse on counts and a depthwise one on its potentials, on every executor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from pyspike import image, reference, verify  # noqa: E402
from pyspike.chip.config import Chip  # noqa: E402
from pyspike.chip.mapping import map_network  # noqa: E402
from pyspike.compiler import compile  # noqa: E402
from pyspike.errors import RangeError, UnsupportedOpError  # noqa: E402
from pyspike.nn import IntegerLIF, executor, export_onnx, fold, integer_twin, quantise  # noqa: E402
from pyspike.nn.layers import FactoredConv, PixelConvBN, SepRepConvBN  # noqa: E402
from pyspike.runtime import Model  # noqa: E402
from tests.compiler.networks import Writer, onnxruntime_outputs, reals  # noqa: E402
from tests.exact.test_executors import CONFIGURATIONS, assert_same  # noqa: E402


class Network(nn.Module):
    """Pixels, a stem, copies over time, and a residual stream with factored branches: x + project(lif(x)), twice."""

    def __init__(self, channels: int, T: int, D: int) -> None:
        super().__init__()
        self.T = T
        self.stem = PixelConvBN(3, channels, 3, 2)
        self.neurons = nn.ModuleList(IntegerLIF(D=D, T=T, decay=0.25) for _ in range(3))
        self.project = nn.ModuleList(SepRepConvBN(channels, channels) for _ in range(2))
        self.head = nn.Conv2d(channels, 2, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.stem(images)
        if self.T > 1:
            x = x.repeat(self.T, 1, 1, 1)
        for neuron, project in zip(self.neurons, self.project, strict=False):
            x = x + project(neuron(x))
        x = self.head(self.neurons[2](x))
        return x.reshape(self.T, -1, *x.shape[1:]).mean(0) if self.T > 1 else x


def network(channels: int, T: int, D: int, bits: int, seed: int, spread: float = 0.5) -> nn.Module:
    """Quantised, factored, with batch norms whose scales differ by factors of e^spread."""
    torch.manual_seed(seed)
    model = Network(channels, T, D)
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.bias.data.normal_(0, 0.7)
            m.weight.data.normal_().mul_(spread).clamp_(-2, 2).exp_()
            m.running_mean.normal_()
            m.running_var.uniform_(0.2, 2.0)
    return quantise(fold(model, True), bits).eval()


def written(module: nn.Module, x: np.ndarray) -> Writer:
    """The module's ONNX file, written by hand: an exporter takes a second for what a hundred examples need."""
    writer = Writer()
    value = writer.cast(writer.input("x", x.shape))

    def synapse(value: str, conv: nn.Module) -> str:
        weight, bias = conv.on_grid()
        pads = [*conv.padding, *conv.padding]
        return writer.conv(
            value, weight.numpy(), None if bias is None else bias.numpy(), pads=pads, strides=list(conv.stride),
            group=conv.groups,
        )  # fmt: skip

    def fire(value: str, neuron: IntegerLIF) -> str:
        merged = writer.shapes[value]
        if neuron.T > 1:
            value = writer.reshape(value, (neuron.T, merged[0] // neuron.T, *merged[1:]))
        value = writer.fire(value, neuron.D, half_even=1, T=neuron.T, decay=neuron.decay)
        return writer.reshape(value, merged) if neuron.T > 1 else value

    value = synapse(value, module.stem)
    if module.T > 1:
        repeats = writer.constant(np.array([module.T, 1, 1, 1], dtype=np.int64))
        shape = writer.shapes[value]
        value = writer.node("Tile", [value, repeats], (module.T * shape[0], *shape[1:]))
    for neuron, project in zip(module.neurons, module.project, strict=False):
        assert isinstance(project, FactoredConv)
        branch = synapse(synapse(fire(value, neuron), project.pointwise), project.depthwise)
        value = writer.node("Add", [value, branch], writer.shapes[value])
    value = synapse(fire(value, module.neurons[2]), module.head)
    if module.T > 1:
        n, *maps = writer.shapes[value]
        value = writer.reshape(value, (module.T, n // module.T, *maps))
        axis = writer.constant(np.array([0], dtype=np.int64))
        value = writer.node("ReduceMean", [value, axis], (n // module.T, *maps), keepdims=0)
    writer.nodes[-1].output[0], writer.shapes["out"] = "out", writer.shapes[value]
    return writer


@st.composite
def cases(draw: Callable) -> tuple[nn.Module, np.ndarray]:
    module = network(
        channels=draw(st.sampled_from([1, 2, 5, 16, 17, 40])),
        T=draw(st.sampled_from([1, 2])),
        D=draw(st.sampled_from([1, 2, 4])),
        bits=draw(st.sampled_from([8, 8, 6, 4])),
        seed=draw(st.integers(0, 2**31)),
        spread=draw(st.sampled_from([0.0, 0.5, 1.5])),
    )
    shape = (draw(st.integers(1, 2)), 3, draw(st.integers(1, 11)), draw(st.integers(1, 11)))
    pixels = np.random.default_rng(draw(st.integers(0, 2**31))).integers(0, 256, shape, dtype=np.uint8)
    return module, pixels


@settings(max_examples=40)
@given(cases())
def test_every_executor_gives_the_twins_integers(tmp_path_factory: pytest.TempPathFactory, case: tuple) -> None:
    module, pixels = case
    path = tmp_path_factory.mktemp("factored") / "m.spk"
    source = written(module, pixels).model(["out"])
    report = compile(source, path)
    assert report.source_exact, report.changes
    assert report.aligns == ()
    graph = image.read(path)
    with torch.no_grad():
        twin = integer_twin(module)(torch.from_numpy(pixels)).numpy()
    inputs = {"x": pixels}
    expected = reference.run(graph, inputs)
    (values,) = reals(graph, inputs).values()
    assert (values == twin).all()
    data = path.read_bytes()
    for isa, threads in CONFIGURATIONS:
        found = Model.load(data).runtime(threads=threads, isa=isa).run(inputs, raw=True)
        assert_same(graph, expected, found, f"runtime ({isa}, {threads} threads)")
    assert_same(graph, expected, executor.run(graph, inputs, torch.float64), "torch float64")
    if report.float_exact:
        assert_same(graph, expected, executor.run(graph, inputs, torch.float32), "torch float32")
        with torch.no_grad():
            assert (module(torch.from_numpy(pixels)).double().numpy() == twin).all()
        (witness,) = onnxruntime_outputs(source, inputs).values()
        assert (witness == twin).all()


@pytest.mark.parametrize("T", [1, 2])
def test_the_exported_file_is_the_same_network(tmp_path: Path, T: int) -> None:
    module = network(8, T, 4, 8, seed=T)
    pixels = np.random.default_rng(T).integers(0, 256, (1, 3, 10, 14), dtype=np.uint8)
    export_onnx(module, tmp_path / "m.onnx", torch.from_numpy(pixels))
    report = compile(tmp_path / "m.onnx", tmp_path / "m.spk")
    assert report.source_exact, report.changes
    depthwise = [row.name for row in report.layers if "depthwise" in row.name]
    assert depthwise == ["project.0.depthwise", "project.1.depthwise"]
    by_hand = compile(written(module, pixels).model(["out"]), tmp_path / "h.spk")
    x = pixels
    a, b = (image.read(tmp_path / name) for name in ("m.spk", "h.spk"))
    (first,), (second,) = (reals(g, {g.inputs[0].name: x}).values() for g in (a, b))
    assert by_hand.source_exact
    assert (first == second).all()
    found = verify(tmp_path / "m.spk", onnx=tmp_path / "m.onnx", binary=True)
    assert found.differences == 0
    assert "binary spikes (unary)" in found.executors
    assert ("onnxruntime" in found.executors) == report.float_exact


def test_the_chip_refuses_potentials_as_input_by_name(tmp_path: Path) -> None:
    compile(written(network(4, 1, 4, 8, 0), np.zeros((1, 3, 6, 6))).model(["out"]), tmp_path / "m.spk")
    with pytest.raises(UnsupportedOpError, match=r"takes counts 0\.\.255.*put a neuron before it"):
        map_network(image.read(tmp_path / "m.spk"), Chip.load("default"))


def test_what_does_not_fit_32_bits_is_refused_by_name(tmp_path: Path) -> None:
    module = network(4, 1, 4, 8, 0)
    with torch.no_grad():
        module.project[1].pointwise.weight *= 2.0**6
        module.project[1].depthwise.weight *= 2.0**26
    writer = written(module.eval(), np.zeros((1, 3, 6, 6), dtype=np.uint8))
    name = [node.name for node in writer.nodes if node.op_type == "Conv"][4]
    with pytest.raises(RangeError, match=f"Conv '{name}'.*int32"):
        compile(writer.model(["out"]), tmp_path / "m.spk")
