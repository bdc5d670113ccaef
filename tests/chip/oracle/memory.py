"""A core's SRAMs, read and written in words of L lanes."""

from __future__ import annotations

from pyspike.chip.firmware import Core, Firmware


def wrap(value: int) -> int:
    """`value` modulo 2^32, as a signed number."""
    return (value + 2**31) % 2**32 - 2**31


class Memory:
    """Potentials (accumulators and membranes), weights, shifts and constants of one core.

    `write` shows from the next cycle on.
    """

    def __init__(self, firmware: Firmware, core: Core) -> None:
        self.lanes = firmware.lanes
        words = firmware.potential_sram // (4 * self.lanes)
        self.potentials: dict[int, list[int]] = {}  # all words that were ever written; the others hold zeros
        self.potential_words = words
        self.pending: list[tuple[int, list[int]]] = []
        self.constants = firmware.constants[core.first_constant :][: core.constants].tolist()
        first, last = core.first_weight * self.lanes, (core.first_weight + core.weights) * self.lanes
        self.weights = firmware.weights[first:last].reshape(-1, self.lanes).tolist()
        first, last = core.first_shift * self.lanes, (core.first_shift + core.shifts) * self.lanes
        self.shifts = firmware.shifts[first:last].reshape(-1, self.lanes).tolist()

    def weight_word(self, address: int) -> list[int]:
        return self.weights[address]

    def shift_word(self, address: int) -> list[int]:
        return self.shifts[address]

    def read(self, address: int) -> list[int]:
        assert 0 <= address < self.potential_words
        return list(self.potentials.get(address, [0] * self.lanes))

    def write(self, address: int, word: list[int]) -> None:
        assert 0 <= address < self.potential_words
        self.pending.append((address, word))

    def commit(self) -> None:
        for address, word in self.pending:
            self.potentials[address] = word
        self.pending = []
