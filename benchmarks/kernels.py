"""Layers of detectors, one thread: time and dense-equivalent speed by instruction set and density."""

from __future__ import annotations

from benchmarks.layers import conv_graph, macs, seconds
from pyspike.runtime import available_isas

LAYERS = {
    "1x1  256->256  40x40": conv_graph((40, 40, 256), 256, 1),
    "3x3  128->128  40x40": conv_graph((40, 40, 128), 128, 3),
    "3x3  256->256  20x20": conv_graph((20, 20, 256), 256, 3),
    "3x3   64->64   80x80": conv_graph((80, 80, 64), 64, 3),
    "3x3   32->32   64x80": conv_graph((64, 80, 32), 32, 3),
    "3x3   16->16   64x80": conv_graph((64, 80, 16), 16, 3),
    "7x7 depthwise 64 64x80": conv_graph((64, 80, 64), 64, 7, groups=64),
    "7x7/4  3->16 256x320 pixels": conv_graph((256, 320, 3), 16, 7, stride=4, hi=255),
}
DENSITIES = (0.33, 0.10)


def main() -> None:
    """Print one line for each layer, instruction set and density."""
    for name, graph in LAYERS.items():
        for isa in available_isas():
            for density in (1.0,) if graph.tensors["x"].hi == 255 else DENSITIES:
                time = seconds(graph, density, isa=isa)
                rate = macs(graph) / time / 1e9
                print(f"{name:28s} {isa:9s} density {density:4.2f}  {time * 1e3:8.3f} ms  {rate:6.0f} dense GMAC/s")


if __name__ == "__main__":
    main()
