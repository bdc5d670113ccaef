"""Additions only, seen while networks run: an emulator tells which instructions of the kernels were executed."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

import pyspike
from pyspike import image
from pyspike.graph import Graph
from tests.kernels.cases import all_cases, inputs_of
from tests.kernels.mnemonics import ALLOWED, Instruction, base_name, instructions
from tests.kernels.test_differential import LADDER
from tests.native.exported import export_cases
from tests.native.programs import build, run, tool
from tests.native.trace import executed, kernels_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="emulates x86-64 on x86-64"),
]

# Kernels of profiles, which no inference calls.
STATISTICS = {"count_u8", "count_i32", "weight_bits_u8", "weight_bits_i32"}
# What the demo cannot do without, by the first letters of kernels' names: event lists, sums over them, and neurons.
DEMO = ("scan_", ("gather", "split", "flat", "folded"), "lookup", "depthwise_", "fire_")


@pytest.fixture(scope="module")
def program() -> Path:
    tool("objdump", "binutils")
    tool("qemu-x86_64", "qemu-user")
    return build("host", "agree") / "tests" / "native" / "agree"


def _trace(program: Path, log: Path, *arguments: object) -> tuple[set[str], list[Instruction]]:
    """Runs `program` in the emulator: the first words of its lines, and what it executed in the section."""
    emulator = tool("qemu-x86_64", "qemu-user")
    printed = run(emulator, "-cpu", "max", "-d", "in_asm", "-D", log, program, *arguments)
    return {line.split()[0] for line in printed.splitlines()}, executed(log, program)


def _not_allowed(found: list[Instruction]) -> set[str]:
    return {f"{each.mnemonic} in {each.function}" for each in found if base_name(each.mnemonic) not in ALLOWED}


def _demo() -> tuple[str, Graph, dict]:
    from pyspike.io.images import read_image
    from pyspike.tasks.detect import Detector

    data = Path(pyspike.__file__).parent / "data"
    pixels, _ = Detector(pyspike.Model.load(data / "demo.spk")).preprocess(read_image(data / "demo.jpg"))
    graph = image.read(data / "demo.spk")
    return "demo", graph, {graph.inputs[0].name: pixels}


def test_the_demo_executes_additions_only(program, tmp_path) -> None:
    pytest.importorskip("PIL")
    folders, _ = export_cases([_demo()], tmp_path)
    isas, found = _trace(program, tmp_path / "log", *folders)
    assert "portable" in isas
    assert _not_allowed(found) == set()
    for isa in isas:
        kernels = {each.function.removeprefix(f"spk_{isa}_") for each in found if each.function.split("_")[1] == isa}
        assert [first for first in DEMO if not any(name.startswith(first) for name in kernels)] == [], kernels


def test_the_example_executes_additions_only(tmp_path) -> None:
    pytest.importorskip("PIL")
    from pyspike.io.images import read_image

    emulator = tool("qemu-x86_64", "qemu-user")
    program, data = build("host", "detect") / "tests" / "native" / "detect", Path(pyspike.__file__).parent / "data"
    photo = read_image(data / "demo.jpg")
    height, width, _ = photo.shape
    (tmp_path / "photo.ppm").write_bytes(b"P6\n%d %d\n255\n" % (width, height) + photo.tobytes())
    arguments = (program, data / "demo.spk", tmp_path / "photo.ppm")
    printed = run(emulator, "-cpu", "max", "-d", "in_asm", "-D", tmp_path / "log", *arguments)
    assert printed == run(*arguments) != ""
    found = executed(tmp_path / "log", program)
    assert len({each.function for each in found}) > 10
    assert _not_allowed(found) == set()


def test_every_kernel_executes_additions_only(program, tmp_path, monkeypatch) -> None:
    named = enumerate(all_cases(range(60)))
    cases = [(name, graph, inputs_of(graph, (0.1, 0.5, 1.0, 2.0)[i % 4], i)) for i, (name, graph) in named]
    folders, _ = export_cases(cases, tmp_path)
    found = []
    for kernel in LADDER:
        monkeypatch.setenv("PYSPIKE_GATHER", kernel)
        isas, of_kernel = _trace(program, tmp_path / "log", *folders)
        found += of_kernel
    assert _not_allowed(found) == set()
    of_these = {name for name in kernels_of(program) if name.split("_")[1] in isas}
    missing = of_these - {each.function for each in found}
    assert missing <= {f"spk_{isa}_{name}" for isa in isas for name in STATISTICS}, missing
    standing = sum(each.function in of_these for each in instructions(program))
    assert len({each.address for each in found}) > standing / 2


def test_an_executed_multiplication_is_found(tmp_path) -> None:
    source = tmp_path / "multiplies.cpp"
    source.write_text(
        '#define SPK_SYNAPSE extern "C" __attribute__((noinline, used, section("spk_synapse")))\n'
        "SPK_SYNAPSE int adds(int x, int y) { return x + y; }\n"
        "SPK_SYNAPSE int multiplies(int x, int y) { return x * y; }\n"
        "SPK_SYNAPSE int rests(int x, int y) { return x * y + 1; }\n"
        "int main(int n, char**) { return n > 9 ? rests(n, n) : adds(multiplies(n, 0), 0); }\n"
    )
    program = tmp_path / "multiplies"
    run(os.environ.get("CXX", "c++"), "-O2", "-static", "-no-pie", source, "-o", program)
    _, found = _trace(program, tmp_path / "log")
    assert _not_allowed(found) == {"imul in multiplies"}
    assert {each.function for each in found} == {"adds", "multiplies"}
