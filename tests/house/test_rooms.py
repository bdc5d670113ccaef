"""Who may know whom: the rooms of the house and what each may import or include.

Whatever is not allowed here is refused, and a room that is not listed fails: a new one starts by saying whom it knows.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.house.sources import ROOT, Import, files_of, imports_of, includes_of, name_of

HERE = name_of(Path(__file__))

# Room of pyspike/ -> rooms it may know.
ROOMS: dict[str, set[str]] = {
    "errors": set(),
    "_foreign": {"errors"},
    "_files": set(),
    "_load": {"errors", "_native"},
    "_ports": {"errors"},
    "_progress": set(),
    "quantise": {"errors"},
    "packing": {"errors"},
    "graph": {"errors"},
    "ops": {"errors", "graph"},
    "memory": {"graph", "ops"},
    "image": {"errors", "graph", "ops", "memory", "packing", "_files"},
    "reference": {"errors", "graph", "ops"},
    "compiler": {"errors", "graph", "ops", "image", "memory", "quantise"},
    "nn": {"errors", "graph", "ops", "quantise", "reference", "_files"},
    "models": {"errors", "graph", "nn", "_files"},
    "tuning": {"errors", "_files", "_progress"},
    "runtime": {"errors", "_load", "_native", "_ports", "tuning"},
    "latency": {"errors", "runtime", "_progress"},
    "chip": {"errors", "graph", "ops", "image", "reference", "_simulator", "_files"},
    "verify": {"errors", "graph", "ops", "image", "reference"},
    "tasks": {"errors"},
    "io": {"errors", "tasks", "_files"},
    "report": {"errors", "graph", "ops", "image", "runtime", "chip", "_files"},
    "data": set(),
    "__init__": {"errors", "_foreign"},
    "__main__": {"cli"},
}
# Known only when they are needed, by imports inside a function (or for types alone): room -> rooms.
LATE: dict[str, set[str]] = {
    "graph": {"ops"},  # a node's operator, as a type
    "runtime": {"latency"},  # a model measures its bound
    "tuning": {"runtime"},  # what it measures, as a type
    "verify": {"runtime", "nn", "compiler", "chip"},  # executors, and the recompiled ONNX file
    "chip": {"report"},  # a run draws itself
    "compiler": {"nn"},  # a torch module is exported first
    "__init__": {"chip", "compiler", "latency", "runtime", "tuning", "verify"},
}
# The command line ties all rooms together.
KNOWS_ALL = {"cli"}

# Third-party packages at the top of a module; everywhere else only inside functions.
TOP_PACKAGES: dict[str, set[str]] = {
    "nn": {"torch", "onnx", "onnxscript"},
    "models": {"torch"},
    "cli": {"typer", "rich"},
    "compiler": {"onnx"},
}
LATE_PACKAGES: dict[str, set[str]] = {
    "compiler": {"torch", "google"},  # protobuf, for its errors
    "verify": {"onnx", "onnxruntime", "torch"},
    "models": {"safetensors"},
    "io": {"PIL"},
    "report": {"matplotlib"},
    "chip": {"ray"},
    "cli": {"onnx", "onnxruntime", "matplotlib"},
}


def _room(path: Path) -> str:
    parts = path.relative_to(ROOT / "pyspike").parts
    return parts[0] if len(parts) > 1 else path.stem


def _refused(found: Import, room: str) -> bool:
    top = found.module.split(".")[0]
    if top in sys.stdlib_module_names or top == "numpy":
        return False
    if top == "pyspike":
        other = found.module.split(".")[1] if "." in found.module else "__init__"
        return not (
            room in KNOWS_ALL
            or other == room
            or other in ROOMS[room]
            or (other in LATE.get(room, ()) and not found.at_top)
        )
    return not (top in TOP_PACKAGES.get(room, ()) or (top in LATE_PACKAGES.get(room, ()) and not found.at_top))


PYTHON = files_of("pyspike", ".py")


@pytest.mark.parametrize("path", PYTHON, ids=name_of)
def test_python_rooms(path: Path) -> None:
    room = _room(path)
    assert room in ROOMS or room in KNOWS_ALL, f"{name_of(path)}: say in {HERE} whom {room!r} may know"
    assert [str(found) for found in imports_of(path) if _refused(found, room)] == []


def test_nothing_but_benchmarks_knows_training_and_nothing_tests() -> None:
    for path in files_of(".", ".py"):
        parts = path.relative_to(ROOT).parts
        if parts[0] in ("training", "tests") or parts[:2] == ("firmware_sim", "cosim"):  # a test bench
            continue
        refused = {"training", "tests"} - ({"training"} if parts[0] == "benchmarks" else set())  # peers are scored
        for found in imports_of(path):
            assert found.module.split(".")[0] not in refused, str(found)


def test_training_knows_the_package_from_outside() -> None:
    for path in files_of("training", ".py"):
        for found in imports_of(path):
            assert found.module.split(".")[:2] not in (["pyspike", "_native"], ["pyspike", "cli"]), str(found)


# Folder of csrc/ -> folders it may include from; include/ is written `spk/...`.
CSRC: dict[str, set[str]] = {
    "include": {"spk"},
    "model": {"spk", "model"},
    "kernels": {"kernels"},
    "runtime": {"spk", "model", "kernels", "runtime"},
    "tasks": {"spk", "tasks"},
    "bindings": {"spk", "model", "kernels", "runtime", "tasks", "bindings"},
}
# firmware_sim/ knows the container of images and nothing that executes them; what is written in quotes is there, in
# csrc/ or in the simulator itself. Its twin's test bench is compiled by Verilator.
SIMULATOR: dict[str, set[str]] = {
    ".": {".", "model", "spk"},
    "bindings": {".", "bindings"},
}
STANDARD = set(
    "algorithm array atomic bit cassert cerrno charconv chrono climits cmath compare concepts condition_variable "
    "cstddef cstdint cstdio cstdlib cstring functional exception initializer_list iterator limits map memory "
    "mutex new numbers numeric optional ostream semaphore span stdexcept string string_view system_error thread "
    "tuple type_traits utility variant vector version iostream fstream stddef.h stdint.h stdbool.h stdio.h "
    "stdlib.h string.h".split()
)
ON_THE_HEAP = {"fstream", "functional", "iostream", "map", "memory", "string", "thread", "vector"}
INTRINSICS = {"immintrin.h", "emmintrin.h", "tmmintrin.h", "arm_neon.h", "cpuid.h"}


def _header_is_known(header: str, folder: str) -> bool:
    if header in STANDARD:
        return folder != "kernels" or header not in {
            "vector",
            "string",
            "map",
            "memory",
            "iostream",
            "thread",
            "functional",
        }
    if header in INTRINSICS:
        return folder in ("kernels", "runtime", "model")  # the reader hashes with them
    return folder == "bindings" and (header.startswith("pybind11/") or header == "sys/mman.h")  # huge pages


CXX = files_of("csrc", ".hpp", ".h", ".cpp", ".inc")


@pytest.mark.parametrize("path", CXX, ids=name_of)
def test_cxx_rooms(path: Path) -> None:
    folder = path.relative_to(ROOT / "csrc").parts[0]
    assert folder in CSRC, f"{name_of(path)}: say in {HERE} whom csrc/{folder} may know"
    for found in includes_of(path):
        if found.quoted:
            assert found.header.split("/")[0] in CSRC[folder], str(found)
            base = ROOT / "csrc" / "include" if found.header.startswith("spk/") else ROOT / "csrc"
            assert (base / found.header).is_file(), f"{found}, which is not there (write the path from csrc/)"
        else:
            assert _header_is_known(found.header, folder), str(found)


SIMULATOR_FILES = [
    path
    for path in files_of("firmware_sim", ".hpp", ".cpp")
    if path.relative_to(ROOT / "firmware_sim").parts[0] not in ("rtl", "formal", "cosim")
]


@pytest.mark.parametrize("path", SIMULATOR_FILES, ids=name_of)
def test_simulator_rooms(path: Path) -> None:
    folder = path.relative_to(ROOT / "firmware_sim").parent.as_posix()
    assert folder in SIMULATOR, f"{name_of(path)}: say in {HERE} whom firmware_sim/{folder} may know"
    for found in includes_of(path):
        if found.quoted:
            room = found.header.split("/")[0] if "/" in found.header else "."
            assert room in SIMULATOR[folder], str(found)
            base = {"spk": "csrc/include", "model": "csrc"}.get(room, "firmware_sim")
            assert (ROOT / base / found.header).is_file(), f"{found}, which is not there"
            assert room != "spk" or found.header == "spk/status.hpp", str(found)
        else:
            assert _header_is_known(found.header, folder), str(found)


def test_the_rules_see_what_they_forbid(tmp_path: Path) -> None:
    """A check that cannot fail proves nothing."""
    code = tmp_path / "a.py"
    code.write_text(
        "import torch\nfrom pyspike import compiler\nfrom pyspike._native import x\n"
        "if TYPE_CHECKING:\n    import onnx\ndef f():\n    from pyspike.compiler import compile\n    import PIL.Image\n"
    )
    found = [(i.module, i.at_top) for i in imports_of(code)]
    assert found == [
        ("torch", True),
        ("pyspike.compiler", True),
        ("pyspike._native", True),
        ("onnx", False),
        ("pyspike.compiler", False),
        ("PIL.Image", False),
    ]
    refused = [i.module for i in imports_of(code) if _refused(i, "verify")]
    assert refused == ["torch", "pyspike.compiler", "pyspike._native", "PIL.Image"]
    header = tmp_path / "a.hpp"
    header.write_text('#pragma once\n#include <vector>\n  # include "kernels/a.hpp"  // why\n// #include "x.hpp"\n')
    assert [(i.header, i.quoted) for i in includes_of(header)] == [("vector", False), ("kernels/a.hpp", True)]
