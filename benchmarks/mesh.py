"""The mesh alone under uniform random traffic: latency against load, and where it saturates.

Every core makes a flit with probability `load` in every cycle, for a core drawn uniformly (itself included). Half of
the flits of a k x k mesh cross the middle, which k links cross each way: with N = k^2 cores, load / 2 x N / 2 flits go
one way, so no network can carry more than 4 / k flits per core and cycle (Dally and Towles, Principles and Practices
of Interconnection Networks, 2004).

    python -m benchmarks.mesh            # docs/images/mesh.png, and the table
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pyspike import _simulator

SHARES = (0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0, 1.1)
"""Loads as shares of the bound 4 / k."""


@dataclass(frozen=True)
class Point:
    """One load: offered and accepted flits per core and cycle, mean and 99th percentile latency in cycles."""

    offered: float
    accepted: float
    mean: float
    worst: float


def measure(k: int, load: float, cycles: int, seed: int = 0, **fifos: int) -> Point:
    """Traffic for `cycles`, the first third to warm up; measured is what is made later and arrives in time."""
    random = np.random.default_rng(seed)
    made = np.argwhere(random.random((cycles, k * k)) < load)
    flits = np.column_stack([made, random.integers(0, k * k, len(made))]).astype(np.int64)
    found = _simulator.traffic(k, k, flits, max_cycles=cycles, **fifos)
    popped = found["popped"]
    warm = cycles // 3
    seen = (flits[:, 0] >= warm) & (popped >= 0)
    latency = popped[seen] - flits[seen, 0]
    accepted = ((popped >= warm) & (popped < cycles)).sum() / (cycles - warm) / (k * k)
    if not len(latency):
        return Point(load, float(accepted), np.inf, np.inf)
    return Point(load, float(accepted), float(latency.mean()), float(np.percentile(latency, 99)))


def curve(k: int, cycles: int, seed: int = 0, **fifos: int) -> list[Point]:
    """All loads of a k x k mesh."""
    return [measure(k, share * 4 / k, cycles, seed, **fifos) for share in SHARES]


def zero_load(k: int) -> float:
    """Mean latency without any other flit: the cycle in which it enters, then 2 x (hops + 2), over all pairs."""
    at = np.arange(k)
    hops = 2 * np.abs(at[:, None] - at[None, :]).mean()
    return float(1 + 2 * (hops + 2))


def main(arguments: list[str] | None = None) -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(prog="benchmarks.mesh", description=__doc__)
    parser.add_argument("--cycles", type=int, default=6000)
    parser.add_argument("--picture", type=Path, default=Path("docs/images/mesh.png"))
    options = parser.parse_args(arguments)
    curves = {k: curve(k, options.cycles) for k in (4, 8, 16)}
    for k, points in curves.items():
        print(f"{k} x {k}: zero-load latency {zero_load(k):.2f} cycles, bound {4 / k:.3f} flits per core and cycle")
        print("  offered  accepted  of bound  mean latency  99th percentile")
        for p in points:
            print(f"  {p.offered:7.4f}  {p.accepted:8.4f}  {p.accepted * k / 4:8.3f}  {p.mean:12.2f}  {p.worst:15.0f}")
    draw(curves, options.picture)
    print(options.picture)


def draw(curves: dict[int, list[Point]], path: Path) -> None:
    """Latency against accepted load, each mesh with its bound."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.6), layout="constrained")
    axes = figure.subplots()
    for (k, points), colour in zip(curves.items(), ("#364fc7", "#0ca678", "#e8590c"), strict=True):
        x, y = [p.accepted for p in points], [p.mean for p in points]
        axes.plot(x, y, "o-", color=colour, markersize=3.5, label=f"{k} x {k}")
        axes.axvline(4 / k, color=colour, linestyle=":", linewidth=1.2)
        axes.annotate(f"4/{k}", (4 / k, 0.97), xycoords=("data", "axes fraction"), ha="right", va="top", color=colour)
        axes.axhline(zero_load(k), color=colour, linewidth=0.6, alpha=0.4)
    axes.set(xlabel="accepted load (flits per core and cycle)", ylabel="mean latency (cycles)", ylim=(0, 200), xlim=0)
    axes.set_title("Uniform random traffic: latency, zero-load latency (thin) and the bisection bound (dotted)",
                   loc="left", fontsize=10)  # fmt: skip
    axes.legend(title="mesh", frameon=False, loc="upper right", bbox_to_anchor=(1, 0.9))
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main()
