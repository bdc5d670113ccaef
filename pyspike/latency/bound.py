"""A measured bound: time <= a + b x events, in all and layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pyspike.errors import RangeError


@dataclass(frozen=True)
class LayerBound:
    """A synapse takes `a` + `b` x events seconds, all timesteps together: no input's median lies above.

    tail: with it no input's quantile lies above either; a whole run has a tail of its own, since what disturbs a run
    disturbs one layer of it. fewest, greatest: events in the runs that were measured. most: events if every integer
    that it reads were one. source: where b is from: "measured" (this layer's times), "whole time" (as if all its time
    were due to events), or "dearest" (the dearest event of the layers where its time is well known).
    """

    name: str
    op: str
    a: float
    b: float
    tail: float
    fewest: int
    greatest: int
    most: int
    source: str

    def seconds(self, events: int) -> float:
        """The layer alone, at so many events, its tail included."""
        return self.a + self.b * events + self.tail


@dataclass(frozen=True)
class Measured:
    """Runs of one input: its events, the median and the stated quantile of the whole call's seconds, what the bound
    says for these events, layer by layer, and the share of runs that lie within it.
    """

    name: str
    events: int
    median: float
    quantile: float
    bound: float
    within: float


@dataclass(frozen=True)
class LatencyBound:
    """Time <= a + b x events, for `Runtime.run` on the machine where this was measured, under the load of that moment.

    layers: the synapses in execution order. others: seconds of everything that no event changes: neurons, pools, moves,
    inputs, outputs. tail: what the stated quantile of whole runs needs besides. first: seconds of the first inference
    of a new runtime, the slowest of three. fitted, held_out: the inputs that the bound was made from, and fresh ones
    that it was held against.
    """

    layers: tuple[LayerBound, ...]
    others: float
    tail: float
    first: float
    quantile: float
    repetitions: int
    threads: int
    isa: str
    fitted: tuple[Measured, ...]
    held_out: tuple[Measured, ...]

    @property
    def a(self) -> float:
        """Seconds of an inference without any event."""
        return self.tail + self.others + sum(layer.a for layer in self.layers)

    @property
    def b(self) -> float:
        """Seconds of an event of the layer where it costs most."""
        return max(layer.b for layer in self.layers)

    @property
    def most(self) -> int:
        """Events if every integer that synapses read were one."""
        return sum(layer.most for layer in self.layers)

    @property
    def worst(self) -> float:
        """Seconds with all these events."""
        return self.seconds(self.most)

    @property
    def within(self) -> float:
        """Share of the held-out runs that lie within the bound."""
        return float(np.mean([each.within for each in self.held_out]))

    def seconds(self, events: int | Mapping[str, int]) -> float:
        """At most so many seconds for `events`: by layer, {name: events}, or a total, wherever those fall (as many as
        can be in the layer where an event costs most, then the next; never above a + b x events).

        Raises `RangeError` for a negative number, an unknown or missing layer, or more events than a layer can have.
        """
        if isinstance(events, Mapping):
            return self._by_layer(events)
        left, found = _whole(events), self.a
        for layer in self._dearest_first():
            taken = min(left, layer.most)
            left, found = left - taken, found + layer.b * taken
        return found

    def budget(self, seconds: float) -> int:
        """The largest number of events for which `seconds(events)` is not above `seconds`: the `max_events` of a run
        that must not take longer. Raises `RangeError` where not even an inference without events is so fast.
        """
        if not seconds >= self.a:
            raise RangeError(f"seconds: expected at least {self.a:.6g}, an inference without events, found {seconds!r}")
        left, events = seconds - self.a, 0
        for layer in self._dearest_first():
            if layer.b * layer.most > left:
                events += int(left / layer.b)
                break
            left, events = left - layer.b * layer.most, events + layer.most
        while events > 0 and self.seconds(events) > seconds:  # rounding
            events -= 1
        return events

    def as_dict(self) -> dict[str, Any]:
        """Everything, as JSON takes it."""
        totals = {"a": self.a, "b": self.b, "most": self.most, "worst": self.worst, "within": self.within}
        return {**totals, **asdict(self)}

    def _dearest_first(self) -> list[LayerBound]:
        return sorted(self.layers, key=lambda layer: -layer.b)

    def _by_layer(self, events: Mapping[str, int]) -> float:
        if set(events) != {layer.name for layer in self.layers}:
            raise RangeError(f"events: expected those of layers {[e.name for e in self.layers]}, found {list(events)}")
        for layer in self.layers:
            if _whole(events[layer.name]) > layer.most:
                raise RangeError(
                    f"events: expected at most {layer.most:,} of layer {layer.name!r}, found {events[layer.name]:,}"
                )
        return self.a + sum(layer.b * events[layer.name] for layer in self.layers)

    def rows(self) -> list[tuple[str, ...]]:
        """The table, its head first: microseconds, nanoseconds and events."""
        rows: list[tuple[str, ...]] = [
            ("layer", "us", f"us to {self.percentile}", "ns/event", "events measured", "possible", "b from")
        ]
        for layer in self.layers:
            seen = f"{layer.fewest:,}..{layer.greatest:,}"
            times = (_us(layer.a), _us(layer.tail), _ns(layer.b))
            rows.append((layer.name, *times, seen, f"{layer.most:,}", layer.source))
        rows.append(("everything else", _us(self.others), _us(self.tail), "", "", "", ""))
        rows.append(("total", _us(self.a), "", _ns(self.b), "", f"{self.most:,}", ""))
        return rows

    @property
    def percentile(self) -> str:
        """The quantile by its usual name: "p99"."""
        return f"p{100 * self.quantile:g}"

    def summary(self) -> str:
        """What was found, and what it is worth, in a few lines."""
        nearest = max(each.quantile / each.bound for each in self.held_out)
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        return (
            f"time <= {1e3 * self.a:.4g} ms + {_ns(self.b)} ns x events; with every event possible "
            f"{1e3 * self.worst:.4g} ms; first inference {1e3 * self.first:.4g} ms\n"
            f"Measured, not proven: {self.percentile} of {self.repetitions} runs of each of {len(self.fitted)} inputs, "
            f"on this machine under its load of the moment, {threads}, {self.isa}.\n"
            f"Held out: {len(self.held_out)} fresh inputs, {100 * self.within:.4g} % of their runs within the bound, "
            f"the nearest {self.percentile} at {100 * nearest:.3g} % of it."
        )

    def __str__(self) -> str:
        rows = self.rows()
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = []
        for row in rows:
            cells = [each.rjust(width) for each, width in zip(row, widths, strict=True)]
            cells[0], cells[-1] = row[0].ljust(widths[0]), row[-1]
            lines.append("  ".join(cells).rstrip())
        return "\n".join([*lines, self.summary()])


def _whole(events: int) -> int:
    if isinstance(events, bool) or not isinstance(events, (int, np.integer)) or events < 0:
        raise RangeError(f"events: expected a whole number of at least 0, found {events!r}")
    return int(events)


def _us(seconds: float) -> str:
    return f"{1e6 * seconds:,.1f}"


def _ns(seconds: float) -> str:
    return f"{1e9 * seconds:.3g}"
