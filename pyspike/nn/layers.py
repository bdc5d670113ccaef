"""Spiking layers: convolutions with batch normalisation that fold into ONE plain convolution for inference.

A layer that can fold has `folded() -> nn.Conv2d` (bias, zero padding), whose output on the same input equals the
layer's in eval mode up to floating-point rounding. `pyspike.nn.fold` replaces every such layer of a model.
All images are [N, C, H, W] with N = T * B, time outer.
"""

from __future__ import annotations

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


class SepRepConvBN(nn.Module):
    """Batch norm on the counts, border BN(0), 1x1 I->O, depthwise 3x3, outer BN. [N, I, H, W] -> [N, O, H, W].

    Folds to one dense 3x3 convolution (9 * I * O weights).
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
        s1, b1 = bn_scale_shift(self.pad.bn)
        s3, b3 = bn_scale_shift(self.bn)
        mix, taps = self.pointwise.weight[:, :, 0, 0], self.depthwise.weight[:, 0] * s3[:, None, None]
        kernel = torch.einsum("oyx,oi->oiyx", taps, mix * s1)
        return plain_conv(kernel, taps.sum((1, 2)) * (mix @ b1) + b3, self.pointwise, padding=1)


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
