"""The promise on the binary: what touches a weight, an accumulator or a potential is additions, and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pyspike import _native
from tests.kernels.mnemonics import (
    ALLOWED,
    GROUPS,
    base_name,
    histogram,
    instructions,
    print_histogram,
    symbols,
    violations,
)

BINARY = Path(_native.__file__)
KERNELS = Path(__file__).parents[2] / "csrc" / "kernels"
COMPILER = os.environ.get("CXX", "c++")

pytestmark = pytest.mark.skipif(shutil.which("objdump") is None, reason="objdump is missing (binutils)")


def is_instrumented() -> bool:
    """Whether a sanitizer, or a build without optimisation, put instructions of its own into the kernels."""
    return "PYSPIKE_TEST_NATIVE" in os.environ and _native.kernel_calls() != {}


def test_section_holds_additions_only() -> None:
    if is_instrumented():
        pytest.skip("a debug build is not what runs")
    assert violations(BINARY) == []
    assert len(list(instructions(BINARY))) > 3000


def test_registry_and_section_name_the_same_functions() -> None:
    assert {name for name, _ in _native.kernels()} == symbols(BINARY)


def test_every_kernel_has_all_instruction_sets() -> None:
    by_isa: dict[str, set[str]] = {}
    for name, isa in _native.kernels():
        by_isa.setdefault(isa, set()).add(name.removeprefix(f"spk_{isa}_"))
    assert "portable" in by_isa
    assert all(names == by_isa["portable"] for names in by_isa.values())


FLAGS = {"portable": [], "avx2": ["-mavx2"], "avx512": [f"-mavx512{part}" for part in ("f", "bw", "vl", "dq", "vbmi")]}


@pytest.mark.parametrize("isa", FLAGS)
def test_checker_finds_a_multiplication(tmp_path, isa) -> None:
    if isa not in {found for _, found in _native.kernels()}:
        pytest.skip(f"this build has no {isa} kernels")
    compiled = {}
    for name, flags in (("clean", []), ("broken", ["-DPYSPIKE_BREAK_ADDITION_ONLY=1"])):
        compiled[name] = tmp_path / f"{name}.o"
        command = [
            COMPILER,
            "-std=c++20",
            "-O3",
            "-fPIC",
            "-fno-tree-vectorize",
            "-fno-stack-protector",
            "-fwrapv",
            *flags,
        ]
        command += FLAGS[isa]
        source = KERNELS / isa / "depthwise_rows.cpp"
        subprocess.run([*command, f"-I{KERNELS.parent}", "-c", source, "-o", compiled[name]], check=True)
    assert violations(compiled["clean"]) == []
    found = violations(compiled["broken"])
    assert found, "a multiplication in a kernel went unseen"
    assert all("mul" in each and f"spk_{isa}_depthwise_wide" in each for each in found), found


def test_checker_finds_calls_out_of_the_section(tmp_path) -> None:
    source = tmp_path / "calls.cpp"
    source.write_text(
        'extern "C" int elsewhere(int);\n'
        '#define SPK_SYNAPSE extern "C" __attribute__((noinline, used, section("spk_synapse")))\n'
        "SPK_SYNAPSE int calls(int x) { return elsewhere(x) + 1; }\n"
        "SPK_SYNAPSE int jumps(int x) { return elsewhere(x); }\n"
        "SPK_SYNAPSE int divides(int x) { return x / 7; }\n"
        "SPK_SYNAPSE float floats(float x) { return x + 1; }\n"
    )
    binary = tmp_path / "calls.so"
    subprocess.run([COMPILER, "-O2", "-fPIC", "-shared", source, "-o", binary], check=True)
    found = "\n".join(violations(binary))
    assert all(name in found for name in ("calls", "jumps", "divides", "floats")), found


def test_whitelist_has_nothing_that_multiplies() -> None:
    forbidden = (
        "mul",
        "div",
        "madd",
        "fm",
        "dpb",
        "dpw",
        "ss2",
        "sd2",
        "addps",
        "addss",
        "addpd",
        "addsd",
        "sqrt",
        "rcp",
    )
    assert [name for name in ALLOWED for part in forbidden if part in name] == []
    assert base_name("vpmulld") == "vpmulld"
    assert base_name("addl") == "add"
    assert base_name("addps") not in ALLOWED


def test_histogram_prints(capsys) -> None:
    assert set(histogram(BINARY)) <= set(GROUPS) or is_instrumented()
    print_histogram(BINARY)
    assert "additions" in capsys.readouterr().out
