"""The host at the edge: sends the inputs, collects the outputs ("The host" of docs/chip.md)."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from pyspike.chip.firmware import COUNTS, Firmware

from .fire import flit_to, wants
from .flits import END, POTENTIAL, READY, SPIKE, Flit
from .mesh import Mesh
from .record import FLIT_COUNTERS, Record


class Host:
    """Inputs are steps, taken one at a time; every visible head of the output FIFO is popped."""

    def __init__(
        self,
        firmware: Firmware,
        inputs: list[NDArray[np.int32]],
        mesh: Mesh,
        record: Record,
        ignore_ready: bool,
    ) -> None:
        self.firmware, self.inputs, self.mesh, self.record = firmware, inputs, mesh, record
        self.ignore_ready = ignore_ready
        self.first_destination = firmware.host_destination()
        self.ready_bits = [False] * (len(firmware.destinations) - self.first_destination)
        self.t = [0] * len(firmware.inputs)  # the next timestep of every input
        self.taken: int | None = None  # the input that is being sent
        self.flits: deque[tuple[int, Flit]] = deque()  # what is left of it, each with the number of its destination
        self.stage: Flit | None = None
        self.next_stage: Flit | None = None
        self.cleared_bit: int | None = None
        self.outputs = [
            np.zeros((firmware.timesteps if out.varies else 1, out.height, out.width, out.channels), dtype=np.int32)
            for out in firmware.outputs
        ]

    @property
    def has_ended(self) -> bool:
        return self.stage is None and self.taken is None and all(t == self.firmware.timesteps for t in self.t)

    def cycle(self) -> None:
        if self.taken is None:
            self._take()
        if self.taken is not None and self.mesh.from_host.credit > 0:
            self._send()
        if self.mesh.to_host.fifo.head is not None:
            self._pop()

    def commit(self) -> None:
        if self.cleared_bit is not None:
            self.ready_bits[self.cleared_bit] = False
        if self.stage is not None and self.stage.kind == READY:
            self.ready_bits[self.stage.channel] = True
        if self.taken is not None and not self.flits:
            self.t[self.taken] += 1
            self.taken = None
        self.stage, self.next_stage, self.cleared_bit = self.next_stage, None, None

    # Inputs

    def _destinations(self, number: int) -> range:
        first = self.firmware.inputs[number].first_destination
        return range(first, first + self.firmware.inputs[number].destinations)

    def missing_readies(self, number: int) -> list[int]:
        return [k for k in self._destinations(number) if not self.ready_bits[k - self.first_destination]]

    def _take(self) -> None:
        startable = [
            (self.t[k], each.number, k)
            for k, each in enumerate(self.firmware.inputs)
            if self.t[k] < self.firmware.timesteps and (self.ignore_ready or not self.missing_readies(k))
        ]
        if startable:
            t, _, self.taken = min(startable)
            self.flits = self._flits_of(self.taken, t)
            self.record.input_times[t][self.taken][0] = self.record.cycle

    def _flits_of(self, number: int, t: int) -> deque[tuple[int, Flit]]:
        record = self.firmware.inputs[number]
        values = self.inputs[number][t if record.varies else 0]
        kind = SPIKE if record.kind == COUNTS else POTENTIAL
        flits: deque[tuple[int, Flit]] = deque()
        for site in np.ndindex(record.height, record.width, record.channels):
            value = int(values[site])
            for k in self._destinations(number):
                destination = self.firmware.destinations[k]
                if (value or kind == POTENTIAL) and wants(destination, site):
                    flits.append((k, flit_to(self.firmware, destination, kind, t, site, value)))
        for k in self._destinations(number):
            flits.append((k, flit_to(self.firmware, self.firmware.destinations[k], END, t)))
        return flits

    def _send(self) -> None:
        assert self.taken is not None
        destination, flit = self.flits.popleft()
        self.mesh.from_host.send(flit)
        self.record.act()
        self.record.edge_in += 1
        self.record.line(self.record.host, "send", str(flit))
        x, y = self.mesh.hops((0, 0), flit)
        self.record.inputs[self.taken].update({FLIT_COUNTERS[flit.kind]: 1, "hops_x": x, "hops_y": y})
        if flit.kind == END:
            self.cleared_bit = destination - self.first_destination
        self.record.input_times[self.t[self.taken]][self.taken][1] = self.record.cycle

    # Outputs

    def _pop(self) -> None:
        flit = self.next_stage = self.mesh.to_host.fifo.pop()
        self.record.act()
        self.record.edge_out += 1
        self.record.line(self.record.host, "pop", str(flit))
        if flit.is_token:
            return
        for values, out in zip(self.outputs, self.firmware.outputs, strict=True):
            if out.channel <= flit.channel < out.channel + out.channels:
                if out.varies:
                    values[flit.t, flit.sy, flit.sx, flit.channel - out.channel] = flit.value
                elif flit.t == self.firmware.timesteps - 1:
                    values[0, flit.sy, flit.sx, flit.channel - out.channel] = flit.value

    def waits(self) -> list[str]:
        """What every unfinished input waits for."""
        return [
            f"input {k} at t {t}: no READY for destinations {self.missing_readies(k)}"
            for k, t in enumerate(self.t)
            if t < self.firmware.timesteps
        ]
