"""Design-space exploration: one network and input on every chip of a grid, in parallel, and resumed where it stopped.

grid = Grid.load("grid.toml")
job = Job(model, inputs, expected)
outcomes = sweep(job, grid, "sweep.journal", workers=8)
write_csv(grid, outcomes, "sweep.csv")

docs/sweep.md explains the file, the columns and the area.
"""

from __future__ import annotations

import csv
import io
import itertools
import math
import os
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from pyspike._files import write_whole
from pyspike.chip import energy
from pyspike.chip.config import KEYS, Chip
from pyspike.chip.sweep_journal import Journal, Keys
from pyspike.chip.sweep_point import OK, Figures, Job, Outcome, as_fields
from pyspike.chip.sweep_workers import Outcomes, in_process, in_processes, on_ray
from pyspike.errors import ChipError

MAX_POINTS = 10_000
AXES = tuple(key for key in KEYS if key != "name")
COLUMNS = ("status", *(each.name for each in fields(Figures)))
Tell = Callable[["Point", Outcome, bool], None]


@dataclass(frozen=True)
class Point:
    """One chip of a grid. values: of the swept keys. chip: None where no chip can be so, and `impossible` says why."""

    values: Mapping[str, Any]
    chip: Chip | None
    impossible: str = ""

    def __str__(self) -> str:
        return ", ".join(f"{key} {text(value)}" for key, value in self.values.items())


@dataclass(frozen=True, eq=False)
class Grid:
    """`base` with all combinations of the values of `axes`, keys of a chip; the last key changes fastest.

    Raises `ChipError` for an unknown key, an empty list, a value that comes twice or that no chip of the grid can have,
    and for more than 10,000 points; `FileNotFoundError` for an energy file that is not there.
    """

    base: Chip
    axes: Mapping[str, Sequence[Any]]

    def __post_init__(self) -> None:
        for key, values in self.axes.items():
            self._check_axis(key, values)
        size = math.prod(map(len, self.axes.values()))
        if size > MAX_POINTS:
            factors = " x ".join(f"{len(values)} ({key})" for key, values in self.axes.items())
            raise ChipError(
                f"[grid]: expected at most {MAX_POINTS:,} points, found {size:,} = {factors}: give fewer values, or "
                "sweep some keys first and fix them in [chip]"
            )
        possible = {(key, text(value)) for each in self.points if each.chip for key, value in each.values.items()}
        for each in self.points:
            if any((key, text(value)) not in possible for key, value in each.values.items()):
                raise ChipError(f"[grid]: {each.impossible}")
        for source in self.axes.get("energy", [self.base.energy]):
            energy.load(source)

    def _check_axis(self, key: str, values: Any) -> None:
        if key not in AXES:
            raise ChipError(f"[grid]: unknown key {key!r}; known are {', '.join(AXES)}")
        if not isinstance(values, list | tuple) or not values:
            raise ChipError(f"[grid]: key {key!r}: expected a list of values, found {values!r}")
        texts = Counter(map(text, values))
        if len(texts) < len(values):
            raise ChipError(f"[grid]: key {key!r}: expected every value once, found {texts.most_common(1)[0][0]} twice")

    @cached_property
    def points(self) -> tuple[Point, ...]:
        """All points, in order."""
        return tuple(
            self._point(dict(zip(self.axes, each, strict=True))) for each in itertools.product(*self.axes.values())
        )

    def _point(self, values: dict[str, Any]) -> Point:
        try:
            return Point(values, self.base.replace(**values))
        except ChipError as error:
            return Point(values, None, str(error))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Grid:
        """The grid of a TOML file: a table [grid] of lists, and the table [chip] of a chip that gives all other keys.

        Raises `ChipError` and `FileNotFoundError`.
        """
        path = Path(path)
        try:
            document = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ChipError(f"{path}: expected a TOML file ({error})") from error
        base, axes = document.pop("chip", {}), document.pop("grid", None)
        if document or not isinstance(base, dict):
            found = ", ".join(document) or "a value 'chip'"
            raise ChipError(f"{path}: expected the tables [chip] and [grid] alone, found {found} too")
        if not isinstance(axes, dict) or not axes:
            raise ChipError(f"{path}: expected a table [grid] of keys with lists of values, found {axes or 'none'}")
        base = {"name": path.stem} | {key: _beside(path, key, value) for key, value in base.items()}
        axes = {key: [_beside(path, key, each) for each in values] if isinstance(values, list) else values
                for key, values in axes.items()}  # fmt: skip
        try:
            return cls(Chip().replace(**base), axes)
        except ChipError as error:
            raise ChipError(f"{path}: {error}") from None


def _beside(path: Path, key: str, value: Any) -> Any:
    """A relative energy file is meant beside the grid's."""
    return str(path.parent / value) if key == "energy" and isinstance(value, str) and value.endswith(".toml") else value


def text(value: Any) -> str:
    """A value of a key as the CSV shows it: a mesh is 8x8."""
    return "x".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def sweep(
    job: Job,
    grid: Grid,
    journal: str | os.PathLike[str],
    *,
    workers: int | None = 1,
    ray: str | None = None,
    tell: Tell | None = None,
) -> list[Outcome]:
    """The outcomes of all points, in the grid's order. Points that `journal` knows are not run again.

    workers: processes of this machine; 0 runs all in this one. ray: "local" or the address of a Ray cluster, where
    `workers` is the most points at once and None stands for as many as there are CPUs.
    tell(point, outcome, whether it was known) is called for each point as it ends.
    A point that fails ends no other. Raises `MissingExtraError` and `ConnectionError` for Ray.
    """
    log, keys = Journal(journal), Keys(job)
    known = log.read()
    names = {number: keys.of(point.chip) for number, point in enumerate(grid.points) if point.chip}
    found: dict[int, Outcome] = {}

    def settle(number: int, outcome: Outcome, before: bool) -> None:
        found[number] = outcome
        if tell is not None:
            tell(grid.points[number], outcome, before)

    tasks = []
    for number, point in enumerate(grid.points):
        if point.chip is None:
            settle(number, Outcome(f"ChipError: {point.impossible}"), True)
        elif names[number] in known:
            settle(number, known[names[number]], True)
        else:
            tasks.append((number, point.chip))
    with closing(_runner(job, tasks, workers, ray)) as outcomes:
        for number, outcome in outcomes:
            log.append(names[number], outcome)
            settle(number, outcome, False)
    return [found[number] for number in range(len(grid.points))]


def _runner(job: Job, tasks: list[tuple[int, Chip]], workers: int | None, ray: str | None) -> Outcomes:
    if not tasks or (workers == 0 and ray is None):
        return in_process(job, tasks)
    if ray is not None:
        return on_ray(job, tasks, ray, workers)
    return in_processes(job, tasks, workers or os.cpu_count() or 1)


def write_csv(grid: Grid, outcomes: Sequence[Outcome], path: str | os.PathLike[str]) -> None:
    """One row a point: the swept keys, the status, the figures; floats in full, so that they read back the same."""
    file = io.StringIO()
    writer = csv.DictWriter(file, [*grid.axes, *COLUMNS], lineterminator="\n")
    writer.writeheader()
    for point, outcome in zip(grid.points, outcomes, strict=True):
        writer.writerow({key: text(value) for key, value in point.values.items()} | as_fields(outcome))
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, file.getvalue().encode())


__all__ = ["OK", "Figures", "Grid", "Job", "Outcome", "Point", "sweep", "write_csv"]
