"""Spiking layers: convolutions with batch normalisation that fold into ONE plain convolution for inference.

A layer that can fold has `folded() -> nn.Conv2d` (bias, zero padding), whose output on the same input equals the
layer's in eval mode up to floating-point rounding. `pyspike.nn.fold` replaces every such layer of a model. One whose
dense form is wasteful also has `factored() -> FactoredConv`, the same map as two plain convolutions.
All images are [N, C, H, W] with N = T * B, time outer.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

BN_EPS = 1e-3  # the published models' choice; not in their state dicts
BN_MOMENTUM = 0.03


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """BatchNorm2d with the published epsilon and momentum."""
    return nn.BatchNorm2d(channels, eps=BN_EPS, momentum=BN_MOMENTUM)


def bn_scale_shift(bn: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """(scale [C], shift [C]) of a batch norm in eval mode: y = scale * x + shift."""
    assert bn.running_mean is not None
    assert bn.running_var is not None
    scale = bn.weight / torch.sqrt(bn.running_var + bn.eps)
    return scale, bn.bias - bn.running_mean * scale


def plain_conv(weight: Tensor, bias: Tensor, like: nn.Conv2d, padding: int | None = None) -> nn.Conv2d:
    """A Conv2d holding `weight` [O, I/groups, kh, kw] and `bias` [O]; stride, padding and groups as in `like`."""
    out_channels, in_per_group, *kernel = weight.shape
    conv = nn.Conv2d(
        in_per_group * like.groups,
        out_channels,
        (kernel[0], kernel[1]),
        stride=like.stride,  # type: ignore[arg-type]
        padding=like.padding if padding is None else padding,  # type: ignore[arg-type]
        groups=like.groups,
        device=weight.device,
        dtype=weight.dtype,
    )
    with torch.no_grad():
        conv.weight.copy_(weight)
        assert conv.bias is not None
        conv.bias.copy_(bias)
    return conv


class ConvBN(nn.Module):
    """conv k x k (padding k // 2), batch norm. [N, I, H, W] -> [N, O, H / stride, W / stride]."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        bias: bool = False,
        padding: int | None = None,
    ) -> None:
        super().__init__()
        pad = kernel // 2 if padding is None else padding
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, pad, groups=groups, bias=bias)
        self.bn = batch_norm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.bn(self.conv(x))
        return out

    def folded(self) -> nn.Conv2d:
        """conv and batch norm as one convolution."""
        scale, shift = bn_scale_shift(self.bn)
        bias = shift if self.conv.bias is None else shift + scale * self.conv.bias
        return plain_conv(self.conv.weight * scale[:, None, None, None], bias, self.conv)


class PixelConvBN(ConvBN):
    """The stem: a `ConvBN` that reads images in 0..1 and folds to a `PixelConv`, which reads raw pixels 0..255."""

    def folded(self) -> nn.Conv2d:
        """One convolution over raw pixels: the division by 255 is in its weights."""
        plain = super().folded()
        conv = PixelConv(
            plain.in_channels,
            plain.out_channels,
            plain.kernel_size,  # type: ignore[arg-type]
            stride=plain.stride,  # type: ignore[arg-type]
            padding=plain.padding,  # type: ignore[arg-type]
            device=plain.weight.device,
            dtype=plain.weight.dtype,
        )
        with torch.no_grad():
            conv.weight.copy_(plain.weight / 255)
            assert conv.bias is not None
            assert plain.bias is not None
            conv.bias.copy_(plain.bias)
        return conv


class PixelConv(nn.Conv2d):
    """A convolution over raw pixels: uint8 images (or floats holding 0..255) are cast, never scaled."""

    input_hi = 255

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.to(self.weight.dtype))


class BNAndPad(nn.Module):
    """Batch norm, then a border of one pixel holding BN(0): what makes zero padding of the folded conv exact.

    The border uses running statistics even in training (after this batch's update) and passes no gradient.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn = batch_norm(channels)

    def forward(self, x: Tensor) -> Tensor:
        normed = self.bn(x)
        border = bn_scale_shift(self.bn)[1].detach()
        frame = functional.pad(normed.new_zeros(normed.shape[-2:]), (1, 1, 1, 1), value=1.0)
        # zeros are added to what is inside, which keeps the memory format that slices would lose
        return functional.pad(normed, (1, 1, 1, 1)) + border[:, None, None] * frame


class RepConvBN(nn.Module):
    """Re-parameterised 3x3 convolution and its outer batch norm, without a neuron inside.

    1x1 I->I, BN, border BN(0), depthwise 3x3, 1x1 I->O, BN, outer BN. [N, I, H, W] -> [N, O, H, W].
    Folds to one dense 3x3 convolution (9 * I * O weights).
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(in_channels, in_channels, 1, bias=False)
        self.pad = BNAndPad(in_channels)
        self.depthwise = nn.Conv2d(in_channels, in_channels, 3, groups=in_channels, bias=False)
        self.expand = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.inner_bn = batch_norm(out_channels)
        self.bn = batch_norm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.bn(self.inner_bn(self.expand(self.depthwise(self.pad(self.reduce(x))))))
        return out

    def folded(self) -> nn.Conv2d:
        """K[o,i] = s_out[o] sum_c W3[o,c] dw[c] s1[c] W1[c,i]; bias = s_out (W3 (sum(dw) b1)) + b_out."""
        s1, b1 = bn_scale_shift(self.pad.bn)
        s2, b2 = bn_scale_shift(self.inner_bn)
        s3, b3 = bn_scale_shift(self.bn)
        scale, shift = s3 * s2, s3 * b2 + b3
        first, last = self.reduce.weight[:, :, 0, 0] * s1[:, None], self.expand.weight[:, :, 0, 0] * scale[:, None]
        taps = self.depthwise.weight[:, 0]
        kernel = torch.einsum("oc,cyx,ci->oiyx", last, taps, first)
        return plain_conv(kernel, last @ (taps.sum((1, 2)) * b1) + shift, self.expand, padding=1)


class FactoredConv(nn.Module):
    """A 1x1 convolution without bias on counts, then a depthwise one on its potentials, with zero padding and bias.

    `weight` [O, I] (float64 or float32), `taps` [O, kh, kw], `bias` [O]: together the dense kernel
    K[o,i] = taps[o] weight[o,i] with zero padding kh // 2, kw // 2. [N, I, H, W] -> [N, O, H, W].

    Only the product of a row and its taps matters, so powers of two are free to move between them: rows are brought to
    a largest weight in (2^-6, 2^-5] (all but exactly: 127 / 128 of it). With 8 bits their exponents are then 12 or 13,
    nearly equal, so potentials lie on a grid of 12 or 13 fractional bits without a left shift, which would only make
    them longer.
    """

    LARGEST = 127 / 128 / 32

    def __init__(self, weight: Tensor, taps: Tensor, bias: Tensor) -> None:
        super().__init__()
        outputs, inputs = weight.shape
        kernel = (taps.shape[1], taps.shape[2])
        like: dict[str, Any] = {"device": weight.device, "dtype": weight.dtype}
        self.pointwise = nn.Conv2d(inputs, outputs, 1, bias=False, **like)
        padding = (kernel[0] // 2, kernel[1] // 2)
        self.depthwise = nn.Conv2d(outputs, outputs, kernel, padding=padding, groups=outputs, **like)
        largest = weight.abs().amax(1)
        powers = torch.exp2(torch.ceil(torch.log2(torch.where(largest > 0, largest, self.LARGEST) / self.LARGEST)))
        with torch.no_grad():
            self.pointwise.weight.copy_((weight / powers[:, None])[:, :, None, None])
            self.depthwise.weight.copy_((taps * powers[:, None, None])[:, None])
            assert self.depthwise.bias is not None
            self.depthwise.bias.copy_(bias)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.depthwise(self.pointwise(x))
        return out


class SepRepConvBN(nn.Module):
    """Batch norm on the counts, border BN(0), 1x1 I->O, depthwise 3x3, outer BN. [N, I, H, W] -> [N, O, H, W].

    Folds to one dense 3x3 convolution (9 * I * O weights), or to a `FactoredConv` ((I + 9) * O weights).
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.pad = BNAndPad(in_channels)
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.depthwise = nn.Conv2d(out_channels, out_channels, 3, groups=out_channels, bias=False)
        self.bn = batch_norm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.bn(self.depthwise(self.pointwise(self.pad(x))))
        return out

    def folded(self) -> nn.Conv2d:
        """K[o,i] = s3[o] dw[o] W[o,i] s1[i]; bias = s3 sum(dw[o]) (W b1) + b3."""
        mix, taps, bias = self._factors()
        kernel = torch.einsum("oyx,oi->oiyx", taps, mix)
        return plain_conv(kernel, bias, self.pointwise, padding=1)

    def factored(self) -> FactoredConv:
        """The two factors of that kernel, one after the other.

        The border BN(0) = b1 makes W b1 of everything around the 1x1's output: its own bias. Moved behind the depthwise
        it is sum(dw[o]) (W b1), and what is left of the border is zero.
        """
        return FactoredConv(*self._factors())

    def _factors(self) -> tuple[Tensor, Tensor, Tensor]:
        """(W s1 [O, I], s3 dw [O, 3, 3], bias [O])."""
        s1, b1 = bn_scale_shift(self.pad.bn)
        s3, b3 = bn_scale_shift(self.bn)
        mix, taps = self.pointwise.weight[:, :, 0, 0], self.depthwise.weight[:, 0] * s3[:, None, None]
        return mix * s1, taps, taps.sum((1, 2)) * (mix @ b1) + b3


class SpikingConv(nn.Module):
    """Neuron, then a synapse: counts of `neuron` are read by `synapse` (a `ConvBN`, or what it folds to).

    Real values [N, I, H, W] -> real values [N, O, H / stride, W / stride]. Without `norm` the synapse is a plain
    convolution with bias.
    """

    def __init__(
        self,
        neuron: nn.Module,
        in_channels: int,
        out_channels: int,
        kernel: int = 1,
        stride: int = 1,
        bias: bool = False,
        norm: bool = True,
    ) -> None:
        super().__init__()
        self.neuron = neuron
        self.synapse: nn.Module
        if norm:
            self.synapse = ConvBN(in_channels, out_channels, kernel, stride, bias=bias)
        else:
            self.synapse = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.synapse(self.neuron(x))
        return out


def max_pool(x: Tensor, kernel: int) -> Tensor:
    """Max pooling k x k, stride 1, same size; the padding never wins."""
    return functional.max_pool2d(x, kernel, 1, kernel // 2)


def conv2d(x: Tensor, weight: Tensor, bias: Tensor | None, like: nn.Conv2d) -> Tensor:
    """The convolution of `like` (zero padding) with `weight` and `bias`; in float64 a depthwise one by `depthwise`."""
    padding = like.padding
    alone = like.groups == like.in_channels == like.out_channels and like.padding_mode == "zeros"
    exporting = torch.onnx.is_in_onnx_export() or torch.compiler.is_exporting()
    if x.dtype != torch.float64 or not alone or isinstance(padding, str) or exporting:
        return like._conv_forward(x, weight, bias)
    padded = functional.pad(x, (padding[1], padding[1], padding[0], padding[0]))
    out = depthwise(padded, weight, like.stride, like.dilation)
    return out if bias is None else out + bias[:, None, None]


def depthwise(x: Tensor, weight: Tensor, stride: tuple[int, ...], dilation: tuple[int, ...]) -> Tensor:
    """[N, C, H, W] and `weight` [C, 1, kh, kw] -> [N, C, H', W'], without padding, tap by tap.

    PyTorch has no depthwise kernel for float64 on CPUs and takes the channels one by one, ninety times slower. The
    terms are added in another order, which exact arithmetic does not see.
    """

    def window(axis: int, tap: int) -> slice:
        reach = dilation[axis] * (weight.shape[2 + axis] - 1)
        start = tap * dilation[axis]
        return slice(start, x.shape[2 + axis] - reach + start, stride[axis])

    out = x.new_zeros(1)
    for row in range(weight.shape[2]):
        for column in range(weight.shape[3]):
            seen = x[:, :, window(0, row), window(1, column)]
            out = torch.addcmul(out, seen, weight[:, 0, row, column][:, None, None])
    return out
