"""Time of a run that goes on from the run before, against the share of pixels that changed.

Pixels are changed at random, scattered over the frame or in one square block, to any value. Each pair of frames is run
in full and incrementally, by turns, in one process; ratios are of the medians. Each pair starts anew, so that
what is measured is one incremental run, not the full runs that follow where nearly everything changed.

    python -m benchmarks.incremental [--rates SHEET] [--write] [NAME ...]
"""

from __future__ import annotations

import argparse
import csv
import datetime
import io
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from benchmarks.networks import Network, by_name, published
from benchmarks.pages import DOCS, cpu, markdown, write_measured
from pyspike._files import write_whole
from pyspike.runtime import Model, Runtime

PERCENTAGES = (0.0, 0.1, 1.0, 5.0, 20.0, 100.0)
SHARES = tuple(each / 100 for each in PERCENTAGES)


def changed(x: np.ndarray, share: float, block: bool, rng: np.random.Generator) -> np.ndarray:
    """`x` [1, channels, height, width] with that share of its pixels drawn anew."""
    _, channels, height, width = x.shape
    after, at = x.copy(), np.zeros((height, width), bool)
    if block:
        side_y, side_x = round(share**0.5 * height), round(share**0.5 * width)
        top, left = rng.integers(height - side_y + 1), rng.integers(width - side_x + 1)
        at[top : top + side_y, left : left + side_x] = True
    else:
        at.reshape(-1)[rng.permutation(at.size)[: round(share * at.size)]] = True
    after[0][:, at] = rng.integers(0, 255, (channels, int(at.sum())), endpoint=True, dtype=np.uint8)
    return after


def timed(runtime: Runtime, x: np.ndarray) -> tuple[float, dict[str, np.ndarray]]:
    start = time.perf_counter()
    outputs = runtime.run(x, raw=True)
    return time.perf_counter() - start, outputs


def measure(model: Model, x: np.ndarray, share: float, block: bool, rounds: int = 9) -> tuple[float, float, float]:
    """Median seconds in full and incrementally, and the share of events that were read."""
    rng = np.random.default_rng(0)
    full, incremental = model.runtime(), model.runtime(incremental=True)
    times: list[tuple[float, float]] = []
    for _ in range(rounds):
        after = changed(x, share, block, rng)
        incremental.reset()
        incremental.run(x)
        (whole, expected), (part, found) = timed(full, after), timed(incremental, after)
        if any((found[name] != expected[name]).any() for name in expected):
            raise SystemExit("an incremental run differs from a full one")
        times.append((whole, part))
    incremental.reset()
    incremental.run(x)
    events = incremental.profile(after).events / max(1, full.profile(after).events)
    whole, part = np.median(times, axis=0)
    return float(whole), float(part), events


@dataclass(frozen=True)
class Row:
    """Median milliseconds of a run in full and incrementally, and the share of events that the latter read."""

    network: str
    where: str
    share: float
    full_ms: float
    incremental_ms: float
    events: float

    @property
    def ratio(self) -> float:
        """Of the times: below 1 where something is gained."""
        return self.incremental_ms / self.full_ms


def rows_of(networks: Sequence[Network]) -> Iterator[Row]:
    """Everything, one after another."""
    for network in networks:
        model, x = Model.load(network.spk), np.load(network.x)
        for where in ("scattered", "block"):
            for share in SHARES:
                whole, part, events = measure(model, x, share, where == "block")
                yield Row(network.name, where, share, whole * 1e3, part * 1e3, events)


def write(rows: Sequence[Row], command: str) -> None:
    """docs/streams.csv, docs/images/streams.svg, and the table of docs/streams.md."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*(field.name for field in fields(Row)), "ratio"))
    writer.writerows((*(getattr(row, field.name) for field in fields(Row)), row.ratio) for row in rows)
    write_whole(DOCS / "streams.csv", text.getvalue().encode())
    write_whole(DOCS / "images" / "streams.svg", plot(rows))
    columns = list(dict.fromkeys((row.network, row.where) for row in rows))
    at = {(row.network, row.where, row.share): row for row in rows}
    table = markdown(
        ("pixels changed", *(f"{network}, {where}" for network, where in columns)),
        [(f"{share:.4g}%", *(cell(at[*column, share / 100]) for column in columns)) for share in PERCENTAGES],
    )
    full = ", ".join(
        f"{name} {np.median([r.full_ms for r in rows if r.network == name]):.2f} ms" for name, _ in columns[::2]
    )
    lines = [*table, "", f"In full: {full}. {datetime.date.today().isoformat()}, {cpu()}, one thread, by `{command}`."]
    write_measured("streams.md", "\n".join(lines))


def cell(row: Row) -> str:
    """A ratio, and the share of events."""
    return f"{row.ratio:.2f} ({row.events:.0%})"


def plot(rows: Sequence[Row]) -> bytes:
    """An SVG: the ratio of times against the share of pixels that changed; gains below the line, losses above."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    for network, where in dict.fromkeys((row.network, row.where) for row in rows):
        line = [row for row in rows if (row.network, row.where) == (network, where)]
        style = "-" if where == "block" else "--"
        axes.plot(
            [100 * row.share for row in line],
            [row.ratio for row in line],
            style,
            marker="o",
            label=f"{network}, {where}",
        )
    axes.axhline(1, color="#555555", linewidth=1)
    axes.set_xscale("symlog", linthresh=100 * SHARES[1])
    axes.set_xticks(PERCENTAGES, [f"{share:g}" for share in PERCENTAGES])
    axes.set(xlabel="% of pixels that changed", ylabel="time by that of a run in full")
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=8)
    written = io.BytesIO()
    figure.savefig(written, format="svg", metadata={"Date": None})
    return written.getvalue()


def main() -> int:
    """Prints a table, and writes it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", type=Path, help="a sheet of published rates (.json), for SpikeYOLO-n")
    parser.add_argument("--write", action="store_true", help="docs/streams.csv, its plot and the table of the page")
    parser.add_argument("names", nargs="*", default=["demo", "8"], metavar="NAME", help="as in benchmarks.networks")
    arguments = parser.parse_args()
    rates, rows = published(arguments.rates), []
    for row in rows_of([by_name(name, rates) for name in arguments.names]):
        rows.append(row)
        times = f"full {row.full_ms:8.2f} ms  incremental {row.incremental_ms:8.2f} ms  ratio {row.ratio:5.2f}"
        print(f"{row.network:22} {row.where:9} {row.share:6.1%}  {times}  events {row.events:6.1%}", flush=True)
    if arguments.write:
        given = [Path(each).name if "/" in each else each for each in sys.argv[1:]]
        write(rows, " ".join(["python -m benchmarks.incremental", *given]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
