"""Run every benchmark, one after another: `python -m benchmarks [names]`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def main() -> int:
    """Run those named, or all; the exit code says whether each of them finished."""
    here = Path(__file__).parent
    packages = [path.parent for path in here.glob("*/__main__.py")]
    names = sys.argv[1:] or sorted(path.stem for path in [*here.glob("[!_]*.py"), *packages])
    codes = []
    for name in names:
        print(f"== {name}", flush=True)
        codes.append(
            subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False, cwd=here.parent).returncode
        )
    return max(codes, default=0)


if __name__ == "__main__":
    sys.exit(main())
