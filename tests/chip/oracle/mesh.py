"""Routers, out FIFOs and the links between them: the mesh without what the cores compute."""

from __future__ import annotations

from .flits import Fifo, Flit, Link
from .record import Record

PORTS = "LNESW"
LOCAL, NORTH, EAST, SOUTH, WEST = range(5)


class Router:
    """Five input FIFOs (at the end of `inputs`), five outputs, each with a pointer of its own."""

    def __init__(self, x: int, y: int) -> None:
        self.x, self.y = x, y
        self.inputs: list[Link | None] = [None] * 5
        self.outputs: list[Link | None] = [None] * 5
        self.pointers = [LOCAL] * 5

    def wanted_output(self, flit: Flit) -> int:
        if flit.x != self.x:
            return EAST if flit.x > self.x else WEST
        if flit.y != self.y:
            return SOUTH if flit.y > self.y else NORTH
        return WEST if flit.is_for_edge else LOCAL

    def cycle(self) -> list[tuple[int, int, Flit]]:
        """Pops one head for each output where it can; returns (input, output, flit) in the order of outputs."""
        heads = [link.fifo.head if link else None for link in self.inputs]
        if not any(heads):
            return []  # as it would be without this line, only sooner
        wanted = [self.wanted_output(head) if head else None for head in heads]
        grants = []
        for output, link in enumerate(self.outputs):
            if link is None or link.credit == 0:
                continue
            for k in range(5):
                winner = (self.pointers[output] + k) % 5
                if wanted[winner] == output:
                    source = self.inputs[winner]
                    assert source is not None
                    flit = source.fifo.pop()
                    link.send(flit)
                    self.pointers[output] = (winner + 1) % 5  # read by this output alone
                    grants.append((winner, output, flit))
                    break
        return grants


class Mesh:
    """All routers and links. Cores push into `out_fifos` and pop the FIFOs of `to_core`; the host has two links."""

    def __init__(self, width: int, height: int, router_fifo: int, out_fifo: int, axon_fifo: int, delay: int) -> None:
        self.width, self.height = width, height
        self.routers = [Router(x, y) for y in range(height) for x in range(width)]
        self.out_fifos = [Fifo(out_fifo) for _ in self.routers]
        self.from_core = [Link(router_fifo, delay) for _ in self.routers]
        self.to_core = [Link(axon_fifo, delay) for _ in self.routers]
        self.links = self.from_core + self.to_core
        for core, router in enumerate(self.routers):
            router.inputs[LOCAL], router.outputs[LOCAL] = self.from_core[core], self.to_core[core]
        for core, router in enumerate(self.routers):
            if router.x + 1 < width:
                self._join(router, EAST, self.routers[core + 1], WEST, Link(router_fifo, delay))
                self._join(self.routers[core + 1], WEST, router, EAST, Link(router_fifo, delay))
            if router.y + 1 < height:
                self._join(router, SOUTH, self.routers[core + width], NORTH, Link(router_fifo, delay))
                self._join(self.routers[core + width], NORTH, router, SOUTH, Link(router_fifo, delay))
        self.from_host = self.routers[0].inputs[WEST] = Link(router_fifo, delay)
        self.to_host = self.routers[0].outputs[WEST] = Link(router_fifo, delay)
        self.links += [self.from_host, self.to_host]

    def _join(self, sender: Router, output: int, receiver: Router, entry: int, link: Link) -> None:
        sender.outputs[output] = receiver.inputs[entry] = link
        self.links.append(link)

    @property
    def is_empty(self) -> bool:
        return all(link.is_empty for link in self.links) and not any(fifo.items for fifo in self.out_fifos)

    def cycle(self, record: Record) -> None:
        for fifo, link in zip(self.out_fifos, self.from_core, strict=True):
            if fifo.head is not None and link.credit > 0:
                link.send(fifo.pop())
                record.act()
        for core, router in enumerate(self.routers):
            for entry, output, flit in router.cycle():
                record.line(core, "grant", f"{PORTS[entry]} {PORTS[output]} {flit}")
                record.links[core][output] += 1
                to_host = output == WEST and core == 0
                record.cores[core]["hops_x"] += output in (EAST, WEST) and not to_host
                record.cores[core]["hops_y"] += output in (NORTH, SOUTH)
                record.act()
        for link in self.links:
            link.cycle()

    def commit(self) -> None:
        for fifo in self.out_fifos:
            fifo.commit()
        for link in self.links:
            link.commit()

    def core_at(self, x: int, y: int) -> int:
        return y * self.width + x

    def hops(self, source: tuple[int, int], flit: Flit) -> tuple[int, int]:
        """Router-to-router traversals from the router at `source` to the flit's, in x and in y."""
        return abs(flit.x - source[0]), abs(flit.y - source[1])
