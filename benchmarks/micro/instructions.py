"""Instructions that each kernel executes on the arguments of a typical layer: a guard against regressions that no load
of the machine can disturb.

    python -m benchmarks.micro.instructions            compare with benchmarks/instructions.json
    python -m benchmarks.micro.instructions --update   write it

Counted by valgrind's callgrind in a build of its own, for the instruction sets that valgrind knows: it has no AVX-512.
Exit code 1 where a kernel takes over 3% more than the file says, or where kernels are missing from it or in it; 2 where
nothing can be compared: no valgrind, or another compiler than the file's.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
BASELINE = ROOT / "benchmarks" / "instructions.json"
TOLERANCE = 0.03


class Impossible(Exception):
    """Why nothing can be counted or compared."""


@dataclass(frozen=True)
class Counts:
    """Instructions by kernel, and the compiler that made them."""

    compiler: str
    kernels: dict[str, int]


def _run(*command: object) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode != 0:
        raise Impossible(f"{command[0]} failed:\n{done.stdout}\n{done.stderr}")
    return done.stdout


def _tool(name: str, package: str) -> str:
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.is_file() else shutil.which(name)
    if found is None:
        raise Impossible(f"{name} is missing (Debian: apt install {package})")
    return found


def build() -> Path:
    """The program that calls every kernel once."""
    cmake, folder = _tool("cmake", "cmake"), ROOT / "build" / "bench"
    ninja = f"-DCMAKE_MAKE_PROGRAM={_tool('ninja', 'ninja-build')}"
    options = ("-DCMAKE_BUILD_TYPE=Release", "-DPYSPIKE_PYTHON=OFF", "-DPYSPIKE_BENCH=ON")
    _run(cmake, "-S", ROOT, "-B", folder, "-G", "Ninja", ninja, *options)
    _run(cmake, "--build", folder, "--target", "call_each")
    return folder / "benchmarks" / "micro" / "call_each"


def count(program: Path) -> Counts:
    """Counts what the program executes."""
    valgrind = _tool("valgrind", "valgrind")
    log = program.with_suffix(".callgrind")
    flags = ("--tool=callgrind", "--compress-strings=no", "--compress-pos=no", f"--callgrind-out-file={log}")
    compiler = _run(valgrind, *flags, program).strip()
    return Counts(compiler, parse(log.read_text()))


def parse(listing: str) -> dict[str, int]:
    """Instructions of each kernel in a file of callgrind: the lines below its name, but those of calls it makes."""
    counts: Counter[str] = Counter()
    function, of_call = "", False
    for line in listing.splitlines():
        if line.startswith("fn="):
            function = line.removeprefix("fn=")
        elif line.startswith("calls="):
            of_call = True
        elif re.fullmatch(r"[+-]?\d+ \d+", line):
            if not of_call and function.startswith("spk_"):
                counts[function] += int(line.split()[1])
            of_call = False
    return dict(sorted(counts.items()))


def compare(found: Counts, baseline: Counts) -> list[str]:
    """What got worse, or does not match; empty where all is well."""
    if found.compiler != baseline.compiler:
        raise Impossible(f"the counts are of GCC {baseline.compiler}, this is {found.compiler}, which makes others")
    complaints = []
    for name in sorted(found.kernels.keys() | baseline.kernels.keys()):
        now, before = found.kernels.get(name), baseline.kernels.get(name)
        if before is None or now is None:
            complaints.append(f"{name} is {'new' if before is None else 'gone'}: say --update")
        elif now > before * (1 + TOLERANCE):
            complaints.append(f"{name}: {now} instructions, {before} before ({now / before - 1:+.1%})")
    return complaints


def load(path: Path = BASELINE) -> Counts:
    """The stored counts."""
    return Counts(**json.loads(path.read_text()))


def main() -> int:
    """Compare or update; prints what differs."""
    try:
        found = count(build())
        if sys.argv[1:] == ["--update"]:
            BASELINE.write_text(json.dumps(asdict(found), indent=2) + "\n")
            print(f"{len(found.kernels)} kernels written to {BASELINE}")
            return 0
        complaints = compare(found, load())
    except Impossible as reason:
        print(reason)
        return 2
    print("\n".join(complaints) or f"{len(found.kernels)} kernels take no more instructions than before")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
