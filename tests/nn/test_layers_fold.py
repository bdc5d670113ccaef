"""Folding: one plain convolution gives what the training form gives, borders included."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from pyspike.nn import IntegerLIF, fold
from pyspike.nn.layers import BNAndPad, ConvBN, PixelConv, PixelConvBN, RepConvBN, SepRepConvBN, SpikingConv


def scrambled(module: nn.Module, seed: int = 0) -> nn.Module:
    """`module` in float64 and eval mode with random weights, batch norms far from the identity."""
    torch.manual_seed(seed)
    for m in module.modules():
        if isinstance(m, nn.BatchNorm2d):
            nn.init.uniform_(m.weight, 0.5, 2.0)
            nn.init.normal_(m.bias)
            m.running_mean.normal_()
            m.running_var.uniform_(0.3, 3.0)
    return module.double().eval()


CASES: dict[str, Callable[[], nn.Module]] = {
    "ConvBN": lambda: ConvBN(6, 5, 3, stride=2, bias=True),
    "depthwise ConvBN": lambda: ConvBN(6, 6, 7, groups=6),
    "RepConvBN": lambda: RepConvBN(6, 9),
    "SepRepConvBN": lambda: SepRepConvBN(6, 4),
}


@pytest.mark.parametrize("name", CASES)
def test_folds_to_one_zero_padded_convolution(name: str) -> None:
    layer = scrambled(CASES[name]())
    folded = fold(layer)
    assert type(folded) is nn.Conv2d
    assert folded.padding_mode == "zeros"
    counts = torch.randint(0, 5, (2, 6, 9, 7)).double()
    expected, found = layer(counts), folded(counts)
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    # one dense 3x3 kernel with all taps in use, where there is one
    assert bool((folded.weight != 0).all())


def test_fold_leaves_the_model_as_it_was() -> None:
    layer = scrambled(RepConvBN(3, 3))
    before = {k: v.clone() for k, v in layer.state_dict().items()}
    fold(layer)
    assert isinstance(layer, RepConvBN)
    assert all(torch.equal(v, before[k]) for k, v in layer.state_dict().items())


def test_folding_float32_computes_in_float64() -> None:
    layer = scrambled(RepConvBN(6, 9)).float()
    expected = fold(layer.double()).float()
    found = fold(layer.float())
    assert torch.equal(found.weight, expected.weight)
    assert found.weight.dtype == torch.float32


def test_stem_reads_raw_pixels_after_folding() -> None:
    stem = scrambled(PixelConvBN(3, 4, 7, 4, bias=True, padding=2))
    folded = fold(stem)
    assert isinstance(folded, PixelConv)
    pixels = torch.randint(0, 256, (2, 3, 32, 64), dtype=torch.uint8)
    torch.testing.assert_close(folded(pixels), stem(pixels.double() / 255), rtol=0, atol=1e-12)
    assert torch.equal(folded(pixels), folded(pixels.double()))


def test_border_uses_running_statistics_of_this_batch_and_no_gradient() -> None:
    layer = BNAndPad(2).double().train()
    nn.init.normal_(layer.bn.bias)
    x = torch.randn(3, 2, 4, 4, dtype=torch.float64) * 2 + 1
    out = layer(x)
    # the running statistics were updated by this very call
    scale = layer.bn.weight / torch.sqrt(layer.bn.running_var + layer.bn.eps)
    border = layer.bn.bias - layer.bn.running_mean * scale
    assert torch.equal(out[:, :, 0, 0], border.expand(3, 2))
    assert torch.equal(out[:, :, -1, 2], border.expand(3, 2))
    assert float(layer.bn.running_mean.abs().min()) > 0
    gradient = torch.autograd.grad(out[:, :, 0].sum() + out[:, :, :, -1].sum(), layer.bn.bias, allow_unused=True)[0]
    assert gradient is None or float(gradient.abs().max()) == 0


def test_spiking_conv_reads_counts() -> None:
    layer = SpikingConv(IntegerLIF(D=2), 3, 4, 3, norm=False).double()
    x = torch.randn(1, 3, 5, 5, dtype=torch.float64) * 3
    expected = layer.synapse(torch.round(x.clamp(0, 2)))
    assert torch.equal(layer(x), expected)
