"""Run every benchmark, one after another: `python -m benchmarks [names]`. What they share has no `main`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SHARED = {"networks.py"}  # runs by itself, but measures nothing


def main() -> int:
    """Run those named, or all; the exit code says whether each of them finished."""
    here = Path(__file__).parent
    files = [
        path for path in here.glob("[!_]*.py") if path.name not in SHARED and "__main__" in path.read_text("utf-8")
    ]
    packages = [path.parent for path in here.glob("*/__main__.py")]
    names = sys.argv[1:] or sorted(path.stem for path in [*files, *packages])
    codes = []
    for name in names:
        print(f"== {name}", flush=True)
        codes.append(
            subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False, cwd=here.parent).returncode
        )
    return max(codes, default=0)


if __name__ == "__main__":
    sys.exit(main())
