"""Published training checkpoints (.pt) without running their code.

The detectors' trainers save whole pickled modules, which `torch.load(weights_only=True)` refuses and plain unpickling
would execute. Here nothing of a file is ever called. Three steps, each of which refuses what it does not know:

1. The zip archive: uncompressed, one pickle and one member a storage, sizes that add up to the file's own.
2. The pickle: its opcodes are looked through first, then it is read with stand-ins for every class and function. They
   only keep what they are given; `OrderedDict` and `set` are the only real ones.
3. Tensors are made of those records, each within the storage that it names.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import pickletools
import re
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pyspike.errors import ModelFormatError

Progress = Callable[[int, int], None]

LARGEST_PICKLE = 8 << 20  # bytes; that of the largest published network has a tenth of them
LARGEST_TUPLE = 1000  # values, those of tuples within it counted each time that they are named
MOST_MODULES = 100_000
DEEPEST_MODULE = 64
MOST_SHARING = 16  # times that the tensors may hold what the file holds, by sharing storages

_STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_REAL: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("builtins", "set"): set,
    ("__builtin__", "set"): set,
}
_TENSOR, _PARAMETER = ("torch._utils", "_rebuild_tensor_v2"), ("torch._utils", "_rebuild_parameter")
# What checkpoints mention beside modules; stand-ins like all others.
_VALUES = {
    _TENSOR,
    _PARAMETER,
    *(("torch", name) for name in (*_STORAGES, "Size", "device", "float16", "float32")),
    *((f"numpy.{core}.multiarray", "scalar") for core in ("core", "_core")),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
    ("types", "SimpleNamespace"),
    ("pathlib", "PosixPath"),
    ("pathlib", "WindowsPath"),
}
_MODULES = ("ultralytics.", "torch.nn.modules.", "spikingjelly.")
_OPCODES = frozenset(
    "PROTO FRAME STOP MARK POP NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT BINUNICODE SHORT_BINUNICODE "
    "BINBYTES SHORT_BINBYTES EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST APPEND APPENDS EMPTY_DICT SETITEM "
    "SETITEMS EMPTY_SET ADDITEMS GLOBAL STACK_GLOBAL REDUCE NEWOBJ BUILD BINPERSID BINPUT LONG_BINPUT BINGET "
    "LONG_BINGET MEMOIZE".split()
)


@dataclass(frozen=True)
class PublishedModule:
    """A module of the published network: `kind` is its class, `values` its attributes, both as the file states them."""

    kind: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Checkpoint:
    """A published file. tensors: by the names of its state dict, in their own dtypes. modules: by name, none for a
    plain state dict. sha256: of the file.
    """

    tensors: dict[str, Tensor]
    modules: dict[str, PublishedModule]
    sha256: str


def read_published(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The tensors of `read_checkpoint`."""
    return read_checkpoint(path).tensors


def read_checkpoint(path: str | os.PathLike[str], progress: Progress | None = None) -> Checkpoint:
    """Read a published detector's .pt file (the zip format of torch.save); no code of the file runs.

    Takes the averaged model (`ema`) where there is one, else `model` or `state_dict`; a plain state dict is taken as it
    is. progress(done, of) counts tensors. Raises `ModelFormatError` for a file that is none of these, that is damaged,
    that claims more than it holds, or that asks for anything but modules and tensors; FileNotFoundError where there is
    none.
    """
    with Path(path).open("rb") as file:
        try:
            return _read(file, progress)
        except ModelFormatError as error:
            raise ModelFormatError(f"{path}: {error}") from None
        except Exception as error:  # a broken zip or pickle fails in many ways
            raise ModelFormatError(f"{path} is no PyTorch checkpoint: {type(error).__name__}: {error}") from error


def _read(file: io.BufferedReader, progress: Progress | None) -> Checkpoint:
    digest = hashlib.file_digest(file, "sha256").hexdigest()
    archive = _Archive(file)
    pickled = archive.read("data.pkl", LARGEST_PICKLE)
    check_opcodes(pickled)
    source = _weights(_Unpickler(io.BytesIO(pickled), archive).load())
    modules: dict[str, PublishedModule] = {}
    records = dict(_records(source, modules))
    tensors = _Tensors(archive)
    made = {}
    for done, (name, record) in enumerate(records.items()):
        made[name] = tensors.make(name, record)
        if progress is not None:
            progress(done + 1, len(records))
    return Checkpoint(made, modules, digest)


class _Archive:
    """What torch.save writes: an uncompressed zip of one pickle and one member a storage, in one folder."""

    def __init__(self, file: io.BufferedReader) -> None:
        size = file.seek(0, io.SEEK_END)
        try:
            self._zip = zipfile.ZipFile(file)
        except zipfile.BadZipFile as error:
            raise ModelFormatError(f"expected the zip format of torch.save: {error}") from None
        members = self._zip.infolist()
        self._members: dict[str, zipfile.ZipInfo] = {}
        for member in members:
            name = member.filename.partition("/")[2]
            if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
                raise ModelFormatError(f"{member.filename}: torch.save neither compresses nor encrypts, this is")
            if not re.fullmatch(r"data\.pkl|data/\d+|byteorder|version|\..+", name):
                raise ModelFormatError(f"{member.filename}: expected a pickle and storages alone, as torch.save writes")
            if name in self._members:
                raise ModelFormatError(f"{member.filename}: found twice")
            self._members[name] = member
        self.stored = sum(member.file_size for member in members)
        if self.stored > size:
            raise ModelFormatError(f"its members claim {self.stored:,} bytes, and the file has {size:,}")
        if "data.pkl" not in self._members:
            raise ModelFormatError("expected a member data.pkl, as torch.save writes; found none")
        if "byteorder" in self._members and self.read("byteorder", 16) != b"little":
            raise ModelFormatError("expected little-endian numbers")

    def read(self, name: str, most: int) -> bytes:
        member = self._members[name]
        if member.file_size > most:
            raise ModelFormatError(f"{member.filename}: expected at most {most:,} bytes, found {member.file_size:,}")
        return self._zip.read(member)

    def size(self, name: str) -> int | None:
        """Bytes of a member; None where there is none."""
        return self._members[name].file_size if name in self._members else None


def check_opcodes(pickled: bytes) -> None:
    """Refuse a pickle whose opcodes torch.save does not write, or that takes more memory or time than its length does.

    Raises `ModelFormatError`. Python's own reader would allocate what a length claims and fill gaps of its memo before
    it looks, and would hash a tuple of tuples of tuples, each named twice, for years.
    """
    scan = _Scan()
    try:
        for opcode, argument, at in pickletools.genops(pickled):
            if opcode.name not in _OPCODES:
                raise ModelFormatError(f"data.pkl: byte {at}: {opcode.name} is not what torch.save writes")
            scan.step(opcode, argument, at)
    except (ValueError, IndexError) as error:
        if isinstance(error, ModelFormatError):
            raise
        raise ModelFormatError(f"data.pkl is no complete pickle: {error}") from None


class _Scan:
    """The stack and memo of a pickle machine that holds nothing but how much there is to hash in each value."""

    def __init__(self) -> None:
        self._stack: list[int] = []
        self._marks: list[int] = []
        self._memo: list[int] = []

    def step(self, opcode: pickletools.OpcodeInfo, argument: Any, at: int | None) -> None:
        """What one opcode does; IndexError where the stack or memo has not what it needs."""
        if opcode.name == "MARK":
            self._marks.append(len(self._stack))
        elif opcode.name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self._keep(len(self._memo) if argument is None else argument, at)
        elif opcode.name in ("BINGET", "LONG_BINGET"):
            self._stack.append(self._memo[argument])
        else:
            taken = self._take(opcode.stack_before)
            weight = 1 + sum(taken) if opcode.name.startswith("TUPLE") else 1
            if weight > LARGEST_TUPLE:
                raise ModelFormatError(f"data.pkl: byte {at}: a tuple of more than {LARGEST_TUPLE:,} values")
            self._stack += [weight] * len(opcode.stack_after)

    def _keep(self, index: int, at: int | None) -> None:
        if index > len(self._memo):
            raise ModelFormatError(f"data.pkl: byte {at}: expected memo entry {len(self._memo)}, found {index}")
        self._memo[index : index + 1] = [self._stack[-1]]

    def _take(self, wanted: list[pickletools.StackObject]) -> list[int]:
        """Pop what an opcode takes: everything after the last mark, and so many values."""
        count = len(wanted)
        taken: list[int] = []
        if pickletools.markobject in wanted:
            count = wanted.index(pickletools.markobject)
            mark = self._marks.pop()
            taken, self._stack[mark:] = self._stack[mark:], []
        taken += [self._stack.pop() for _ in range(count)]
        return taken


class _StandIn:
    """Takes the place of a pickled object or call: keeps what it is given, does nothing."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):
            self.__dict__.update(state)

    @classmethod
    def origin(cls) -> tuple[str, str]:
        """Module and name of what it stands for."""
        return cls.__module__, cls.__name__


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: torch.dtype
    count: int


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, archive: _Archive) -> None:
        super().__init__(file)
        self._archive = archive

    def find_class(self, module: str, name: str) -> Any:
        """A stand-in of its own for every class and function that is known; what a file does to it, no other sees."""
        if (module, name) in _REAL:
            return _REAL[module, name]
        if (module, name) in _VALUES or (module.startswith(_MODULES) and name.isidentifier()):
            return type(name, (_StandIn,), {"__module__": module})
        raise ModelFormatError(f"it asks for {module}.{name}, which weights do not need; nothing was loaded")

    def persistent_load(self, pid: Any) -> _Storage:
        """torch.save names storages by ("storage", type, key, device, number of elements)."""
        if not (isinstance(pid, tuple) and len(pid) == 5 and pid[0] == "storage" and isinstance(pid[1], type)):
            raise ModelFormatError("expected the name of a storage: type, key, device and number of elements")
        _, kind, key, _, count = pid
        dtype = _STORAGES.get(kind.__name__) if kind.__module__ == "torch" else None
        if dtype is None:
            raise ModelFormatError(f"{kind.__module__}.{kind.__name__} is no storage; known: {', '.join(_STORAGES)}")
        if not (isinstance(key, str) and re.fullmatch(r"[0-9]{1,9}", key) and type(count) is int):
            raise ModelFormatError("expected a storage with a number for a name and a number of elements")
        found = self._archive.size(f"data/{key}")
        if count < 0 or found != count * dtype.itemsize:
            raise ModelFormatError(
                f"storage {key}: claims {_few(count)} elements of {dtype}, the file has {found} bytes"
            )
        return _Storage(key, dtype, count)


def _weights(content: Any) -> Any:
    """The module or dict that holds the tensors."""
    if not isinstance(content, dict):
        if isinstance(content, _StandIn):
            return content
        raise ModelFormatError(f"expected a dict of a trainer or of tensors, found {type(content).__name__}")
    for key in ("ema", "model", "state_dict"):
        if content.get(key) is not None:
            return content[key]
    return content


def _few(number: int) -> str:
    """A number from the file for a message, which Python would refuse to write out beyond some thousand digits."""
    return f"{number:,}" if abs(number) < 1 << 64 else "more than 2^64"


def _is_tensor(value: Any) -> bool:
    return isinstance(value, _StandIn) and value.origin() in (_TENSOR, _PARAMETER)


def _records(source: Any, modules: dict[str, PublishedModule]) -> Iterator[tuple[str, _StandIn]]:
    """Name and record of every tensor; `modules` is filled on the way."""
    found = 0
    if isinstance(source, dict):
        for name, value in source.items():
            if not isinstance(name, str) or not _is_tensor(value):
                raise ModelFormatError("expected tensors under 'ema' or 'model', or a plain state dict; found neither")
            found += 1
            yield name, value
    elif isinstance(source, _StandIn) and not _is_tensor(source):
        for name, value in _walk(source, "", 0, modules):
            found += 1
            yield name, value
    if not found:
        raise ModelFormatError("expected tensors under 'ema' or 'model', or a plain state dict; found neither")


def _walk(
    module: _StandIn, prefix: str, depth: int, modules: dict[str, PublishedModule]
) -> Iterator[tuple[str, _StandIn]]:
    """Parameters, buffers that are saved, and those of submodules, as `nn.Module.state_dict` names them."""
    if depth > DEEPEST_MODULE or len(modules) >= MOST_MODULES:
        raise ModelFormatError(
            f"expected at most {MOST_MODULES:,} modules, {DEEPEST_MODULE} within each other; found more"
        )
    state = vars(module)
    plain = {key: value for key, value in state.items() if not key.startswith("_") and key != "arguments"}
    modules[prefix.removesuffix(".")] = PublishedModule(".".join(module.origin()), plain)
    left_out = state.get("_non_persistent_buffers_set")
    for name, value in (*_entries(state, "_parameters"), *_entries(state, "_buffers")):
        if _is_tensor(value) and not (isinstance(left_out, set) and name in left_out):
            yield prefix + name, value
    for name, child in _entries(state, "_modules"):
        if isinstance(child, _StandIn):
            yield from _walk(child, f"{prefix}{name}.", depth + 1, modules)


def _entries(state: Mapping[str, Any], key: str) -> list[tuple[str, Any]]:
    found = state.get(key)
    if found is None:
        return []
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise ModelFormatError(f"{key} of a module: expected a dict by names, found {type(found).__name__}")
    return list(found.items())


class _Tensors:
    """Makes tensors of records, every storage and every record once."""

    def __init__(self, archive: _Archive) -> None:
        self._archive = archive
        self._storages: dict[str, Tensor] = {}
        self._bytes = 0

    def make(self, name: str, record: _StandIn) -> Tensor:
        """The tensor of a record, of its own dtype and shape; `ModelFormatError` where it does not fit its storage."""
        while record.origin() == _PARAMETER and record.arguments and _is_tensor(record.arguments[0]):
            record = record.arguments[0]
        if record.origin() != _TENSOR or len(record.arguments) < 4 or not isinstance(record.arguments[0], _Storage):
            raise ModelFormatError(f"{name}: expected a tensor of a storage, found something else")
        storage, offset, size, stride = record.arguments[:4]
        if not (isinstance(size, tuple) and isinstance(stride, tuple) and len(size) == len(stride) <= 8):
            raise ModelFormatError(f"{name}: expected a shape of at most 8 axes, and a stride for each")
        if not all(type(n) is int and n >= 0 for n in (offset, *size, *stride)):
            raise ModelFormatError(f"{name}: expected whole numbers for offset, shape and strides, none negative")
        elements, last = 1, offset
        for n, step in zip(size, stride, strict=True):
            elements, last = elements * n, last + (n - 1) * step
        if elements and (last >= storage.count or elements > storage.count):
            raise ModelFormatError(
                f"{name}: shape ({', '.join(map(_few, size))}) does not fit its storage of {storage.count:,} elements"
            )
        self._bytes += elements * storage.dtype.itemsize
        if self._bytes > MOST_SHARING * self._archive.stored:
            raise ModelFormatError(f"{name}: its tensors claim over {MOST_SHARING} times what the file holds")
        if not elements:
            return torch.empty(size, dtype=storage.dtype)
        return self._storage(storage).as_strided(size, stride, offset)

    def _storage(self, storage: _Storage) -> Tensor:
        if storage.key not in self._storages:
            content = bytearray(self._archive.read(f"data/{storage.key}", self._archive.stored))
            self._storages[storage.key] = torch.frombuffer(content, dtype=torch.uint8)
        return self._storages[storage.key].view(storage.dtype)
