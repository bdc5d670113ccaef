"""Whole networks against dense runtimes, in one run.

    python -m benchmarks.race [--rates SHEET] [--threads 1,2] [--quick] [--networks 8,4@0.15,demo] [--write]

Every contestant is a process of its own that runs when it is told to, all others blocked. A peer's forms (integer or
float weights, folded or not, ways to quantise) are screened first and its fastest races; then rounds are interleaved
over all contestants, and ratios are of times in the same round. Category by category our time is compared with the
fastest peer's. --write puts what was found into docs/performance.csv and the tables of docs/performance.md.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

import pyspike
from benchmarks.contestants import OURS, Contestant, Missing, contestants
from benchmarks.networks import UNIFORM, Network, by_name, published
from benchmarks.peers.protocol import PeerError, Process
from benchmarks.timing import Times, fastest, interleaved, paired_ratio

NETWORKS = ("8", "7", "6", "4", "8@0.15", "demo")
CATEGORIES = ("float32", "bf16", "int8", "published")
SCREENED = 3  # runs of each form, of which the fastest counts


@dataclass(frozen=True)
class Entry:
    """One contestant of a race. agreement: "equal" to our outputs, or the correlation with them or with others that
    compute with the same weights; map50: of the demo's detector; peak: bytes above the interpreter's; load, first:
    seconds.
    """

    contestant: Contestant
    times: Times
    agreement: str
    peak: int
    load: float
    first: float
    map50: float | None = None


@dataclass(frozen=True)
class Race:
    """What was measured on one network."""

    network: Network
    threads: int
    isa: str
    entries: list[Entry]
    screened: list[tuple[Contestant, float]]
    missing: list[Missing]
    ours_many: Times | None = None
    layers: list[tuple[str, str, float]] = field(default_factory=list)
    hash_over_load: float = 0.0

    @property
    def ours(self) -> Entry:
        """Our own entry."""
        return next(entry for entry in self.entries if entry.contestant.peer == OURS)

    def best(self, category: str) -> Entry | None:
        """The fastest peer of a category."""
        peers = {i: e.times for i, e in enumerate(self.entries) if e.contestant.category == category}
        return self.entries[fastest(peers, list(peers))] if peers else None

    def ratio(self, category: str) -> float | None:
        """Time of the fastest peer of a category by ours, median over rounds."""
        best = self.best(category)
        return None if best is None else paired_ratio(best.times, self.ours.times)[0]


@dataclass(frozen=True)
class Screening:
    """Every form that ran, with the least seconds of some runs and its outputs, and those that could not."""

    screened: list[tuple[Contestant, float]] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    outputs: dict[str, list[np.ndarray]] = field(default_factory=dict)


def screen(network: Network, threads: int, avx2: bool = False) -> Screening:
    """Run every form by itself, a few times."""
    found = Screening()
    for each in contestants(network, threads, avx2):
        if isinstance(each, Missing):
            found.missing.append(each)
            continue
        try:
            with started(each) as (process, _, _):
                seconds = min(process.ask("run", times=SCREENED)["seconds"])
                found.outputs[_key(each)] = outputs_of(process)
            found.screened.append((each, seconds))
        except PeerError as error:
            found.missing.append(Missing(each.peer, each.category, each.form, str(error)))
    return found


def seated(screened: Sequence[tuple[Contestant, float]]) -> list[Contestant]:
    """The fastest form of each peer and category."""
    seats: dict[tuple[str, str], tuple[Contestant, float]] = {}
    for each, seconds in screened:
        if each.seat not in seats or seconds < seats[each.seat][1]:
            seats[each.seat] = each, seconds
    return [each for each, _ in seats.values()]


def race(network: Network, threads: int, rounds: int, avx2: bool = False) -> Race:
    """Screen all forms, then race the fastest of each peer and category."""
    found = screen(network, threads, avx2)
    entries, many = _final(seated(found.screened), rounds, found.outputs)
    isa = "avx2" if avx2 else ""
    layers, hashed = layer_times(network, threads, isa or None), hash_over_load(network.spk)
    return Race(network, threads, isa, entries, found.screened, found.missing, many, layers, hashed)


def with_accuracy(found: Race, data: Path) -> Race:
    """The race of the demo's detector with the mAP50 of every contestant."""
    from benchmarks.accuracy import map50

    return replace(found, entries=[replace(each, map50=map50(each.contestant, data)) for each in found.entries])


@contextlib.contextmanager
def started(contestant: Contestant) -> Iterator[tuple[Process, float, float]]:
    """The contestant's process, loaded and run once: (process, seconds to load, seconds of the first run)."""
    with Process(contestant.module, contestant.options, contestant.environment) as process:
        load = process.ask("load")["seconds"]
        (first,) = process.ask("run", times=1)["seconds"]
        yield process, load, first


def outputs_of(process: Process) -> list[np.ndarray]:
    """What the last run returned."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "outputs.npz"
        process.ask("outputs", path=str(path))
        with np.load(path) as arrays:
            return [arrays[name] for name in arrays.files]


def _key(contestant: Contestant) -> str:
    return f"{contestant.peer} {contestant.category} {contestant.form}"


def _final(
    chosen: Sequence[Contestant], rounds: int, outputs: dict[str, list[np.ndarray]]
) -> tuple[list[Entry], Times]:
    with contextlib.ExitStack() as stack:
        running = {each.seat: stack.enter_context(started(each)) for each in chosen}
        times = interleaved({seat: process for seat, (process, _, _) in running.items()}, rounds)
        entries = []
        for each in chosen:
            process, load, first = running[each.seat]
            memory = process.ask("memory")
            agreed = agreement(each, outputs)
            entries.append(Entry(each, times[each.seat], agreed, memory["peak"] - memory["baseline"], load, first))
        many = Times(tuple(running[OURS, OURS][0].ask("run", times=4 * rounds)["seconds"]))
    return entries, many


def agreement(contestant: Contestant, outputs: dict[str, list[np.ndarray]]) -> str:
    """How a contestant's outputs compare with ours, or, where it runs other weights than ours, with PyTorch's.

    Raises `PeerError` for outputs that are not finite or of another shape.
    """
    found = outputs[_key(contestant)]
    names = [f"{OURS} {OURS} ", "PyTorch float32 eager"]
    expected = outputs.get(names[0] if contestant.same_weights else names[1])
    if expected is None:
        return "not compared"
    if [a.shape for a in found] != [a.shape for a in expected] or not all(np.isfinite(a).all() for a in found):
        raise PeerError(
            f"{_key(contestant)}: outputs {[a.shape for a in found]}, expected {[a.shape for a in expected]}"
        )
    if all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True)):
        return "equal"
    flat = [np.concatenate([np.ravel(a).astype(np.float64) for a in arrays]) for arrays in (found, expected)]
    return f"{np.corrcoef(*flat)[0, 1]:.4f}"


def layer_times(network: Network, threads: int, isa: str | None) -> list[tuple[str, str, float]]:
    """(name, operator, seconds) of our layers, the least of five counted runs each."""
    runtime = pyspike.Runtime.load(network.spk, threads, isa)
    runs = [runtime.profile(np.load(network.x)).layers for _ in range(5)]
    return [(each[0].name, each[0].op, min(layer.seconds for layer in each)) for each in zip(*runs, strict=True)]


def hash_over_load(path: Path, repeats: int = 7) -> float:
    """Time to read a file and hash it once (SHA-256, OpenSSL's), by the time to load it as a model; least of each."""

    def hashed() -> None:
        hashlib.sha256(path.read_bytes()).digest()

    def loaded() -> None:
        pyspike.Model.load(path)

    seconds: dict[str, list[float]] = {"hash": [], "load": []}
    for _ in range(repeats):
        for name, action in (("hash", hashed), ("load", loaded)):
            began = time.perf_counter()
            action()
            seconds[name].append(time.perf_counter() - began)
    return min(seconds["hash"]) / min(seconds["load"])


def energy() -> str:
    """Whether the CPU tells its energy."""
    zones = list(Path("/sys/class/powercap").glob("*/energy_uj"))
    if not zones:
        return "energy: this machine has no /sys/class/powercap, so joules could not be read"
    try:
        return f"energy counters: {', '.join(zone.parent.name for zone in zones if zone.read_text())}"
    except OSError as error:
        return f"energy: {error}"


def _without_folder(argument: str) -> str:
    """Where files lie is nobody else's business."""
    return Path(argument).name if "/" in argument else argument


def main() -> int:
    """Race, print, and write where asked to."""
    from benchmarks import crossover, race_report
    from benchmarks.pages import DOCS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", type=Path, help="a sheet of published rates (.json)")
    parser.add_argument("--threads", default="1", help="numbers of threads, by commas")
    parser.add_argument("--networks", default=",".join(NETWORKS), help="BITS, BITS@DENSITY or demo, by commas")
    parser.add_argument("--quick", action="store_true", help="10 rounds in place of 40, and no race kept to AVX2")
    parser.add_argument("--data", type=Path, help="blood-cell photographs: mAP50 of every contestant on the demo")
    parser.add_argument("--sweep", action="store_true", help="race at densities of 0.02 to 0.6 and plot; takes long")
    parser.add_argument("--layers", type=int, default=0, help="print so many of our slowest layers")
    parser.add_argument("--write", action="store_true", help="write docs/performance.csv and docs/performance.md")
    arguments = parser.parse_args()
    rates = published(arguments.rates)
    if arguments.rates is None:
        print(f"no --rates: every neuron has a mean count of {UNIFORM}")
    if arguments.sweep:
        points = crossover.sweep(rates, int(arguments.threads.split(",")[0]), 5 if arguments.quick else 15)
        crossover.write(points, DOCS)
        for bits in crossover.BITS:
            print(
                f"{bits} bits: never slower than the fastest int8 up to density {crossover.ahead_until(points, bits)}"
            )
        return 0
    print(energy())
    races = []
    for name in arguments.networks.split(","):
        network = by_name(name, rates)
        for threads in map(int, arguments.threads.split(",")):
            for avx2 in (False,) if arguments.quick else (False, True):
                found = race(network, threads, 10 if arguments.quick else 40, avx2)
                if name == "demo" and arguments.data is not None and not avx2:
                    found = with_accuracy(found, arguments.data)
                races.append(found)
                print(race_report.as_text(races[-1], arguments.layers), flush=True)
    print(race_report.goals_text(races))
    if arguments.write:
        command = ["python -m benchmarks.race", *(_without_folder(each) for each in sys.argv[1:])]
        race_report.write(races, " ".join(command))
    return 0


if __name__ == "__main__":
    sys.exit(main())
