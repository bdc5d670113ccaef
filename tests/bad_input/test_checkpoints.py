"""Hostile and damaged checkpoints: each is a `ModelFormatError`, and nothing that they ask for is ever called."""

from __future__ import annotations

import copyreg
import io
import os
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pyspike.errors import ModelFormatError
from pyspike.models.published import read_checkpoint, read_published

FLOATS = b"ctorch\nFloatStorage\n"
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"


def text(value: str) -> bytes:
    encoded = value.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def number(value: int) -> bytes:
    """LONG1, which holds any."""
    encoded = pickle.encode_long(value)
    return b"\x8a" + bytes([len(encoded)]) + encoded


def numbers(*values: int) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"


def storage(kind: bytes = FLOATS, key: bytes = text("0"), count: bytes = number(4)) -> bytes:
    return b"(" + text("storage") + kind + key + text("cpu") + count + b"tQ"


def tensor(held: bytes = b"", offset: bytes = number(0), size: bytes = b"", stride: bytes = b"") -> bytes:
    held, size, stride = held or storage(), size or numbers(2, 2), stride or numbers(2, 1)
    return REBUILD + b"(" + held + offset + size + stride + b"\x89N" + b"tR"


def state_dict(value: bytes, name: bytes = b"") -> bytes:
    return b"\x80\x02}" + (name or text("a.weight")) + value + b"s."


def archive(pickled: bytes, members: dict[str, bytes] | None = None, compression: int = zipfile.ZIP_STORED) -> bytes:
    """What torch.save writes around a pickle; storage 0 holds the floats 0, 1, 2, 3."""
    written = {"data.pkl": pickled, "byteorder": b"little", "data/0": np.arange(4, dtype="<f4").tobytes()}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as made:
        for name, content in {**written, **(members or {}), "version": b"3\n"}.items():
            made.writestr(f"best/{name}", content)
    return file.getvalue()


@pytest.fixture
def read(tmp_path: Path) -> Callable[[bytes], dict[str, torch.Tensor]]:
    def reading(data: bytes) -> dict[str, torch.Tensor]:
        (tmp_path / "x.pt").write_bytes(data)
        return read_published(tmp_path / "x.pt")

    return reading


Read = Callable[[bytes], dict[str, torch.Tensor]]


def test_the_sound_one_is_read(read: Read) -> None:
    assert read(archive(state_dict(tensor())))["a.weight"].tolist() == [[0, 1], [2, 3]]


# Whatever a pickle can call to run a program, to reach further, or to load something else.
MARK = "__import__('os').mkdir({!r})"
CALLS = {
    "os.system": "touch {}", "posix.system": "touch {}", "subprocess.getoutput": "touch {}",
    "builtins.exec": MARK, "builtins.eval": MARK, "__builtin__.eval": MARK, "builtins.compile": MARK,
    "builtins.getattr": "{}", "builtins.__import__": "os", "operator.attrgetter": "system", "functools.partial": "{}",
    "io.open": "{}", "pickle.loads": "{}", "torch.load": "{}", "torch.hub.load": "{}", "torch.jit.load": "{}",
    "torch.storage._load_from_bytes": "{}", "numpy.load": "{}", "runpy.run_path": "{}",
    "pyspike.models.published.read_published": "{}",
}  # fmt: skip
# Names of stand-ins, taken from modules that are not theirs.
BORROWED = (
    "os.mem_update", "__main__.MS_GetT", "builtins.Conv2d", "torch.nn.Conv2d", "torch.HalfTensor", "collections.Size",
    "ultralytics_evil.DetectionModel", "xultralytics.nn.tasks.DetectionModel", "ultralytics.DetectionModel",
    "evil._rebuild_tensor_v2", "torch._utils._rebuild_wrapper_subclass", "codecs.encode", "evil.OrderedDict",
)  # fmt: skip


def calls(what: str, argument: str) -> Iterator[bytes]:
    """A pickle that calls `what` with a text, in the spellings of protocols 2 and 4, and as a state's object."""
    module, _, name = what.rpartition(".")
    plain = f"c{module}\n{name}\n".encode()
    stacked = b"\x8c" + bytes([len(module)]) + module.encode() + b"\x8c" + bytes([len(name)]) + name.encode() + b"\x93"
    for found in (plain, stacked):
        yield b"\x80\x04" + found + text(argument) + b"\x85R."
        yield b"\x80\x04}" + text("model") + found + text(argument) + b"\x85\x81s."


@pytest.mark.parametrize("what", [*CALLS, *BORROWED])
def test_nothing_is_called(what: str, read: Read, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    for pickled in calls(what, CALLS.get(what, "{}").format(str(mark))):
        with pytest.raises(ModelFormatError, match=what.replace(".", r"\.")):
            read(archive(pickled))
    assert not mark.exists()


@pytest.mark.parametrize("what", ["os.system", "builtins.exec", "builtins.eval", "posix.system"])
def test_plain_unpickling_would_have_called_it(what: str, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    pickle.loads(next(calls(what, CALLS[what].format(str(mark)))))
    assert mark.exists()


def test_what_is_known_is_not_called_either(read: Read, tmp_path: Path) -> None:
    """Known classes are stand-ins: arguments, states, and attributes that would change behaviour are only kept."""
    mark = tmp_path / "ran"
    hooks = b"}" + text("__setstate__") + text("os.system") + b"s"
    module = b"cultralytics.nn.tasks\nDetectionModel\n" + text(f"touch {mark}") + b"\x85R" + hooks + b"b"
    pickled = b"\x80\x02}" + text("model") + module + text("a") + tensor() + b"u."
    for data in (pickled, pickled.replace(b"\x85R", b"\x85\x81")):
        with pytest.raises(ModelFormatError):
            read(archive(data))
    assert not mark.exists()


def test_dotted_names_reach_nothing(read: Read) -> None:
    name = b"DetectionModel.__init__.__globals__"
    pickled = b"\x80\x04\x8c\x15ultralytics.nn.tasks " + b"\x8c" + bytes([len(name)]) + name + b"\x93)R."
    with pytest.raises(ModelFormatError, match="__globals__"):
        read(archive(pickled))


def test_registered_extensions_reach_nothing(read: Read) -> None:
    copyreg.add_extension("os", "system", 240)
    try:
        with pytest.raises(ModelFormatError, match="EXT1"):
            read(archive(b"\x80\x02\x82\xf0" + text("true") + b"\x85R."))
    finally:
        copyreg.remove_extension("os", "system", 240)


@pytest.mark.parametrize(
    ("pid", "match"),
    [
        (text("0") + b"Q", "name of a storage"),
        (b")Q", "name of a storage"),
        (storage().replace(text("storage"), text("module")), "name of a storage"),
        (b"(" + text("storage") + text("FloatStorage") + text("0") + text("cpu") + number(4) + b"tQ", "name of a stor"),
        (storage(kind=b"ccollections\nOrderedDict\n"), "no storage"),
        (storage(kind=b"ctorch.nn.modules.conv\nFloatStorage\n"), "no storage"),
        (storage(kind=b"ctorch\nSize\n"), "no storage"),
        (storage(kind=b"ctorch\nDoubleStorage\n"), "claims 4 elements"),
        (storage(key=text("../../secret")), "number for a name"),
        (storage(key=number(0)), "number for a name"),
        (storage(key=text("0") + text("1") + b"\x86"), "number for a name"),
        (storage(key=text("7")), "claims 4 elements"),
        (storage(count=number(3)), "claims 3 elements"),
        (storage(count=number(-4)), "claims -4"),
        (storage(count=number(2**62)), "claims 4,611"),
        (storage(count=number(10**300)), "more than 2"),
        (storage(count=b"G" + struct.pack(">d", 4.0)), "number of elements"),
        (storage(count=b"\x88"), "number of elements"),
        (b"P0\n", "PERSID"),
    ],
)
def test_odd_storages(pid: bytes, match: str, read: Read) -> None:
    with pytest.raises(ModelFormatError, match=match):
        read(archive(state_dict(tensor(pid))))


@pytest.mark.parametrize(
    ("made", "match"),
    [
        (tensor(size=numbers(3, 2)), "does not fit"),
        (tensor(offset=number(1)), "does not fit"),
        (tensor(offset=number(2**62)), "does not fit"),
        (tensor(size=numbers(10**12, 1), stride=numbers(0, 0)), "does not fit"),
        (tensor(size=numbers(2**40, 2**40), stride=numbers(1, 1)), "does not fit"),
        (tensor(size=numbers(2, 2), stride=numbers(-2, 1)), "none negative"),
        (tensor(size=numbers(-1, 2)), "none negative"),
        (tensor(offset=b"\x88"), "whole numbers"),
        (tensor(size=numbers(4), stride=numbers(1, 1)), "stride for each"),
        (tensor(size=numbers(*[1] * 9), stride=numbers(*[1] * 9)), "8 axes"),
        (tensor(size=text("22")), "stride for each"),
        (tensor(held=text("0")), "tensor of a storage"),
        (b"ctorch._utils\n_rebuild_parameter\n)R", "tensor of a storage"),
        (REBUILD + b")R", "tensor of a storage"),
        (REBUILD, "plain state dict"),
        (number(1), "plain state dict"),
    ],
)
def test_tensors_stay_within_their_storages(made: bytes, match: str, read: Read) -> None:
    with pytest.raises(ModelFormatError, match=match):
        read(archive(state_dict(made)))


def test_tensors_do_not_multiply_a_storage(read: Read) -> None:
    many = b"\x80\x02}(" + b"".join(text(str(i)) + tensor() for i in range(500)) + b"u."
    assert len(read(archive(many))) == 500  # small numbers: the pickle itself is larger
    large = {"data/0": bytes(4 * 10**6)}
    whole = tensor(storage(count=number(10**6)), size=numbers(10**6), stride=numbers(1))
    with pytest.raises(ModelFormatError, match="16 times"):
        read(archive(many.replace(tensor(), whole), large))


@pytest.mark.parametrize(
    ("pickled", "match"),
    [
        (b"\x80\x02r\xff\xff\xff\x7fN.", "memo"),  # 2^31 entries would be written before anything is read
        (b"\x80\x02Nr\x00\x00\x00\x00r\x05\x00\x00\x00.", "memo"),
        (b"\x80\x02X\xff\xff\xff\xffabc.", "no complete pickle"),
        (b"\x80\x03B\xff\xff\xff\x7fabc.", "no complete pickle"),
        (b"\x80\x04\x8d" + b"\xff" * 8 + b".", "BINUNICODE8|no complete"),
        (b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b".", "BINBYTES8|no complete"),
        (b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b".", "BYTEARRAY8|no complete"),
        (b"\x80\x02\x8b\xff\xff\xff\x7f.", "LONG4|no complete"),
        (b"\x80\x05\x97.", "NEXT_BUFFER"),
        (b"(S'ls'\nios\nsystem\n.", "STRING"),
        (b"(ios\nsystem\n.", "INST"),
        (b"\x80\x02(cos\nsystem\no.", "OBJ"),
        (b"\x80\x02}h\x05.", "no complete pickle"),
        (b"", "no complete pickle"),
        (b"\x80\x02", "no complete pickle"),
        (b"PK\x03\x04", "PERSID|no complete"),
    ],
)
def test_pickles_that_claim_or_do_too_much(pickled: bytes, match: str, read: Read) -> None:
    with pytest.raises(ModelFormatError, match=match):
        read(archive(pickled))


def test_keys_that_take_forever_to_hash(read: Read) -> None:
    """Tuples of two, each twice the one before: a hundred levels, which a dict would hash 2^100 times."""
    nested = b")q\x00" + b"".join(
        b"0h" + bytes([i]) + b"h" + bytes([i]) + b"\x86q" + bytes([i + 1]) for i in range(100)
    )
    for use in (b"N0}h\x64Ns.", b"0c__builtin__\nset\n](h\x64e\x85R.", b"0}(h\x64Nu."):
        with pytest.raises(ModelFormatError, match="tuple of more than 1,000"):
            read(archive(b"\x80\x02" + nested + use))
    wide = b"(" + b"K\x01" * 999 + b"tq\x00"
    assert read(archive(b"\x80\x02}(" + text("ema") + b"}" + text("a") + tensor() + b"s" + wide + b"Nu."))
    with pytest.raises(ModelFormatError, match="tuple of more than 1,000"):
        read(archive(b"\x80\x02}(" + wide + b"h\x00\x85Nu."))


def test_stacks_that_run_empty(read: Read) -> None:
    for pickled in (b"0.", b"t.", b"}s.", b"N\x86.", b"u.", b"(Nu.", b"q\x00.", b"h\x00.", b"R.", b"NR.", b"b.", b"."):
        with pytest.raises(ModelFormatError, match="no complete pickle"):
            read(archive(b"\x80\x02" + pickled))


def test_archives_within_archives(read: Read) -> None:
    inner = archive(state_dict(tensor()))
    for name in ("best.pt", "data.pkl", "data/inner.zip", "code/__torch__.py", "constants.pkl"):
        with pytest.raises(ModelFormatError):
            read(archive(state_dict(tensor()), {name: inner}))
    wrapped = io.BytesIO()
    with zipfile.ZipFile(wrapped, "w") as file:
        file.writestr("best/best.pt", inner)
    with pytest.raises(ModelFormatError, match=r"best\.pt"):
        read(wrapped.getvalue())
    # A storage whose bytes are a zip is numbers all the same.
    held = tensor(storage(b"ctorch\nByteStorage\n", count=number(len(inner))), size=numbers(4), stride=numbers(1))
    assert read(archive(state_dict(held), {"data/0": inner}))["a.weight"].tolist() == list(b"PK\x03\x04")


def test_other_zips(read: Read) -> None:
    with pytest.raises(ModelFormatError, match="compresses"):
        read(archive(state_dict(tensor()), {"data/1": bytes(10**6)}, zipfile.ZIP_DEFLATED))
    with pytest.raises(ModelFormatError, match="little-endian"):
        read(archive(state_dict(tensor()), {"byteorder": b"big"}))
    with pytest.raises(ModelFormatError, match="at most"):
        read(archive(state_dict(tensor()) + bytes(9 << 20)))
    twice = io.BytesIO(archive(state_dict(tensor())))
    with zipfile.ZipFile(twice, "a") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr("best/data.pkl", b"N.")
    with pytest.raises(ModelFormatError, match="twice"):
        read(twice.getvalue())
    empty = io.BytesIO()
    zipfile.ZipFile(empty, "w").close()
    with pytest.raises(ModelFormatError, match=r"a member data\.pkl"):
        read(empty.getvalue())


def test_sizes_that_the_directory_claims(read: Read) -> None:
    """The central directory's sizes of a member, raised; the archive has nothing of the kind."""
    sound = archive(state_dict(tensor()))
    at = sound.rindex(b"PK\x01\x02", 0, sound.index(b"best/data/0", sound.index(b"PK\x01\x02")))
    for size in (10**4, 10**6, 2**32 - 2):
        data = bytearray(sound)
        data[at + 20 : at + 28] = struct.pack("<II", size, size)
        with pytest.raises(ModelFormatError, match="its members claim"):
            read(bytes(data))


def test_modules_within_themselves(read: Read) -> None:
    module = b"ctorch.nn.modules.container\nSequential\n)Rq\x00"
    inside = b"}" + text("_modules") + b"}" + text("0") + b"h\x00ssb"
    with pytest.raises(ModelFormatError, match="64 within each other"):
        read(archive(b"\x80\x02}" + text("model") + module + inside + b"s."))


def test_truncated_anywhere(read: Read) -> None:
    sound = archive(state_dict(tensor()))
    for end in range(len(sound)):
        with pytest.raises(ModelFormatError):
            read(sound[:end])


@pytest.mark.parametrize("content", [b"", b"\0" * 4096, b"PK\x05\x06" * 99, os.urandom(5000), b"\x80\x02}q\x00."])
def test_garbage(content: bytes, read: Read) -> None:
    with pytest.raises(ModelFormatError, match=r"x\.pt"):
        read(content)


@given(st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), min_size=1, max_size=8))
def test_changed_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, changes: list) -> None:
    data = bytearray(archive(state_dict(tensor())))
    for at, value in changes:
        data[at % len(data)] = value
    path = tmp_path_factory.getbasetemp() / "changed.pt"
    path.write_bytes(data)
    try:
        found = read_checkpoint(path)
    except ModelFormatError:
        return
    assert all(isinstance(value, torch.Tensor) for value in found.tensors.values())
