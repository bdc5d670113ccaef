"""Where a tile stands in its program ("Programs and tokens" of docs/chip.md)."""

from __future__ import annotations

from collections.abc import Iterator

from pyspike.chip.firmware import Firmware, Producer, Step, Tile


class TileState:
    """One tile: its current timestep and group, the ENDs that the group has, the READYs that it has still to send.

    All changes are made at the end of a cycle.
    """

    def __init__(self, firmware: Firmware, number: int, number_in_core: int) -> None:
        self.firmware = firmware
        self.record: Tile = firmware.tiles[number]
        self.number_in_core = number_in_core
        self.words = -(-self.record.channels // firmware.lanes)
        self.t = 0
        self.at = 0  # the current group and step of the program
        self.ends = 0
        self.is_over = False  # the current step made its last act in this cycle
        self.readies: list[tuple[int, int, Producer]] = []  # (t, port, producer)
        self._become_current()

    # Places

    def holds_site(self, y: int, x: int) -> bool:
        tile = self.record
        return tile.y <= y < tile.y + tile.rows and tile.x <= x < tile.x + tile.columns

    def address(self, y: int, x: int, word: int) -> int:
        tile = self.record
        return tile.base + ((y - tile.y) * tile.columns + (x - tile.x)) * self.words + word

    def sites(self) -> Iterator[tuple[int, int, int]]:
        """(y, x, channel word) in the order in which fire visits them."""
        tile = self.record
        for y in range(tile.y, tile.y + tile.rows):
            for x in range(tile.x, tile.x + tile.columns):
                for word in range(self.words):
                    yield y, x, word

    # The program

    @property
    def has_ended(self) -> bool:
        return self.t == self.firmware.timesteps

    @property
    def step_index(self) -> int:
        """Number of the current step among all steps of the firmware."""
        return self.record.first_step + self.at

    @property
    def step(self) -> Step:
        return self.firmware.steps[self.step_index]

    @property
    def group_is_complete(self) -> bool:
        return not self.has_ended and self.ends == self.step.ends

    def accepts(self, port: int, t: int) -> bool:
        """Whether an event or END at `port` (of all ports) belongs to the current, incomplete group."""
        if self.has_ended or t != self.t or self.group_is_complete:
            return False
        return self.step.first_port <= port < self.step.first_port + self.step.ports

    def destinations(self) -> range:
        """Numbers of the current step's destinations among all of the firmware."""
        return range(self.step.first_destination, self.step.first_destination + self.step.destinations)

    def commit(self) -> None:
        """The current step was over in this cycle: the next group becomes current."""
        if not self.is_over:
            return
        self.is_over = False
        self.at += 1
        if self.at == self.record.steps:
            self.at, self.t = 0, self.t + 1
        self.ends = 0
        if not self.has_ended:
            self._become_current()

    def _become_current(self) -> None:
        step = self.step
        for number in range(step.first_port, step.first_port + step.ports):
            port = self.firmware.ports[number]
            for producer in self.firmware.producers[port.first_producer :][: port.producers]:
                self.readies.append((self.t, number, producer))
