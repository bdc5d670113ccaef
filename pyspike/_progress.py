"""Telling a caller how far something long has come."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]


class Counted:
    """Calls `progress(done, of)`, where there is one, with one more each time; what it raises ends the work."""

    def __init__(self, progress: Progress | None, of: int) -> None:
        self.progress, self.done, self.of = progress, 0, of

    def __call__(self) -> None:
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, self.of)
