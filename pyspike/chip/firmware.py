"""Reads and writes firmware images (.sfw): the one description of every record.

docs/firmware.md explains the format and docs/chip.md what the records mean; the C++ reader's structs are held against
the dataclasses below. Fields are 32-bit integers in the order in which they are declared here.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pyspike._files import write_whole
from pyspike.errors import ModelFormatError
from pyspike.image import ALIGNMENT, HEADER, MAGIC, MAJOR, MINOR

KIND_FIRMWARE = 2
EDGE = 0xFFFFFFFF
EDGE_PORT = 255
FIRE, OUTPUT = 0, 1
ADD, MAX = 0, 1
SYNAPSE, LOAD = 0, 1
COUNTS, POTENTIALS = 0, 1
UNARY, BITWISE, FOLDED = 0, 1, 2
CODINGS = ("unary", "bitwise", "folded")


@dataclass
class Core:
    """A core with tiles; `first_...` number the records of the sections, which follow one another core by core."""

    number: int = 0
    first_tile: int = 0
    tiles: int = 0
    first_port: int = 0
    ports: int = 0
    first_destination: int = 0
    destinations: int = 0
    first_constant: int = 0
    constants: int = 0
    first_shift: int = 0
    shifts: int = 0
    first_weight: int = 0
    weights: int = 0


@dataclass
class Tile:
    """Accumulators of a block of one tensor; `base` is the address of its first potential word."""

    mode: int = ADD
    y: int = 0
    x: int = 0
    rows: int = 1
    columns: int = 1
    channel: int = 0
    channels: int = 1
    base: int = 0
    first_step: int = 0
    steps: int = 0


@dataclass
class Step:
    """FIRE or OUTPUT and the group before it. `ladder`, `bias` - 1 and `reset` - 1 are constants of the core."""

    kind: int = FIRE
    number: int = 0
    count: int = 0
    ladder: int = 0
    per_channel: int = 0
    bias: int = 0
    membrane: int = 0
    reset: int = 0
    hard_reset: int = 0
    guard: int = 0
    leak_terms: int = 0
    leak_sign: tuple[int, int, int] = (0, 0, 0)
    leak_shift: tuple[int, int, int] = (0, 0, 0)
    clear: int = 0
    last: int = 0
    first_port: int = 0
    ports: int = 0
    ends: int = 0
    first_destination: int = 0
    destinations: int = 0


@dataclass
class Port:
    """An incoming edge: the geometry of a convolution and where its weights lie in the core."""

    kind: int = SYNAPSE
    kernel_y: int = 1
    kernel_x: int = 1
    stride_y: int = 1
    stride_x: int = 1
    top: int = 0
    left: int = 0
    dilation_y: int = 1
    dilation_x: int = 1
    upsample_y: int = 1
    upsample_x: int = 1
    inputs: int = 1
    outputs: int = 1
    channel: int = 0
    coding: int = BITWISE
    weight: int = 0
    shift: int = 0
    first_producer: int = 0
    producers: int = 0


@dataclass
class Destination:
    """An outgoing edge: inclusive windows in the sender's coordinates, and what is added to them on the way."""

    core: int = EDGE
    port: int = EDGE_PORT
    y_low: int = 0
    y_high: int = 1023
    x_low: int = 0
    x_high: int = 1023
    c_low: int = 0
    c_high: int = 16383
    dy: int = 0
    dx: int = 0
    dc: int = 0


@dataclass
class Producer:
    """Whom a group's READY goes to: a core (or `EDGE`, the host), and a destination counted from that core's first."""

    core: int = EDGE
    destination: int = 0


@dataclass
class Input:
    """A step of the host: one graph input, or a live tensor of the pass before."""

    number: int = 0
    kind: int = COUNTS
    varies: int = 1
    height: int = 1
    width: int = 1
    channels: int = 1
    first_destination: int = 0
    destinations: int = 0


@dataclass
class Output:
    """What leaves through the edge, under channels `channel` .. `channel` + channels - 1."""

    kind: int = POTENTIALS
    varies: int = 1
    height: int = 1
    width: int = 1
    channels: int = 1
    channel: int = 0


SIGNED = {"top", "left", "dy", "dx", "dc", "leak_sign"}
SECTIONS: tuple[tuple[str, type], ...] = (
    ("cores", Core), ("tiles", Tile), ("steps", Step), ("ports", Port), ("destinations", Destination),
    ("producers", Producer), ("inputs", Input), ("outputs", Output),
)  # fmt: skip
CHIP_FIELDS = (
    "width", "height", "lanes", "router_fifo", "out_fifo", "axon_fifo", "link_delay", "timesteps",
    "weight_bits", "weight_sram", "potential_sram", "port_table",
)  # fmt: skip
CHIP_WORDS = 32

Record = TypeVar("Record")


def _bytes() -> NDArray[np.int8]:
    return np.zeros(0, dtype=np.int8)


@dataclass
class Firmware:
    """One pass of a network on one chip. `constants` int32; `shifts` and `weights` int8 [words * lanes].

    Build it record by record, then `to_bytes`; nothing is checked before the image is read (`from_bytes`, or the
    simulator's own reader).
    """

    width: int = 1
    height: int = 1
    lanes: int = 16
    router_fifo: int = 4
    out_fifo: int = 16
    axon_fifo: int = 64
    link_delay: int = 0
    timesteps: int = 1
    weight_bits: int = 8
    weight_sram: int = 262144
    potential_sram: int = 131072
    port_table: int = 64
    cores: list[Core] = field(default_factory=list)
    tiles: list[Tile] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    ports: list[Port] = field(default_factory=list)
    destinations: list[Destination] = field(default_factory=list)
    producers: list[Producer] = field(default_factory=list)
    inputs: list[Input] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)
    constants: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, dtype=np.int32))
    shifts: NDArray[np.int8] = field(default_factory=_bytes)
    weights: NDArray[np.int8] = field(default_factory=_bytes)
    metadata: dict[str, Any] = field(default_factory=dict)

    def host_destination(self) -> int:
        """Number of the first destination of the host, behind those of all cores."""
        return sum(core.destinations for core in self.cores)


def to_bytes(firmware: Firmware) -> bytes:
    """The image of `firmware`."""
    metadata = json.dumps(firmware.metadata, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    counts = [len(getattr(firmware, name)) for name, _ in SECTIONS]
    words = [len(firmware.constants), len(firmware.shifts) // firmware.lanes, len(firmware.weights) // firmware.lanes]
    chip = [getattr(firmware, name) for name in CHIP_FIELDS] + counts + words + [len(metadata)]
    chip += [0] * (CHIP_WORDS - len(chip))
    sections = [np.array(chip, dtype="<u4").tobytes()]
    sections += [_pack(getattr(firmware, name)) for name, _ in SECTIONS]
    sections.append(np.asarray(firmware.constants, dtype="<i4").tobytes())
    sections.append(np.asarray(firmware.shifts, dtype=np.int8).tobytes())
    sections.append(np.asarray(firmware.weights, dtype=np.int8).tobytes())
    body = b"".join(section + bytes(-len(section) % ALIGNMENT) for section in sections) + metadata
    digest = hashlib.sha256(body).digest()
    return HEADER.pack(MAGIC, MAJOR, MINOR, KIND_FIRMWARE, HEADER.size + len(body), 0, digest) + body


def from_bytes(data: bytes) -> Firmware:
    """The firmware of an image.

    Raises `ModelFormatError` where the container is broken. What the records say is checked by the simulator's reader.
    """
    _check_header(data)
    chip = np.frombuffer(data, dtype="<u4", count=CHIP_WORDS, offset=HEADER.size).tolist()
    used = len(CHIP_FIELDS)
    counts = chip[used : used + len(SECTIONS)]
    constants, shifts, weights, metadata_bytes = chip[used + len(SECTIONS) : used + len(SECTIONS) + 4]
    firmware = Firmware(**dict(zip(CHIP_FIELDS, chip, strict=False)))
    at = HEADER.size + _aligned(CHIP_WORDS * 4)
    for (name, kind), count in zip(SECTIONS, counts, strict=True):
        size = count * words_of(kind) * 4
        setattr(firmware, name, _unpack(kind, _cut(data, at, size)))
        at += _aligned(size)
    arrays: list[NDArray[Any]] = []
    for count, dtype in ((constants * 4, "<i4"), (shifts * firmware.lanes, "i1"), (weights * firmware.lanes, "i1")):
        arrays.append(np.frombuffer(_cut(data, at, count), dtype=dtype).copy())
        at += _aligned(count)
    firmware.constants, firmware.shifts, firmware.weights = arrays
    try:
        firmware.metadata = json.loads(_cut(data, at, metadata_bytes) or b"{}")
    except ValueError as error:
        raise ModelFormatError(f"broken firmware image: its metadata is no JSON ({error})") from error
    if to_bytes(firmware)[HEADER.size :] != data[HEADER.size :]:
        raise ModelFormatError("not the canonical firmware image of what it describes")
    return firmware


def write(firmware: Firmware, path: str | os.PathLike[str]) -> None:
    """Write the image of `firmware` to a temporary file beside `path`, then rename it."""
    write_whole(path, to_bytes(firmware))


def read(path: str | os.PathLike[str]) -> Firmware:
    """The firmware of an image file; `FileNotFoundError` where there is none, `ModelFormatError` where it is broken."""
    with open(path, "rb") as file:  # noqa: PTH123 - a path-like is all that is needed
        return from_bytes(file.read())


def words_of(kind: type) -> int:
    """Number of 32-bit fields of a record."""
    return sum(3 if each.name.startswith("leak_s") else 1 for each in fields(kind))


def _aligned(size: int) -> int:
    return size + -size % ALIGNMENT


def _cut(data: bytes, at: int, size: int) -> bytes:
    if at + size > len(data):
        raise ModelFormatError(
            f"truncated firmware image: a section of {size} bytes at {at}, the file ends at {len(data)}"
        )
    return data[at : at + size]


def _pack(records: Sequence[Any]) -> bytes:
    words: list[int] = []
    for record in records:
        for each in fields(record):
            value = getattr(record, each.name)
            words += [int(x) & 0xFFFFFFFF for x in (value if isinstance(value, tuple) else (value,))]
    return np.array(words, dtype="<u4").tobytes()


def _unpack(kind: type[Record], data: bytes) -> list[Record]:
    unsigned = np.frombuffer(data, dtype="<u4").reshape(-1, words_of(kind)).tolist()
    signed = np.frombuffer(data, dtype="<i4").reshape(-1, words_of(kind)).tolist()
    records = []
    for plain, negative in zip(unsigned, signed, strict=True):
        values: list[Any] = []
        at = 0
        for each in fields(kind):  # type: ignore[arg-type]
            row = negative if each.name in SIGNED else plain
            if each.name.startswith("leak_s"):
                values.append(tuple(row[at : at + 3]))
                at += 3
            else:
                values.append(row[at])
                at += 1
        records.append(kind(*values))
    return records


def _check_header(data: bytes) -> None:
    if len(data) < HEADER.size + CHIP_WORDS * 4:
        raise ModelFormatError(f"truncated firmware image: {len(data)} bytes")
    magic, major, minor, kind, size, zero, digest = HEADER.unpack_from(data)
    if magic != MAGIC or kind != KIND_FIRMWARE or zero != 0:
        raise ModelFormatError(f"expected a firmware image (kind {KIND_FIRMWARE}), found magic {magic!r}, kind {kind}")
    if major != MAJOR:
        raise ModelFormatError(
            f"firmware image of format version {major}.{minor}, this reader takes {MAJOR}.x: map again"
        )
    if size != len(data):
        raise ModelFormatError(f"truncated or extended firmware image: header says {size} bytes, found {len(data)}")
    if hashlib.sha256(data[HEADER.size :]).digest() != digest:
        raise ModelFormatError("corrupted firmware image: its SHA-256 does not match its bytes")
