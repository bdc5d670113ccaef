"""A slow simulator of the chip, written from docs/chip.md and docs/firmware.md alone.

It exists to show that those pages are definite: the C++ simulator agrees with it in every cycle. Every unit acts in
every cycle, from registered state, and everything that it changes shows in the next one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyspike.chip.firmware import Firmware

from .core import CoreUnit, SimulationError
from .flits import SPIKE, Flit
from .host import Host
from .mesh import Mesh
from .record import CORE_COUNTERS, INPUT_COUNTERS, PORT_COUNTERS, STEP_COUNTERS, Record, table

__all__ = [
    "CORE_COUNTERS",
    "INPUT_COUNTERS",
    "PORT_COUNTERS",
    "STEP_COUNTERS",
    "SimulationError",
    "simulate",
    "traffic",
]


def simulate(
    firmware: Firmware,
    inputs: Sequence[NDArray[np.int32]],
    trace: bool = True,
    ignore_ready: bool = False,
    check_order: bool = False,
) -> dict[str, Any]:
    """One run. The result is that of `pyspike._simulator.run`, without windows; `trace` holds the lines.
    Records are taken as they are, whatever `check_order` says: only a firmware's readers verify it.

    Raises `SimulationError` for an event outside its group and for a deadlock.
    """
    cores = firmware.width * firmware.height
    record = Record(cores, len(firmware.ports), len(firmware.steps), len(firmware.inputs), firmware.timesteps, trace)
    fifos = (firmware.router_fifo, firmware.out_fifo, firmware.axon_fifo)
    mesh = Mesh(firmware.width, firmware.height, *fifos, firmware.link_delay)
    host = Host(firmware, list(inputs), mesh, record, ignore_ready)
    units = [CoreUnit(firmware, core, mesh, record, ignore_ready) for core in firmware.cores]
    empty = [k for k in range(cores) if k not in {core.number for core in firmware.cores}]
    while not (host.has_ended and all(unit.has_ended for unit in units) and mesh.is_empty):
        for unit in units:
            unit.cycle()
        for core in empty:
            record.cores[core]["idle"] += 1
        host.cycle()
        mesh.cycle(record)
        for unit in units:
            unit.commit()
        host.commit()
        mesh.commit()
        # Between two acts lie at most a link, and the stage of a token.
        if record.cycle - record.last_act > firmware.link_delay + 8:
            waits = [line for unit in units for line in unit.waits()] + host.waits()
            raise SimulationError("deadlock:\n" + "\n".join(waits))
        record.commit()
    cycles = record.last_act + 1
    for core in range(cores):
        record.cores[core]["idle"] -= record.cycle - cycles  # the end shows later than it is
    return {
        "outputs": host.outputs,
        "cycles": cycles,
        "cores": table(record.cores, CORE_COUNTERS),
        "ports": table(record.ports, PORT_COUNTERS),
        "steps": table(record.steps, STEP_COUNTERS),
        "inputs": table(record.inputs, INPUT_COUNTERS),
        "times": np.array(record.step_times, dtype=np.int64).reshape(firmware.timesteps, -1, 2),
        "input_times": np.array(record.input_times, dtype=np.int64).reshape(firmware.timesteps, -1, 2),
        "links": np.array(record.links, dtype=np.int64),
        "edge_in": record.edge_in,
        "edge_out": record.edge_out,
        "trace": record.lines,
    }


def traffic(
    width: int,
    height: int,
    flits: NDArray[np.int64],
    *,
    router_fifo: int = 4,
    out_fifo: int = 16,
    axon_fifo: int = 64,
    link_delay: int = 0,
    max_cycles: int = 0,
) -> dict[str, Any]:
    """The mesh alone, as `pyspike._simulator.traffic`: flits [n, 3] of (cycle, source, destination)."""
    cores = width * height
    record = Record(cores)
    mesh = Mesh(width, height, router_fifo, out_fifo, axon_fifo, link_delay)
    entered, popped = np.full(len(flits), -1), np.full(len(flits), -1)
    left: list[list[int]] = [[k for k in range(len(flits)) if flits[k, 1] == core] for core in range(cores)]
    while (any(left) or not mesh.is_empty) and not (max_cycles and record.cycle == max_cycles):
        for core, fifo in enumerate(mesh.out_fifos):
            if left[core] and flits[left[core][0], 0] <= record.cycle and not fifo.is_full:
                number = left[core].pop(0)
                y, x = divmod(int(flits[number, 2]), width)
                fifo.push(Flit(SPIKE, x, y, 0, 0, 0, 0, 0, number))
                entered[number] = record.cycle
                record.act()
        for link in mesh.to_core:
            if link.fifo.head is not None:
                popped[link.fifo.pop().value] = record.cycle
                record.act()
        mesh.cycle(record)
        mesh.commit()
        record.commit()
    links = np.array(record.links, dtype=np.int64)
    return {"entered": entered, "popped": popped, "links": links, "cycles": record.last_act + 1}
