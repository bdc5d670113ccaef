"""From what a `Builder` was told to the records of docs/firmware.md."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pyspike.chip import firmware as fw

from .builder import Builder, InputSpec, PortSpec, Sender, StepSpec, TileSpec


def waits(chip: Builder, sender: Sender) -> Iterator[Sender]:
    """All that a step or input waits for within a timestep ("Programs and tokens" of docs/chip.md)."""
    if isinstance(sender, StepSpec):
        for feeder in chip.senders():
            if any(target in sender.ports for target, _ in feeder.sends):
                yield feeder
        yield from _before(sender)
    for target, _ in sender.sends:
        if isinstance(target, PortSpec):
            yield from _before(target.step)


def _before(step: StepSpec) -> list[StepSpec]:
    at = step.tile.steps.index(step)
    return step.tile.steps[at - 1 : at] if at else []


def number_steps(chip: Builder) -> None:
    """Gives every step and input without a number the least one that its waits allow."""
    left = [sender for sender in chip.senders() if sender.number is None]
    while left:
        ready = [each for each in left if not any(other in left for other in waits(chip, each))]
        if not ready:
            raise ValueError("these steps wait for one another")
        for each in ready:
            each.number = 1 + max((other.number or 0 for other in waits(chip, each)), default=-1)
        left = [each for each in left if each not in ready]


def finish(chip: Builder) -> fw.Firmware:
    """The records, in the order of cores."""
    number_steps(chip)
    tiles = sorted(chip.tiles, key=lambda tile: tile.core)
    firmware = chip.firmware
    ports = [port for tile in tiles for step in tile.steps for port in step.ports]
    first_port = {core: min(k for k, p in enumerate(ports) if p.step.tile.core == core) for core in _cores(ports)}
    place = {id(port): (port.step.tile.core, k - first_port[port.step.tile.core]) for k, port in enumerate(ports)}
    for number in sorted({tile.core for tile in tiles}):
        _place_core(firmware, number, [tile for tile in tiles if tile.core == number], place)
    senders: list[Sender] = [step for tile in tiles for step in tile.steps]
    for each in chip.inputs:
        record = each.record
        record.number = each.number or 0
        record.first_destination, record.destinations = len(firmware.destinations), len(each.sends)
        _add_destinations(firmware, each, place)
        firmware.inputs.append(record)
    firmware.outputs = [each.record for each in chip.outputs]
    _add_producers(firmware, ports, senders, chip.inputs)
    return firmware


def _cores(ports: list[PortSpec]) -> set[int]:
    return {port.step.tile.core for port in ports}


def _place_core(firmware: fw.Firmware, number: int, tiles: list[TileSpec], place: dict[int, tuple[int, int]]) -> None:
    lanes = firmware.lanes
    core = fw.Core(
        number, first_tile=len(firmware.tiles), first_port=len(firmware.ports),
        first_destination=len(firmware.destinations), first_constant=len(firmware.constants),
        first_shift=len(firmware.shifts) // lanes, first_weight=len(firmware.weights) // lanes,
    )  # fmt: skip
    address = 0
    for tile in tiles:
        tile.record.base, address = address, address + tile.size
        tile.record.first_step, tile.record.steps = len(firmware.steps), len(tile.steps)
        for step in tile.steps:
            if step.record.membrane:
                step.record.membrane, address = address + 1, address + tile.size
            _place_step(firmware, core, step)
            _add_destinations(firmware, step, place)
            firmware.steps.append(step.record)
        firmware.tiles.append(tile.record)
    core.tiles = len(firmware.tiles) - core.first_tile
    core.ports = len(firmware.ports) - core.first_port
    core.destinations = len(firmware.destinations) - core.first_destination
    core.constants = len(firmware.constants) - core.first_constant
    core.shifts = len(firmware.shifts) // lanes - core.first_shift
    core.weights = len(firmware.weights) // lanes - core.first_weight
    firmware.cores.append(core)


def _place_step(firmware: fw.Firmware, core: fw.Core, step: StepSpec) -> None:
    record = step.record
    record.number = step.number or 0
    if step.ladder is not None:
        record.ladder = _constants(firmware, core, step.ladder)
    record.bias = 0 if step.bias is None else 1 + _constants(firmware, core, step.bias)
    record.reset = 0 if step.reset is None else 1 + _constants(firmware, core, step.reset)
    record.first_port, record.ports = len(firmware.ports), len(step.ports)
    record.first_destination, record.destinations = len(firmware.destinations), len(step.sends)
    for port in step.ports:
        if port.has_weights:
            _place_weights(firmware, core, port)
        firmware.ports.append(port.record)


def _constants(firmware: fw.Firmware, core: fw.Core, values: NDArray[np.int32]) -> int:
    at = len(firmware.constants) - core.first_constant
    firmware.constants = np.concatenate([firmware.constants, values.reshape(-1)])
    return at


def _place_weights(firmware: fw.Firmware, core: fw.Core, port: PortSpec) -> None:
    lanes, words = firmware.lanes, port.words()
    if port.shares is not None:
        assert port.shares.words() >= words, "a port shares the first weights of one that has as many"
        assert port.shares.step.tile.words >= port.step.tile.words, "and the first words of shifts"
        port.record.weight, port.record.shift = port.shares.record.weight, port.shares.record.shift
        return
    weights = np.ones((words, lanes), dtype=np.int8) if port.weights is None else port.weights
    shifts = np.zeros((port.step.tile.words, lanes), dtype=np.int8) if port.shifts is None else port.shifts
    assert weights.shape == (words, lanes), f"weights of {(words, lanes)}, found {weights.shape}"
    port.record.weight = len(firmware.weights) // lanes - core.first_weight
    port.record.shift = len(firmware.shifts) // lanes - core.first_shift
    firmware.weights = np.concatenate([firmware.weights, weights.reshape(-1)])
    firmware.shifts = np.concatenate([firmware.shifts, shifts.reshape(-1)])


def _add_destinations(firmware: fw.Firmware, sender: Sender, place: dict[int, tuple[int, int]]) -> None:
    for target, destination in sender.sends:
        if isinstance(target, PortSpec):
            destination.core, destination.port = place[id(target)]
        else:
            destination.dc += target.record.channel
        firmware.destinations.append(destination)


def _add_producers(firmware: fw.Firmware, ports: list[PortSpec], steps: list[Sender], inputs: list[InputSpec]) -> None:
    """Every destination of a port as a producer of it, ascending; the host's core number is the highest."""
    first = {core.number: core.first_destination for core in firmware.cores}
    found: dict[int, list[fw.Producer]] = {id(port): [] for port in ports}
    number = 0
    for sender in [*steps, *inputs]:
        core = sender.tile.core if isinstance(sender, StepSpec) else fw.EDGE
        for target, _ in sender.sends:
            if isinstance(target, PortSpec):
                start = first[core] if core != fw.EDGE else firmware.host_destination()
                found[id(target)].append(fw.Producer(core, number - start))
            number += 1
    for port in ports:
        producers = sorted(found[id(port)], key=lambda each: (each.core, each.destination))
        port.record.first_producer, port.record.producers = len(firmware.producers), len(producers)
        firmware.producers += producers
        port.step.record.ends += len(producers)
