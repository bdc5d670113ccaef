"""Random firmware that every reader must take, with inputs: small enough for the oracle, odd enough for bugs."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from pyspike.chip import firmware as fw

from .builder import Builder, InputSpec, PortSpec, Sender, StepSpec, TileSpec


@dataclass
class Program:
    """A firmware and one run's inputs, int32 [T or 1, H, W, C] each."""

    firmware: fw.Firmware
    inputs: list[NDArray[np.int32]]

    def with_chip(self, **fields: Any) -> Program:
        """The same program on a chip that differs in some fields."""
        firmware = fw.from_bytes(fw.to_bytes(self.firmware))
        for name, value in fields.items():
            setattr(firmware, name, value)
        return Program(firmware, self.inputs)

    def with_coding(self, coding: int) -> Program:
        """The same program with another coding of counts at every port."""
        program = self.with_chip()
        for port in program.firmware.ports:
            port.coding = coding
        return program


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """`random_program` for Hypothesis."""
    return random_program(draw(st.randoms(use_true_random=False)))


def random_program(rng: Random, scale: int = 1) -> Program:
    """A program whose steps and inputs are made in the order of their numbers, which is what makes them acyclic.

    `scale` multiplies the sides of the mesh and the number of tiles and steps.
    """
    return _Maker(rng, scale).make()


class _Maker:
    """`nodes` are the inputs and steps so far; a node may feed a later one whose tile has no step in between."""

    def __init__(self, rng: Random, scale: int) -> None:
        self.scale = scale
        self.rng = rng
        self.bulk = np.random.default_rng(rng.randrange(2**32))
        self.big = rng.random() < 0.1  # few larger programs, many small ones
        self.chip = Builder(
            (rng.randint(1, 4 * scale), rng.randint(1, 3 * scale)), lanes=rng.choice([8, 8, 16, 16, 32]),
            timesteps=rng.choice([1, 1, 2, 3]), router_fifo=self._depth(), out_fifo=self._depth(),
            axon_fifo=self._depth(), link_delay=rng.choice([0, 0, 0, 1, 2, 3]), weight_bits=rng.choice([2, 4, 8, 8]),
        )  # fmt: skip
        self.nodes: list[Sender] = []
        self.coding = rng.choice([fw.UNARY, fw.BITWISE, fw.FOLDED, None])  # None: each port its own

    def _depth(self) -> int:
        return self.rng.choice([1, 1, 2, 3, 4, 8, 16, 64])

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def make(self) -> Program:
        """Inputs first and now and then, steps between, then whatever is missing."""
        mesh = self.chip.firmware.width * self.chip.firmware.height
        few = self.rng.sample(range(mesh), self.rng.randint(1, min(mesh, self.rng.choice([2, 5]) * self.scale)))
        tiles = [self._tile(self.rng.choice(few)) for _ in range(self.rng.randint(1, 7 * self.scale))]
        for _ in range(self.rng.choice([1, 1, 2, 4])):
            self._input()
        program = tiles + self.rng.choices(tiles, k=self.rng.randint(0, 5 * self.scale))
        self.rng.shuffle(program)
        for tile in program:
            if self.chance(0.15):
                self._input()
            self._step(tile)
        self.chip.inputs = [each for each in self.chip.inputs if each.sends]
        self._outputs()
        if self.chance(0.5):
            self._number()
        firmware = self.chip.build()
        return Program(firmware, [self._values(each) for each in self.chip.inputs])

    def _number(self) -> None:
        """Numbers in the order of making, with gaps; else `build` finds the least ones, which often are the same."""
        number = self.rng.choice([0, 0, 1000])
        for node in self.nodes:
            node.number = number
            number += self.rng.randint(1, 3)

    # Places

    def _tile(self, core: int) -> TileSpec:
        most = 5 if self.big else 3
        return self.chip.tile(
            core,
            rows=self.rng.randint(1, most),
            columns=self.rng.randint(1, most),
            channels=self.rng.choice([1, 3, 5, 8, 9, 16, 17, self.rng.randint(1, 34)]),
            at=(self.rng.choice([0, 0, 1, 3]), self.rng.choice([0, 0, 2]), self.rng.choice([0, 0, 4, 16, 19])),
            mode=fw.MAX if self.chance(0.15) else fw.ADD,
        )

    def _input(self) -> None:
        most = 5 if self.big else 3
        kind = fw.POTENTIALS if self.chance(0.2) else fw.COUNTS
        channels = self.rng.choice([1, 2, 3, self.rng.randint(1, 20)])
        size = self.rng.randint(1, most), self.rng.randint(1, most), channels
        self.nodes.append(self.chip.input(*size, kind=kind, varies=self.chance(0.7)))

    def _values(self, each: InputSpec) -> NDArray[np.int32]:
        record = each.record
        frames = self.chip.firmware.timesteps if record.varies else 1
        shape = (frames, record.height, record.width, record.channels)
        if record.kind == fw.POTENTIALS:
            spread = self.rng.choice([10, 1000, 2**31])
            return self.bulk.integers(-spread, spread, shape, dtype=np.int64).astype(np.int32)
        most = self.rng.choice([1, 1, 4, 4, 8, 255])
        values = self.bulk.integers(1, most + 1, shape, dtype=np.int32)
        return values * (self.bulk.random(shape) < self.rng.choice([0.0, 0.1, 0.5, 1.0])).astype(np.int32)

    # Steps

    def _step(self, tile: TileSpec) -> None:
        before = self.nodes.index(tile.steps[-1]) if tile.steps else -1
        candidates = self.nodes[before + 1 :]
        step = self._output_step(tile) if self.chance(0.15) else self._fire(tile)
        kinds = [candidates, [each for each in candidates if _is_input(each) and not each.sends]]
        for _ in range(self.rng.choice([0, 1, 1, 1, 2, 3])):
            pool = kinds[self.chance(0.5)] or candidates
            if not pool:
                break
            self._port(step, self.rng.choice(pool), candidates)
        self.nodes.append(step)

    def _output_step(self, tile: TileSpec) -> StepSpec:
        return tile.output(bias=self._bias(tile), clear=self.chance(0.5), last=self.chance(0.2))

    def _bias(self, tile: TileSpec) -> NDArray[np.int32] | None:
        if self.chance(0.6):
            return None
        return self.bulk.integers(-50, 50, tile.record.channels).astype(np.int32)

    def _fire(self, tile: TileSpec) -> StepSpec:
        most = self.rng.choice([1, 1, 4, 8, 9, 16, 17, 20])
        channels = tile.record.channels if self.chance(0.4) else 1
        spread = self.rng.choice([3, 30, 300, 30000])
        ladder = np.sort(self.bulk.integers(-spread // 8, spread, (channels, most), dtype=np.int32), axis=1)
        if self.chance(0.1):
            ladder = ladder[:, ::-1]  # the chip only counts
        keywords: dict[str, Any] = {}
        if self.chance(0.4):
            leak = [(self.rng.choice([1, -1]), self.rng.randint(0, 8)) for _ in range(self.rng.randint(0, 3))]
            keywords = {"membrane": True, "leak": leak, "guard": self.rng.choice([0, 0, 1, 3, 8])}
            if self.chance(0.4):
                keywords["hard"] = True
            elif self.chance(0.7):
                keywords["reset"] = np.cumsum(self.bulk.integers(0, spread, most + 1))
        ladder = ladder if channels > 1 or self.chance(0.5) else ladder[0]
        if ladder.ndim == 2 and len(ladder) != tile.record.channels:
            ladder = ladder[0]
        return tile.fire(
            ladder, bias=self._bias(tile), clear=self.chance(0.7), last=self.chance(0.15), **keywords
        )  # fmt: skip

    # Edges

    def _port(self, step: StepSpec, first: Sender, candidates: list[Sender]) -> None:
        """A port fed by `first` and perhaps others of the same kind."""
        kind = _kind(first)
        tile = step.tile
        if kind == fw.POTENTIALS:
            if tile.record.mode == fw.MAX:
                return
            port = step.load()
        else:
            port = self._synapse(step, first)
        others = [each for each in candidates if _kind(each) == kind]
        senders = [first, *self.rng.choices(others, k=self.rng.choice([0, 0, 0, 1, 2]))]
        for sender in senders:
            for _ in range(self.rng.choice([1, 1, 1, 2])):
                self._connect(sender, port)

    def _synapse(self, step: StepSpec, sender: Sender) -> PortSpec:
        rng = self.rng
        tile = step.tile
        low, high = sender.extent()[2]
        sent = high - low + 1
        coding = rng.choice([fw.UNARY, fw.BITWISE, fw.FOLDED]) if self.coding is None else self.coding
        geometry: dict[str, Any] = {
            "kernel": rng.choice([(1, 1), (1, 1), (3, 3), (2, 3), (3, 1), (1, 4), (5, 5)]),
            "stride": rng.choice([(1, 1), (1, 1), (2, 2), (1, 3), (3, 2)]),
            "padding": rng.choice([(0, 0), (1, 1), (1, 1), (2, 0), (-1, 1), (3, -2)]),
            "dilation": rng.choice([(1, 1), (1, 1), (2, 2), (1, 3)]),
            "upsample": rng.choice([(1, 1), (1, 1), (1, 1), (2, 2), (1, 3)]),
            "coding": coding,
        }
        if tile.record.mode == fw.MAX:
            return step.port(**geometry)
        channels = tile.record.channels
        inputs, outputs, channel = rng.choice(
            [
                (sent, channels + tile.record.channel, 0),  # dense
                (sent, channels, tile.record.channel),
                (1, 1, rng.choice([0, tile.record.channel])),  # depthwise
                (rng.randint(1, sent), rng.randint(1, 2 * channels), rng.choice([0, 2, tile.record.channel])),  # groups
            ]
        )
        shares = [
            port for other in self.chip.tiles for each in other.steps for port in each.ports
            if other.core == tile.core and port.has_weights and port.shares is None
            and self.chip.tiles.index(other) < self.chip.tiles.index(tile)
        ]  # fmt: skip
        port = step.port(inputs=inputs, outputs=outputs, channel=channel, **geometry)
        fitting = [p for p in shares if p.words() >= port.words() and p.step.tile.words >= tile.words]
        if fitting and self.chance(0.5):
            port.shares = rng.choice(fitting)
            return port
        bits = self.chip.firmware.weight_bits
        most = 2 ** (bits - 1)
        lanes = self.chip.firmware.lanes
        port.weights = self.bulk.integers(-most + 1, most, (port.words(), lanes)).astype(np.int8)
        shifts = rng.choice([1, 1, 4, 32])
        port.shifts = self.bulk.integers(0, shifts, (tile.words, lanes)).astype(np.int8)
        return port

    def _connect(self, sender: Sender, port: PortSpec) -> None:
        """A destination with offsets that keep every coordinate above 0, and sometimes a window."""
        (y0, y1), (x0, x1), (c0, c1) = sender.extent()
        windows: dict[str, Any] = {}
        for name, low, high in (("y", y0, y1), ("x", x0, x1), ("c", c0, c1)):
            if self.chance(0.2):
                first = self.rng.randint(low, high)
                windows[name] = (first, self.rng.randint(first, high + 1))
        tile = port.step.tile.record
        offset = [0, 0, 0]
        if self.chance(0.4):
            offset = [self.rng.randint(-y0, 2), self.rng.randint(-x0, 2), self.rng.choice([0, -c0, 1])]
        if self.chance(0.8):
            geometry = port.record
            steps = (geometry.stride_y, geometry.dilation_y, geometry.kernel_y, geometry.top, geometry.upsample_y)
            offset[0] = self._shift_that_hits((y0, y1), (tile.y, tile.rows), *steps)
            steps = (geometry.stride_x, geometry.dilation_x, geometry.kernel_x, geometry.left, geometry.upsample_x)
            offset[1] = self._shift_that_hits((x0, x1), (tile.x, tile.columns), *steps)
        if self.chance(0.8):
            one_to_one = not port.has_weights or (port.record.inputs == 1 and port.record.channel == 0)
            offset[2] = (tile.channel if one_to_one else 0) - c0
        sender.to(port, offset=(offset[0], offset[1], offset[2]), **windows)

    def _shift_that_hits(
        self, sent: tuple[int, int], tile: tuple[int, int], stride: int, dilation: int, kernel: int, pad: int, up: int
    ) -> int:
        """An offset by which some row (or column) that is sent reaches one of the tile."""
        target = tile[0] + self.rng.randrange(tile[1])
        source = (target * stride + self.rng.randrange(kernel) * dilation - pad) // up
        return max(source - self.rng.randint(*sent), -sent[0])

    def _outputs(self) -> None:
        """Graph outputs, and an end for potentials that no one takes. Two steps may share one, side by side."""
        for node in self.nodes:
            if not isinstance(node, StepSpec):
                continue
            idle = not node.sends
            if (idle and self.chance(0.8)) or self.chance(0.15):
                varies = not node.record.last and self.chance(0.7)
                if self.chance(0.2):
                    self._window_to_edge(node, varies)
                else:
                    node.to_edge(varies)

    def _window_to_edge(self, node: StepSpec, varies: bool) -> None:
        """Two halves of a step's channels beside one another in x, which one output takes."""
        (y, _), (x, _), (c, _) = node.extent()
        tile = node.tile.record
        half = (tile.channels + 1) // 2
        kind = fw.COUNTS if node.record.kind == fw.FIRE else fw.POTENTIALS
        output = self.chip.output(tile.rows, 2 * tile.columns, half, kind=kind, varies=varies)
        node.to(output, c=(c, c + half - 1), offset=(-y, -x, -c))
        if tile.channels > half:
            windows = {"c": (c + half, c + tile.channels - 1)}
            node.to(output, offset=(-y, tile.columns - x, -c - half), **windows)


def _is_input(node: Sender) -> bool:
    return isinstance(node, InputSpec)


def _kind(node: Sender) -> int:
    if isinstance(node, InputSpec):
        return node.record.kind
    assert isinstance(node, StepSpec)
    return fw.COUNTS if node.record.kind == fw.FIRE else fw.POTENTIALS
