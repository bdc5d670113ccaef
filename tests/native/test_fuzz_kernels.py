"""Kernels of all instruction sets against each other, on random arguments: a short run, and broken kernels."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pyspike.runtime import available_isas
from tests.native.programs import ROOT, build, run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder() -> Path:
    return build("host", "fuzz_kernels")


def test_instruction_sets_agree(folder) -> None:
    kernels = (ROOT / "csrc" / "kernels" / "list.def").read_text().count("\nSPK_KERNEL(")
    printed = run(folder / "fuzz" / "fuzz_kernels", "-runs=300")
    assert printed == f"{300 * kernels} draws agree on {' '.join(available_isas())}\n"


# In generic/<file>.hpp: what is changed, into what, which kernel has it, and where it shows.
BROKEN = {
    "a shift": ("pointwise", "<< args.shift_b)", "<< args.shift_a)", "add_i32", "out["),
    "an end": ("finish", "c + kLanes32 <= args.channels", "c < args.channels", "finish_", "out["),
    "a returned number": ("pointwise", "args.events = events;", "args.events = bits;", "count_", "what it returns"),
}


@pytest.mark.skipif("avx2" not in available_isas(), reason="breaks kernels of AVX2")
@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_kernel_is_named(folder, tmp_path, what) -> None:
    name, right, wrong, kernel, place = BROKEN[what]
    shutil.copytree(ROOT / "csrc" / "kernels", tmp_path / "kernels")
    source = tmp_path / "kernels" / "generic" / f"{name}.hpp"
    text = source.read_text()
    assert right in text, f"{name}.hpp has no {right!r} to break any more"
    source.write_text(text.replace(right, wrong, 1))
    compiler = os.environ.get("CXX", "c++")
    options = ["-std=c++20", "-O1", "-fwrapv", "-mavx2", f"-I{tmp_path}"]
    run(compiler, *options, "-c", tmp_path / "kernels" / "avx2" / f"{name}.cpp", "-o", tmp_path / "broken.o")
    # What the object defines is not looked for in the library any more.
    objects = sorted((folder / "fuzz").rglob("kernels/**/*.o"))
    library = folder / "libpyspike_runtime.a"
    run(compiler, *objects, tmp_path / "broken.o", library, "-pthread", "-o", tmp_path / "fuzz_kernels")
    done = subprocess.run([tmp_path / "fuzz_kernels", "-runs=50"], capture_output=True, text=True, check=False)
    assert done.returncode != 0, "the broken kernel went unseen"
    assert done.stderr.startswith(kernel)
    assert ": avx2 and " in done.stderr
    assert f" differ in {place}" in done.stderr
    assert "to repeat: fuzz_kernels -kernel=" in done.stderr
