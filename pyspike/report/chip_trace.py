"""A simulated run as a trace for Perfetto (https://ui.perfetto.dev) or chrome://tracing: the JSON Trace Event Format.

Processes: the chip (counters of the whole), the layers (one track each), the cores (one track each, a slice for every
step of their fire units), and counters of every core and every router, one value for each window of the time series.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyspike._files import write_whole
from pyspike.report.chip_data import HOST, OUTPUTS, ChipRun

# Viewers take process 0 and thread 0 for the idle task, so numbers start at 1.
CHIP, LAYERS, CORES, CORE_LOAD, LINK_LOAD = range(1, 6)
PROCESSES = {CHIP: "chip", LAYERS: "layers", CORES: "cores", CORE_LOAD: "core load", LINK_LOAD: "link load"}

Event = dict[str, Any]


def write_trace(run: ChipRun, path: str | os.PathLike[str]) -> None:
    """Write the trace of `run`, under a temporary name first; gzip-compressed where `path` ends with .gz."""
    head = {"title": run.title, "chip": run.chip.name, "cycles": str(run.cycles), "clock": f"{run.chip.clock:.17g} Hz"}
    lines = ",\n".join(json.dumps(event, separators=(",", ":"), allow_nan=False) for event in events(run))
    text = f'{{"displayTimeUnit":"ns","otherData":{json.dumps(head)},"traceEvents":[\n{lines}\n]}}\n'
    content = text.encode()
    write_whole(path, gzip.compress(content, 6, mtime=0) if Path(path).suffix == ".gz" else content)


def events(run: ChipRun) -> Iterator[Event]:
    """All events, those of a track in the order of time. Thread 1 holds the passes or the host; the others follow."""
    for process, name in PROCESSES.items():
        yield _named("process", process, 1, name)
        yield {"ph": "M", "pid": process, "tid": 1, "name": "process_sort_index", "args": {"sort_index": process}}
    yield from _layer_events(run)
    yield from _step_events(run)
    yield from _chip_counters(run)
    yield from _core_counters(run)
    yield from _link_counters(run)


def _named(what: str, process: int, thread: int, name: str) -> Event:
    return {"ph": "M", "pid": process, "tid": thread, "name": f"{what}_name", "args": {"name": name}}


def _track(process: int, thread: int, name: str) -> Iterator[Event]:
    yield _named("thread", process, thread, name)
    yield {"ph": "M", "pid": process, "tid": thread, "name": "thread_sort_index", "args": {"sort_index": thread}}


def _place(run: ChipRun, core: int) -> str:
    y, x = divmod(core, run.chip.mesh[0])
    return f"{core} ({x}, {y})"


def _nanoseconds(run: ChipRun, cycle: int) -> int:
    """Both ends of every slice are rounded alike, so that neighbours never overlap, whatever the clock."""
    return round(cycle * 1e9 / run.chip.clock)


def _slice(run: ChipRun, process: int, thread: int, name: str, first: int, end: int, arguments: Event) -> Event:
    begin, until = _nanoseconds(run, first), _nanoseconds(run, end)
    track: Event = {"ph": "X", "pid": process, "tid": thread, "cat": PROCESSES[process]}
    # Microseconds, as the format has it.
    return {**track, "name": name, "ts": begin / 1000, "dur": (until - begin) / 1000, "args": arguments}


def _layer_events(run: ChipRun) -> Iterator[Event]:
    yield from _track(LAYERS, 1, "passes")
    bounds = [*(first for _, first in run.passes), run.cycles]
    for (title, first), end in zip(run.passes, bounds[1:], strict=True):
        yield _slice(run, LAYERS, 1, title, first, end, {})
    for thread, layer in enumerate(run.layers, 2):
        yield from _track(LAYERS, thread, layer.name)
        if layer.last_cycle < layer.first_cycle:
            continue
        counts = {name: int(getattr(layer, name)) for name in "events sops adds issues spikes flits hops".split()}
        figures = {"kind": layer.kind, "cores": len(layer.cores), **counts, "joules": sum(layer.energy.values())}
        yield _slice(run, LAYERS, thread, layer.name, layer.first_cycle, layer.last_cycle + 1, figures)


def _step_events(run: ChipRun) -> Iterator[Event]:
    steps = run.steps
    for core in np.unique(steps.core).tolist():
        yield from _track(CORES, core + 2, "host" if core == HOST else f"core {_place(run, core)}")
    for at in np.lexsort((steps.last, steps.first, steps.core)).tolist():
        figures: Event = {name: int(getattr(steps, name)[at]) for name in ("tile", "t", "spikes")}
        figures["layer"] = run.layers[int(steps.layer[at])].name
        first, end = int(steps.first[at]), int(steps.last[at]) + 1
        yield _slice(run, CORES, int(steps.core[at]) + 2, steps.names[at], first, end, figures)


def _counter(run: ChipRun, process: int, name: str, series: dict[str, NDArray[np.float64]]) -> Iterator[Event]:
    """A counter with one value per series and window, written where one of them changes, and 0 at the end."""
    edges = run.edges.tolist()
    rows = list(zip(*([float(f"{v:.6g}") for v in values] for values in series.values()), strict=True))
    rows.append((0.0,) * len(series))
    before = None
    for cycle, row in zip(edges, rows, strict=True):
        if row != before:
            arguments = dict(zip(series, row, strict=True))
            yield {"ph": "C", "pid": process, "name": name, "ts": _nanoseconds(run, cycle) / 1000, "args": arguments}
        before = row


def _chip_counters(run: ChipRun) -> Iterator[Event]:
    cycles = np.diff(run.edges)
    seconds = cycles / run.chip.clock
    watts = {kind: run.window_energy[:, k] / seconds for k, kind in enumerate(run.energy_parts)}
    yield from _counter(run, CHIP, "power, W", {"total": run.window_energy.sum(1) / seconds})
    yield from _counter(run, CHIP, "power by kind, W", watts)
    yield from _counter(run, CHIP, "busy share", {"busy": run.window_classes[:, :, 0].mean(1) / cycles})
    between = run.window_links[:, :, 1:].sum((1, 2))
    yield from _counter(run, CHIP, "flits between routers per cycle", {"flits": between / cycles})


def _core_counters(run: ChipRun) -> Iterator[Event]:
    """Busy share of every core that is ever busy."""
    cycles = np.diff(run.edges)
    for core in np.flatnonzero(run.classes[:, 0]).tolist():
        share = run.window_classes[:, core, 0] / cycles
        yield from _counter(run, CORE_LOAD, f"busy {_place(run, core)}", {"busy": share})


def _link_counters(run: ChipRun) -> Iterator[Event]:
    """Flits per cycle through those outputs of every router that are ever used."""
    cycles = np.diff(run.edges)
    for router in range(run.chip.cores):
        used = np.flatnonzero(run.links[router]).tolist()
        if used:
            load = {OUTPUTS[output]: run.window_links[:, router, output] / cycles for output in used}
            yield from _counter(run, LINK_LOAD, f"router {_place(run, router)}", load)
