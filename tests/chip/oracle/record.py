"""What a run leaves behind: counters, the trace, and the last cycle in which something happened."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

CORE_COUNTERS = (
    "busy", "stalled", "waiting", "idle", "events", "issues", "null_issues", "sops", "adds", "lane_adds", "multiplies",
    "maxes", "weight_words", "potential_reads", "potential_writes", "fired_words", "compares", "constant_words",
    "spikes", "potentials", "ends", "readies", "flits_received", "hops_x", "hops_y", "fired",
)  # fmt: skip
PORT_COUNTERS = (
    "events", "issues", "null_issues", "sops", "adds", "lane_adds", "multiplies", "maxes", "weight_words", "readies",
    "hops_x", "hops_y",
)  # fmt: skip
STEP_COUNTERS = (
    "fired_words", "compares", "constant_words", "potential_reads", "potential_writes", "spikes", "potentials", "ends",
    "hops_x", "hops_y", "fired",
)  # fmt: skip
INPUT_COUNTERS = ("spikes", "potentials", "ends", "hops_x", "hops_y")
FLIT_COUNTERS = ("spikes", "ends", "readies", "potentials")  # by kind of flit

LINES = ("out", "grant", "axon", "issue", "read", "fire", "write", "send", "pop")  # the order within a core's cycle


class Record:
    """Filled in by all units; `host` stands for a core number behind all others."""

    def __init__(
        self, cores: int, ports: int = 0, steps: int = 0, inputs: int = 0, timesteps: int = 0, trace: bool = True
    ) -> None:
        self.cycle = 0
        self.last_act = -1
        self.host = cores
        self.cores: list[Counter[str]] = [Counter() for _ in range(cores)]
        self.ports: list[Counter[str]] = [Counter() for _ in range(ports)]
        self.steps: list[Counter[str]] = [Counter() for _ in range(steps)]
        self.inputs: list[Counter[str]] = [Counter() for _ in range(inputs)]
        self.step_times = [[[-1, -1] for _ in range(steps)] for _ in range(timesteps)]
        self.input_times = [[[-1, -1] for _ in range(inputs)] for _ in range(timesteps)]
        self.links = [[0] * 5 for _ in range(cores)]
        self.edge_in = self.edge_out = 0
        self.trace = trace
        self.lines: list[str] = []
        self.lines_now: list[tuple[int, int, int, str]] = []

    def act(self) -> None:
        """Something happened in this cycle: a flit moved, an issue, a step under way."""
        self.last_act = self.cycle

    def line(self, core: int, kind: str, text: str) -> None:
        if self.trace:
            self.lines_now.append((core, LINES.index(kind), len(self.lines_now), text))

    def commit(self) -> None:
        for core, kind, _, text in sorted(self.lines_now):
            place = "host" if core == self.host else core
            self.lines.append(f"{self.cycle} {place} {LINES[kind]} {text}")
        self.lines_now = []
        self.cycle += 1


def table(rows: list[Counter[str]], names: tuple[str, ...]) -> NDArray[np.int64]:
    """The counters as an array [rows, names]."""
    for row in rows:
        assert set(row) <= set(names), f"counters without a column: {set(row) - set(names)}"
    return np.array([[row[name] for name in names] for row in rows], dtype=np.int64).reshape(len(rows), len(names))
