"""The typed errors of pyspike.

Every one is a `pyspike.Error` and, where Python has a standard kin (`ValueError`, `ImportError`), that kin too.
A message says what was expected, what was found and where. A missing file stays `FileNotFoundError`.
"""


class Error(Exception):
    """Base of every error that pyspike raises on purpose."""


class ModelFormatError(Error, ValueError):
    """A model image is truncated, corrupted, of another version, or breaks a rule of the format."""


class ShapeError(Error, ValueError):
    """An array or tensor has another shape, rank or dtype than was declared."""


class RangeError(Error, ValueError):
    """An integer lies outside its declared range, or a sum cannot be proven to fit 32 bits."""


class UnsupportedOpError(Error, ValueError):
    """A model holds operators that cannot be compiled; all of them are named."""


class TuningError(Error, ValueError):
    """A side file of kernel choices cannot be read, or says what cannot be."""


class BusyError(Error, RuntimeError):
    """A `Runtime` was entered by a second thread while a first one was inside."""


class BudgetError(Error, RuntimeError):
    """A run was stopped, since it would have read more events than its budget allows.

    `layer` is the one that was not run any more, `refused` the events that it would have read, `events` those that the
    layers before it had read, `max_events` the budget.
    """

    def __init__(self, message: str, *, layer: str, events: int, refused: int, max_events: int) -> None:
        super().__init__(message)
        self.layer, self.events, self.refused, self.max_events = layer, events, refused, max_events


class ChipError(Error, ValueError):
    """A chip's description is impossible, or a network does not fit the chip."""


class SimulationError(Error, RuntimeError):
    """The simulated chip deadlocked, an event came outside its group, or a run took too long."""


class MissingExtraError(Error, ImportError):
    """An optional dependency is not installed; the message names the extra to install."""


def missing_extra(package: str, extra: str) -> MissingExtraError:
    """The error for an absent optional `package` that the extra `extra` of the distribution brings."""
    return MissingExtraError(f"{package!r} is not installed. Install it with: pip install 'pyspike-runtime[{extra}]'")
