"""Runs the Verilog twin against the simulator, cycle by cycle, and says what was compared and what was reached.

    python firmware_sim/cosim/run.py --quick          as in CI: two configurations of FIFOs, fewer programs
    python firmware_sim/cosim/run.py                  three configurations, more programs, and the planted bugs
    python firmware_sim/cosim/run.py --mutants        the planted bugs alone
    python firmware_sim/cosim/run.py --page docs/cosim.md     all of it, and the page's tables anew

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
from programs import Program, borrowed, crossing, random_program  # noqa: E402

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
    rows: list[str] = field(default_factory=list)  # of the page's table, one for each configuration

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


@dataclass(frozen=True)
class Plan:
    """How many programs of each kind a configuration runs, from which seed on."""

    configuration: build.Configuration
    random: int
    crossings: int
    borrowed: int  # seeds, of which about a third give a program
    first: int = 0

    def programs(self) -> list[Program]:
        """Seeded programs on the configuration's chip."""
        chip, first = self.configuration.chip(), self.first
        drawn = [borrowed(first + seed, **chip) for seed in range(self.borrowed)]
        return [
            *(crossing(first + seed, **chip) for seed in range(self.crossings)),
            *(random_program(first + seed, **chip) for seed in range(self.random)),
            *(program for program in drawn if program is not None),
        ]


QUICK = (Plan(build.DEFAULT, 200, 12, 60), Plan(build.ONES, 50, 4, 30, 10000))
FULL = (
    Plan(build.DEFAULT, 1200, 30, 600),
    Plan(build.ONES, 300, 10, 200, 10000),
    Plan(build.ODD, 600, 20, 400, 20000),
)
MUTANTS_PLAN = Plan(build.DEFAULT, 150, 2, 0)


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


def run_configurations(plans: Sequence[Plan], folder: Path, archive: Path) -> Outcome:
    """Every configuration's programs, on the twin and on the simulator."""
    outcome = Outcome()
    for plan in plans:
        started, configuration = time.monotonic(), plan.configuration
        place = folder / configuration.name
        executable = build.mesh(configuration, place, archive)
        built = time.monotonic()
        programs = plan.programs()
        layer = demo_layer(**configuration.chip())
        report = cosimulate(executable, write([layer.program, *programs], place / "programs"))
        outcome.add(configuration.name, report)
        outcome.differences += check_layer(layer, place / "programs" / "demo-layer.sfw.trace")
        cycles, lines = (sum(each[what] for each in report["programs"]) for what in ("cycles", "lines"))
        depths = " | ".join(str(value) for value in configuration.chip().values())
        outcome.rows.append(f"| {configuration.name} | {depths} | {len(programs) + 1} | {cycles:,} | {lines:,} |")
        print(
            f"{configuration.name}: {len(programs) + 1} programs, {cycles} cycles, {lines} lines of trace; "
            f"built in {built - started:.0f} s, run in {time.monotonic() - built:.0f} s",
            flush=True,
        )
    return outcome


def run_mutants(folder: Path, archive: Path) -> tuple[list[str], list[str]]:
    """A row for each planted bug (where it was found first), and the names of those that were not."""
    executable = build.mesh(MUTANTS_PLAN.configuration, folder / "mutants", archive, plant(folder / "planted"))
    programs = write(MUTANTS_PLAN.programs(), folder / "mutants" / "programs")
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


def rewrite(page: Path, tables: dict[str, list[str]]) -> None:
    """Puts the rows of every table between its marks, below the two lines of its head."""
    text = page.read_text()
    for name, rows in tables.items():
        before, head, after = text.partition(f"<!-- {name} -->\n")
        old, end, after = after.partition(f"<!-- end of {name} -->\n")
        text = "".join([before, head, *old.splitlines(keepends=True)[:2], *(f"{row}\n" for row in rows), end, after])
    page.write_text(text)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two configurations and no planted bugs")
    parser.add_argument("--mutants", action="store_true", help="the planted bugs alone")
    parser.add_argument("--folder", type=Path, help="where to build (default: a temporary folder)")
    parser.add_argument("--page", type=Path, help="a page whose tables are written anew")
    arguments = parser.parse_args()
    failures: list[str] = []
    tables: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        archive = build.harness(folder / "harness")
        if not arguments.mutants:
            outcome = run_configurations(QUICK if arguments.quick else FULL, folder, archive)
            missed = [name for name, count in outcome.coverage.items() if count == 0]
            failures += outcome.differences + [f"never reached: {name}" for name in missed]
            tables["configurations"] = outcome.rows
            tables["coverage"] = [f"| {name} | {count:,} |" for name, count in sorted(outcome.coverage.items())]
            print(*tables["coverage"], sep="\n")
            print(f"functional coverage: {len(outcome.coverage) - len(missed)} of {len(outcome.coverage)} cases")
            print(f"{outcome.programs} programs, {outcome.cycles} cycles, {outcome.lines} lines of trace compared")
        if not arguments.quick:
            tables["mutants"], missed = run_mutants(folder, archive)
            failures += [f"planted bug not found: {name}" for name in missed]
            print(*tables["mutants"], f"planted bugs: {len(tables['mutants'])} of {len(MUTANTS)} found", sep="\n")
    if arguments.page:
        rewrite(arguments.page, tables)
    print(*failures, sep="\n", end="\n" if failures else "")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
