"""Runs the Verilog twin against the simulator, cycle by cycle, and says what was compared and what was reached.

    python firmware_sim/cosim/run.py --quick          as in CI: two configurations of FIFOs, fewer programs
    python firmware_sim/cosim/run.py                  three configurations, more programs, and the planted bugs
    python firmware_sim/cosim/run.py --mutants        the planted bugs alone

Needs Verilator (Debian: `verilator`, `g++`). Exits with 1 where a trace differs, a case of functional coverage was
never reached, or a planted bug was not found.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

import numpy as np  # noqa: E402
from layer import Layer, demo_layer  # noqa: E402
from mutants import MUTANTS, plant  # noqa: E402
from programs import Program, crossing, random_program  # noqa: E402

import build  # noqa: E402
from pyspike.chip import firmware as fw  # noqa: E402

POP_SPIKE = "host pop 0 "


@dataclass
class Outcome:
    """Sums over all programs that were run."""

    cycles: int = 0
    lines: int = 0
    programs: int = 0
    differences: list[str] = field(default_factory=list)
    coverage: Counter[str] = field(default_factory=Counter)

    def add(self, configuration: str, report: dict[str, Any]) -> None:
        """Takes the harness's report in."""
        for each in report["programs"]:
            self.cycles += each["cycles"]
            self.lines += each["lines"]
            self.programs += 1
            if each["rtl"] != each["expected"]:
                self.differences.append(
                    f"{configuration}, {each['name']}: first difference\n  twin      {each['rtl']}\n"
                    f"  simulator {each['expected']}"
                )
        self.coverage.update(report["coverage"])


def write(programs: Sequence[Program], folder: Path) -> Path:
    """Images and inputs of the programs, and the list of them that the harness reads."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for program in programs:
        path = folder / program.name
        image, values = path.with_suffix(".sfw"), path.with_suffix(".inputs")
        image.write_bytes(fw.to_bytes(program.firmware))
        np.concatenate([np.zeros(0), *(each.reshape(-1) for each in program.inputs)]).astype("<i4").tofile(values)
        lines.append(f"{program.name} {image} {values}\n")
    path = folder / "list"
    path.write_text("".join(lines))
    return path


def cosimulate(executable: Path, programs: Path, mutant: int = 0) -> dict[str, Any]:
    """The harness's report on a list of programs."""
    report = programs.with_suffix(f".{mutant}.json")
    subprocess.run([str(executable), str(programs), str(report), str(mutant)], check=True)
    result: dict[str, Any] = json.loads(report.read_text())
    return result


def campaign(configuration: build.Configuration, random: int, crossings: int, first: int) -> list[Program]:
    """Seeded programs on that configuration's chip, from a seed on."""
    chip = configuration.chip()
    return [
        *(crossing(first + seed, **chip) for seed in range(crossings)),
        *(random_program(first + seed, **chip) for seed in range(random)),
    ]


def check_layer(layer: Layer, trace: Path) -> list[str]:
    """Whether the counts that left through the edge are those of the reference."""
    found = np.zeros_like(layer.expected)
    for line in trace.read_text().splitlines():
        _, _, act = line.partition(" ")
        if act.startswith(POP_SPIKE):
            y, x, channel, value = map(int, act.split()[7:11])
            found[y, x, channel] = value
    wrong = int((found != layer.expected).sum())
    return [f"demo layer: {wrong} of {found.size} counts differ from the reference's"] if wrong else []


def run_configurations(quick: bool, folder: Path, archive: Path) -> Outcome:
    """Every configuration's programs, on the twin and on the simulator."""
    outcome = Outcome()
    plans = [(build.DEFAULT, 200, 12), (build.ONES, 50, 4)]
    if not quick:
        plans = [(build.DEFAULT, 2000, 40), (build.ONES, 400, 10), (build.ODD, 1000, 20)]
    for number, (configuration, random, crossings) in enumerate(plans):
        started = time.monotonic()
        place = folder / configuration.name
        executable = build.mesh(configuration, place, archive)
        built = time.monotonic()
        programs = campaign(configuration, random, crossings, 10000 * number)
        layer = demo_layer(**configuration.chip())
        report = cosimulate(executable, write([layer.program, *programs], place / "programs"))
        outcome.add(configuration.name, report)
        outcome.differences += check_layer(layer, place / "programs" / "demo-layer.sfw.trace")
        cycles = sum(each["cycles"] for each in report["programs"])
        print(
            f"{configuration.name:8} {configuration.chip()}: {len(programs) + 1} programs, {cycles} cycles; "
            f"built in {built - started:.0f} s, run in {time.monotonic() - built:.0f} s",
            flush=True,
        )
    return outcome


def run_mutants(folder: Path, archive: Path) -> tuple[list[str], list[str]]:
    """A row for each planted bug (where it was found first), and the names of those that were not."""
    configuration = build.DEFAULT
    executable = build.mesh(configuration, folder / "mutants", archive, plant(folder / "planted"))
    programs = write(campaign(configuration, 150, 2, 0), folder / "mutants" / "programs")
    rows, missed = [], []
    for number, mutant in enumerate([None, *MUTANTS]):
        programs_run = cosimulate(executable, programs, number)["programs"]
        last = programs_run[-1]
        is_found = last["rtl"] != last["expected"]
        if mutant is None:
            if is_found:
                missed.append("no bug chosen, yet a difference was found")
            continue
        if not is_found:
            missed.append(mutant.name)
            continue
        cycle = min(int(last[side].split()[0]) for side in ("rtl", "expected"))
        rows.append(f"| {mutant.name} | {mutant.module}.sv | {last['name']} | {cycle} |")
    return rows, missed


def print_coverage(coverage: Counter[str]) -> list[str]:
    """Prints every case and its count; returns those that were never reached."""
    print("\n| case | cycles |\n|---|---|")
    for name in sorted(coverage):
        print(f"| {name} | {coverage[name]} |")
    missed = [name for name in coverage if coverage[name] == 0]
    print(f"\nfunctional coverage: {len(coverage) - len(missed)} of {len(coverage)} cases reached")
    return missed


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two configurations and no planted bugs")
    parser.add_argument("--mutants", action="store_true", help="the planted bugs alone")
    parser.add_argument("--folder", type=Path, help="where to build (default: a temporary folder)")
    arguments = parser.parse_args()
    failures: list[str] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        archive = build.harness(folder / "harness")
        if not arguments.mutants:
            outcome = run_configurations(arguments.quick, folder, archive)
            failures += outcome.differences
            failures += [f"never reached: {name}" for name in print_coverage(outcome.coverage)]
            print(f"{outcome.programs} programs, {outcome.cycles} cycles, {outcome.lines} lines of trace compared")
        if not arguments.quick:
            rows, missed = run_mutants(folder, archive)
            print("\n| planted bug | in | found in | in cycle |\n|---|---|---|---|", *rows, sep="\n")
            print(f"\nplanted bugs: {len(rows)} of {len(MUTANTS)} found")
            failures += [f"planted bug not found: {name}" for name in missed]
    print(*failures, sep="\n", end="\n" if failures else "")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
