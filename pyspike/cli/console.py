"""How the command line writes: results to stdout, progress to stderr, numbers with units."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False)

PREFIXES = {4: "T", 3: "G", 2: "M", 1: "k", 0: "", -1: "m", -2: "u", -3: "n", -4: "p"}


PERCENT = 100
"""A total that is no number of steps: the bar fills, and counts nothing."""


class Steps:
    """A bar that moves on by one step at a time, and says what is under way."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def say(self, text: str) -> None:
        """Name what is under way."""
        self._progress.update(self._task, description=text)

    def at(self, text: str, done: float) -> None:
        """Name what is under way, and how much of the bar it has filled."""
        self._progress.update(self._task, description=text, completed=done)

    def advance(self, text: str = "") -> None:
        """One step is done; `text` names the next."""
        self._progress.advance(self._task)
        if text:
            self.say(text)


@contextmanager
def steps(text: str, total: int | None = None) -> Iterator[Steps]:
    """A progress bar on stderr while the context is open; without `total` it only shows that time passes."""
    count = [MofNCompleteColumn()] if total and total != PERCENT else []
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=24), *count, TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        yield Steps(progress, progress.add_task(text, total=total))


def si(value: float, unit: str = "") -> str:
    """`value` to three digits with a decimal prefix: si(8.1e7, 'MAC') is '81.0 MMAC'."""
    power = math.floor(math.log10(abs(value)) / 3) if value else 0
    power = max(-4, min(4, power))
    scaled = value / 1000.0**power
    digits = 0 if isinstance(value, int) and power == 0 else max(0, 3 - len(str(int(abs(scaled)))))
    return f"{scaled:.{digits}f} {PREFIXES[power]}{unit}".strip()


def percent(part: float, whole: float) -> str:
    """`part` of `whole` as a percentage of three digits; a dash where there is no whole."""
    return f"{100 * part / whole:.3g} %" if whole else "-"


def table(*columns: str, title: str = "") -> Table:
    """A table whose columns named with a leading '>' are aligned to the right; the first one folds where it must."""
    made = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column.lstrip(">"), justify="right" if column.startswith(">") else "left", no_wrap=True)
    made.columns[0].no_wrap, made.columns[0].overflow = False, "fold"
    return made
