"""Does the jobs of the study: each once, resumable, by any number of processes side by side."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from rich.console import Console
from torch import nn

from pyspike.nn import integer_twin
from training.detect import checkpoint
from training.detect.evaluate import evaluate
from training.detect.final import load_stage
from training.detect.penalty import Controller
from training.detect.run import STATE, Trainer, open_run, quantised_form
from training.detect.study import result
from training.detect.study.plan import Job


@contextmanager
def claimed(folder: Path) -> Iterator[bool]:
    """Whether this process may work in `folder`; the claim ends with the process, however it dies."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def work(jobs: list[Job], data: Path, out: Path, console: Console) -> None:
    """Do every job that is not done, nor being done by another process, and whose parent is done."""
    while any(_claim(job, data, out, console) for job in jobs):
        pass  # what was done may be the parent of a job that was passed over


def _claim(job: Job, data: Path, out: Path, console: Console) -> bool:
    folder = out / job.name
    if job.parent is not None and not (out / job.parent / result.FILE).exists():
        return False
    with claimed(folder) as ours:
        if not ours or (folder / result.FILE).exists():
            return False
        console.print(f"[bold]{job.name}[/bold]")
        _do(job, data / job.data, out)
        return True


def _do(job: Job, data: Path, out: Path) -> None:
    folder = out / job.name
    if job.parent is not None and not (folder / STATE).exists():
        branch(out / job.parent, folder, job)
    trainer = open_run(job.config, data, folder)
    if not job.converted:
        trainer.run()
    model, raw = _outcome(job, trainer)
    found = evaluate(model, trainer.val_set, trainer.config, trainer.fanout, raw_pixels=raw)
    neurons = result.extremes(model, trainer.val_set, trainer.config, raw) if trainer.fanout else {}
    result.save(folder, found, neurons, trainer.config)


def branch(parent: Path, folder: Path, job: Job) -> None:
    """Begin a run at the end of its parent's float training, under its own settings for what comes after."""
    state = checkpoint.load(parent / STATE)
    fresh = {"config": job.config.to_dict(), "controller": Controller(job.config.penalty).to_dict()}
    checkpoint.save(folder / STATE, {**state, **fresh})


def _outcome(job: Job, trainer: Trainer) -> tuple[nn.Module, bool]:
    """The network that is evaluated, that of the last step, and whether it reads raw pixels.

    No step is chosen by its figure on the split that is evaluated.
    """
    if trainer.stage == 2:
        return integer_twin(trainer.average), True
    model = load_stage(trainer.leave_stage())
    torch.set_num_threads(trainer.config.threads)
    return (integer_twin(quantised_form(model, trainer.config)), True) if job.converted else (model, False)
