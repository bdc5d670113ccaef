"""Both simulators behind one signature, for tests that hold for either, and what a test wants of a trace."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pyspike import _simulator
from pyspike.chip import firmware as fw

from . import oracle

Result = dict[str, Any]
Simulator = Callable[..., Result]
ERRORS = (oracle.SimulationError, _simulator.SimulationError)
TABLES = ("cores", "ports", "steps", "inputs", "times", "input_times", "links", "edge_in", "edge_out", "cycles")


def native(
    firmware: fw.Firmware, inputs: Sequence[NDArray[np.int32]], trace: bool = True, **options: Any
) -> dict[str, Any]:
    """The C++ simulator, with the oracle's signature."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace" if trace else None
        result = _simulator.run(fw.to_bytes(firmware), list(inputs), trace=str(path or ""), **options)
        result["trace"] = path.read_text(encoding="ascii").splitlines() if path else []
    return result


def check(firmware: fw.Firmware) -> None:
    """What the C++ reader says of an image; raises `ModelFormatError` where it refuses."""
    _simulator.check(fw.to_bytes(firmware))


def native_traffic(*arguments: Any, **options: Any) -> dict[str, Any]:
    return _simulator.traffic(*arguments, **options)


SIMULATORS = [
    pytest.param((oracle.simulate, oracle.traffic), id="oracle"),
    pytest.param((native, native_traffic), id="native"),
]


def cycles_of(result: Result, *words: object) -> list[int]:
    """Cycles of the trace lines that begin with these words behind the cycle: `cycles_of(run, 0, "out", 1)`."""
    start = " ".join(map(str, words)) + " "
    found = []
    for line in result["trace"]:
        cycle, rest = line.split(" ", 1)
        if (rest + " ").startswith(start):
            found.append(int(cycle))
    return found


def counters(result: Result, table: str = "cores", row: int | None = None) -> dict[str, int]:
    """The counters of one row, or of all rows together, by name."""
    names = getattr(oracle, {"cores": "CORE_COUNTERS", "ports": "PORT_COUNTERS", "steps": "STEP_COUNTERS"}[table])
    values = result[table].sum(axis=0) if row is None else result[table][row]
    return dict(zip(names, values.tolist(), strict=True))


def differences(ours: Result, theirs: Result) -> str:
    """What differs first between two runs, with context; empty where they agree in everything."""
    pairs = zip(ours["trace"], theirs["trace"], strict=False)
    at = next((k for k, (a, b) in enumerate(pairs) if a != b), None)
    if at is None and len(ours["trace"]) != len(theirs["trace"]):
        at = min(len(ours["trace"]), len(theirs["trace"]))
    if at is not None:
        before = "".join(f"        {line}\n" for line in ours["trace"][max(0, at - 12) : at])
        first = "".join(f"  ours  {line}\n" for line in ours["trace"][at : at + 4])
        return f"trace, line {at + 1}:\n{before}{first}" + "".join(
            f"  other {line}\n" for line in theirs["trace"][at : at + 4]
        )
    for k, (a, b) in enumerate(zip(ours["outputs"], theirs["outputs"], strict=True)):
        if a.shape != b.shape or (a != b).any():
            return f"output {k}"
    for name in TABLES:
        a, b = np.asarray(ours[name]), np.asarray(theirs[name])
        if a.shape != b.shape:
            return f"{name}: shape {a.shape}, other {b.shape}"
        if (a != b).any():
            place = tuple(np.argwhere(a != b)[0].tolist()) if a.ndim else ()
            return f"{name}{list(place)}: ours {a[place]}, other {b[place]}"
    return ""
