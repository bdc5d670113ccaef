"""Cuts places into tiles: rows, columns and channels, never input channels (partial sums do not travel).

A tile must fit a core by itself. Beyond that, places get tiles in proportion to the square root of their work: with a
given number of tiles in all, that is least when the times of places, work / tiles, add up (they follow one another).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from pyspike.chip.config import Chip
from pyspike.chip.dataflow import Dataflow, Edge, HostInput, Place, Step
from pyspike.chip.firmware import BITWISE, CODINGS, MAX, POTENTIALS, UNARY
from pyspike.errors import ChipError

COUNT_DENSITY, PIXEL_DENSITY = 0.12, 0.95
"""Shares of counts and of host inputs that are not 0, where nobody has measured them: estimates for planning alone."""

SHIFT_BITS, CONSTANT_BITS = 5, 32
MIN_SITES = 16
"""Tiles are not cut smaller for speed: borders and tokens would cost more than they bring."""

Window = tuple[int, int, int, int, int, int]
"""Inclusive: y low, y high, x low, x high, channel low, channel high."""


@dataclass(eq=False)
class TileSpec:
    """A block of a place. `index` numbers the tiles of a pass."""

    place: Place
    y: int
    x: int
    rows: int
    columns: int
    channel: int
    channels: int
    index: int = 0

    @property
    def name(self) -> str:
        """For reports and errors."""
        rows, columns = f"{self.y}..{self.y + self.rows - 1}", f"{self.x}..{self.x + self.columns - 1}"
        last = self.channel + self.channels - 1
        return f"{self.place.name} (rows {rows}, columns {columns}, channels {self.channel}..{last})"

    def words(self, lanes: int) -> int:
        """Potential words of the accumulators."""
        return self.rows * self.columns * -(-self.channels // lanes)

    @property
    def window(self) -> Window:
        """The tile's block."""
        return (
            self.y, self.y + self.rows - 1, self.x, self.x + self.columns - 1,
            self.channel, self.channel + self.channels - 1,
        )  # fmt: skip


@dataclass
class Needs:
    """What a tile takes of a core: words of potentials, bits of weights by the block's key, bits of constants."""

    potential: int
    constants: int
    weights: dict[str, int] = field(default_factory=dict)

    @property
    def weight_bits(self) -> int:
        """All of its weight SRAM."""
        return self.constants + sum(self.weights.values())


def needs(tile: TileSpec, lanes: int, weight_bits: int) -> Needs:
    """What `tile` takes of a core."""
    words = -(-tile.channels // lanes)
    place = tile.place
    constants = sum(_constants(step, tile.channels) for step in place.steps)
    found = Needs(tile.words(lanes) * (1 + place.membranes), constants * CONSTANT_BITS)
    for step in place.steps:
        for edge in step.edges:
            synapses = edge.synapses
            if synapses.weight is not None:
                block = synapses.kernel[0] * synapses.kernel[1] * synapses.inputs * words * lanes * weight_bits
                found.weights[block_key(edge, tile)] = block + words * lanes * SHIFT_BITS
    return found


def block_key(edge: Edge, tile: TileSpec) -> str:
    """Names a block of weights: tiles of one core that name the same block share it."""
    return f"{edge.synapses.digest}/{edge.synapses.channel}/{tile.channel}/{tile.channels}"


def needed(edge: Edge, tile: TileSpec) -> Window | None:
    """The events of the source that reach `tile`, in the source's coordinates; None where there are none."""
    s = edge.synapses
    low, high = [0, 0], [0, 0]
    for axis, (first, size) in enumerate(((tile.y, tile.rows), (tile.x, tile.columns))):
        up, reach = s.upsample[axis], (s.kernel[axis] - 1) * s.dilation[axis]
        start = first * s.stride[axis] - s.padding[axis]
        end = (first + size - 1) * s.stride[axis] - s.padding[axis] + reach
        low[axis] = max(edge.window[2 * axis], -((up - 1 - start) // up))
        high[axis] = min(edge.window[2 * axis + 1], end // up)
    channels = _channels(edge, tile)
    if channels is None or low[0] > high[0] or low[1] > high[1]:
        return None
    return low[0], high[0], low[1], high[1], channels[0], channels[1]


def estimated_events(edge: Edge, window: Window) -> float:
    """How many events of `window` are expected."""
    density = 1.0 if is_potential(edge) else PIXEL_DENSITY if isinstance(edge.source, HostInput) else COUNT_DENSITY
    y0, y1, x0, x1, c0, c1 = window
    return density * (y1 - y0 + 1) * (x1 - x0 + 1) * (c1 - c0 + 1)


def is_potential(edge: Edge) -> bool:
    """Whether an edge loads potentials."""
    return isinstance(edge.source, HostInput) and edge.source.kind == POTENTIALS


def work(tile: TileSpec, lanes: int, coding: int) -> float:
    """Expected cycles of the engine and the fire unit over one timestep."""
    total = 0.0
    for step in tile.place.steps:
        fired = COUNT_DENSITY if step.ladder is not None else 1.0
        total += tile.words(lanes) + fired * tile.rows * tile.columns * tile.channels * max(len(step.readers), 1)
        for edge in step.edges:
            window = needed(edge, tile)
            if window is not None:
                total += estimated_events(edge, window) * issues(edge, tile, lanes, coding)
    return total


def issues(edge: Edge, tile: TileSpec, lanes: int, coding: int) -> float:
    """Expected issues of one event."""
    s = edge.synapses
    taps = 1.0
    for axis in (0, 1):
        taps *= max(s.kernel[axis] / s.stride[axis], 1.0) * s.upsample[axis]
    sites = tile.place.canvas[0] * tile.place.canvas[1]
    words = 1 if tile.place.mode == MAX or s.load else -(-min(s.outputs, tile.channels) // lanes)
    return min(taps, sites) * words * (1.0 if s.load else _repeats(edge, tile.place.mode, coding))


def tile_network(dataflow: Dataflow, chip: Chip, weight_bits: int, per_core: float) -> list[TileSpec]:
    """All tiles of a pass, place by place, about `per_core` for each core, and as few as fit where that is 0.

    Raises `ChipError` for a place of which no tile fits a core.
    """
    coding = CODINGS.index(chip.coding)
    loads = [work(whole(place), chip.lanes, coding) for place in dataflow.places]
    budget = per_core * chip.cores
    unit = sum(math.sqrt(load) for load in loads) / budget if budget else 0.0
    tiles: list[TileSpec] = []
    for place, load in zip(dataflow.places, loads, strict=True):
        wanted = max(1, round(math.sqrt(load) / unit)) if unit else 1
        tiles += cut(place, chip, weight_bits, wanted)
    for index, tile in enumerate(tiles):
        tile.index = index
    return tiles


def whole(place: Place) -> TileSpec:
    """The place as one tile."""
    rows, columns, channels = place.canvas
    return TileSpec(place, 0, 0, rows, columns, 0, channels)


def cut(place: Place, chip: Chip, weight_bits: int, wanted: int) -> list[TileSpec]:
    """`place` as at least `wanted` tiles that fit, fewer where they would get tiny; the fewest, then least halo."""
    best: tuple[tuple[float, ...], tuple[int, int, int]] | None = None
    for grid in _grids(place, chip.lanes):
        size = _block(place, grid, chip.lanes)
        sample = TileSpec(place, 0, 0, size[0], size[1], 0, size[2])
        found = needs(sample, chip.lanes, weight_bits)
        if found.potential > chip.potential_words or found.weight_bits > chip.weight_capacity:
            continue
        count = _count(place, size)
        # The host sends row by row: at any time it feeds one band of rows, so only columns and channels work at once.
        abreast = count // -(-place.canvas[0] // size[0]) if _fed_by_host(place) else count
        tiny = count > 1 and size[0] * size[1] < MIN_SITES and count > wanted
        key = (float(max(wanted - abreast, 0) or tiny), float(count), _traffic(place, sample, count), float(grid[2]))
        if best is None or key < best[0]:
            best = key, size
    if best is None:
        raise _too_large(place, chip, weight_bits)
    return list(_blocks(place, best[1]))


def _fed_by_host(place: Place) -> bool:
    return any(isinstance(edge.source, HostInput) for step in place.steps for edge in step.edges)


def _grids(place: Place, lanes: int) -> Iterator[tuple[int, int, int]]:
    rows, columns, channels = place.canvas
    words = -(-channels // lanes)
    for r in _divisions(rows):
        for c in _divisions(columns):
            for k in _divisions(words):
                yield r, c, k


def _divisions(size: int) -> list[int]:
    """Numbers of parts that give parts of different sizes."""
    return [parts for parts in range(1, size + 1) if parts == 1 or -(-size // parts) < -(-size // (parts - 1))]


def _block(place: Place, grid: tuple[int, int, int], lanes: int) -> tuple[int, int, int]:
    rows, columns, channels = place.canvas
    words = -(-channels // lanes)
    return -(-rows // grid[0]), -(-columns // grid[1]), min(-(-words // grid[2]) * lanes, channels)


def _count(place: Place, size: tuple[int, int, int]) -> int:
    return math.prod(-(-whole // part) for whole, part in zip(place.canvas, size, strict=True))


def _traffic(place: Place, sample: TileSpec, count: int) -> float:
    """Events that all tiles together receive, halo and channel copies included."""
    events = 0.0
    for step in place.steps:
        for edge in step.edges:
            s = edge.synapses
            sites = 1.0
            for axis, size in enumerate((sample.rows, sample.columns)):
                reach = (size - 1) * s.stride[axis] + (s.kernel[axis] - 1) * s.dilation[axis] + 1
                sites *= min(reach / s.upsample[axis], edge.window[2 * axis + 1] - edge.window[2 * axis] + 1)
            grouped = s.outputs < place.canvas[2] or s.load or place.mode == MAX
            events += sites * (sample.channels if grouped else edge.high - edge.low)
    return events * count


def _blocks(place: Place, size: tuple[int, int, int]) -> Iterator[TileSpec]:
    rows, columns, channels = place.canvas
    for y in range(0, rows, size[0]):
        for x in range(0, columns, size[1]):
            for c in range(0, channels, size[2]):
                yield TileSpec(
                    place, y, x, min(size[0], rows - y), min(size[1], columns - x), c, min(size[2], channels - c)
                )


def _channels(edge: Edge, tile: TileSpec) -> tuple[int, int] | None:
    """Channels of the source whose group has outputs in the tile."""
    s = edge.synapses
    first, last = tile.channel, tile.channel + tile.channels - 1
    if s.load or tile.place.mode == MAX:
        low, high = first, last
    else:
        low = max(first - s.channel, 0) // s.outputs * s.inputs
        high = ((last - s.channel) // s.outputs + 1) * s.inputs - 1
        if last < s.channel:
            return None
    low, high = max(low - edge.dc, edge.low), min(high - edge.dc, edge.high - 1)
    return (low, high) if low <= high else None


def _constants(step: Step, channels: int) -> int:
    count = 0
    if step.ladder is not None:
        count += step.ladder.shape[1] * (channels if len(step.ladder) > 1 else 1)
    if step.bias is not None:
        count += channels
    if step.membrane is not None and step.membrane.reset is not None:
        count += len(step.membrane.reset)
    return count


def _repeats(edge: Edge, mode: int, coding: int) -> float:
    """Mean repeats of an event that is not 0, values taken as equally likely."""
    greatest = edge.source.greatest if isinstance(edge.source, HostInput) else edge.source.count
    if mode == MAX:
        return 1.0
    values = range(1, max(greatest, 1) + 1)
    if coding == UNARY:
        return sum(values) / len(values)
    return sum(value.bit_count() for value in values) / len(values) if coding == BITWISE else 1.0


def _too_large(place: Place, chip: Chip, weight_bits: int) -> ChipError:
    least = TileSpec(place, 0, 0, 1, 1, 0, min(chip.lanes, place.canvas[2]))
    found = needs(least, chip.lanes, weight_bits)
    return ChipError(
        f"no tile of {place.name!r} fits a core: one site and {least.channels} channels need {found.potential} words "
        f"of potentials and {found.weight_bits} bits of weights; a core has {chip.potential_words} and "
        f"{chip.weight_capacity}. Give the chip more SRAM, or the weights fewer bits"
    )
