"""The programs of tests/native, built for this machine or for another, and the tools that takes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUILDS = ROOT / "build" / "tests"  # kept, so that a second run compiles only what changed


def run(*command: object) -> str:
    """What the command prints; it must succeed."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, f"{command[:4]}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def tool(name: str, package: str) -> str:
    """Where a program is: beside Python or on the path; the test is skipped where it is missing."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.is_file() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is missing (Debian: apt install {package})")
    return found


def build(folder: str, target: str, *options: str) -> Path:
    """The folder of a build with all programs of tests, without the Python module, in which `target` is up to date."""
    cmake = tool("cmake", "cmake")
    ninja = f"-DCMAKE_MAKE_PROGRAM={tool('ninja', 'ninja-build')}"
    programs = [f"-DPYSPIKE_{each}=ON" for each in ("TESTS", "FUZZ", "BENCH")]
    options = ("-DCMAKE_BUILD_TYPE=Release", "-DPYSPIKE_PYTHON=OFF", *programs, *options)
    run(cmake, "-S", ROOT, "-B", BUILDS / folder, "-G", "Ninja", ninja, *options)
    run(cmake, "--build", BUILDS / folder, "--target", target)
    return BUILDS / folder
