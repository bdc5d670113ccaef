"""SpikeYOLO: "Integer-Valued Training and Spike-Driven Inference Spiking Neural Network for High-performance and
Energy-efficient Object Detection" (ECCV 2024), re-implemented. Object detection in images or event frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from pyspike.errors import RangeError, ShapeError
from pyspike.models.spikeyolo_blocks import Neurons, SNNBlock1, SNNBlock2, SpikeDetect, SpikingSPPF
from pyspike.models.spikeyolo_import import to_own_names
from pyspike.nn.layers import PixelConvBN, SpikingConv
from pyspike.nn.neuron import IntegerLIF

SCALES: dict[str, dict[str, float]] = {
    "n": {"depth": 0.33, "width": 0.375},
    "s": {"depth": 0.33, "width": 0.5},
    "m": {"depth": 0.5, "width": 0.625, "p5_ratio": 2},
    "l": {"depth": 0.5, "width": 0.75, "p5_ratio": 2},
}
NEURONS: dict[str, dict[str, Any]] = {"coco": {"decay": 0.25, "gain": 1.0}, "gen1": {"decay": 0.5, "gain": 0.5}}


@dataclass(frozen=True)
class SpikeYOLOConfig:
    """Everything that decides the shape of a SpikeYOLO; the defaults are the published choices.

    depth, width: multipliers of the repeats (3, 6, 9, 3) and channels (128, 256, 512, 1024) of the four stages;
    max_channels: channels before the multiplier are capped here; T timesteps; D largest count of a neuron;
    neuron: which of the two published parameter sets, or "relu" for the twin that is no spiking network: a real-valued
    ReLU in the place of every neuron, T = 1, D of no meaning; reg_max: bins per box side; p5_ratio: expansion of the
    last block; box_channels, class_channels: widths of the two head branches, None for max(64, C2 / 4) and
    max(C2, min(classes, 100)).
    """

    depth: float = 0.33
    width: float = 0.375
    max_channels: int = 1024
    num_classes: int = 80
    T: int = 1
    D: int = 4
    neuron: Literal["coco", "gen1", "relu"] = "coco"
    reg_max: int = 16
    p5_ratio: int = 1
    box_channels: int | None = None
    class_channels: int | None = None

    def channels(self) -> tuple[int, int, int, int]:
        """Channels of the four stages."""
        c1, c2, c3, c4 = (int(min(c, self.max_channels) * self.width) for c in (128, 256, 512, 1024))
        if c1 < 1 or c3 != 2 * c2 or c4 != 2 * c3:
            raise RangeError(f"SpikeYOLO needs stage channels that double from C2 on: found {(c1, c2, c3, c4)}")
        return c1, c2, c3, c4

    def repeats(self) -> tuple[int, int, int, int]:
        """Blocks per stage, of 3, 6, 9, 3 (halves round to even)."""
        a, b, c, d = (max(round(n * self.depth), 1) for n in (3, 6, 9, 3))
        return a, b, c, d


class SpikeYOLO(nn.Module):
    """The detector. Keyword arguments are the fields of `SpikeYOLOConfig`.

    `forward(images)`: images [B, 3, H, W] in 0..1, H and W multiples of 32 (repeated over T timesteps), or event frames
    [B, T, 3, H, W]; returns the raw head tensors of strides s = 8, 16, 32, each
    [B, 4 * reg_max + num_classes, H / s, W / s]. Folded by `pyspike.nn.fold` it takes raw pixels 0..255 instead.
    `decode(raw)` turns head tensors into boxes. Raises `ShapeError` for other shapes.
    """

    def __init__(self, **config: Any) -> None:
        super().__init__()
        self.config = c = SpikeYOLOConfig(**config)
        c1, c2, c3, c4 = c.channels()
        n1, n2, n3, n4 = c.repeats()
        known = (*sorted(NEURONS), "relu")
        if c.neuron not in known or (c.neuron == "relu" and c.T != 1):
            raise RangeError(f"SpikeYOLO: neuron must be one of {known}, relu with T = 1: found {c.neuron!r}, T={c.T}")

        def neurons() -> nn.Module:
            return nn.ReLU() if c.neuron == "relu" else IntegerLIF(D=c.D, T=c.T, **NEURONS[c.neuron])

        def spiking(i: int, o: int, kernel: int = 1, stride: int = 1, bias: bool = False) -> SpikingConv:
            return SpikingConv(neurons(), i, o, kernel, stride, bias=bias)

        self.stem = PixelConvBN(3, c1, 7, 4, bias=True, padding=2)
        self.stage1 = _repeat(SNNBlock1, n1, c1, 4, neurons)
        self.down2 = spiking(c1, c2, 3, 2, bias=True)
        self.stage2 = _repeat(SNNBlock1, n2, c2, 4, neurons)
        self.down3 = spiking(c2, c3, 3, 2, bias=True)
        self.stage3 = _repeat(SNNBlock2, n3, c3, 3, neurons)
        self.down4 = spiking(c3, c4, 3, 2, bias=True)
        self.stage4 = _repeat(SNNBlock2, n4, c4, 2, neurons)
        self.sppf = SpikingSPPF(c4, neurons)
        # the neck: top-down to stride 8, then bottom-up to stride 32
        self.lateral5 = spiking(c4, c3)
        self.top4 = SNNBlock2(c3, 3, neurons)
        self.lateral4 = spiking(2 * c3, c2)
        self.top3 = SNNBlock1(c2, 4, neurons)
        self.reduce3 = spiking(2 * c2, c2)
        self.out3 = SNNBlock1(c2, 4, neurons)
        self.down3to4 = spiking(c2, c2, 3, 2)
        self.out4 = SNNBlock2(c3, 3, neurons)
        self.down4to5 = spiking(c3, c3, 3, 2)
        self.out5 = SNNBlock2(c4, int(c.p5_ratio), neurons)
        box_channels = c.box_channels or max(16, c2 // 4, 64)
        class_channels = c.class_channels or max(c2, min(c.num_classes, 100))
        self.head = SpikeDetect((c2, c3, c4), c.num_classes, neurons, c.T, c.reg_max, box_channels, class_channels)

    @classmethod
    def scale(cls, name: str, **overrides: Any) -> SpikeYOLO:
        """A published scale, "n", "s", "m" or "l"; keyword arguments override its fields."""
        if name not in SCALES:
            raise RangeError(f"SpikeYOLO scale must be one of {sorted(SCALES)}, found {name!r}")
        return cls(**{**SCALES[name], **overrides})

    def load_published(self, state_dict: Mapping[str, Tensor]) -> SpikeYOLO:
        """Load weights under the published code's names (any float dtype); returns self.

        Raises `ModelFormatError` naming missing, unexpected and misshapen tensors; nothing is loaded then.
        """
        self.load_state_dict(to_own_names(state_dict, self.state_dict(), self.config.reg_max))
        return self

    def forward(self, images: Tensor) -> list[Tensor]:
        x = self._encode(images)
        p3 = self.stage2(self.down2(self.stage1(x)))
        p4 = self.stage3(self.down3(p3))
        top = self.lateral5(self.sppf(self.stage4(self.down4(p4))))
        middle = self.top4(_upsample(top))
        middle = self.lateral4(torch.cat([middle, p4], 1))
        low = self.top3(_upsample(middle))
        out3 = self.out3(self.reduce3(torch.cat([low, p3], 1)))
        out4 = self.out4(torch.cat([self.down3to4(out3), middle], 1))
        out5 = self.out5(torch.cat([self.down4to5(out4), top], 1))
        raw: list[Tensor] = self.head([out3, out4, out5])
        return raw

    def _encode(self, images: Tensor) -> Tensor:
        T = self.config.T
        fits = images.ndim in (4, 5) and images.shape[-3] == 3 and not any(side % 32 for side in images.shape[-2:])
        if not fits or (images.ndim == 5 and images.shape[1] != T):
            raise ShapeError(
                f"SpikeYOLO expects [B, 3, H, W] or [B, T={T}, 3, H, W] with H, W multiples of 32, "
                f"found {tuple(images.shape)}"
            )
        if images.ndim == 5:
            return self.stem(images.transpose(0, 1).flatten(0, 1))
        if T == 1:
            return self.stem(images)
        if self.training:  # batch statistics are over T * B images
            return self.stem(images.repeat(T, 1, 1, 1))
        return self.stem(images).repeat(T, 1, 1, 1)

    def decode(self, raw: list[Tensor]) -> Tensor:
        """Boxes [B, 4 + num_classes, A]: centre x, centre y, width, height in pixels, then class probabilities.

        A runs over strides 8, 16, 32, each row by row. A side's distance is the expectation over reg_max bins.
        """
        reg_max = self.config.reg_max
        anchors, strides = anchor_points(raw)
        flat = torch.cat([r.flatten(2) for r in raw], 2)
        box, classes = flat.split([4 * reg_max, self.config.num_classes], 1)
        bins = torch.arange(reg_max, dtype=flat.dtype, device=flat.device)
        bins_first = box.reshape(len(box), 4, reg_max, -1).softmax(2)
        left_top, right_bottom = torch.einsum("bsra,r->bsa", bins_first, bins).chunk(2, 1)
        low, high = anchors.T - left_top, anchors.T + right_bottom
        return torch.cat([(low + high) / 2 * strides, (high - low) * strides, classes.sigmoid()], 1)

    def extra_repr(self) -> str:
        return ", ".join(f"{k}={v}" for k, v in asdict(self.config).items())


def anchor_points(raw: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Anchor centres [A, 2] (x, y) in units of their stride, and strides [A] in pixels, for the raw head tensors."""
    points, strides = [], []
    for r, stride in zip(raw, SpikeDetect.strides, strict=True):
        h, w = r.shape[-2:]
        y, x = torch.meshgrid(
            torch.arange(h, dtype=r.dtype, device=r.device) + 0.5,
            torch.arange(w, dtype=r.dtype, device=r.device) + 0.5,
            indexing="ij",
        )
        points.append(torch.stack([x, y], -1).reshape(-1, 2))
        strides.append(torch.full((h * w,), float(stride), dtype=r.dtype, device=r.device))
    return torch.cat(points), torch.cat(strides)


def _repeat(block: type[nn.Module], count: int, channels: int, ratio: int, neurons: Neurons) -> nn.Sequential:
    return nn.Sequential(*(block(channels, ratio, neurons) for _ in range(count)))


def _upsample(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")
