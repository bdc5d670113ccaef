"""Torch modules compile through their own export, and equal both ONNX Runtime and PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from pyspike import image  # noqa: E402
from pyspike.compiler import compile  # noqa: E402
from pyspike.errors import UnsupportedOpError  # noqa: E402
from pyspike.models.spikeyolo import SpikeYOLO  # noqa: E402
from pyspike.nn import IntegerLIF, export_onnx, fold, quantise  # noqa: E402
from tests.compiler.modules import Classifier, Events, Pyramid, Tokens, WithNorms, on_grid  # noqa: E402
from tests.compiler.networks import onnxruntime_outputs, reals  # noqa: E402


def images(*shape: int, hi: int = 255):
    return torch.randint(0, hi + 1, shape, dtype=torch.uint8, generator=torch.manual_seed(7))


def of_torch(module, x) -> list[np.ndarray]:
    with torch.no_grad():
        found = module.double().eval()(x)
    return [t.numpy() for t in (found if isinstance(found, (tuple, list)) else [found])]


@pytest.mark.parametrize(
    ("module", "x", "transposes"),
    [
        (Classifier(T=1), images(2, 3, 8, 8), 1),
        (Classifier(T=2), images(2, 3, 8, 8), 1),
        (Classifier(T=4, decay=0.5, gain=0.5, rounding="half_up", reset="hard"), images(1, 3, 8, 8), 1),
        (Events(), images(2, 2, 2, 8, 8, hi=3), 2),
        (Tokens(), images(2, 3, 8, 8), 5),
        (Pyramid(), images(2, 3, 8, 8), 3),
    ],
    ids=["T=1", "T=2", "hard reset", "events", "tokens", "pyramid"],
)
def test_modules_on_a_grid_equal_pytorch_in_float64(tmp_path, module, x, transposes):
    module = on_grid(module)
    report = compile(module, tmp_path / "m.spk", example=x)
    assert report.source_exact, report.changes
    graph = image.read(tmp_path / "m.spk")
    found = reals(graph, {graph.inputs[0].name: x.numpy()})
    expected = of_torch(DoubleInput(module), x)
    assert len(found) == len(expected)
    for values, own in zip(expected, found.values(), strict=True):
        assert values.shape == own.shape
        assert (values == own).all()
    assert sum(node.op.name == "transpose" for node in graph.nodes) <= transposes


class DoubleInput(nn.Module):
    """The module with `float()` of its images meaning float64, which keeps sums exact."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x):
        return self.module(Widened(x))


class Widened:
    def __init__(self, x) -> None:
        self.x = x

    def float(self):
        return self.x.double()


def test_norms_are_folded_and_rounded(tmp_path):
    torch.manual_seed(0)
    module, x = WithNorms().eval(), images(2, 3, 3, 3)
    report = compile(module, tmp_path / "m.spk", example=x)
    assert not report.source_exact
    found = reals(report.graph, {report.graph.inputs[0].name: x.numpy()})
    (own,), (expected,) = found.values(), of_torch(DoubleInput(module), x)
    assert np.abs(own - expected).max() < 0.02 * np.abs(expected).max()


@pytest.mark.parametrize("T", [1, 2])
def test_a_quantised_spikeyolo_equals_onnxruntime(tmp_path, T):
    torch.manual_seed(T)
    float_model = SpikeYOLO(depth=0.33, width=0.0625, num_classes=3, T=T).eval()
    for module in float_model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.3, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.5)
    x = images(1, 3, 64, 96)
    export_onnx(quantise(fold(float_model)), tmp_path / "m.onnx", x)
    report = compile(tmp_path / "m.onnx", tmp_path / "m.spk")
    assert report.source_exact, report.changes
    graph = image.read(tmp_path / "m.spk")
    names = [node.op.name for node in graph.nodes]
    assert names.count("transpose") == 4  # one for the image, three for the heads
    assert "reshape" not in names
    assert names.count("expand") == (T > 1)
    import onnx

    pixels = {graph.inputs[0].name: x.numpy()}
    found = reals(graph, pixels)
    for name, values in onnxruntime_outputs(onnx.load(tmp_path / "m.onnx"), pixels).items():
        assert (values == found[name]).all()
    if T == 1:
        swallowed = [n for n in graph.nodes if n.op.name == "conv2d" and n.op.bias is None and not n.op.shift.any()]
        assert len(swallowed) > 40


def test_a_module_with_batch_norms_is_folded_first(tmp_path):
    from pyspike.nn.layers import ConvBN

    torch.manual_seed(0)
    module = nn.Sequential(IntegerLIF(), ConvBN(2, 3, 3)).eval()
    report = compile(
        nn.Sequential(nn.Conv2d(2, 2, 1), module), tmp_path / "m.spk", example=torch.zeros(1, 2, 4, 4),
        calibration={"input": (0, 4, 0)},
    )  # fmt: skip
    assert [n.op.name for n in report.graph.nodes].count("conv2d") == 2


def test_a_module_needs_an_example(tmp_path):
    with pytest.raises(UnsupportedOpError, match="example"):
        compile(nn.Linear(2, 2), tmp_path / "m.spk")


def test_a_float_example_is_refused_with_the_way_out(tmp_path):
    with pytest.raises(UnsupportedOpError, match="uint8"):
        compile(nn.Conv2d(3, 2, 1), tmp_path / "m.spk", example=torch.zeros(1, 3, 4, 4))
