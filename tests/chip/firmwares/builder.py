"""Firmware made by hand: says what a test is about and leaves the records to `build`.

    chip = Builder(mesh=(1, 1))
    fire = chip.tile(core=0, rows=4, columns=4, channels=16).fire([1])
    conv = fire.port(kernel=(3, 3), padding=(1, 1), inputs=16, outputs=16)
    chip.input(4, 4, 16).to(conv)
    fire.to_edge()
    firmware = chip.build()

Producers, counts of ENDs, first numbers, addresses and (unless given) step numbers follow from that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyspike.chip import firmware as fw

Window = tuple[int, int]


@dataclass(eq=False)
class OutputSpec:
    """One graph output."""

    record: fw.Output


@dataclass(eq=False)
class Sender:
    """A step or an input: whatever has destinations."""

    chip: Builder
    number: int | None = None
    sends: list[tuple[PortSpec | OutputSpec, fw.Destination]] = field(default_factory=list)

    def extent(self) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
        """(first, last) row, column and channel of what it can send."""
        raise NotImplementedError

    def to(
        self,
        target: PortSpec | OutputSpec,
        *,
        y: Window = (0, 1023),
        x: Window = (0, 1023),
        c: Window = (0, 16383),
        offset: tuple[int, int, int] = (0, 0, 0),
    ) -> Sender:
        """Adds a destination; towards an output, `offset` is relative to the output's own channels."""
        self.sends.append((target, fw.Destination(fw.EDGE, fw.EDGE_PORT, *y, *x, *c, *offset)))
        return self


@dataclass(eq=False)
class PortSpec:
    """A port of a step's group. Weights are [words, lanes], or None for ones; shifts [W, lanes], or None for zeros."""

    step: StepSpec
    record: fw.Port
    weights: NDArray[np.int8] | None = None
    shifts: NDArray[np.int8] | None = None
    shares: PortSpec | None = None  # a port of the same core whose weights and shifts begin with those of this one

    @property
    def has_weights(self) -> bool:
        return self.record.kind == fw.SYNAPSE and self.step.tile.record.mode == fw.ADD

    def words(self) -> int:
        """Number of weight words."""
        return self.record.kernel_y * self.record.kernel_x * self.record.inputs * self.step.tile.words


@dataclass(eq=False)
class StepSpec(Sender):
    """FIRE or OUTPUT of a tile, with the group before it. Constants are arrays until `build` places them."""

    tile: TileSpec = None  # type: ignore[assignment]
    record: fw.Step = field(default_factory=fw.Step)
    ladder: NDArray[np.int32] | None = None
    bias: NDArray[np.int32] | None = None
    reset: NDArray[np.int32] | None = None
    ports: list[PortSpec] = field(default_factory=list)

    def port(
        self,
        *,
        kernel: tuple[int, int] = (1, 1),
        stride: tuple[int, int] = (1, 1),
        padding: tuple[int, int] = (0, 0),
        dilation: tuple[int, int] = (1, 1),
        upsample: tuple[int, int] = (1, 1),
        inputs: int = 1,
        outputs: int = 1,
        channel: int = 0,
        coding: int = fw.BITWISE,
        weights: NDArray[np.int8] | None = None,
        shifts: NDArray[np.int8] | None = None,
        shares: PortSpec | None = None,
    ) -> PortSpec:
        """A synapse port, or one of pooling where the tile is of mode max."""
        record = fw.Port(
            fw.SYNAPSE, *kernel, *stride, *padding, *dilation, *upsample, inputs, outputs, channel, coding
        )  # fmt: skip
        self.ports.append(PortSpec(self, record, weights, shifts, shares))
        return self.ports[-1]

    def load(self) -> PortSpec:
        """A port that takes potentials."""
        self.ports.append(PortSpec(self, fw.Port(kind=fw.LOAD, coding=fw.UNARY)))
        return self.ports[-1]

    def to_edge(self, varies: bool = True) -> OutputSpec:
        """A graph output of its own for all that the step fires or outputs."""
        (y, _), (x, _), (c, _) = self.extent()
        tile = self.tile.record
        kind = fw.COUNTS if self.record.kind == fw.FIRE else fw.POTENTIALS
        output = self.chip.output(tile.rows, tile.columns, tile.channels, kind=kind, varies=varies)
        self.to(output, offset=(-y, -x, -c))
        return output

    def extent(self) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
        tile = self.tile.record
        return (
            (tile.y, tile.y + tile.rows - 1),
            (tile.x, tile.x + tile.columns - 1),
            (tile.channel, tile.channel + tile.channels - 1),
        )


@dataclass(eq=False)
class TileSpec:
    """A tile of a core; its program is the order in which steps are added."""

    chip: Builder
    core: int
    record: fw.Tile
    steps: list[StepSpec] = field(default_factory=list)

    @property
    def words(self) -> int:
        """Channel words of a site."""
        return -(-self.record.channels // self.chip.firmware.lanes)

    @property
    def size(self) -> int:
        """Potential words."""
        return self.record.rows * self.record.columns * self.words

    def fire(
        self,
        ladder: Sequence[int] | Sequence[Sequence[int]] | NDArray[np.int32],
        *,
        bias: Sequence[int] | NDArray[np.int32] | None = None,
        membrane: bool = False,
        leak: Sequence[tuple[int, int]] = (),
        guard: int = 0,
        reset: Sequence[int] | NDArray[np.int32] | None = None,
        hard: bool = False,
        clear: bool = True,
        last: bool = False,
        number: int | None = None,
    ) -> StepSpec:
        """FIRE by a ladder [D] or [channels][D]; `leak` is a list of (sign, shift)."""
        thresholds = np.asarray(ladder, dtype=np.int32)
        terms = [*leak, *[(0, 0)] * (3 - len(leak))]
        record = fw.Step(
            fw.FIRE, count=thresholds.shape[-1], per_channel=int(thresholds.ndim == 2), membrane=int(membrane),
            hard_reset=int(hard), guard=guard, leak_terms=len(leak), leak_sign=_triple(s for s, _ in terms),
            leak_shift=_triple(k for _, k in terms), clear=int(clear), last=int(last),
        )  # fmt: skip
        step = StepSpec(
            self.chip, number, tile=self, record=record, ladder=thresholds, bias=_int32(bias), reset=_int32(reset)
        )
        return self._add(step)

    def output(
        self,
        *,
        bias: Sequence[int] | NDArray[np.int32] | None = None,
        clear: bool = True,
        last: bool = False,
        number: int | None = None,
    ) -> StepSpec:
        """OUTPUT of the potentials."""
        record = fw.Step(fw.OUTPUT, clear=int(clear), last=int(last))
        return self._add(StepSpec(self.chip, number, tile=self, record=record, bias=_int32(bias)))

    def _add(self, step: StepSpec) -> StepSpec:
        self.steps.append(step)
        return step


@dataclass(eq=False)
class InputSpec(Sender):
    """One graph input."""

    record: fw.Input = field(default_factory=fw.Input)

    def extent(self) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
        return (0, self.record.height - 1), (0, self.record.width - 1), (0, self.record.channels - 1)


class Builder:
    """A chip (keywords are fields of `Firmware`) and what is placed on it."""

    def __init__(self, mesh: tuple[int, int] = (1, 1), **chip: Any) -> None:
        self.firmware = fw.Firmware(width=mesh[0], height=mesh[1], **chip)
        self.tiles: list[TileSpec] = []
        self.inputs: list[InputSpec] = []
        self.outputs: list[OutputSpec] = []

    def tile(
        self,
        core: int = 0,
        *,
        rows: int = 1,
        columns: int = 1,
        channels: int = 1,
        at: tuple[int, int, int] = (0, 0, 0),
        mode: int = fw.ADD,
    ) -> TileSpec:
        """A tile whose first row, column and channel are `at`."""
        y, x, channel = at
        self.tiles.append(TileSpec(self, core, fw.Tile(mode, y, x, rows, columns, channel, channels)))
        return self.tiles[-1]

    def input(
        self,
        height: int,
        width: int,
        channels: int,
        *,
        kind: int = fw.COUNTS,
        varies: bool = True,
        number: int | None = None,
    ) -> InputSpec:
        """A graph input."""
        record = fw.Input(0, kind, int(varies), height, width, channels)
        self.inputs.append(InputSpec(self, number, record=record))
        return self.inputs[-1]

    def output(
        self, height: int, width: int, channels: int, *, kind: int = fw.POTENTIALS, varies: bool = True
    ) -> OutputSpec:
        """A graph output."""
        first = sum(each.record.channels for each in self.outputs)
        self.outputs.append(OutputSpec(fw.Output(kind, int(varies), height, width, channels, first)))
        return self.outputs[-1]

    def senders(self) -> list[Sender]:
        """All inputs and steps."""
        return [*self.inputs, *(step for tile in self.tiles for step in tile.steps)]

    def build(self) -> fw.Firmware:
        """The firmware; call it once, when all is said."""
        from .records import finish  # the layout of records is a matter of its own

        return finish(self)


def _int32(values: Sequence[int] | NDArray[np.int32] | None) -> NDArray[np.int32] | None:
    return None if values is None else np.asarray(values, dtype=np.int32)


def _triple(values: Any) -> tuple[int, int, int]:
    first, second, third = values
    return first, second, third
