"""Where a lead begins and ends: time of SpikeYOLO-n against the share of counts that are not zero.

At every density our runtime with 8, 7, 6 and 4 bit weights and the fastest form of every peer race in interleaved
rounds (`python -m benchmarks.race --sweep`). Peers take the same time whatever fires, but they are measured each time.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contestants import OURS, Contestant, contestants
from benchmarks.networks import spikeyolo
from benchmarks.race import screen, seated, started
from benchmarks.timing import Times, interleaved
from pyspike._files import write_whole

DENSITIES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6)
BITS = (8, 7, 6, 4)
CATEGORIES = ("float32", "int8")
COLOURS = ("#1b6ca8", "#2a9d8f", "#7a9e2b", "#c8553d")


@dataclass(frozen=True)
class Point:
    """One density: median and least seconds of each contestant, by name ("8 bits", "OpenVINO int8")."""

    density: float
    times: dict[str, Times]


def sweep(rates: Sequence[float], threads: int, rounds: int, densities: Sequence[float] = DENSITIES) -> list[Point]:
    """Race at every density; forms of peers are screened once, on the densest network."""
    peers = seated(screen(spikeyolo(8, rates, densities[-1]), threads).screened)
    peers = [each for each in peers if each.category in CATEGORIES]
    points = []
    for density in densities:
        networks = [spikeyolo(bits, rates, density) for bits in BITS]
        running: dict[str, Contestant] = {}
        for bits, network in zip(BITS, networks, strict=True):
            ours = next(each for each in contestants(network, threads) if each.peer == OURS)
            assert isinstance(ours, Contestant)
            running[f"{bits} bits"] = ours
        running |= {f"{each.peer} {each.category}": each for each in peers}
        with ExitStack() as stack:
            processes = {name: stack.enter_context(started(each))[0] for name, each in running.items()}
            points.append(Point(networks[0].spikes.nonzero, interleaved(processes, rounds)))
    return points


def ahead_until(points: Sequence[Point], bits: int) -> float | None:
    """The largest measured density up to which weights of `bits` bits were never slower than the fastest int8 peer,
    by medians; None where they were at the first. Points lie in the order of their densities.
    """
    ahead = None
    for point in points:
        peers = [times.median for name, times in point.times.items() if name.endswith(" int8")]
        if point.times[f"{bits} bits"].median > min(peers):
            break
        ahead = point.density
    return ahead


def write(points: Sequence[Point], docs: Path) -> None:
    """docs/performance-crossover.csv and docs/images/performance-crossover.svg."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("non-zero", "contestant", "median ms", "least ms"))
    for point in points:
        for name, times in point.times.items():
            writer.writerow((f"{point.density:.4f}", name, f"{times.median * 1e3:.3f}", f"{times.least * 1e3:.3f}"))
    write_whole(docs / "performance-crossover.csv", text.getvalue().encode())
    write_whole(docs / "images" / "performance-crossover.svg", plot(points))


def plot(points: Sequence[Point]) -> bytes:
    """An SVG of medians. Left and right of every crossing are drawn alike: all densities, one scale from zero."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    densities = [point.density for point in points]
    for bits, colour in zip(BITS, COLOURS, strict=True):
        medians = [point.times[f"{bits} bits"].median * 1e3 for point in points]
        axes.plot(densities, medians, color=colour, marker="o", label=f"pyspike, {bits}-bit weights")
    styles = {"float32": "--", "int8": "-."}
    for name in (name for name in points[0].times if not name.endswith(" bits")):
        medians = [point.times[name].median * 1e3 for point in points]
        axes.plot(densities, medians, color="#555555", linestyle=styles[name.split()[-1]], linewidth=1)
        axes.annotate(name, (densities[-1], medians[-1]), xytext=(4, 0), textcoords="offset points", fontsize=8)
    axes.set(xlabel="share of counts that are not zero", ylabel="milliseconds", xlim=(0, densities[-1] * 1.3))
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper left")
    written = io.BytesIO()
    figure.savefig(written, format="svg", metadata={"Date": None})
    return written.getvalue()
