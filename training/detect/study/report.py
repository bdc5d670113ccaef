"""Writes what the study found, finished or not: docs/learning.md, docs/learning.json and plots.

    python -m training.detect.study.report --out runs/study

Run it again whenever more jobs are done. What is measured on a network after its training is kept in the job's folder.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import torch
from rich.progress import track

from training.detect import checkpoint
from training.detect.study import result
from training.detect.study.figures import draw
from training.detect.study.findings import PARENT, Findings
from training.detect.study.gather import changed_counts, settings, transfer
from training.detect.study.page import page
from training.detect.study.plan import Job, plan
from training.detect.study.tiles import cut_others
from training.detect.study.timing import step_seconds

DOCS = Path(__file__).resolve().parents[3] / "docs"
DRAWS = 1000


def collect(jobs: list[Job], out: Path, draws: int = DRAWS) -> Findings:
    """Everything that finished jobs of the study in `out` say."""
    study = Findings(jobs, out)
    done = [job for job in jobs if (out / job.name / result.FILE).exists()]
    study.found = settings(track(done, "intervals"), out, draws)
    if (out / "data" / "others").exists():
        study.others = transfer(track([job for job in done if job.what == "crowns"], "transfer"), out, draws)
    for job in track([job for job in done if (job.what, job.setting) == PARENT], "counts changed by rounding"):
        study.counts[job.replicate] = changed_counts(job, out)
    if (out / "data" / "cells").exists():
        study.seconds = step_seconds(jobs, out)
    return study


def write(study: Findings, docs: Path) -> None:
    """The page, its numbers and its plots."""
    figures = draw(study, docs / "images")
    checkpoint.save_json(docs / "learning.json", rounded(study.numbers()))
    aside = docs / "learning.md.tmp"
    aside.write_text(page(study, figures))
    aside.replace(docs / "learning.md")


def rounded(content: Any) -> Any:
    """Six digits of every number: no interval knows more, and the file is read by people."""
    if isinstance(content, dict):
        return {k: rounded(v) for k, v in content.items()}
    if isinstance(content, list):
        return [rounded(v) for v in content]
    return float(f"{content:.6g}") if isinstance(content, float) else content


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(prog="python -m training.detect.study.report")
    parser.add_argument("--out", type=Path, default=Path("runs/study"), help="folder of the study (%(default)s)")
    parser.add_argument("--docs", type=Path, default=DOCS, help="where to write (%(default)s)")
    parser.add_argument("--draws", type=int, default=DRAWS, help="of the bootstrap (%(default)s)")
    parser.add_argument("--crowns", type=Path, help="folder of the photographs, where they are not cut into tiles yet")
    args = parser.parse_args()
    torch.set_num_threads(os.cpu_count() or 1)
    if args.crowns is not None:
        cut_others(args.crowns, args.out / "data" / "others")
    write(collect(plan(), args.out, args.draws), args.docs)


if __name__ == "__main__":
    main()
