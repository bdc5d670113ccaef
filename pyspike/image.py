"""Reads and writes model images (.spk): the one description of every record.

docs/format.md explains the format; csrc/model/format.hpp repeats the numbers below for the C++ reader, and tests hold
both against this file. An image is little-endian and canonical: a graph has exactly one, and every byte has a meaning
that the reader checks. In order, each section starting at a multiple of 64 with zeros in the gaps:

    HEADER · MODEL · TENSOR x n · OP x n · PORT x n (inputs, outputs) · BLOB x n · words · strings · data · metadata
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pyspike import memory
from pyspike._files import write_whole
from pyspike.errors import Error, ModelFormatError
from pyspike.graph import MAX_RANK, Graph, Node, Phase, Port, Scale, Tensor
from pyspike.ops import BY_KIND, Conv2d, Linear, Op
from pyspike.packing import DEPTHWISE, PLAIN, ROWS, pack, packed_size, unpack

MAGIC = b"\x93SPK\r\n\x1a\n"
MAJOR, MINOR = 1, 0
MAX_TENSORS = 2**15
KIND_MODEL = 1

HEADER = struct.Struct("<8sHHIQQ32s")  # magic, major, minor, kind, file bytes, zero, SHA-256 of all bytes from 64 on
MODEL = struct.Struct("<8IIIQQQ")  # timesteps, max timesteps (0: any), tensors, ops, inputs, outputs, blobs, words;
#                                    bytes of strings, of metadata; bytes of data, arena, state
TENSOR = struct.Struct(
    "<IIBBH5iiIiiQQ"
)  # name at, length; rank, flags, zero; sizes; f, divisor; lo, hi (inputs); arena, zero
OP = struct.Struct("<HHHHIIIIQ")  # kind, inputs, blobs, phase; output; first word, words; first blob; zero
PORT = struct.Struct(
    "<IIIIIiHHI"
)  # name at, length; axes at, length; tensor; time axis (-1: none); merged, dtype; zero
BLOB = struct.Struct("<QBBBB5I")  # offset in data; dtype (0: absent), packing, rank, zero; sizes

TENSOR_TIME, TENSOR_PER_CHANNEL = 1, 2  # tensor flags: varies in time; has an f per channel (f is stored as 0)
BLOB_DTYPES: dict[int, np.dtype[Any]] = {1: np.dtype("<i1"), 2: np.dtype("<i4")}
PORT_DTYPES = {1: "uint8", 2: "int8", 3: "int16", 4: "int32"}
ALIGNMENT = memory.ALIGNMENT


@dataclass(frozen=True)
class _Blob:
    packing: int
    dims: tuple[int, ...]
    values: np.ndarray[Any, Any] | None

    def payload(self) -> bytes:
        return b"" if self.values is None else pack(self.values, self.packing, self.dims)


_BROKEN = (
    Error, ValueError, IndexError, KeyError, TypeError, OverflowError, struct.error, MemoryError, RecursionError,
)  # fmt: skip
"""What reading an impossible image may raise."""


def to_bytes(graph: Graph) -> bytes:
    """The image of `graph`; the same graph gives the same bytes on every machine."""
    nodes = [node for phase in Phase for node in graph.nodes_in(phase)]
    index = {name: i for i, name in enumerate(graph.tensors)}
    arena = memory.plan(graph)
    strings = _Strings()
    words: list[int] = []
    blobs: list[_Blob] = []
    tensors = b"".join(_tensor_record(graph, name, strings, arena.offsets[name]) for name in graph.tensors)
    ops = b""
    for node in nodes:
        attributes, arrays = _encode_fields(node.op)
        own = [index[name] for name in node.inputs] + attributes
        phase = int(graph.run_phase(node))
        ops += OP.pack(
            node.op.kind, len(node.inputs), len(arrays), phase, index[node.output], len(words), len(own), len(blobs), 0
        )
        words += own
        blobs += arrays
    ports = b"".join(_port_record(port, index, strings) for port in (*graph.inputs, *graph.outputs))
    records, data = _blob_section(blobs)
    metadata = json.dumps(graph.metadata, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    counts = (len(graph.tensors), len(nodes), len(graph.inputs), len(graph.outputs), len(blobs), len(words))
    model = MODEL.pack(
        graph.timesteps, graph.max_timesteps or 0, *counts, len(strings.data), len(metadata), len(data),
        arena.arena_bytes, arena.state_bytes,
    )  # fmt: skip
    word_bytes = np.asarray(words, dtype="<i4").tobytes()
    sections = [model, tensors, ops, ports, records, word_bytes, bytes(strings.data), data]
    body = b"".join(_padded(section) for section in sections) + metadata
    return HEADER.pack(MAGIC, MAJOR, MINOR, KIND_MODEL, 64 + len(body), 0, hashlib.sha256(body).digest()) + body


def write(graph: Graph, path: str | os.PathLike[str]) -> None:
    """Write the image of `graph` to a temporary file beside `path`, then rename it."""
    write_whole(path, to_bytes(graph))


def read(path: str | os.PathLike[str]) -> Graph:
    """The graph of an image file; `FileNotFoundError` where there is none, `ModelFormatError` where it breaks a
    rule.
    """
    target = Path(path)
    if target.is_dir():
        raise ModelFormatError(f"{target} is a directory, expected a model image (.spk)")
    try:
        return from_bytes(target.read_bytes())
    except ModelFormatError as error:
        raise ModelFormatError(f"{target}: {error}") from error


def from_bytes(data: bytes) -> Graph:
    """The graph of an image, re-inferred from its operators and checked against everything stored.

    Raises `ModelFormatError` for whatever is not the one image of the graph that it describes.
    """
    _check_header(data)
    try:
        graph = _Reader(data).graph()
        rewritten = to_bytes(graph)
    except ModelFormatError:
        raise
    except _BROKEN as error:
        raise ModelFormatError(f"broken model image: {error}") from error
    if rewritten[64:] != data[64:]:
        at = next(i for i, (a, b) in enumerate(zip(rewritten[64:], data[64:], strict=False)) if a != b) + 64
        raise ModelFormatError(f"not the canonical image of its graph: first difference at byte {at}")
    return graph


class _Strings:
    """Names, one after another."""

    def __init__(self) -> None:
        self.data = bytearray()

    def add(self, text: str) -> tuple[int, int]:
        encoded = text.encode()
        start = len(self.data)
        self.data += encoded
        return start, len(encoded)


def _padded(section: bytes) -> bytes:
    return section + bytes(-len(section) % ALIGNMENT)


def _tensor_record(graph: Graph, name: str, strings: _Strings, offset: int) -> bytes:
    tensor = graph.tensors[name]
    is_input = any(port.tensor == name for port in graph.inputs)
    f = tensor.scale.f
    flags = TENSOR_TIME * tensor.time | TENSOR_PER_CHANNEL * (not isinstance(f, int))
    sizes = (*tensor.shape, *[0] * (MAX_RANK - len(tensor.shape)))
    bounds = (tensor.lo, tensor.hi) if is_input else (0, 0)
    return TENSOR.pack(
        *strings.add(name), len(tensor.shape), flags, 0, *sizes, f if isinstance(f, int) else 0, tensor.scale.divisor,
        *bounds, offset, 0,
    )  # fmt: skip


def _port_record(port: Port, index: dict[str, int], strings: _Strings) -> bytes:
    dtype = next(code for code, name in PORT_DTYPES.items() if name == port.dtype)
    axis = -1 if port.time_axis is None else port.time_axis
    return PORT.pack(
        *strings.add(port.name), *strings.add(port.axes), index[port.tensor], axis, int(port.merged), dtype, 0
    )


def _encode_fields(op: Op) -> tuple[list[int], list[_Blob]]:
    words: list[int] = []
    blobs: list[_Blob] = []
    for field in dataclasses.fields(op):
        value = getattr(op, field.name)
        if "NDArray" in str(field.type):
            blobs.append(_blob(op, field.name, value))
        elif isinstance(value, tuple):
            words += [len(value), *value]
        else:
            words.append(int(value))
    return words, blobs


def _blob(op: Op, field: str, value: np.ndarray[Any, Any] | None) -> _Blob:
    if value is None:
        return _Blob(PLAIN, (), None)
    if field == "weight" and isinstance(op, Conv2d):
        out, kh, kw, inner = value.shape
        if op.depthwise:
            return _Blob(DEPTHWISE, (kh, kw, out), value)
        return _Blob(ROWS, (op.groups, out // op.groups, kh, kw, inner), value)
    if field == "weight" and isinstance(op, Linear):
        return _Blob(ROWS, (1, value.shape[0], 1, 1, value.shape[1]), value)
    return _Blob(PLAIN, value.shape, value)


def _blob_section(blobs: list[_Blob]) -> tuple[bytes, bytes]:
    records, data = b"", b""
    for blob in blobs:
        dtype = 0 if blob.values is None else 1 if blob.values.dtype == np.int8 else 2
        sizes = (*blob.dims, *[0] * (MAX_RANK - len(blob.dims)))
        records += BLOB.pack(len(data), dtype, blob.packing, len(blob.dims), 0, *sizes)
        data += _padded(blob.payload())
    return records, data


def _check_header(data: bytes) -> None:
    if len(data) < HEADER.size + MODEL.size:
        raise ModelFormatError(
            f"truncated model image: {len(data)} bytes, expected at least {HEADER.size + MODEL.size}"
        )
    magic, major, minor, kind, size, zero, digest = HEADER.unpack_from(data)
    if magic != MAGIC:
        raise ModelFormatError(f"not a model image: expected magic {MAGIC!r}, found {magic!r}")
    if major != MAJOR:
        raise ModelFormatError(
            f"model image of format version {major}.{minor}, this reader takes {MAJOR}.x: recompile it"
        )
    if kind != KIND_MODEL or zero != 0:
        raise ModelFormatError(f"expected a model image (kind {KIND_MODEL}), found kind {kind}")
    if size != len(data):
        raise ModelFormatError(f"truncated or extended model image: header says {size} bytes, found {len(data)}")
    if hashlib.sha256(data[64:]).digest() != digest:
        raise ModelFormatError("corrupted model image: its SHA-256 does not match its bytes")


class _Reader:
    """Cursor over the sections; every count is checked against the file's size before it is used."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        fields = MODEL.unpack_from(data, HEADER.size)
        self.timesteps, self.max_timesteps = fields[0], fields[1]
        if fields[2] > MAX_TENSORS:
            raise ModelFormatError(f"expected at most {MAX_TENSORS} tensors, found {fields[2]}")
        self.input_count, self.output_count = fields[4], fields[5]
        position = HEADER.size + MODEL.size
        ports = self.input_count + self.output_count
        sizes = [
            fields[2] * TENSOR.size, fields[3] * OP.size, ports * PORT.size, fields[6] * BLOB.size, fields[7] * 4,
            fields[8], fields[10],
        ]  # fmt: skip
        sections = []
        for size in sizes:
            sections.append(data[position : position + size])
            position += size + -size % ALIGNMENT
        if position + fields[9] != len(data):
            raise ModelFormatError(f"sections end at byte {position + fields[9]}, the file at {len(data)}")
        tensors, ops, port_bytes, blobs, words, self.strings, self.payload = sections
        self.tensor_records = list(TENSOR.iter_unpack(tensors))
        self.ops = list(OP.iter_unpack(ops))
        self.ports = list(PORT.iter_unpack(port_bytes))
        self.blobs = list(BLOB.iter_unpack(blobs))
        self.words = np.frombuffer(words, dtype="<i4").tolist()
        self.metadata = json.loads(data[position:] or b"{}")
        self.names = [self._text(record[0], record[1]) for record in self.tensor_records]

    def graph(self) -> Graph:
        graph = Graph(self.timesteps, self.max_timesteps or None, metadata=self.metadata)
        if self.timesteps < 1 or not isinstance(self.metadata, dict):
            raise ModelFormatError("timesteps must be positive and metadata an object")
        for record in self.ports[: self.input_count]:
            port = self._port(record)
            graph.add_input(port, self._input_tensor(record[4]))
        for record in self.ops:
            node = self._node(record)
            graph.add(node.op, node.inputs, node.output)
        for record in self.ports[self.input_count :]:
            graph.add_output(self._port(record))
        # Tensors are numbered as stored: a writer numbers inputs first, then nodes as they were added.
        graph.tensors = {name: graph.tensors[name] for name in self.names}
        return graph

    def _input_tensor(self, index: int) -> Tensor:
        record = self.tensor_records[index]
        rank, flags, sizes, f, divisor, lo, hi = record[2], record[3], record[5:10], *record[10:14]
        return Tensor(tuple(sizes[:rank]), lo, hi, Scale(f, divisor), bool(flags & TENSOR_TIME))

    def _port(self, record: tuple[Any, ...]) -> Port:
        name, axes = self._text(record[0], record[1]), self._text(record[2], record[3])
        time_axis = None if record[5] == -1 else record[5]
        return Port(name, self.names[record[4]], PORT_DTYPES[record[7]], axes, time_axis, bool(record[6]))

    def _node(self, record: tuple[Any, ...]) -> Node:
        kind, inputs, blobs, _, output, first_word, word_count, first_blob, _ = record
        words = self.words[first_word : first_word + word_count]
        if kind not in BY_KIND:
            raise ModelFormatError(f"unknown operator kind {kind}")
        op = self._decode_fields(BY_KIND[kind], words[inputs:], self.blobs[first_blob : first_blob + blobs])
        return Node(op, tuple(self.names[i] for i in words[:inputs]), self.names[output])

    def _decode_fields(self, cls: type[Op], words: list[int], blobs: list[tuple[Any, ...]]) -> Op:
        values: list[Any] = []
        at = used = 0
        for field in dataclasses.fields(cls):
            kind = str(field.type)
            if "NDArray" in kind:
                values.append(self._array(cls, blobs[used]))
                used += 1
            elif kind.startswith("tuple"):
                values.append(tuple(words[at + 1 : at + 1 + words[at]]))
                at += 1 + words[at]
            else:
                values.append(bool(words[at]) if kind == "bool" else words[at])
                at += 1
        return cls(*values)

    def _array(self, cls: type[Op], record: tuple[Any, ...]) -> np.ndarray[Any, Any] | None:
        offset, dtype, packing, rank, _ = record[:5]
        if dtype == 0:
            return None
        dims = record[5 : 5 + rank]
        size = packed_size(packing, dims, BLOB_DTYPES[dtype].itemsize)
        if offset + size > len(self.payload):
            raise ModelFormatError(f"array at {offset} of {size} bytes lies outside the data section")
        values = unpack(self.payload[offset : offset + size], packing, dims, BLOB_DTYPES[dtype])
        return values.reshape(values.shape[0], -1) if issubclass(cls, Linear) and packing == ROWS else values

    def _text(self, start: int, length: int) -> str:
        if start + length > len(self.strings):
            raise ModelFormatError(f"name at {start} lies outside the strings section")
        return self.strings[start : start + length].decode()
