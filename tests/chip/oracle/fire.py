"""The fire unit of one core ("Fire" of docs/chip.md)."""

from __future__ import annotations

from collections import deque

from pyspike.chip.firmware import EDGE, FIRE, OUTPUT, Destination, Firmware, Step

from .flits import END, POTENTIAL, SPIKE, Flit
from .memory import Memory, wrap
from .record import Record
from .tiles import TileState

COMPARATORS = 8
IDLE, READ, COMPARE, DRAIN, ENDS = range(5)
Word = tuple[int, int, int]  # y, x and channel word (or channel)


def flit_to(
    firmware: Firmware, destination: Destination, kind: int, t: int, site: Word = (0, 0, 0), value: int = 0
) -> Flit:
    """What a sender at site (y, x, channel) sends to a destination; an END names the output by dc alone."""
    x, y = 0, 0
    if destination.core != EDGE:
        y, x = divmod(destination.core, firmware.width)
    if kind == END:
        return Flit(kind, x, y, destination.port, t, 0, 0, destination.dc % 2**14, 0)
    sy, sx, channel = site[0] + destination.dy, site[1] + destination.dx, site[2] + destination.dc
    return Flit(kind, x, y, destination.port, t, sy, sx, channel, value)


def wants(destination: Destination, site: Word) -> bool:
    y, x, channel = site
    return (
        destination.y_low <= y <= destination.y_high
        and destination.x_low <= x <= destination.x_high
        and destination.c_low <= channel <= destination.c_high
    )


class FireUnit:
    """One step at a time, one word of it at a time. A word is READ, COMPAREd and DRAINed; the ENDS follow the last.

    `phase` is what the next cycle does; nobody else looks at it before.
    """

    def __init__(self, core: int, firmware: Firmware, memory: Memory, record: Record) -> None:
        self.core, self.firmware, self.memory, self.record = core, firmware, memory, record
        self.phase = IDLE
        self.tile: TileState | None = None
        self.step: Step = Step()
        self.words: list[Word] = []  # words of the step still to be visited
        self.word: Word = (0, 0, 0)
        self.reads: deque[int] = deque()  # addresses still to be read
        self.was_read: list[list[int]] = []
        self.compares = 0  # compare cycles still to come
        self.writes: deque[tuple[int, list[int]]] = deque()
        self.flits: deque[tuple[int, Flit]] = deque()  # each with the number of its destination among all

    @property
    def is_free(self) -> bool:
        return self.phase == IDLE

    @property
    def waits_for_fifo_alone(self) -> bool:
        """Whether, at the start of a cycle, nothing is due but a flit or END."""
        return self.phase == ENDS or (self.phase == DRAIN and not self.writes)

    def take(self, tile: TileState) -> bool:
        """Takes a step; returns whether it acts, so that `cycle` may read its first word in the same cycle."""
        self.tile, self.step = tile, tile.step
        self.record.act()
        self.record.step_times[tile.t][tile.step_index][0] = self.record.cycle
        acts = not self.step.last or tile.t == self.firmware.timesteps - 1
        self.words = list(tile.sites()) if acts else []
        self._word_is_over()
        return acts

    def cycle(self, engine_issues: bool, engine_writes: bool, may_enter: bool) -> tuple[int, Flit] | None:
        """One cycle of the step under way; returns the flit that enters the out FIFO, if any, and its destination."""
        self.record.act()
        entering = None
        if self.phase == READ:
            if not engine_issues:
                self._read()
        elif self.phase == COMPARE:
            self._compare()
        elif self.phase == DRAIN:
            if self.writes and not engine_writes:
                self._write()
            if self.flits and may_enter:
                entering = self.flits.popleft()
            if not self.writes and not self.flits:
                self._word_is_over()
        elif may_enter:
            entering = self.flits.popleft()
            if not self.flits:
                self._step_is_over()
        return entering

    # The phases of a word

    def _word_is_over(self) -> None:
        """At the end of e, and as a step is taken: the next word's first read is due, or the first END."""
        assert self.tile is not None
        if self.words:
            self.word = self.words.pop(0)
            address = self.tile.address(*self.word)
            self.reads = deque([address, self._membrane(address)] if self.step.membrane else [address])
            self.was_read = []
            self.compares = max(1, -(-self.step.count // COMPARATORS))
            self.phase = READ
            return
        for number in self.tile.destinations():
            end = flit_to(self.firmware, self.firmware.destinations[number], END, self.tile.t)
            self.flits.append((number, end))
        self.phase = ENDS
        if not self.flits:
            self._step_is_over()

    def _step_is_over(self) -> None:
        assert self.tile is not None
        self.record.step_times[self.tile.t][self.tile.step_index][1] = self.record.cycle
        self.tile.is_over = True
        self.phase = IDLE

    def _membrane(self, address: int) -> int:
        assert self.tile is not None
        return self.step.membrane - 1 + address - self.tile.record.base

    def _read(self) -> None:
        address = self.reads.popleft()
        word = self.memory.read(address)
        self.was_read.append(word)
        self._count("potential_reads")
        self.record.line(self.core, "read", " ".join(map(str, [address, *word])))
        if not self.reads:
            self._compare()  # the first compare cycle is that of the last read

    def _compare(self) -> None:
        self.phase = COMPARE
        self.compares -= 1
        if self.step.kind == FIRE:
            self._count("compares")
            self._count("constant_words", self.step.per_channel)
        if self.compares == 0:
            self._decide()

    def _decide(self) -> None:
        """At q: what the word computes, its writes and its flits."""
        assert self.tile is not None
        y, x, word = self.word
        address = self.tile.address(*self.word)
        values, membrane = [0] * self.memory.lanes, [0] * self.memory.lanes
        for lane in range(self.memory.lanes):
            channel = word * self.memory.lanes + lane  # counted from the tile's first
            if channel < self.tile.record.channels:
                values[lane], membrane[lane] = self._neuron(lane, channel)
        self._count("fired_words")
        if self.step.kind == FIRE:
            self._count("fired", sum(value > 0 for value in values))
        line = [self.tile.number_in_core, address, *values]
        self.record.line(self.core, "fire", " ".join(map(str, line)))
        if self.step.membrane:
            self.writes.append((self._membrane(address), membrane))
        if self.step.clear:
            self.writes.append((address, [0] * self.memory.lanes))
        for lane, value in enumerate(values):
            channel = word * self.memory.lanes + lane
            if channel < self.tile.record.channels and (value > 0 or self.step.kind == OUTPUT):
                self._send((y, x, self.tile.record.channel + channel), value)
        self.phase = DRAIN
        if not self.writes and not self.flits:
            self._word_is_over()

    def _neuron(self, lane: int, channel: int) -> tuple[int, int]:
        """(count or drive, new membrane) of one lane."""
        step, constants = self.step, self.memory.constants
        drive = self.was_read[0][lane]
        if step.bias:
            drive = wrap(drive + constants[step.bias - 1 + channel])
        if step.kind == OUTPUT:
            return drive, 0
        m = drive
        if step.membrane:
            old = self.was_read[1][lane]
            terms = list(zip(step.leak_sign, step.leak_shift, strict=True))[: step.leak_terms]
            m = wrap(sum(sign * (old >> shift) for sign, shift in terms) + (drive << step.guard))
        ladder = step.ladder + (channel * step.count if step.per_channel else 0)
        n = sum(m >= threshold for threshold in constants[ladder : ladder + step.count])
        if step.hard_reset:
            return n, 0 if n > 0 else m
        return n, wrap(m - constants[step.reset - 1 + n]) if step.reset else m

    def _send(self, site: Word, value: int) -> None:
        assert self.tile is not None
        kind = SPIKE if self.step.kind == FIRE else POTENTIAL
        for number in self.tile.destinations():
            destination = self.firmware.destinations[number]
            if wants(destination, site):
                self.flits.append((number, flit_to(self.firmware, destination, kind, self.tile.t, site, value)))

    def _write(self) -> None:
        address, word = self.writes.popleft()
        self.memory.write(address, word)
        self._count("potential_writes")
        self.record.line(self.core, "write", " ".join(map(str, [address, *word])))

    def _count(self, name: str, amount: int = 1) -> None:
        assert self.tile is not None
        self.record.cores[self.core][name] += amount
        self.record.steps[self.tile.step_index][name] += amount
