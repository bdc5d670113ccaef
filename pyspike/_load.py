"""Brings a model image to where the C++ runtime reads it: memory that nobody else changes, aligned to 64 bytes."""

from __future__ import annotations

import mmap
import os
from io import FileIO
from pathlib import Path

from pyspike import _native
from pyspike.errors import ModelFormatError


def image_in(path: Path, in_place: bool) -> memoryview | mmap.mmap:
    """The file's bytes; `in_place`, where it lies. Raises what opening it does, `ModelFormatError` for a directory."""
    if path.is_dir():
        raise ModelFormatError(f"{path} is a directory, expected a model image (.spk)")
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if in_place and size > 0 else _read(file, size)


def copy_of(data: bytes | bytearray | memoryview) -> memoryview:
    """A copy of the bytes; `ModelFormatError` for a view of anything else."""
    view = memoryview(data)
    if view.ndim != 1 or view.itemsize != 1 or not view.contiguous:
        raise ModelFormatError("expected the bytes of a model image, found another kind of buffer")
    image = memoryview(_native.Memory(len(view)))
    image[:] = view.cast("B")
    return image


def _read(file: FileIO, size: int) -> memoryview:
    """All that the file holds, which is probably `size` bytes: they are read into place, never held twice."""
    image = memoryview(_native.Memory(size))
    found = 0
    while found < size and (count := file.readinto(image[found:])):
        found += count
    rest = file.read()  # of a file that has grown, or that has no size, such as a pipe
    return copy_of(b"".join((image[:found], rest))) if rest else image[:found]
