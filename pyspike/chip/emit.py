"""Writes the firmware of placed tiles: programs, port tables, destinations, weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyspike.chip import firmware as fw
from pyspike.chip.config import Chip
from pyspike.chip.dataflow import Dataflow, Edge, Step, Synapses
from pyspike.chip.links import Link, Links
from pyspike.chip.tiling import TileSpec, block_key


def emit(
    dataflow: Dataflow, tiles: list[TileSpec], links: Links, cores: Sequence[int], chip: Chip, weight_bits: int
) -> fw.Firmware:
    """The firmware of `tiles`, tile i in core `cores[i]`."""
    writer = _Writer(dataflow, links, chip, cores)
    order = sorted(tiles, key=lambda tile: (cores[tile.index], tile.index))
    writer.number_ports(order)
    for number in sorted(set(cores)):
        writer.core(number, [tile for tile in order if cores[tile.index] == number])
    writer.host()
    writer.link_producers()
    return writer.finish(weight_bits)


@dataclass
class _CoreMemory:
    """Constants and weight blocks of the core being written; equal blocks are stored once."""

    lanes: int
    constants: list[int] = field(default_factory=list)
    shifts: list[NDArray[np.int8]] = field(default_factory=list)
    weights: list[NDArray[np.int8]] = field(default_factory=list)
    blocks: dict[str, tuple[int, int]] = field(default_factory=dict)
    potential: int = 0

    def add_constants(self, values: Any) -> int:
        at = len(self.constants)
        self.constants += np.asarray(values).ravel().tolist()
        return at

    def add_block(self, key: str, edge: Edge, tile: TileSpec) -> tuple[int, int]:
        """First weight word and word of shifts of the block that `edge` needs in `tile`."""
        if key not in self.blocks:
            weight, shift = packed(edge.synapses, tile, self.lanes)
            at = sum(map(len, self.weights)) // self.lanes, sum(map(len, self.shifts)) // self.lanes
            self.weights.append(weight)
            self.shifts.append(shift)
            self.blocks[key] = at
        return self.blocks[key]


def packed(synapses: Synapses, tile: TileSpec, lanes: int) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Weights [input, ky, kx, channels up to whole words] and shifts [channels up to whole words] of a tile, flat."""
    assert synapses.weight is not None
    assert synapses.shift is not None
    width = -(-tile.channels // lanes) * lanes
    out, kh, kw, inputs = synapses.weight.shape
    weight = np.zeros((inputs, kh, kw, width), dtype=np.int8)
    shift = np.zeros(width, dtype=np.int8)
    low = max(tile.channel, synapses.channel)
    high = min(tile.channel + tile.channels, synapses.channel + out)
    if low < high:
        rows = slice(low - synapses.channel, high - synapses.channel)
        lane = slice(low - tile.channel, high - tile.channel)
        weight[..., lane] = synapses.weight[rows].transpose(3, 1, 2, 0)
        shift[lane] = synapses.shift[rows]
    return weight.ravel(), shift


class _Writer:
    def __init__(self, dataflow: Dataflow, links: Links, chip: Chip, cores: Sequence[int]) -> None:
        self.dataflow, self.links, self.chip, self.cores = dataflow, links, chip, cores
        self.firmware = fw.Firmware(
            width=chip.width, height=chip.height, lanes=chip.lanes, router_fifo=chip.router_fifo,
            out_fifo=chip.out_fifo, axon_fifo=chip.axon_fifo, link_delay=chip.link_delay,
            timesteps=dataflow.timesteps, weight_sram=chip.weight_sram, potential_sram=chip.potential_sram,
            port_table=chip.port_table,
        )  # fmt: skip
        self.coding = fw.CODINGS.index(chip.coding)
        self.port_of: dict[tuple[int, int], int] = {}
        self.fed_by: dict[tuple[int, int], list[fw.Producer]] = {}
        self.port_order: list[tuple[int, int]] = []
        self.constants: list[int] = []
        self.shifts: list[NDArray[np.int8]] = []
        self.weights: list[NDArray[np.int8]] = []
        self.outputs: dict[int, int] = {}
        self.layers: dict[str, int] = {}
        self.names: dict[str, list[Any]] = {"tiles": [], "steps": [], "ports": []}
        self._number_outputs()

    def number_ports(self, order: list[TileSpec]) -> None:
        """Give every edge of every tile its entry in the core's port table."""
        used: dict[int, int] = {}
        for tile in order:
            core = self.cores[tile.index]
            for step in tile.place.steps:
                for edge in step.edges:
                    if self.links.into(edge, tile):
                        self.port_of[id(edge), tile.index] = used.get(core, 0)
                        used[core] = used.get(core, 0) + 1

    def core(self, number: int, tiles: list[TileSpec]) -> None:
        """All records of one core."""
        memory = _CoreMemory(self.chip.lanes)
        f = self.firmware
        record = fw.Core(
            number, len(f.tiles), len(tiles), len(f.ports), 0, len(f.destinations), 0, len(self.constants), 0,
            sum(map(len, self.shifts)) // self.chip.lanes, 0, sum(map(len, self.weights)) // self.chip.lanes, 0,
        )  # fmt: skip
        for tile in tiles:
            self._tile(record, tile, memory)
        record.ports = len(f.ports) - record.first_port
        record.destinations = len(f.destinations) - record.first_destination
        record.constants = len(memory.constants)
        record.shifts = sum(map(len, memory.shifts)) // self.chip.lanes
        record.weights = sum(map(len, memory.weights)) // self.chip.lanes
        self.constants += memory.constants
        self.shifts += memory.shifts
        self.weights += memory.weights
        f.cores.append(record)

    def host(self) -> None:
        """Graph inputs, and the host's destinations behind those of all cores."""
        f = self.firmware
        first = len(f.destinations)
        for each in self.dataflow.inputs:
            links = self.links.out_of(each, None)
            at = len(f.destinations)
            for link in links:
                self._destination(link, fw.EDGE, len(f.destinations) - first)
            height, width, channels = each.canvas
            varies = int(each.varies)
            f.inputs.append(fw.Input(each.number, each.kind, varies, height, width, channels, at, len(links)))

    def link_producers(self) -> None:
        """List the producers of every port."""
        f = self.firmware
        for key, port in zip(self.port_order, f.ports, strict=True):
            producers = sorted(self.fed_by[key], key=lambda each: (each.core, each.destination))
            port.first_producer, port.producers = len(f.producers), len(producers)
            f.producers += producers

    def finish(self, weight_bits: int) -> fw.Firmware:
        """The whole image."""
        f = self.firmware
        f.weight_bits = weight_bits
        f.constants = np.array(self.constants, dtype=np.int32)
        f.shifts = np.concatenate([np.zeros(0, dtype=np.int8), *self.shifts])
        f.weights = np.concatenate([np.zeros(0, dtype=np.int8), *self.weights])
        f.metadata = {
            "layers": list(self.layers), **self.names,
            "inputs": [each.name for each in self.dataflow.inputs],
            "outputs": [step.delivery.name for step in self._delivering()],
            "relays": self.dataflow.relays,
        }  # fmt: skip
        return f

    def _delivering(self) -> list[Any]:
        return [step for step in self.dataflow.steps() if step.delivery is not None]

    def _number_outputs(self) -> None:
        channel = 0
        for step in self._delivering():
            height, width, channels = step.delivery.canvas
            self.outputs[id(step)] = channel
            self.firmware.outputs.append(
                fw.Output(step.delivery.kind, int(not step.last), height, width, channels, channel)
            )
            channel += channels

    def _tile(self, core: fw.Core, tile: TileSpec, memory: _CoreMemory) -> None:
        f = self.firmware
        words = tile.words(self.chip.lanes)
        steps = tile.place.steps
        record = fw.Tile(
            tile.place.mode, tile.y, tile.x, tile.rows, tile.columns, tile.channel, tile.channels, memory.potential,
            len(f.steps), len(steps),
        )  # fmt: skip
        memory.potential += words
        f.tiles.append(record)
        self.names["tiles"].append(tile.name)
        clears = self.dataflow.timesteps > 1 and not tile.place.keeps
        for step in steps:
            self._step(core, tile, step, memory, clear=int(clears and step is steps[-1]))

    def _step(self, core: fw.Core, tile: TileSpec, step: Step, memory: _CoreMemory, clear: int) -> None:
        f = self.firmware
        record = fw.Step(step.kind, step.number, step.count, clear=clear, last=int(step.last), first_port=len(f.ports))
        rows = slice(tile.channel, tile.channel + tile.channels)
        if step.ladder is not None:
            record.per_channel = int(len(step.ladder) > 1)
            record.ladder = memory.add_constants(step.ladder[rows] if record.per_channel else step.ladder)
        if step.bias is not None:
            record.bias = memory.add_constants(step.bias[rows]) + 1
        if step.membrane is not None:
            self._membrane(record, step, memory, tile)
        for edge in step.edges:
            if self.links.into(edge, tile):
                f.ports.append(self._port(edge, tile, memory))
                self.port_order.append((id(edge), tile.index))
                self.names["ports"].append(self._layer(edge.synapses.layer))
                record.ends += len(self.links.into(edge, tile))
        record.ports = len(f.ports) - record.first_port
        record.first_destination = len(f.destinations)
        if step.delivery is not None:
            f.destinations.append(fw.Destination(dc=self.outputs[id(step)]))
        for link in self.links.out_of(step, tile):
            self._destination(link, core.number, len(f.destinations) - core.first_destination)
        record.destinations = len(f.destinations) - record.first_destination
        f.steps.append(record)
        self.names["steps"].append(self._layer(step.name))

    def _membrane(self, record: fw.Step, step: Step, memory: _CoreMemory, tile: TileSpec) -> None:
        op = step.membrane
        assert op is not None
        record.membrane = memory.potential + 1
        memory.potential += tile.words(self.chip.lanes)
        record.hard_reset, record.guard = int(op.hard_reset), step.guard
        if op.reset is not None:
            record.reset = memory.add_constants(op.reset) + 1
        terms = list(zip(op.leak[::2], op.leak[1::2], strict=True))
        record.leak_terms = len(terms)
        terms += [(0, 0)] * (3 - len(terms))
        record.leak_sign = terms[0][0], terms[1][0], terms[2][0]
        record.leak_shift = terms[0][1], terms[1][1], terms[2][1]

    def _port(self, edge: Edge, tile: TileSpec, memory: _CoreMemory) -> fw.Port:
        s = edge.synapses
        port = fw.Port(
            fw.LOAD if s.load else fw.SYNAPSE, *s.kernel, *s.stride, *s.padding, *s.dilation, *s.upsample, s.inputs,
            s.outputs, s.channel, self.coding,
        )  # fmt: skip
        if s.weight is not None:
            port.weight, port.shift = memory.add_block(block_key(edge, tile), edge, tile)
        return port

    def _destination(self, link: Link, core: int, number: int) -> None:
        """A destination record, the `number`th of the core that it lies in, and the producer that names it."""
        key = id(link.edge), link.target.index
        y0, y1, x0, x1, c0, c1 = link.window
        target = self.cores[link.target.index]
        self.firmware.destinations.append(
            fw.Destination(target, self.port_of[key], y0, y1, x0, x1, c0, c1, 0, 0, link.edge.dc)
        )
        self.fed_by.setdefault(key, []).append(fw.Producer(core, number))

    def _layer(self, name: str) -> int:
        return self.layers.setdefault(name, len(self.layers))
