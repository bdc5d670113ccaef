"""One core: FIFO, decode stage, engine, fire unit and the tiles' READYs, in the cycles of docs/chip.md."""

from __future__ import annotations

from pyspike.chip.firmware import EDGE, EDGE_PORT, Core, Firmware, Producer

from .engine import Engine
from .fire import FireUnit
from .flits import END, READY, Fifo, Flit
from .memory import Memory
from .mesh import Mesh
from .record import FLIT_COUNTERS, Record
from .tiles import TileState


class SimulationError(Exception):
    """A deadlock, or an event outside its group."""


class CoreUnit:
    """Every cycle, `cycle` reads registered state alone, and `commit` makes what changed the registered state."""

    def __init__(self, firmware: Firmware, core: Core, mesh: Mesh, record: Record, ignore_ready: bool) -> None:
        self.firmware, self.core, self.mesh, self.record = firmware, core, mesh, record
        self.number = core.number
        self.ignore_ready = ignore_ready
        self.y, self.x = divmod(core.number, firmware.width)
        self.axon_fifo: Fifo = mesh.to_core[core.number].fifo
        self.out_fifo: Fifo = mesh.out_fifos[core.number]
        self.memory = Memory(firmware, core)
        self.engine = Engine(core.number, self.memory, record)
        self.fire = FireUnit(core.number, firmware, self.memory, record)
        self.tiles = [TileState(firmware, core.first_tile + k, k) for k in range(core.tiles)]
        self.ready_bits = [False] * core.destinations  # one for each destination record
        self.stage: Flit | None = None
        # What this cycle leaves for its end:
        self.next_stage: Flit | None = None
        self.handed_over: Flit | None = None
        self.token: Flit | None = None
        self.cleared_bit: int | None = None
        self.engine_wrote = False

    @property
    def has_ended(self) -> bool:
        return self.stage is None and not self.engine.issues and all(tile.has_ended for tile in self.tiles)

    def cycle(self) -> None:
        steps_left = any(not tile.has_ended for tile in self.tiles)
        out_was_full = self.out_fifo.is_full
        ready_enters = not out_was_full and self._send_ready()
        fire_waits = self.fire.waits_for_fifo_alone
        under_way = self._fire(may_enter=not out_was_full and not ready_enters)
        engine_issues = self.engine.issues
        self.engine_wrote = self.engine.cycle()
        self._decode()
        stalled = under_way and fire_waits and out_was_full
        if engine_issues or (under_way and not stalled):
            self._count("busy")
        elif stalled:
            self._count("stalled")
        else:
            self._count("waiting" if steps_left else "idle")

    def commit(self) -> None:
        self.memory.commit()
        self.engine.commit(self.engine_wrote)
        if self.handed_over is not None:
            number, tile = self._port(self.handed_over)
            self.engine.hand_over(self.handed_over, self.firmware.ports[number], number, tile)
        if self.cleared_bit is not None:
            self.ready_bits[self.cleared_bit] = False
        if self.token is not None and self.token.kind == READY:
            self.ready_bits[self.token.channel] = True
        elif self.token is not None:
            self._port(self.token)[1].ends += 1
        for tile in self.tiles:
            tile.commit()
        self.stage = self.next_stage
        self.next_stage = self.handed_over = self.token = self.cleared_bit = None

    # Decode

    def _decode(self) -> None:
        flit = self.stage
        leaves = True
        if flit is not None and flit.is_token:
            self.token = flit
            if flit.kind == END:
                self._check_order(flit)
        elif flit is not None:
            leaves = self.engine.is_free
            if leaves:
                self._check_order(flit)
                self.handed_over = flit
        self.next_stage = None if leaves else flit
        if leaves and self.axon_fifo.head is not None:
            self.next_stage = self.axon_fifo.pop()
            self.record.act()
            self._count("flits_received")
            self.record.line(self.number, "axon", str(self.next_stage))

    def _port(self, flit: Flit) -> tuple[int, TileState]:
        """Number of the flit's port among all, and the tile whose step it feeds."""
        number = self.core.first_port + flit.port
        for tile in self.tiles:
            for step in self.firmware.steps[tile.record.first_step :][: tile.record.steps]:
                if step.first_port <= number < step.first_port + step.ports:
                    return number, tile
        raise SimulationError(f"core {self.number} has no port {flit.port}")

    def _check_order(self, flit: Flit) -> None:
        number, tile = self._port(flit)
        if not tile.accepts(number, flit.t):
            raise SimulationError(
                f"cycle {self.record.cycle}: flit {flit} reaches core {self.number} outside its group: "
                f"tile {tile.number_in_core} is at t {tile.t}, step {tile.at}, with {tile.ends} ENDs"
            )

    # Fire

    def _fire(self, may_enter: bool) -> bool:
        """Returns whether a step is under way."""
        if self.fire.is_free:
            startable = [tile for tile in self.tiles if self._is_startable(tile)]
            if not startable:
                return False
            acts = self.fire.take(min(startable, key=lambda tile: (tile.t, tile.step.number, tile.number_in_core)))
            if not acts:
                return True
        tile = self.fire.tile
        assert tile is not None
        entering = self.fire.cycle(self.engine.issues, self.engine.issued_before, may_enter)
        if entering is not None:
            destination, flit = entering
            self._enter(flit)
            x, y = self.mesh.hops((self.x, self.y), flit)
            counters = self.record.steps[tile.step_index]
            counters.update({FLIT_COUNTERS[flit.kind]: 1, "hops_x": x, "hops_y": y})
            if flit.kind == END:
                self.cleared_bit = destination - self.core.first_destination
        return True

    def _is_startable(self, tile: TileState) -> bool:
        if not tile.group_is_complete:
            return False
        return self.ignore_ready or not self._missing_readies(tile)

    def _missing_readies(self, tile: TileState) -> list[int]:
        first = self.core.first_destination
        return [
            number
            for number in tile.destinations()
            if self.firmware.destinations[number].core != EDGE and not self.ready_bits[number - first]
        ]

    # READY, and what enters the out FIFO

    def _send_ready(self) -> bool:
        """The first pending READY of the lowest tile that has one enters."""
        for tile in self.tiles:
            if tile.readies:
                t, port, producer = tile.readies.pop(0)
                flit = self._ready_to(producer, t)
                self._enter(flit)
                x, y = self.mesh.hops((self.x, self.y), flit)
                self.record.ports[port].update({"readies": 1, "hops_x": x, "hops_y": y})
                return True
        return False

    def _ready_to(self, producer: Producer, t: int) -> Flit:
        if producer.core == EDGE:
            return Flit(READY, 0, 0, EDGE_PORT, t, 0, 0, producer.destination, 0)
        y, x = divmod(producer.core, self.firmware.width)
        return Flit(READY, x, y, 0, t, 0, 0, producer.destination, 0)

    def _enter(self, flit: Flit) -> None:
        self.out_fifo.push(flit)
        self.record.act()
        self._count(FLIT_COUNTERS[flit.kind])
        self.record.line(self.number, "out", str(flit))

    def _count(self, name: str) -> None:
        self.record.cores[self.number][name] += 1

    # For people

    def waits(self) -> list[str]:
        """What every unfinished tile waits for."""
        return [
            f"core {self.number} tile {tile.number_in_core} at t {tile.t}, step {tile.at}: "
            f"{tile.ends} of {tile.step.ends} ENDs; no READY for destinations {self._missing_readies(tile)}"
            for tile in self.tiles
            if not tile.has_ended
        ]
