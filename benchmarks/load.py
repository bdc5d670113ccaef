"""How long a model takes to be there, by how long its file takes to be read and hashed once.

    python -m benchmarks.load [IMAGE ...] [--rounds 15]

Two baselines: `hashlib.sha256(path.read_bytes())`, and `hashlib.file_digest`, which hashes blocks while they are in the
cache and keeps nothing, the least that any verification can cost. Ours is `Model.load`: the file in memory, its digest
checked, all ranges proven anew. Every number is the least of some interleaved rounds.

warm: in one process, everything imported and done before. first: in a new process, the action alone, after its imports;
with imports: the same and the imports it needs (hashlib; NumPy and pyspike). The file is in the system's cache always.
Then the steps to a first output, each in a new process, `python` itself included in `process`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pyspike

DEMO = Path(pyspike.__file__).parent / "data/demo.spk"
ACTIONS = {
    "sha256(read_bytes)": ("import hashlib, pathlib", "hashlib.sha256(pathlib.Path(path).read_bytes()).digest()"),
    "file_digest": ("import hashlib", "hashlib.file_digest(open(path, 'rb'), 'sha256').digest()"),
    "Model.load": ("from pyspike import Model", "Model.load(path)"),
}
FRESH = """
import json, sys, time
path, began = sys.argv[1], time.perf_counter()
{imports}
imported = time.perf_counter()
{action}
print(json.dumps({{"first": time.perf_counter() - imported, "with imports": time.perf_counter() - began}}))
"""
FIRST_OUTPUT = """
import json, sys, time
seconds, began = {}, time.perf_counter()
def done(name):
    global began
    seconds[name], began = time.perf_counter() - began, time.perf_counter()
import numpy
done("import numpy")
from pyspike import Model
done("import pyspike")
model = Model.load(sys.argv[1])
done("Model.load")
runtime = model.runtime()
done("runtime")
x = {port.name: numpy.full(port.shape, port.lo, port.dtype) for port in model.inputs}
began = time.perf_counter()
runtime.run(x)
done("first run")
runtime.run(x)
done("second run")
print(json.dumps(seconds))
"""


def least(rounds: int, actions: Mapping[str, Callable[[], Mapping[str, float]]]) -> dict[str, dict[str, float]]:
    """The least of each number that each action returns; a round has every action once."""
    found: dict[str, dict[str, float]] = {name: {} for name in actions}
    for _ in range(rounds):
        for name, action in actions.items():
            for key, seconds in action().items():
                found[name][key] = min(seconds, found[name].get(key, seconds))
    return found


def warm(path: Path) -> dict[str, Callable[[], dict[str, float]]]:
    """The actions in this process."""

    def digest() -> None:
        with path.open("rb") as file:
            hashlib.file_digest(file, "sha256").digest()

    def timed(action: Callable[[], object]) -> dict[str, float]:
        began = time.perf_counter()
        action()
        return {"warm": time.perf_counter() - began}

    return {
        "sha256(read_bytes)": lambda: timed(lambda: hashlib.sha256(path.read_bytes()).digest()),
        "file_digest": lambda: timed(digest),
        "Model.load": lambda: timed(lambda: pyspike.Model.load(path)),
    }


def fresh(program: str, path: Path) -> dict[str, float]:
    """What a new process says of its own seconds; `process` is what it took from outside."""
    began = time.perf_counter()
    answer = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    seconds: dict[str, float] = json.loads(answer.stdout)
    return seconds | {"process": time.perf_counter() - began}


def report(path: Path, rounds: int) -> str:
    """Milliseconds and ratios of one image."""
    found = least(rounds, warm(path))
    programs = {name: FRESH.format(imports=imports, action=action) for name, (imports, action) in ACTIONS.items()}
    new = least(rounds, {name: lambda text=text: fresh(text, path) for name, text in programs.items()})  # type: ignore[misc]
    lines = [f"{path}: {path.stat().st_size / 1e6:.2f} MB; milliseconds, and the baseline's by ours"]
    for key in ("warm", "first", "with imports"):
        times = {name: (found if key == "warm" else new)[name][key] for name in ACTIONS}
        ours = times["Model.load"]
        cells = [f"{name} {seconds * 1e3:.2f} ({seconds / ours:.2f})" for name, seconds in times.items()]
        lines.append(f"  {key:<13}" + "  ".join(cells))
    steps = least(rounds, {"": lambda: fresh(FIRST_OUTPUT, path)})[""]
    lines.append("  to a first output: " + "  ".join(f"{name} {seconds * 1e3:.1f}" for name, seconds in steps.items()))
    return "\n".join(lines)


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="*", type=Path, default=[DEMO])
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    for path in arguments.images:
        print(report(path, arguments.rounds), flush=True)


if __name__ == "__main__":
    main()
