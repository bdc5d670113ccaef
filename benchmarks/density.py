"""Time follows spikes: a 3x3 layer of 512 to 128 channels at densities from none to all.

Prints the time, the share of the time at density 1, and the multiply-accumulates of the dense layer per second.
"""

from __future__ import annotations

import sys

from benchmarks.layers import conv_graph, macs, seconds
from pyspike.runtime import available_isas

DENSITIES = (0.0, 0.01, 0.05, 0.1, 0.2, 0.33, 0.5, 1.0)
MOST_AT_ZERO = 0.1  # of the time at density 1


def main() -> int:
    """Exit code 1 where density 0 takes more than a tenth of density 1."""
    graph = conv_graph((20, 20, 512), 128, 3)
    failed = False
    for isa in available_isas():
        times = {density: seconds(graph, density, isa=isa) for density in DENSITIES}
        print(f"3x3, 512 -> 128 channels, 20 x 20, D = 4, one thread, {isa}")
        for density, time in times.items():
            share, rate = time / times[1.0], macs(graph) / time / 1e9
            print(
                f"  density {density:4.2f}  {time * 1e3:8.3f} ms  {share:6.1%} of density 1  {rate:8.0f} dense GMAC/s"
            )
        failed = failed or times[0.0] > MOST_AT_ZERO * times[1.0]
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
