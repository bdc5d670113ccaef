"""Races as text, as rows of a table, and as a page of the documentation."""

from __future__ import annotations

import csv
import datetime
import importlib.metadata
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.contestants import OURS, PACKAGES
from benchmarks.pages import DOCS, cpu, markdown, write_measured
from benchmarks.timing import paired_ratio
from pyspike._files import write_whole

if TYPE_CHECKING:
    from benchmarks.race import Race


@dataclass(frozen=True)
class Goal:
    """What is aimed at: a figure of a race that should reach `least`. network: a name of `benchmarks.networks`."""

    text: str
    network: str
    least: float
    figure: Callable[[Race], float | None]
    avx2: bool = False


def _memory(race: Race) -> float | None:
    peaks = [entry.peak for entry in race.entries if entry.contestant.category == "int8"]
    return min(peaks) / race.ours.peak if peaks else None


def _ratio(category: str) -> Callable[[Race], float | None]:
    return lambda race: race.ratio(category)


N = "spikeyolo-n320"
GOALS = (
    Goal("8-bit weights, published rates, against the fastest int8", f"{N}-w8", 1.3, _ratio("int8")),
    Goal("7-bit weights, against the fastest int8", f"{N}-w7", 1.5, _ratio("int8")),
    Goal("6-bit weights, against the fastest int8", f"{N}-w6", 1.5, _ratio("int8")),
    Goal("4-bit weights, against the fastest int8", f"{N}-w4", 1.5, _ratio("int8")),
    Goal("8-bit weights, published rates, against the fastest float32", f"{N}-w8", 2.5, _ratio("float32")),
    Goal("8-bit weights, 15% non-zero, against the fastest int8", f"{N}-d0.15-w8", 2.0, _ratio("int8")),
    Goal("the demo's detector, against the fastest int8", "demo", 2.5, _ratio("int8")),
    Goal("8-bit weights, all kept to AVX2, against the fastest int8", f"{N}-w8", 2.5, _ratio("int8"), True),
    Goal("8-bit weights, against the published way", f"{N}-w8", 30.0, _ratio("published")),
    Goal("peak memory of the smallest int8 peer by ours", f"{N}-w8", 1.0, _memory),
    Goal("time to read and hash the image by the time to load it", f"{N}-w8", 0.8, lambda race: race.hash_over_load),
)


def goal_rows(races: Sequence[Race]) -> list[tuple[str, ...]]:
    """(goal, wanted, measured, met) for each, by the number of threads."""
    rows = []
    for goal in GOALS:
        for race in races:
            if race.network.name == goal.network and bool(race.isa) == goal.avx2:
                found = goal.figure(race)
                shown = "no peer" if found is None else f"{found:.2f}"
                met = "" if found is None else "yes" if found >= goal.least else "**no**"
                rows.append((goal.text, str(race.threads), f"{goal.least:g}", shown, met))
    return rows


def goals_text(races: Sequence[Race]) -> str:
    """The goals as lines of text."""
    return "\n".join(["goals (threads, wanted, measured, met):", *("  " + "  ".join(row) for row in goal_rows(races))])


def race_rows(race: Race) -> list[tuple[str, ...]]:
    """One row for each contestant, the fastest first."""
    ours = race.ours.times
    rows = []
    for entry in sorted(race.entries, key=lambda entry: entry.times.median):
        each, times = entry.contestant, entry.times
        middle, low, high = paired_ratio(times, ours)
        least = times.least / ours.least
        ratio = "" if each.peer == OURS else f"{middle:.2f} ({low:.2f} to {high:.2f}); {least:.2f}"
        peer = each.peer if each.peer == OURS else f"{each.peer} {each.category}"
        accuracy = "" if entry.map50 is None else f"{entry.map50:.4f}"
        rows.append(
            (peer, each.form, f"{times.median * 1e3:.2f}", f"{times.least * 1e3:.2f}", f"{times.spread:.1%}", ratio,
             entry.agreement, accuracy, f"{entry.peak / 2**20:.0f}", f"{entry.load:.2f}", f"{entry.first * 1e3:.0f}")
        )  # fmt: skip
    return rows


HEADER = (
    "contestant", "form", "median ms", "least ms", "quartiles apart", "time by ours (quartiles); of least", "outputs",
    "mAP50", "peak MB", "load s", "first ms",
)  # fmt: skip


def title(race: Race) -> str:
    """What was run, and what fired."""
    fires = race.network.spikes
    threads = f"{race.threads} thread{'s' * (race.threads > 1)}"
    return (
        f"{race.network.name}, {threads}{', all kept to AVX2' * bool(race.isa)}: {fires.nonzero:.1%} of counts are not "
        f"zero ({race.network.facts['synaptic_density']:.1%} by fan-out), {fires.planes:.2f} bit-planes per event"
    )


def as_text(race: Race, layers: int = 0) -> str:
    """One race as a table of text."""
    table = [HEADER, *race_rows(race)]
    widths = [max(len(row[i]) for row in table) for i in range(len(HEADER))]
    lines = [title(race)]
    lines += ["  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table]
    lines += [f"  screened: {each.peer} {each.category}, {each.form}: {s * 1e3:.2f} ms" for each, s in race.screened]
    lines += [f"  missing: {each.peer} {each.category}, {each.form}: {each.reason}" for each in race.missing]
    if race.ours_many is not None:
        many = race.ours_many
        lines.append(f"  ours alone: p50 {many.quantile(0.5) * 1e3:.2f} ms, p99 {many.quantile(0.99) * 1e3:.2f} ms")
    lines.append(f"  read and hash / load: {race.hash_over_load:.2f}")
    total = sum(seconds for _, _, seconds in race.layers)
    slowest = sorted(race.layers, key=lambda layer: -layer[2])[:layers]
    lines += [f"  {name:40} {op:10} {s * 1e3:8.3f} ms {s / total:6.1%}" for name, op, s in slowest]
    return "\n".join(lines)


def write(races: Sequence[Race], command: str) -> None:
    """docs/performance.csv, and the measured part of docs/performance.md."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("network", "threads", "isa", "non-zero", "planes", "category", "peer", *HEADER[1:]))
    for race in races:
        fires = race.network.spikes
        for entry, row in zip(sorted(race.entries, key=lambda e: e.times.median), race_rows(race), strict=True):
            each = entry.contestant
            writer.writerow((race.network.name, race.threads, race.isa, f"{fires.nonzero:.4f}", f"{fires.planes:.3f}",
                             each.category, each.peer, *row[1:]))  # fmt: skip
    write_whole(DOCS / "performance.csv", text.getvalue().encode())
    write_measured("performance.md", measured(races, command))


def measured(races: Sequence[Race], command: str) -> str:
    """The part of the page that a run writes, in Markdown."""
    versions = ", ".join(f"{name} {_version(package)}" for name, package in PACKAGES.items())
    lines = [f"Measured {datetime.date.today().isoformat()} on {cpu()}, by `{command}`, with {versions}.", ""]
    lines += ["## Goals", "", *markdown(("goal", "threads", "at least", "measured", "met"), goal_rows(races)), ""]
    for race in races:
        lines += [f"## {title(race)}", "", *markdown(HEADER, race_rows(race)), ""]
        if race.ours_many is not None:
            many = race.ours_many
            tail = f"median {many.median * 1e3:.2f} ms, 99th percentile {many.quantile(0.99) * 1e3:.2f} ms"
            lines += [f"Ours alone: {tail}.", ""]
        lines += [f"- not run: {m.peer} {m.category}, {m.form}: {m.reason}" for m in race.missing]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "(missing)"
