"""What the tests of sweeps share: a chip, axes, a job, and a job that kills its process."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np

from pyspike import image, reference
from pyspike.chip.config import Chip
from pyspike.chip.sweep import Grid, Outcome, write_csv
from pyspike.chip.sweep_point import Job, evaluate
from pyspike.graph import Graph, Port, Tensor
from pyspike.ops import Conv2d, Fire

BASE = Chip(mesh=(3, 3), weight_sram=16384, potential_sram=8192)
AXES = {"lanes": [8, 16], "coding": ["bitwise", "folded"]}


def small_graph() -> Graph:
    """Counts -> convolution -> neurons -> convolution."""
    rng = np.random.default_rng(3)
    graph = Graph()
    graph.add_input(Port("counts", "x", "uint8"), Tensor((1, 6, 6, 4), 0, 4))
    for name, source, out, padding in (("drive", "x", 12, 1), ("logits", "spikes", 5, 0)):
        weight = rng.integers(-7, 8, (out, 3 if padding else 1, 3 if padding else 1, 4 if padding else 12))
        graph.add(Conv2d(weight, np.zeros(out, int), np.zeros(out, int), None, padding=(padding,) * 4), [source], name)
        if padding:
            graph.add(Fire(np.array([[1, 20, 40]])), [name], "spikes")
    graph.add_output(Port("logits", "logits", "int32"))
    return graph


def make_job() -> Job:
    """Small enough to be run many times, and its outputs."""
    graph = small_graph()
    inputs = {"counts": np.random.default_rng(5).integers(0, 5, (1, 6, 6, 4)).astype(np.uint8)}
    return Job(image.to_bytes(graph), inputs, reference.run(graph, inputs))


def table(grid: Grid, outcomes: list[Outcome], path: Path) -> bytes:
    write_csv(grid, outcomes, path)
    return path.read_bytes()


class Deadly(Job):
    """Kills its process on chips with 32 lanes, and takes its time on those with 8, so that they are under way then."""

    def run(self, chip: Chip) -> Outcome:
        if chip.lanes == 32:
            os.kill(os.getpid(), signal.SIGKILL)
        if chip.lanes == 8:
            time.sleep(0.5)
        if chip.lanes == 16:
            raise ZeroDivisionError("no such thing")
        return super().run(chip)


def deadly(job: Job) -> Deadly:
    return Deadly(job.model, job.inputs, job.expected)


def check_deadly(job: Job, outcomes: list[Outcome], journal: Path) -> None:
    assert outcomes[0] == evaluate(job, BASE.replace(lanes=8))
    assert outcomes[1].figures is outcomes[2].figures is None
    assert outcomes[2].status == "ZeroDivisionError: no such thing"
    assert len(journal.read_text().splitlines()) == 1, "crashes are tried again"
