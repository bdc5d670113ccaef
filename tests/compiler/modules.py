"""Torch modules in the ways users write spiking networks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pyspike.nn import IntegerLIF


def on_grid(module: nn.Module, exponent: int = 6, seed: int = 0) -> nn.Module:
    """Every weight an integer of -31..31 times 2**-exponent, every bias one of the grid 2**-10."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                shape = layer.weight.shape
                layer.weight.copy_(torch.randint(-31, 32, shape, generator=generator) / 2**exponent)
                if layer.bias is not None:
                    layer.bias.copy_(torch.randint(-500, 500, layer.bias.shape, generator=generator) / 2**10)
    return module.eval()


class Classifier(nn.Module):
    """Images [B, 3, H, W] (uint8) repeated over T steps; conv, pool, conv, mean over space, linear, mean over time."""

    def __init__(self, T: int = 2, **neuron: object) -> None:
        super().__init__()
        self.T = T
        self.stem, self.conv = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 8, 3, stride=2, padding=1, groups=2)
        self.lif1, self.lif2 = IntegerLIF(T=T, **neuron), IntegerLIF(T=T, **neuron)
        self.fc = nn.Linear(8, 5)

    def forward(self, images: Tensor) -> Tensor:
        x = images.float()
        if self.T > 1:
            x = x.unsqueeze(0).repeat(self.T, 1, 1, 1, 1).flatten(0, 1)
        x = nn.functional.max_pool2d(self.lif1(self.stem(x)), 2)
        x = self.lif2(self.conv(x)).mean((2, 3))
        x = self.fc(x)
        return x.reshape(self.T, -1, 5).mean(0) if self.T > 1 else x


class Events(nn.Module):
    """Event frames [B, T, 2, H, W]; every layer sees five axes folded to four, as spiking libraries do."""

    def __init__(self, T: int = 2) -> None:
        super().__init__()
        self.T = T
        self.conv1, self.conv2 = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.lif1, self.lif2, self.lif3 = (IntegerLIF(D=2, T=T, decay=0.5) for _ in range(3))
        self.fc = nn.Linear(4 * 4 * 4, 3)

    def forward(self, frames: Tensor) -> Tensor:
        x = frames.float().permute(1, 0, 2, 3, 4)
        t, b = x.shape[:2]
        x = self.conv1(x.flatten(0, 1))
        y = self.conv2(self.lif1(x)) + x
        y = nn.functional.avg_pool2d(self.lif2(y), 2)
        y = self.fc(y.flatten(1)).reshape(t, b, 3)
        return self.lif3(y.flatten(0, 1)).reshape(t, b, 3)


class Tokens(nn.Module):
    """A patch embedding, then linear layers over tokens [T * B, N, C] with residuals and a learned position."""

    def __init__(self, T: int = 2) -> None:
        super().__init__()
        self.T = T
        self.embed = nn.Conv2d(3, 8, 4, stride=4)
        self.position = nn.Parameter(torch.arange(4 * 8).reshape(1, 4, 8) / 64)
        self.lif1, self.lif2 = IntegerLIF(T=T), IntegerLIF(T=T)
        self.up, self.down = nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, images: Tensor) -> Tensor:
        x = self.embed(images.float()).flatten(2).transpose(1, 2) + self.position
        x = x.repeat(self.T, 1, 1)
        x = x + self.down(self.lif2(self.up(self.lif1(x))))
        return x.reshape(self.T, -1, 4, 8).mean(0)


class Pyramid(nn.Module):
    """Upsampling, splitting, joining, NI-LIF counts divided by D, several outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.low = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 4, 3, 2, 1)
        self.join, self.head = nn.Conv2d(8, 6, 1), nn.Conv2d(6, 2, 1)
        self.lif1, self.lif2, self.lif3 = (IntegerLIF(D=4, rounding="half_up") for _ in range(3))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        x = self.stem(images.float())
        y = self.low(self.lif1(x) / 4)
        up = nn.functional.interpolate(self.lif2(y), scale_factor=2, mode="nearest")
        joined = self.join(torch.cat([up, self.lif1(x)], 1) / 4)
        a, b = self.lif3(joined).split([2, 4], 1)
        return self.head(torch.cat([b, a], 1)), nn.functional.pad(a, (1, 0, 2, 1))


class WithNorms(nn.Module):
    """Batch norms before and after convolutions, pixels in 0..1, an average pool of nine and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.bn2, self.conv2 = nn.BatchNorm2d(8), nn.Conv2d(8, 8, 1)
        self.lif1, self.lif2 = IntegerLIF(), IntegerLIF()
        self.fc, self.bn3 = nn.Linear(8, 4), nn.BatchNorm1d(4)
        for norm in (self.bn1, self.bn2, self.bn3):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias)
            norm.running_mean.normal_(0, 0.3)
            norm.running_var.uniform_(0.5, 1.5)

    def forward(self, images: Tensor) -> Tensor:
        x = self.lif1(self.bn1(self.conv1(images.float() / 255)))
        x = self.lif2(self.conv2(self.bn2(x)))
        x = nn.functional.avg_pool2d(x, 3).flatten(1)
        return self.bn3(self.fc(x))
