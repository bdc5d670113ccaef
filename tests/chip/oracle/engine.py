"""Decode stage and synapse engine of one core ("Decode", "Synapse engine" of docs/chip.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pyspike.chip.firmware import BITWISE, LOAD, MAX, UNARY, Port

from .flits import SPIKE, Flit
from .memory import Memory, wrap
from .record import Record
from .tiles import TileState


@dataclass
class Issue:
    """One slot of the engine: what becomes of each lane of a potential word. A null issue has no address."""

    address: int = -1
    lanes: tuple[int, ...] = ()
    update: Callable[[int, int], int] = lambda lane, old: old
    weight_words: int = 0
    sops: int = 0


def targets(event: Flit, port: Port, tile: TileState) -> Iterator[tuple[int, int, int, int]]:
    """(oy, ox, ky, kx) of the sites that an event reaches, in the order in which it reaches them."""
    for uy in range(port.upsample_y):
        for ux in range(port.upsample_x):
            for ky in range(port.kernel_y):
                for kx in range(port.kernel_x):
                    above = event.sy * port.upsample_y + uy + port.top - ky * port.dilation_y
                    beside = event.sx * port.upsample_x + ux + port.left - kx * port.dilation_x
                    oy, no_y = divmod(above, port.stride_y)
                    ox, no_x = divmod(beside, port.stride_x)
                    if not no_y and not no_x and tile.holds_site(oy, ox):
                        yield oy, ox, ky, kx


def planes(value: int, coding: int) -> list[tuple[int, int]]:
    """(factor, plane) of the repeats of a count."""
    if coding == UNARY:
        return [(1, 0)] * value
    if coding == BITWISE:
        return [(1, plane) for plane in reversed(range(8)) if value >> plane & 1]
    return [(value, 0)]


def issues_of(event: Flit, port: Port, tile: TileState, memory: Memory) -> list[Issue]:
    """All issues of an event, the null issue where it has no target."""
    record = tile.record
    word, lane = divmod(event.channel - record.channel, memory.lanes)
    is_held = record.channel <= event.channel < record.channel + record.channels
    found: list[Issue] = []
    if port.kind == LOAD:
        if is_held and tile.holds_site(event.sy, event.sx):
            address = tile.address(event.sy, event.sx, word)
            found = [Issue(address, (lane,), lambda _, old: wrap(old + event.value))]
    elif record.mode == MAX:
        for oy, ox, _, _ in targets(event, port, tile):
            if is_held:
                found.append(Issue(tile.address(oy, ox, word), (lane,), lambda _, old: max(old, event.value)))
    else:
        for oy, ox, ky, kx in targets(event, port, tile):
            for word in range(tile.words):
                found += _additions(event, port, tile, memory, (oy, ox, ky, kx), word)
    return found or [Issue()]


def _additions(
    event: Flit, port: Port, tile: TileState, memory: Memory, target: tuple[int, int, int, int], word: int
) -> list[Issue]:
    """The issues (repeats) of one target word; none where the word has no target channel."""
    oy, ox, ky, kx = target
    group, i = divmod(event.channel, port.inputs)
    first = port.channel + group * port.outputs
    channels = [tile.record.channel + word * memory.lanes + lane for lane in range(memory.lanes)]
    end = tile.record.channel + tile.record.channels
    lanes = tuple(k for k, c in enumerate(channels) if c < end and first <= c < first + port.outputs)
    if not lanes:
        return []
    at = ((i * port.kernel_y + ky) * port.kernel_x + kx) * tile.words + word
    weights, shifts = memory.weight_word(port.weight + at), memory.shift_word(port.shift + word)

    def adding(factor: int, plane: int) -> Callable[[int, int], int]:
        return lambda lane, old: wrap(old + ((factor * weights[lane]) << (shifts[lane] + plane)))

    address = tile.address(oy, ox, word)
    found = [Issue(address, lanes, adding(*repeat)) for repeat in planes(event.value, port.coding)]
    found[0].weight_words, found[0].sops = 1, event.value * len(lanes)
    return found


class Engine:
    """One issue in every cycle in which it holds an event. `wrote` is whether it writes in the present cycle."""

    def __init__(self, core: int, memory: Memory, record: Record) -> None:
        self.core, self.memory, self.record = core, memory, record
        self.event: Flit | None = None
        self.tile: TileState | None = None
        self.port: Port | None = None
        self.port_number = 0
        self.left: list[Issue] = []
        self.issued_before = False  # a real issue in the cycle before: its word is written in this one

    def hand_over(self, event: Flit, port: Port, number: int, tile: TileState) -> None:
        """At the end of a cycle: the first issue is in the next."""
        self.event, self.port, self.port_number, self.tile = event, port, number, tile
        self.left = issues_of(event, port, tile, self.memory)
        self._count("events", 1)

    @property
    def is_free(self) -> bool:
        """Whether an event can be handed over at the end of this cycle: empty, or this is the last issue."""
        return len(self.left) <= 1

    @property
    def issues(self) -> bool:
        """Whether this cycle has an issue, real or null."""
        return len(self.left) > 0

    def cycle(self) -> bool:
        """Makes the issue of this cycle, if any; returns whether the engine writes in the next one."""
        if not self.left:
            return False
        assert self.event is not None
        self.record.act()
        issue = self.left[0]
        event = self.event
        fields = f"{event.port} {event.sy} {event.sx} {event.channel} {event.value} {issue.address}"
        if issue.address < 0:
            self._count("null_issues", 1)
            self.record.line(self.core, "issue", fields)
            return False
        before = self.memory.read(issue.address)
        after = [issue.update(k, old) if k in issue.lanes else old for k, old in enumerate(before)]
        # Registered at the end of this cycle: a read in the next one sees it by forwarding, whatever the write does.
        self.memory.write(issue.address, after)
        self.record.line(self.core, "issue", " ".join(map(str, [fields, *before, *after])))
        self._count_issue(issue)
        return True

    def _count(self, name: str, amount: int) -> None:
        self.record.cores[self.core][name] += amount
        self.record.ports[self.port_number][name] += amount

    def _count_issue(self, issue: Issue) -> None:
        assert self.event is not None
        assert self.port is not None
        assert self.tile is not None
        self._count("issues", 1)
        self.record.cores[self.core]["potential_reads"] += 1
        self.record.cores[self.core]["potential_writes"] += 1
        if self.tile.record.mode == MAX:
            self._count("maxes", 1)
            return
        self._count("weight_words", issue.weight_words)
        self._count("sops", issue.sops)
        self._count("adds", len(issue.lanes))
        self._count("lane_adds", self.memory.lanes)
        if self.event.kind == SPIKE and self.port.coding not in (UNARY, BITWISE):
            self._count("multiplies", len(issue.lanes))

    def commit(self, issued: bool) -> None:
        self.issued_before = issued
        self.left = self.left[1:]
