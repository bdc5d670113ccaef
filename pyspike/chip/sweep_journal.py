"""What a sweep has found so far, on disk: one line of JSON a point, appended as points end.

A line counts only when it is whole, so a sweep that is killed at any moment loses the points under way and no others.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, fields
from functools import lru_cache
from pathlib import Path

import numpy as np

from pyspike.chip import energy
from pyspike.chip.config import Chip
from pyspike.chip.sweep_point import OK, Figures, Job, Outcome, as_fields

POINT = "point"


class Journal:
    """The journal at `path`. Only settled outcomes are kept: whatever might go better next time is tried again."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def read(self) -> dict[str, Outcome]:
        """Outcomes by key. Lines that are cut off or no journal's say nothing, and their points run again."""
        if not self.path.exists():
            return {}
        lines = self.path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]
        return dict(filter(None, map(_read, lines)))

    def append(self, key: str, outcome: Outcome) -> None:
        """Add an outcome, and see it on the disk."""
        if not outcome.settled:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as file:
            # Half a line of a sweep that was killed must not swallow this one.
            torn = file.tell() > 0 and self._last_byte() != b"\n"
            line = json.dumps({POINT: key} | as_fields(outcome))
            file.write(b"\n" * torn + line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _last_byte(self) -> bytes:
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1)


def _read(line: str) -> tuple[str, Outcome] | None:
    try:
        entry = json.loads(line)
        key, status = entry.pop(POINT), entry.pop("status")
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    if not isinstance(key, str) or not isinstance(status, str):
        return None
    if status != OK:
        return None if entry else (key, Outcome(status))
    kinds = {each.name: float if each.type == "float" else int for each in fields(Figures)}
    if {name: type(value) for name, value in entry.items()} != kinds:
        return None
    return key, Outcome(OK, Figures(**entry))


class Keys:
    """Hashes that name the points of a job: two are equal where the same figures must come out."""

    def __init__(self, job: Job) -> None:
        arrays = {name: (str(values.dtype), values.shape, _digest(np.ascontiguousarray(values).tobytes()))
                  for name, values in sorted(job.inputs.items())}  # fmt: skip
        self._job = (_digest(job.model), arrays, job.seed, job.effort, job.package)

    def of(self, chip: Chip) -> str:
        """The key of one chip. Its name does not count; its energy file counts by what things cost."""
        described = asdict(chip) | {"energy": _preset(chip.energy).costs(chip)}
        del described["name"]
        return _digest(json.dumps([self._job, described], sort_keys=True).encode())


_preset = lru_cache(energy.load)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
