"""Command line: python -m training.detect.study --cells <BCCD> --crowns <NEON crops> --out runs/study

Start it once for every core; interrupt it when you like, and start it again. Each process takes the next job that
nobody does.
"""

from __future__ import annotations

import argparse
from fnmatch import fnmatch
from pathlib import Path

from rich.console import Console

from training.detect.study.plan import plan
from training.detect.study.result import FILE
from training.detect.study.tiles import cut_folds, cut_others
from training.detect.study.work import work


def main() -> None:
    """Do the study's jobs."""
    parser = argparse.ArgumentParser(prog="python -m training.detect.study", description=__doc__)
    parser.add_argument("--cells", type=Path, required=True, help="folder of the BCCD data set")
    parser.add_argument("--crowns", type=Path, required=True, help="folder of the tree crowns' photographs")
    parser.add_argument("--out", type=Path, default=Path("runs/study"), help="folder of the study (%(default)s)")
    parser.add_argument("--only", default="*", help="jobs whose name matches, such as 'neurons/D=4/*'")
    parser.add_argument("--list", action="store_true", help="say what is done and what is not")
    args = parser.parse_args()
    jobs = [job for job in plan() if fnmatch(job.name, args.only)]
    if args.list:
        for job in jobs:
            print("done" if (args.out / job.name / FILE).exists() else "open", job.name)
        return
    data = args.out / "data"
    data.mkdir(parents=True, exist_ok=True)
    if not (data / "cells").exists():
        (data / "cells").symlink_to(args.cells.resolve(), target_is_directory=True)
    cut_folds(args.crowns, data / "crowns")
    cut_others(args.crowns, data / "others")
    work(jobs, data, args.out, Console())


if __name__ == "__main__":
    main()
