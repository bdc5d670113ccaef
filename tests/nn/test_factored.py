"""A SepRepConv as two convolutions: the same map, the same integers, and a choice by additions."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pyspike.errors import RangeError
from pyspike.models.spikeyolo import SpikeYOLO
from pyspike.nn import IntegerLIF, QuantConv2d, float_exactness, fold, integer_twin, quantise
from pyspike.nn.fold import AdditionModel
from pyspike.nn.layers import FactoredConv, SepRepConvBN, bn_scale_shift
from pyspike.nn.qat import FINEST_FACTORED

from .test_layers_fold import scrambled


def counts(*shape: int, most: int = 4) -> torch.Tensor:
    return torch.randint(0, most + 1, shape).double()


def quantised(inputs: int = 6, outputs: int = 5, bits: int = 8, seed: int = 0, refresh: int = 1) -> FactoredConv:
    model = nn.Sequential(IntegerLIF(D=4), scrambled(SepRepConvBN(inputs, outputs), seed))
    layer = quantise(fold(model, True), bits, refresh)[1]
    assert isinstance(layer, FactoredConv)
    return layer


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 5), st.integers(1, 5), st.integers(0, 2**31))
@settings(max_examples=30)
def test_both_forms_compute_the_layer_borders_included(i: int, o: int, h: int, w: int, seed: int) -> None:
    layer = scrambled(SepRepConvBN(i, o), seed)
    x = counts(2, i, h, w)
    expected = layer(x)
    two, one = fold(layer, True), fold(layer)
    assert type(two) is FactoredConv
    assert type(one) is nn.Conv2d
    torch.testing.assert_close(two(x), expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(one(x), expected, rtol=1e-12, atol=1e-12)
    assert two.pointwise.bias is None
    assert two.depthwise.bias is not None


def test_a_border_that_is_not_zero_is_in_the_bias() -> None:
    """Behind no spikes at all the training form shows sum(dw) W b1 + b3 everywhere, at corners too."""
    layer = scrambled(SepRepConvBN(3, 4))
    out = fold(layer, True)(torch.zeros(1, 3, 4, 5, dtype=torch.float64))
    assert torch.equal(out, out[:, :, :1, :1].expand_as(out))
    torch.testing.assert_close(out, layer(torch.zeros(1, 3, 4, 5, dtype=torch.float64)), rtol=0, atol=1e-12)
    biased = copy.deepcopy(fold(layer, True))  # the bias where the published code has it, in front of the zeros
    bias = (layer.pointwise.weight[:, :, 0, 0] @ bn_scale_shift(layer.pad.bn)[1]).detach()
    assert float(bias.abs().min()) > 0
    biased.pointwise.bias = nn.Parameter(bias)
    wrong = biased(torch.zeros(1, 3, 4, 5, dtype=torch.float64))
    assert not torch.equal(wrong[:, :, 0, 0], wrong[:, :, 1, 1])


def test_powers_of_two_move_from_rows_to_taps() -> None:
    weight = torch.tensor([[0.5, -3.0], [1e-6, 0.0], [0.0, 0.0], [127.0, 1.0]], dtype=torch.float64)
    taps = torch.randn(4, 3, 3, dtype=torch.float64)
    two = FactoredConv(weight, taps, torch.zeros(4))
    mix, dw = two.pointwise.weight[:, :, 0, 0].detach(), two.depthwise.weight[:, 0].detach()
    assert torch.equal(torch.einsum("oyx,oi->oiyx", dw, mix), torch.einsum("oyx,oi->oiyx", taps, weight))
    largest = mix.abs().amax(1)[[0, 1, 3]]
    assert bool((largest > FactoredConv.LARGEST / 2).all())
    assert bool((largest <= FactoredConv.LARGEST).all())
    assert float(largest[2]) == FactoredConv.LARGEST


def test_whole_network_in_float64() -> None:
    torch.manual_seed(0)
    model = SpikeYOLO(width=0.0625, num_classes=3)
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d):
            nn.init.uniform_(m.weight, 0.5, 1.5)
            nn.init.normal_(m.bias, 0, 0.5)
    layers = [m for m in model.double().eval().modules() if isinstance(m, SepRepConvBN)]
    folded = fold(model, "auto")
    found = [m for m in folded.modules() if isinstance(m, FactoredConv)]
    assert len(found) == len(layers) == 12
    for layer, two in zip(layers, found, strict=True):
        x = counts(1, layer.pointwise.in_channels, 4, 3)
        torch.testing.assert_close(two(x), layer(x), rtol=1e-12, atol=1e-12)
    assert not any(isinstance(m, FactoredConv) for m in fold(model).modules())


@pytest.mark.parametrize(("inputs", "density", "bits", "cheaper"), [(96, 0.2, 8, True), (8, 0.2, 8, False),
                         (8, 0.9, 4, True), (96, 0.02, 8, False), (1, 1.0, 8, False)])  # fmt: skip
def test_cost_counts_additions(inputs: int, density: float, bits: int, cheaper: bool) -> None:
    model = AdditionModel(counts=4, density=density, bits=bits)
    assert (model.factored(inputs) < model.dense(inputs)) is cheaper
    # by hand: every one of 9 taps of a dense kernel adds a row for each bit of each input
    bits_set = inputs * density * 3
    assert model.dense(inputs) == pytest.approx(9 * bits_set)
    assert model.factored(inputs) == pytest.approx(bits_set + 9 * bits)


def test_auto_chooses_by_the_width_and_the_counts_of_the_model() -> None:
    wide, narrow = SepRepConvBN(96, 4), SepRepConvBN(8, 96)
    model = fold(nn.Sequential(IntegerLIF(D=4), wide, narrow), "auto")
    assert [type(m) for m in model] == [IntegerLIF, FactoredConv, nn.Conv2d]
    limit = SepRepConvBN(20, 4)  # 9 * 20 * 0.2 * planes against 20 * 0.2 * planes + 72: the same at 2.25 planes
    chosen = [type(fold(nn.Sequential(IntegerLIF(D=d), limit), "auto")[1]) for d in (1, 3, 4, 15)]
    assert chosen == [nn.Conv2d, nn.Conv2d, FactoredConv, FactoredConv]
    assert type(fold(narrow, True)) is FactoredConv
    with pytest.raises(RangeError, match="factor"):
        fold(wide, "always")  # type: ignore[arg-type]


@pytest.mark.parametrize("bits", [4, 6, 8])
def test_integers_of_the_pair_are_the_quantised_layer(bits: int) -> None:
    layer = quantised(40, 7, bits)
    x = counts(2, 40, 4, 5)
    w, e, none, f = layer.pointwise.integers()
    assert none is None
    potentials = np.einsum("nihw,oi->nohw", x.numpy().astype(np.int64), w[:, :, 0, 0])
    potentials = potentials << (f - e)[:, None, None]
    taps, e2, bias, f2 = layer.depthwise.integers()
    assert f2 == max(12, f + int(e2.max())) <= max(FINEST_FACTORED, f)
    padded = np.pad(potentials, ((0, 0), (0, 0), (1, 1), (1, 1)))
    out = sum(
        padded[:, :, y : y + 4, z : z + 5] * taps[:, 0, y, z][:, None, None]
        for y, z in itertools.product(range(3), range(3))
    )
    out = (out << (f2 - f - e2)[:, None, None]) + bias[:, None, None]
    twin = integer_twin(nn.Sequential(layer))
    assert (np.ldexp(twin(x).numpy(), f2) == out).all()
    assert len(np.unique(out)) > 50


def test_sums_of_the_pair_are_bounded_by_what_potentials_can_be() -> None:
    layer = quantised(3, 2)
    first, second = float_exactness(nn.Sequential(layer))
    f, f2 = layer.pointwise.fraction, layer.depthwise.fraction
    corners = torch.stack([torch.tensor(c) for c in itertools.product((0.0, 4.0), repeat=3)])
    reached = layer.pointwise(corners[:, :, None, None].double())
    assert first["steps"] == int(reached.abs().max() * 2**f)
    low, high = min(float(reached.min()), 0.0), max(float(reached.max()), 0.0)
    weight, bias = layer.depthwise.on_grid()
    up = (weight.clamp(min=0) * high + weight.clamp(max=0) * low).sum((1, 2, 3)) + bias.clamp(min=0)
    down = (weight.clamp(min=0) * low + weight.clamp(max=0) * high).sum((1, 2, 3)) + bias.clamp(max=0)
    assert second["steps"] == int(torch.cat([up, -down]).max() * 2**f2)


def test_the_grid_of_the_depthwise_follows_the_pointwise() -> None:
    layer = quantised().eval()
    x = counts(1, 6, 3, 3)
    before = layer.depthwise.input_fraction
    with torch.no_grad():
        layer.pointwise.weight[0] /= 2 ** (14 - before)
    layer(x)
    assert before < layer.depthwise.input_fraction == layer.pointwise.fraction == 14
    assert layer.depthwise.fraction <= FINEST_FACTORED
    copied = copy.deepcopy(layer)
    assert copied.depthwise.source is copied.pointwise
    assert not any("source" in key for key in layer.state_dict())


def test_both_halves_are_trained_and_stay_integer_exact() -> None:
    torch.manual_seed(0)
    layer = quantised(8, 4, refresh=3).float().train()
    target = fold(scrambled(SepRepConvBN(8, 4), seed=1), True).float()
    optimiser = torch.optim.SGD(layer.parameters(), lr=1e-3)
    losses = []
    for _ in range(30):
        x = torch.randint(0, 5, (4, 8, 5, 5)).float()
        loss = (layer(x) - target(x)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        assert all(float(p.grad.abs().max()) > 0 for p in layer.parameters())
        optimiser.step()
        losses.append(loss.item())
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])
    layer.eval()
    x = torch.randint(0, 5, (1, 8, 4, 4))
    assert torch.equal(layer(x).double(), integer_twin(nn.Sequential(layer))(x))


def test_training_resumes_bit_for_bit() -> None:
    def step(layer: FactoredConv, seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        out = layer(torch.randint(0, 5, (1, 6, 3, 3)).double())
        out.square().sum().backward()
        with torch.no_grad():
            for p in layer.parameters():
                p -= 1e-3 * p.grad
                p.grad = None
        return out

    first = quantised(refresh=4).train()
    for seed in range(3):
        step(first, seed)
    second = quantised(seed=9, refresh=4).train()
    second.load_state_dict(first.state_dict())
    for seed in range(6):
        assert torch.equal(step(first, seed), step(second, seed)), seed


def test_nothing_is_searched_where_nothing_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = quantised().eval()
    searched: list[QuantConv2d] = []
    integers = QuantConv2d.integers
    monkeypatch.setattr(QuantConv2d, "integers", lambda self: searched.append(self) or integers(self))
    x = counts(1, 6, 3, 3)
    layer.eval()(x)
    assert searched == []
    with torch.no_grad():
        layer.depthwise.bias[1] += 1
    layer(x)
    assert searched == [layer.depthwise]
    with torch.no_grad():
        layer.pointwise.weight[0] /= 16
    layer(x)
    assert searched == [layer.depthwise, layer.pointwise, layer.depthwise]
    layer.float()(x.float())  # grids are rebuilt in the new dtype
    assert searched[3:] == [layer.pointwise, layer.depthwise]
