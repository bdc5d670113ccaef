"""The blocks of SpikeYOLO (ECCV 2024). Residual streams hold real values; every synapse but the stem reads counts.

All tensors are [T * B, C, H, W], time outer. `Neurons` makes a fresh neuron per place.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from pyspike.nn.layers import ConvBN, RepConvBN, SepRepConvBN, SpikingConv, max_pool

Neurons = Callable[[], nn.Module]


class SepConv(nn.Module):
    """Inverted separable convolution: 1x1 C->2C, depthwise 7x7, SepRepConv 2C->C, a neuron before each."""

    def __init__(self, channels: int, neurons: Neurons) -> None:
        super().__init__()
        middle = 2 * channels
        self.neuron1, self.expand = neurons(), ConvBN(channels, middle)
        self.neuron2, self.depthwise = neurons(), ConvBN(middle, middle, 7, groups=middle)
        self.neuron3, self.project = neurons(), SepRepConvBN(middle, channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.expand(self.neuron1(x))
        x = self.depthwise(self.neuron2(x))
        out: Tensor = self.project(self.neuron3(x))
        return out


class SNNBlock1(nn.Module):
    """x = SepConv(x) + x;  x = x + conv3x3(ratio C -> C)(conv3x3(C -> ratio C)(x)), a neuron before each."""

    def __init__(self, channels: int, ratio: int, neurons: Neurons) -> None:
        super().__init__()
        self.sep = SepConv(channels, neurons)
        self.conv1 = SpikingConv(neurons(), channels, ratio * channels, 3)
        self.conv2 = SpikingConv(neurons(), ratio * channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.sep(x) + x
        out: Tensor = x + self.conv2(self.conv1(x))
        return out


class SNNBlock2(nn.Module):
    """As `SNNBlock1`, with re-parameterised convolutions in place of the plain 3x3 ones."""

    def __init__(self, channels: int, ratio: int, neurons: Neurons) -> None:
        super().__init__()
        self.sep = SepConv(channels, neurons)
        self.neuron1, self.conv1 = neurons(), RepConvBN(channels, ratio * channels)
        self.neuron2, self.conv2 = neurons(), RepConvBN(ratio * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.sep(x) + x
        y = self.conv1(self.neuron1(x))
        out: Tensor = x + self.conv2(self.neuron2(y))
        return out


class SpikingSPPF(nn.Module):
    """Spatial pyramid pooling: 1x1 C->C/2, three chained 5x5 max pools of the REAL values, concat, 1x1 2C->C."""

    def __init__(self, channels: int, neurons: Neurons) -> None:
        super().__init__()
        half = channels // 2
        self.reduce = SpikingConv(neurons(), channels, half)
        self.expand = SpikingConv(neurons(), 4 * half, channels)

    def forward(self, x: Tensor) -> Tensor:
        pooled = [self.reduce(x)]
        for _ in range(3):
            pooled.append(max_pool(pooled[-1], 5))
        out: Tensor = self.expand(torch.cat(pooled, 1))
        return out


class SpikeDetect(nn.Module):
    """The head: per level a box branch (4 * reg_max channels) and a class branch, logits averaged over time.

    Input: one stream [T * B, C_l, H_l, W_l] per level. Output: per level [B, 4 * reg_max + num_classes, H_l, W_l].
    """

    strides = (8, 16, 32)

    def __init__(
        self,
        channels: tuple[int, ...],
        num_classes: int,
        neurons: Neurons,
        T: int,
        reg_max: int,
        box_channels: int,
        class_channels: int,
    ) -> None:
        super().__init__()
        self.T = T

        def branch(c: int, width: int, out: int) -> nn.Sequential:
            return nn.Sequential(
                SpikingConv(neurons(), c, width, 3),
                SpikingConv(neurons(), width, width, 3),
                SpikingConv(neurons(), width, out, norm=False),
            )

        self.box = nn.ModuleList(branch(c, box_channels, 4 * reg_max) for c in channels)
        self.classes = nn.ModuleList(branch(c, class_channels, num_classes) for c in channels)
        for box, classes, stride in zip(self.box, self.classes, self.strides, strict=True):
            # priors: boxes of medium size, about 5 objects in an image of 640 x 640 pixels
            nn.init.constant_(box[-1].synapse.bias, 1.0)  # type: ignore[index]
            nn.init.constant_(classes[-1].synapse.bias, math.log(5 / num_classes / (640 / stride) ** 2))  # type: ignore[index]

    def forward(self, streams: list[Tensor]) -> list[Tensor]:
        raw = []
        for x, box, classes in zip(streams, self.box, self.classes, strict=True):
            logits = torch.cat([box(x), classes(x)], 1)
            if self.T > 1:
                logits = logits.reshape(self.T, -1, *logits.shape[1:]).mean(0)
            raw.append(logits)
        return raw
