"""Builds the co-simulation: the harness and the simulator once, and a Verilated mesh for each configuration."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RTL = HERE.parent / "rtl"
MODULES = (
    "flit", "tables", "sram", "fifo", "router", "link", "axis", "decode", "engine", "potentials",
    "tile_program", "sequencer", "window", "fire", "storage", "core", "mesh",
)  # fmt: skip
WATCHERS = (HERE / "trace.sv", HERE / "coverage.sv")
MODEL = ROOT / "csrc" / "model"
HARNESS = [
    *(HERE / f"{name}.cpp" for name in ("main", "edge", "loader")),
    *sorted(HERE.parent.glob("*.cpp")),
    *(MODEL / f"{name}.cpp" for name in ("container", "sha256", "sha256_x86", "text")),
]
SHA_FLAGS = ["-msha", "-msse4.1", "-mssse3"] if os.uname().machine == "x86_64" else []
CXX = ["g++", "-std=c++20", f"-I{HERE.parent}", f"-I{ROOT / 'csrc'}", f"-I{ROOT / 'csrc' / 'include'}"]
MESH = 3  # cores in each direction: the least mesh with four neighbours of a router
RUNTIME = ("verilated", "verilated_dpi", "verilated_threads")  # sources of Verilator


@dataclass(frozen=True)
class Configuration:
    """FIFO depths and link delay: parameters of the mesh, so each needs a model of its own."""

    name: str
    router_fifo: int = 4
    out_fifo: int = 16
    axon_fifo: int = 64
    link_delay: int = 0

    def chip(self) -> dict[str, int]:
        """As fields of a firmware's chip."""
        names = ("router_fifo", "out_fifo", "axon_fifo", "link_delay")
        return {name: getattr(self, name) for name in names}


DEFAULT = Configuration("default")
ONES = Configuration("ones", 1, 1, 1)
ODD = Configuration("odd", 3, 2, 5, 2)


def harness(folder: Path) -> Path:
    """An archive of the harness, the simulator and Verilator's runtime; the mesh's own part is in `mesh`."""
    folder.mkdir(parents=True, exist_ok=True)
    verilator = Path(_output(["verilator", "--getenv", "VERILATOR_ROOT"]).strip()) / "include"
    commands, objects = [], []
    for source in [*HARNESS, *(verilator / f"{name}.cpp" for name in RUNTIME)]:
        objects.append(folder / f"{source.parent.name}-{source.stem}.o")
        flags = SHA_FLAGS if source.stem == "sha256_x86" else []
        include = [f"-I{verilator}", f"-I{verilator / 'vltstd'}"]
        commands.append([*CXX, *include, *flags, "-O1", "-c", str(source), "-o", str(objects[-1])])
    _run_all(commands)
    archive = folder / "libharness.a"
    archive.unlink(missing_ok=True)
    _output(["ar", "rcs", str(archive), *map(str, objects)])
    return archive


def mesh(configuration: Configuration, folder: Path, archive: Path, sources: Sequence[Path] | None = None) -> Path:
    """The co-simulation's executable for a configuration; `sources` in place of those of firmware_sim/rtl."""
    files = sources if sources is not None else [RTL / f"{name}.sv" for name in MODULES]
    for stale in folder.glob("Vmesh*"):
        stale.unlink()
    parameters = [f"-GWIDTH={MESH}", f"-GHEIGHT={MESH}"]
    parameters += [f"-G{name.upper()}={value}" for name, value in configuration.chip().items()]
    lint = "-Wall" if sources is None else "-Wno-lint"
    _output([
        "verilator", "--cc", "-O3", lint, "--unroll-count", "1", "--x-assign", "fast", "--x-initial", "fast",
        "--top-module", "mesh", "--Mdir", str(folder), *parameters, str(HERE / "inline.vlt"),
        *map(str, files), *map(str, WATCHERS),
    ])  # fmt: skip
    verilator = Path(_output(["verilator", "--getenv", "VERILATOR_ROOT"]).strip()) / "include"
    include = [f"-I{folder}", f"-I{verilator}", f"-I{verilator / 'vltstd'}", "-DVM_COVERAGE=0", "-DVM_TRACE=0"]
    built = ",".join(map(str, (MESH, MESH, *configuration.chip().values())))
    units = _units(folder)
    commands = [
        [*CXX, *include, f"-DCOSIM_BUILT={built}", flag, "-c", str(unit), "-o", str(unit.with_suffix(".o"))]
        for unit, flag in [*units, (HERE / "chip.cpp", "-O1")]
    ]
    commands[-1][-1] = str(folder / "chip.o")
    _run_all(commands)
    executable = folder / "cosim"
    objects = [str(unit.with_suffix(".o")) for unit, _ in units]
    _output(["g++", str(folder / "chip.o"), *objects, str(archive), "-pthread", "-o", str(executable)])
    return executable


def _units(folder: Path) -> list[tuple[Path, str]]:
    """Few files that include the many: most of a small file's compilation is Verilator's headers."""
    files = sorted(folder.glob("Vmesh*.cpp"), key=lambda file: -file.stat().st_size)
    slow = [file for file in files if "Slow" in file.name]
    fast = [file for file in files if "Slow" not in file.name]
    units = []
    for name, part, flag in (("a", fast[::2], "-O1"), ("b", fast[1::2], "-O1"), ("c", slow, "-O0")):
        unit = folder / f"unit_{name}.cpp"
        unit.write_text("".join(f'#include "{file.name}"\n' for file in part))
        units.append((unit, flag))
    return units


def _run_all(commands: Iterable[list[str]]) -> None:
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(pool.map(_output, commands))


def _output(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command[:2])} failed:\n{done.stdout}\n{done.stderr}"[:8000])
    return done.stdout
