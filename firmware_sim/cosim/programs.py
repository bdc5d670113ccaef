"""Random firmware within the Verilog twin's restrictions, seeded, and made to fill FIFOs and to collide.

Steps and inputs are made in the order of their numbers, which is what makes their waits acyclic.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from build import MESH
from pyspike.chip import firmware as fw
from tests.chip import firmwares
from tests.chip.firmwares.builder import Builder, InputSpec, PortSpec, Sender, StepSpec, TileSpec

LANES = 16
MOST_DESTINATIONS = 8  # of a step; and 64 of a core: what the twin holds
MOST_OF_A_CORE = 64


@dataclass
class Program:
    """A firmware and one run's inputs, int32 [1, H, W, C] each."""

    name: str
    firmware: fw.Firmware
    inputs: list[NDArray[np.int32]]


def random_program(seed: int, **chip: int) -> Program:
    """The program of a seed on a chip with these FIFO depths and link delay."""
    return Program(f"random-{seed}", *_Maker(seed, chip).make())


def borrowed(seed: int, **chip: int) -> Program | None:
    """A program of the simulators' own tests, cut down to the twin's restrictions; None where that cannot be."""
    program = firmwares.random_program(Random(seed)).with_chip(**chip, timesteps=1)
    firmware = program.firmware
    if firmware.lanes != LANES or firmware.width > MESH or firmware.height > MESH:
        return None
    if any(step.destinations > MOST_DESTINATIONS for step in firmware.steps):
        return None
    for port in firmware.ports:
        port.dilation_y = port.dilation_x = port.upsample_y = port.upsample_x = 1
        port.stride_y, port.stride_x = min(port.stride_y, 2), min(port.stride_x, 2)
        port.coding = min(port.coding, fw.BITWISE)
    for step in firmware.steps:
        step.count = min(step.count, 8)
        step.membrane = step.reset = step.hard_reset = step.guard = step.leak_terms = 0
        step.leak_sign = step.leak_shift = (0, 0, 0)
    return Program(f"borrowed-{seed}", firmware, [values[:1] for values in program.inputs])


def crossing(seed: int, **chip: int) -> Program:
    """Nine cores that all fire at once, towards the same few: four inputs of a router want one output."""
    rng = np.random.default_rng(seed)
    builder = Builder((3, 3), **chip)
    sinks = [builder.tile(core, rows=3, columns=2, channels=16).fire([1000], number=3) for core in (4, 1, 7, 3, 5)]
    ports = [
        sink.port(inputs=16, outputs=16, weights=rng.integers(-9, 10, (16, 16)).astype(np.int8))
        for sink in [sinks[0], *sinks]
    ]
    for core in range(9):
        source = builder.tile(core, rows=3, columns=2, channels=16).fire([0], number=2)
        for k in rng.permutation([0, 1, 2 + core % 4]):
            source.to(ports[k])
        source.to_edge()
        start = builder.input(1, 1, 1, number=int(rng.integers(2)))
        start.to(source.port(weights=np.zeros((1, 16), np.int8)))
        start.to(ports[0])
    for sink in sinks:
        sink.to_edge()
    inputs = [np.ones((1, 1, 1, 1), dtype=np.int32) for _ in builder.inputs]
    return Program(f"crossing-{seed}", builder.build(), inputs)


class _Maker:
    """`nodes` are the inputs and steps so far; a node may feed a later one whose tile has no step in between."""

    def __init__(self, seed: int, chip: dict[str, int]) -> None:
        self.rng = np.random.default_rng(seed)
        mesh = (3, 3) if self.chance(0.4) else (self.one(1, 2, 3), self.one(1, 2, 3))
        self.chip = Builder(mesh, **chip)
        self.nodes: list[Sender] = []
        self.firing = self.one(0.1, 0.5, 1.0)

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def one(self, *values: Any) -> Any:
        return values[int(self.rng.integers(len(values)))]

    def between(self, low: int, high: int) -> int:
        """Both inclusive."""
        return int(self.rng.integers(low, high + 1))

    def make(self) -> tuple[fw.Firmware, list[NDArray[np.int32]]]:
        cores = self.chip.firmware.width * self.chip.firmware.height
        few = [int(k) for k in self.rng.permutation(cores)[: self.between(1, cores)]]
        few = few[:1] if self.chance(0.25) else few  # a crowd in one core
        tiles = [self._tile(few[k % len(few)]) for k in range(self.between(1, max(7, 2 * len(few))))]
        for _ in range(self.between(1, 2)):
            self._input()
        program = [*tiles, *(self.one(*tiles) for _ in range(self.between(0, len(tiles))))]
        for k in self.rng.permutation(len(program)):
            if self.chance(0.1):
                self._input()
            if len(program[k].steps) < 4:
                self._step(program[k])
        self.chip.inputs = [each for each in self.chip.inputs if each.sends]
        for node in self.nodes:
            if isinstance(node, StepSpec) and self.chance(0.2 if node.sends else 0.85) and self._has_room(node):
                node.to_edge()
        if self.chance(0.5):
            for number, node in enumerate(self.nodes):
                node.number = 2 * number
        return self.chip.build(), [self._values(each) for each in self.chip.inputs]

    def _tile(self, core: int) -> TileSpec:
        return self.chip.tile(
            core,
            rows=self.between(1, 4),
            columns=self.between(1, 4),
            channels=self.one(1, 3, 8, 16, 16, 17, 32, 40),
            at=(self.one(0, 0, 1, 3), self.one(0, 0, 2), self.one(0, 0, 4, 19)),
            mode=fw.MAX if self.chance(0.12) else fw.ADD,
        )

    # Inputs

    def _input(self) -> None:
        kind = fw.POTENTIALS if self.chance(0.2) else fw.COUNTS
        size = self.between(1, 4), self.between(1, 4), self.one(1, 2, 3, 16, 20)
        self.nodes.append(self.chip.input(*size, kind=kind))

    def _values(self, each: InputSpec) -> NDArray[np.int32]:
        record = each.record
        shape = (1, record.height, record.width, record.channels)
        if record.kind == fw.POTENTIALS:
            return self.rng.integers(-300, 300, shape, dtype=np.int32)
        values = self.rng.integers(1, self.one(1, 1, 3, 8, 255) + 1, shape, dtype=np.int32)
        if values.size > 100 and values.max() > 8:
            values %= 8
        return np.where(self.rng.random(shape) < self.one(0.0, 0.2, 0.6, 1.0), values, 0).astype(np.int32)

    # Steps

    def _step(self, tile: TileSpec) -> None:
        before = self.nodes.index(tile.steps[-1]) if tile.steps else -1
        candidates = [node for node in self.nodes[before + 1 :] if self._has_room(node)]
        step = tile.output(bias=self._bias(tile), clear=self.chance(0.5)) if self.chance(0.12) else self._fire(tile)
        for _ in range(self.one(0, 1, 1, 1, 2, 3)):
            candidates = [node for node in candidates if self._has_room(node)]
            fresh = [node for node in candidates if not node.sends]
            pool = fresh if fresh and self.chance(0.6) else candidates
            if pool:
                self._port(step, self.one(*pool), candidates)
        self.nodes.append(step)

    def _has_room(self, node: Sender) -> bool:
        if not isinstance(node, StepSpec):
            return len(node.sends) < MOST_DESTINATIONS
        core = [step for tile in self.chip.tiles if tile.core == node.tile.core for step in tile.steps]
        return len(node.sends) < MOST_DESTINATIONS and sum(len(each.sends) for each in core) < MOST_OF_A_CORE - 8

    def _bias(self, tile: TileSpec) -> NDArray[np.int32] | None:
        return None if self.chance(0.6) else self.rng.integers(-50, 50, tile.record.channels).astype(np.int32)

    def _fire(self, tile: TileSpec) -> StepSpec:
        most = self.one(1, 1, 2, 4, 8)
        shape = (tile.record.channels, most) if self.chance(0.4) else (most,)
        spread = self.one(3, 100, 1000)
        ladder = self.rng.integers(1, spread + 1, shape)
        if self.chance(self.firing):
            ladder -= self.one(spread // 2, spread, 2 * spread)
        return tile.fire(np.sort(ladder, axis=-1), bias=self._bias(tile), clear=self.chance(0.6))

    # Edges

    def _port(self, step: StepSpec, first: Sender, candidates: list[Sender]) -> None:
        kind, tile = _kind(first), step.tile
        if kind == fw.POTENTIALS:
            if tile.record.mode == fw.MAX:
                return
            port = step.load()
        else:
            port = self._synapse(step, first)
        others = [each for each in candidates if _kind(each) == kind and self._has_room(each)]
        for sender in [first, *(self.one(*others) for _ in range(self.one(0, 0, 1, 2)))]:
            for _ in range(self.one(1, 1, 1, 2)):
                if self._has_room(sender):
                    self._connect(sender, port)

    def _synapse(self, step: StepSpec, sender: Sender) -> PortSpec:
        tile = step.tile
        low, high = sender.extent()[2]
        sent, channels = high - low + 1, tile.record.channels
        geometry: dict[str, Any] = {
            "kernel": self.one((1, 1), (1, 1), (3, 3), (2, 3), (3, 1), (5, 5)),
            "stride": self.one((1, 1), (1, 1), (2, 2), (1, 2), (2, 1)),
            "padding": self.one((0, 0), (1, 1), (1, 1), (2, 0), (-1, 1), (3, -2)),
            "coding": self.one(fw.UNARY, fw.BITWISE),
        }
        if tile.record.mode == fw.MAX:
            return step.port(**geometry)
        inputs, outputs, channel = self.one(
            (sent, channels + tile.record.channel, 0),  # dense
            (sent, channels, tile.record.channel),
            (1, 1, self.one(0, tile.record.channel)),  # depthwise
            (self.between(1, sent), self.between(1, 2 * channels), self.between(0, 4)),  # groups
        )
        port = step.port(inputs=inputs, outputs=outputs, channel=channel, **geometry)
        port.weights = self.rng.integers(-127, 128, (port.words(), 16)).astype(np.int8)
        port.shifts = self.rng.integers(0, self.one(1, 1, 4, 32), (tile.words, 16)).astype(np.int8)
        return port

    def _connect(self, sender: Sender, port: PortSpec) -> None:
        """A destination with offsets that keep every coordinate above 0, and sometimes a window."""
        low_y, low_x, low_c = (low for low, _ in sender.extent())
        windows: dict[str, Any] = {}
        for name, (low, high) in zip("yxc", sender.extent(), strict=True):
            if self.chance(0.15):
                first = self.between(low, high)
                windows[name] = (first, self.between(first, high + 1))
        tile = port.step.tile.record
        offset = [0, 0, -low_c if self.chance(0.6) else 0]
        if port.record.kind == fw.LOAD or tile.mode == fw.MAX or self.chance(0.5):
            offset = [tile.y - low_y, tile.x - low_x, tile.channel - low_c]
        elif self.chance(0.4):
            offset[:2] = [self.between(-low_y, 2), self.between(-low_x, 2)]
        sender.to(port, offset=(offset[0], offset[1], offset[2]), **windows)


def _kind(node: Sender) -> int:
    if isinstance(node, InputSpec):
        return node.record.kind
    assert isinstance(node, StepSpec)
    return fw.COUNTS if node.record.kind == fw.FIRE else fw.POTENTIALS
