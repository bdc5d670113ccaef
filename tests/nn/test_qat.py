"""Quantised layers: the rule of pyspike.quantise to the bit, exact arithmetic, straight-through gradients."""

from __future__ import annotations

import io
import warnings

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pyspike.errors import RangeError
from pyspike.nn import IntegerLIF, QuantConv2d, QuantLinear, float_exactness, fold, integer_twin, quantise
from pyspike.nn.layers import PixelConvBN, SpikingConv
from pyspike.quantise import quantise_rows, round_bias, synapse_fraction


def network() -> nn.Module:
    torch.manual_seed(1)
    model = nn.Sequential(PixelConvBN(3, 8, 3, 2, bias=True), SpikingConv(IntegerLIF(D=4), 8, 5, 3))
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d):
            nn.init.uniform_(m.weight, 2.0, 6.0)
            nn.init.normal_(m.bias)
    return model.eval()


@pytest.mark.parametrize("bits", [4, 6, 8])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_grid_is_the_shared_rule(bits: int, dtype: torch.dtype) -> None:
    torch.manual_seed(bits)
    conv = QuantConv2d(5, 7, 3, bits=bits, input_hi=4).to(dtype).eval()
    with torch.no_grad():
        conv.weight[2] *= 1e-3
        conv.weight[3] = 0
    w, e = quantise_rows(conv.weight.detach().double().numpy(), bits, 4)
    f = synapse_fraction(e, 0)
    b = round_bias(conv.bias.detach().double().numpy(), f)
    weight, bias = conv.on_grid()
    assert (np.ldexp(weight.double().numpy(), e[:, None, None, None]) == w).all()
    assert (np.ldexp(bias.double().numpy(), f) == b).all()
    assert len(set(e.tolist())) > 2


@given(st.data())
def test_the_search_of_exponents_finds_what_trying_all_would(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    bits, hi = data.draw(st.sampled_from([2, 4, 6, 8])), data.draw(st.sampled_from([1, 4, 255]))
    rows = rng.standard_t(2, (rng.integers(1, 5), rng.integers(1, 40))) * np.exp(rng.normal(0, 5))
    if data.draw(st.booleans()):  # on a grid already, or on two
        rows = np.rint(rows * 2.0 ** rng.integers(-2, 8)) / 2.0 ** rng.integers(-12, 12)
    limit = 2 ** (bits - 1) - 1

    def grid(e: int) -> np.ndarray:
        return np.clip(np.rint(np.ldexp(rows, e)), -limit, limit)

    errors = {e: np.square(rows - np.ldexp(grid(e), -e)).sum(axis=1) for e in range(-60, 60)}
    w, e = quantise_rows(rows, bits, hi)
    for i, row in enumerate(rows):
        exact = [k for k in errors if errors[k][i] == 0]
        allowed = range(-8, 14 + {1: 0, 4: 0, 255: 5}[hi] + 1)
        best = 0 if not row.any() else min(exact) if exact else min(allowed, key=lambda k: (errors[k][i], k))
        assert e[i] == best
        assert (w[i] == grid(best)[i]).all()


@pytest.mark.parametrize(("kernel", "stride", "padding", "dilation"), [(3, 1, 1, 1), (7, 1, 3, 1), (3, 2, 0, 2)])
def test_a_depthwise_in_float64_is_pytorchs(kernel: int, stride: int, padding: int, dilation: int) -> None:
    torch.manual_seed(0)
    conv = QuantConv2d(4, 4, kernel, stride, padding, dilation, groups=4).double().eval()
    x = torch.randint(0, 5, (2, 4, 9, 11)).double()
    weight, bias = conv.on_grid()
    expected = nn.functional.conv2d(x, weight, bias, stride, padding, dilation, 4)
    assert torch.equal(conv(x), expected)
    assert torch.equal(conv.float()(x.float()).double(), expected)


def test_wide_inputs_allow_finer_grids() -> None:
    conv = QuantConv2d(3, 2, 3, input_hi=255).eval()
    with torch.no_grad():
        conv.weight *= 1e-3
    _, e, _, f = conv.integers()
    assert e.max() == 19
    assert f == 19
    assert (quantise_rows(conv.weight.detach().double().numpy(), 8, 4)[1] == 14).all()


def test_input_fraction_moves_the_bias_grid() -> None:
    layer = QuantLinear(4, 2, input_fraction=9).eval()
    with torch.no_grad():
        layer.weight.fill_(0.25)
        layer.weight[0, 0] = 63 / 128
        layer.bias.copy_(torch.tensor([1 + 2**-17, 3 * 2**-17]))
    _, e, bias, f = layer.integers()
    assert f == e.max() + 9 == 16
    assert bias.tolist() == [2**16 + 1, 2]  # halves of a step round up


def test_gradients_go_straight_through() -> None:
    conv = QuantConv2d(3, 4, 3, bits=4).double().train()
    x = torch.randint(0, 5, (2, 3, 6, 6)).double()
    conv(x).square().sum().backward()
    plain = nn.Conv2d(3, 4, 3).double()
    with torch.no_grad():
        weight, bias = conv.on_grid()
        plain.weight.copy_(weight)
        plain.bias.copy_(bias)
    plain(x).square().sum().backward()
    assert torch.equal(conv.weight.grad, plain.weight.grad)
    assert torch.equal(conv.bias.grad, plain.bias.grad)


def test_exponents_are_kept_while_training_and_searched_in_eval() -> None:
    conv = QuantConv2d(2, 3, 1, refresh=4).train()
    x = torch.ones(1, 2, 1, 1)
    conv(x)
    before = conv._exponents.clone()
    with torch.no_grad():
        conv.weight *= 4
    conv(x)
    assert torch.equal(conv._exponents, before)
    assert torch.equal(conv.on_grid()[0], torch.round(conv.weight * 2.0 ** before[:, None, None, None]).clamp(-127, 127)
                       / 2.0 ** before[:, None, None, None])  # fmt: skip
    conv.eval()(x)
    assert torch.equal(conv._exponents, before - 2)
    conv.train()
    for _ in range(4):
        conv(x)
    assert torch.equal(conv._exponents, before - 2)


def test_eval_always_follows_the_present_weights() -> None:
    conv = QuantConv2d(2, 3, 1, refresh=1000).eval()
    x = torch.ones(1, 2, 1, 1)
    first = conv(x)
    with torch.no_grad():
        conv.weight.neg_()
        conv.bias.neg_()
    assert torch.equal(conv(x), -first)


def test_eval_after_training_searches_at_every_call() -> None:
    conv = QuantConv2d(2, 3, 1, bias=False, refresh=1000).train()
    x = torch.ones(1, 2, 1, 1)
    conv(x)
    conv.eval()
    first = conv(x)
    with torch.no_grad():
        conv.weight.mul_(64)
    assert torch.equal(conv(x), 64 * first)


def test_biases_round_halves_up_between_searches_too() -> None:
    conv = QuantConv2d(1, 4, 1, refresh=1000).double().train()
    x = torch.ones(1, 1, 1, 1).double()
    conv(x)
    with torch.no_grad():
        conv.bias.copy_(torch.tensor([-3.0, -1.0, 1.0, 5.0]) / 2**13)  # odd multiples of half a step
    bias = conv.on_grid()[1]
    assert (bias.detach() * 2**12).tolist() == round_bias(conv.bias.detach().numpy(), 12).tolist() == [-1, 0, 1, 3]


def test_quantise_knows_pixels_from_counts() -> None:
    model = network()
    with torch.no_grad():
        model[0].conv.weight *= 0.05
    model = quantise(fold(model))
    assert (model[0].input_hi, model[1].synapse.input_hi) == (255, 4)
    assert model[0].integers()[1].max() > 14


def test_quantising_the_grid_again_changes_nothing() -> None:
    model = quantise(fold(network()))
    for m in model.modules():
        if isinstance(m, QuantConv2d):
            weight, bias = m.on_grid()
            again = QuantConv2d(m.in_channels, m.out_channels, m.kernel_size, input_hi=m.input_hi).eval()
            with torch.no_grad():
                again.weight.copy_(weight)
                again.bias.copy_(bias)
            assert torch.equal(again.on_grid()[0], weight)
            assert torch.equal(again.on_grid()[1], bias)


def test_the_twin_is_the_integer_network() -> None:
    model = quantise(fold(network()))
    twin = integer_twin(model)
    pixels = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    # in plain integers
    stem, neuron, last = model[0], model[1].neuron, model[1].synapse
    w, e, b, f = stem.integers()
    x = np.pad(pixels.numpy().astype(np.int64), ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), (2, 3))[:, :, ::2, ::2]
    potential = (np.einsum("bcyxij,ocij->boyx", windows, w) << (f - e)[:, None, None]) + b[:, None, None]
    counts = np.clip(np.rint(potential / 2**f), 0, neuron.D).astype(np.int64)
    assert len(np.unique(counts)) > 2
    w, e, b, f = last.integers()
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(counts, ((0, 0), (0, 0), (1, 1), (1, 1))), (3, 3), (2, 3))
    potential = (np.einsum("bcyxij,ocij->boyx", windows, w) << (f - e)[:, None, None]) + b[:, None, None]
    assert (np.ldexp(twin(pixels).numpy(), f) == potential).all()
    assert all(row["exact"] for row in float_exactness(model))
    assert torch.equal(model(pixels).double(), twin(pixels))  # float32 is exact too, as promised


def test_float_exactness_counts_both_signs_and_the_bias() -> None:
    layer = QuantLinear(3, 1, input_hi=4).eval()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 2.0, -5.0]]))
        layer.bias.copy_(torch.tensor([3.0]))
    (row,) = float_exactness(nn.Sequential(layer))
    assert (row["M"], row["f"], row["steps"]) == (20.0, 12, 20 * 4096)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[64.0 * 1024, 0.0, 0.0]]))
    assert not float_exactness(nn.Sequential(layer))[0]["exact"]


def test_refuses_what_is_not_ready() -> None:
    with pytest.raises(RangeError, match="fold"):
        quantise(network())
    with pytest.raises(RangeError, match="synapses are float"):
        integer_twin(fold(network()))
    with pytest.raises(RangeError, match="bits=9"):
        QuantConv2d(1, 1, 1, bits=9)


def test_export_starts_with_a_cast_and_holds_the_grid() -> None:
    model = quantise(fold(network()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(model, (torch.zeros(1, 3, 16, 16, dtype=torch.uint8),), dynamo=True, verbose=False)
        buffer = io.BytesIO()
        program.save(buffer)
    graph = onnx.load_from_string(buffer.getvalue()).graph
    assert [n.op_type for n in graph.node] == ["Cast", "Conv", "IntegerLIF", "Conv"]
    stored = {i.name: onnx.numpy_helper.to_array(i) for i in graph.initializer}
    for conv, node in zip((model[0], model[1].synapse), (n for n in graph.node if n.op_type == "Conv"), strict=True):
        weight, bias = conv.on_grid()
        assert (stored[node.input[1]] == weight.numpy()).all()
        assert (stored[node.input[2]] == bias.numpy()).all()


def test_state_restores_training_exactly() -> None:
    def make() -> QuantConv2d:
        torch.manual_seed(0)
        return QuantConv2d(2, 3, 1, refresh=5).train()

    first = make()
    x = torch.ones(1, 2, 1, 1)
    for _ in range(3):
        first(x)
    with torch.no_grad():
        first.weight *= 2  # the exponents in use are older than the weights
    second = make()
    second.load_state_dict(first.state_dict())
    for _ in range(4):
        assert torch.equal(first(x), second(x))
        assert torch.equal(first._exponents, second._exponents)


def test_bakes_weights_in_any_memory_format() -> None:
    """1x1 weights in channels_last are contiguous in name alone: their strides forbid a view as bytes."""
    layer = QuantConv2d(8, 4, 1).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    layer.bake()
    expected = QuantConv2d(8, 4, 1)
    expected.load_state_dict(layer.state_dict())
    expected.bake()
    assert torch.equal(layer.on_grid()[0], expected.on_grid()[0])
