"""The library for 64-bit ARM, cross-compiled and run in an emulator: equal to the references, and additions only."""

from __future__ import annotations

from pathlib import Path

import pytest

import pyspike
from pyspike import image
from tests.kernels.cases import all_cases, inputs_of
from tests.kernels.test_differential import LADDER
from tests.native import aarch64
from tests.native.exported import export, export_cases
from tests.native.programs import ROOT, build, run, tool

pytestmark = pytest.mark.slow

DENSITIES = (0.1, 0.5, 1.0, 2.0)


@pytest.fixture(scope="module")
def program() -> Path:
    tool("aarch64-linux-gnu-g++", "g++-aarch64-linux-gnu")
    toolchain = f"-DCMAKE_TOOLCHAIN_FILE={ROOT / 'cmake' / 'aarch64.cmake'}"
    return build("aarch64", "agree", toolchain) / "tests" / "native" / "agree"


def _agreed(program: Path, folders: list[Path]) -> dict[tuple[str, str], int]:
    """How many integers were equal, by instruction set and number of threads."""
    lines = run(tool("qemu-aarch64", "qemu-user"), program, *folders).splitlines()
    return {(isa, threads): int(count) for isa, threads, count in (line.split() for line in lines)}


CONFIGURATIONS = [("neon", "1"), ("neon", "2"), ("portable", "1"), ("portable", "2")]


def test_every_kernel_equals_the_reference(program, tmp_path, monkeypatch) -> None:
    named = enumerate(all_cases(range(60)))
    cases = [(name, graph, inputs_of(graph, DENSITIES[i % 4], i)) for i, (name, graph) in named]
    folders, count = export_cases(cases, tmp_path)
    for kernel in LADDER:
        monkeypatch.setenv("PYSPIKE_GATHER", kernel)
        assert _agreed(program, folders) == dict.fromkeys(CONFIGURATIONS, count)


def test_the_demo_on_its_photograph(program, tmp_path) -> None:
    pytest.importorskip("PIL")
    from pyspike.io.images import read_image
    from pyspike.tasks.detect import Detector

    data = Path(pyspike.__file__).parent / "data"
    pixels, _ = Detector(pyspike.Model.load(data / "demo.spk")).preprocess(read_image(data / "demo.jpg"))
    graph = image.read(data / "demo.spk")
    count = export(graph, {graph.inputs[0].name: pixels}, tmp_path / "demo")
    assert _agreed(program, [tmp_path / "demo"]) == dict.fromkeys(CONFIGURATIONS, count)


def test_a_wrong_integer_is_found(program, tmp_path) -> None:
    name, graph = next(all_cases(range(0)))
    export(graph, inputs_of(graph, 0.5, 1), tmp_path / name)
    out = tmp_path / name / "out0"
    expected = bytearray(out.read_bytes())
    expected[-4] ^= 1
    out.write_bytes(expected)
    with pytest.raises(AssertionError, match=f"{name}: output 0, integer {len(expected) // 4 - 1}: .*neon, 1 threads"):
        _agreed(program, [tmp_path / name])


def test_section_holds_additions_only(program) -> None:
    tool(aarch64.OBJDUMP, "binutils-aarch64-linux-gnu")
    assert aarch64.violations(program) == []
    kernels = {each.function for each in aarch64.instructions(program, aarch64.OBJDUMP)}
    assert {name.removeprefix("spk_neon_") for name in kernels if name.startswith("spk_neon_")} == {
        name.removeprefix("spk_portable_") for name in kernels if name.startswith("spk_portable_")
    }
    assert len(kernels) > 100


def test_checker_finds_a_multiplication(tmp_path) -> None:
    compiler = tool("aarch64-linux-gnu-g++", "g++-aarch64-linux-gnu")
    kernels = ROOT / "csrc" / "kernels"
    options = ["-std=c++20", "-O3", "-fPIC", "-fno-tree-vectorize", "-fwrapv", "-DPYSPIKE_BREAK_ADDITION_ONLY=1"]
    for isa in ("portable", "neon"):
        broken = tmp_path / f"{isa}.o"
        run(compiler, *options, f"-I{kernels.parent}", "-c", kernels / isa / "depthwise_rows.cpp", "-o", broken)
        found = aarch64.violations(broken)
        assert found, "a multiplication in a kernel went unseen"
        assert all(each.startswith(("mul ", "mla ")) and f"spk_{isa}_depthwise_wide" in each for each in found), found


def test_whitelist_has_nothing_that_multiplies() -> None:
    forbidden = ("mul", "div", "madd", "msub", "mla", "mls", "mneg", "dot", "mmla", "fadd", "fsub", "mac", "pmull")
    assert [name for name in aarch64.ALLOWED for part in forbidden if part in name] == []
    assert not {"bl", "blr", "br", "svc"} & aarch64.ALLOWED
