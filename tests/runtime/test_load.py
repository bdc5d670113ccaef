"""Where the bytes of a model come from: files of all kinds, and memory that is held once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from pyspike import ModelFormatError, _load, image
from pyspike.graph import Graph, Port, Tensor
from pyspike.ops import Linear
from pyspike.runtime import Model
from tests.runtime.models import bytes_of, still

HELD = """
import sys
from pyspike import Model
def high():
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM:"))
before = high()
Model.load(sys.argv[1])
print(high() - before)
"""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("mmap", [False, True])
def test_a_pipe_has_no_size(tmp_path, mmap) -> None:
    path = tmp_path / "pipe.spk"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(bytes_of(still()),))
    writer.start()
    model = Model.load(path, mmap=mmap)
    writer.join()
    assert model.metadata == {"name": "still"}


@pytest.mark.parametrize("wrong", [-100, -1, 1, 100])
def test_a_file_that_changes_its_size_while_it_is_read(tmp_path, wrong) -> None:
    path = tmp_path / "still.spk"
    path.write_bytes(bytes_of(still()))
    with path.open("rb", buffering=0) as file:
        assert bytes(_load._read(file, path.stat().st_size + wrong)) == path.read_bytes()


@pytest.mark.parametrize("size", [0, 1, 63, 64, 2**20 - 1, 2**20, 2**21 + 1])
def test_memory_is_aligned_and_as_long_as_asked_for(size) -> None:
    copied = _load.copy_of(bytes(size))
    assert (len(copied), bytes(copied)) == (size, bytes(size))
    assert np.frombuffer(copied, np.uint8).ctypes.data % 64 == 0 or size == 0


@pytest.mark.parametrize("kind", ["2d", "wide", "strided"])
def test_other_buffers_are_refused(kind) -> None:
    array = np.zeros(256, dtype=np.uint8)
    view = {"2d": array.reshape(16, 16), "wide": array.view(np.int16), "strided": array[::2]}[kind]
    with pytest.raises(ModelFormatError, match="kind of buffer"):
        Model.load(memoryview(view))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="this system does not tell its peak of memory")
def test_a_file_is_held_once(tmp_path) -> None:
    graph = Graph()
    graph.add_input(Port("x", "x", "uint8"), Tensor((1, 4096), 0, 4))
    weight = np.ones((4096, 4096), dtype=np.int8)
    graph.add(Linear(weight, np.zeros(4096), np.zeros(4096), None), ["x"], "y")
    graph.add_output(Port("y", "y", "int32"))
    path = tmp_path / "large.spk"
    image.write(graph, path)
    held = subprocess.run([sys.executable, "-c", HELD, str(path)], capture_output=True, text=True, check=True)
    assert path.stat().st_size > weight.nbytes
    assert int(held.stdout) < 1.3 * weight.nbytes
