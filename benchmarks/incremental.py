"""Time of a run that goes on from the run before, against the share of pixels that changed.

Pixels are changed at random, scattered over the frame or in one square block, to any value. Each pair of frames is run
in full and incrementally, by turns, in one process; ratios are of the medians. Each pair starts anew, so that
what is measured is one incremental run, not the full runs that follow where nearly everything changed.

    python -m benchmarks.incremental [--out FILE.csv] NETWORK.spk FRAME.npy ...
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from pathlib import Path

import numpy as np

from pyspike.runtime import Model, Runtime

SHARES = (0.0, 0.001, 0.01, 0.05, 0.2, 1.0)
COLUMNS = ("network", "where", "share", "full_ms", "incremental_ms", "ratio", "events")


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


def main() -> int:
    """Prints a table, and writes it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("pairs", nargs="+", help="a model image and its frame (.npy), by turns")
    arguments = parser.parse_args()
    rows = []
    for path, frame in zip(arguments.pairs[::2], arguments.pairs[1::2], strict=True):
        model = Model.load(path)
        x = np.load(frame).reshape(model.inputs[0].shape)
        for where in ("scattered", "block"):
            for share in SHARES:
                whole, part, events = measure(model, x, share, where == "block")
                row = (Path(path).stem, where, share, whole * 1e3, part * 1e3, part / whole, events)
                rows.append(row)
                text = "{:10} {:9} {:6.1%}  full {:8.2f} ms  incremental {:8.2f} ms  ratio {:5.2f}  events {:6.1%}"
                print(text.format(*row), flush=True)
    if arguments.out:
        with arguments.out.open("w", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *rows])
    return 0


if __name__ == "__main__":
    sys.exit(main())
