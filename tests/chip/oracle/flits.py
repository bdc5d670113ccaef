"""Flits, and what holds them: FIFOs and links ("Flits", "Links and routers" of docs/chip.md)."""

from __future__ import annotations

from typing import NamedTuple

SPIKE, END, READY, POTENTIAL = range(4)
EDGE_PORT = 255


class Flit(NamedTuple):
    """The fields of a packet; `str` is what the trace shows."""

    kind: int
    x: int
    y: int
    port: int
    t: int
    sy: int
    sx: int
    channel: int
    value: int

    def __str__(self) -> str:
        return " ".join(map(str, self))

    @property
    def is_token(self) -> bool:
        return self.kind in (END, READY)

    @property
    def is_for_edge(self) -> bool:
        return (self.x, self.y, self.port) == (0, 0, EDGE_PORT)


class Fifo:
    """`items` is the registered state; what is pushed or popped in a cycle shows after `commit`."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.items: list[Flit] = []
        self.pushed: list[Flit] = []
        self.popped = 0

    @property
    def head(self) -> Flit | None:
        return self.items[0] if self.items else None

    @property
    def is_full(self) -> bool:
        return len(self.items) >= self.depth

    def push(self, flit: Flit) -> None:
        self.pushed.append(flit)

    def pop(self) -> Flit:
        assert not self.popped, "one flit a cycle"
        self.popped = 1
        return self.items[0]

    def commit(self) -> None:
        if self.pushed or self.popped:
            self.items = self.items[self.popped :] + self.pushed
            self.pushed, self.popped = [], 0
            assert len(self.items) <= self.depth, "a FIFO overflows: credits are wrong"


class Link:
    """A pipeline of 1 + link_delay registers, the FIFO at its end, and the sender's count of the free slots there."""

    def __init__(self, depth: int, delay: int) -> None:
        self.fifo = Fifo(depth)
        self.credit = depth
        self.registers: list[Flit | None] = [None] * (1 + delay)
        self.sent: Flit | None = None

    @property
    def is_empty(self) -> bool:
        return not self.fifo.items and not any(self.registers)

    def send(self, flit: Flit) -> None:
        assert self.sent is None, "one flit a cycle"
        assert self.credit > 0, "no flit without a credit"
        self.sent = flit

    def cycle(self) -> None:
        arriving = self.registers[-1]
        if arriving is not None:
            self.fifo.push(arriving)

    def commit(self) -> None:
        if self.sent is None and not self.fifo.popped and not any(self.registers):
            return  # nothing moves: as it would be without this line, only sooner
        self.credit += self.fifo.popped - (self.sent is not None)
        self.registers = [self.sent, *self.registers[:-1]]
        self.sent = None
        self.fifo.commit()
