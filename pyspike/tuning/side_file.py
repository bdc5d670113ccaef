"""Choices of kernels, and the file that keeps them: JSON, `network.spk.tune` beside `network.spk`.

{"format": 1, "sha256": "<of the image>", "machines": [
  {"cpu": "AMD EPYC", "isa": "avx512", "threads": 1, "kernels": {"stage1.conv1": ["flat", 1280], ...}}, ...]}
"""

from __future__ import annotations

import json
import os
import platform
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pyspike._files import write_whole
from pyspike.errors import TuningError

FORMAT = 1
SUFFIX = ".tune"
KERNELS = ("rows", "split", "flat", "folded", "scatter")
MAX_BLOCK = 2560
MAX_BYTES = 16 * 2**20

Choice = tuple[str, int]


class Machine(NamedTuple):
    """What a choice was measured on: the CPU's name, the instruction set in use, the number of threads."""

    cpu: str
    isa: str
    threads: int


@dataclass(frozen=True)
class Tuning:
    """Choices for the image whose digest is `sha256`: for each machine, the tensor that a layer makes -> (kernel, rows
    of weights that share sums). Layers that are not named are left to the cost model.
    """

    sha256: str
    machines: Mapping[Machine, Mapping[str, Choice]] = field(default_factory=dict)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Tuning:
        """Raises `TuningError` for a file that is no tuning, and `FileNotFoundError`."""
        try:
            with Path(path).open("rb") as file:
                content = file.read(MAX_BYTES + 1)
            if len(content) > MAX_BYTES:
                raise TuningError(f"more than {MAX_BYTES >> 20} MiB")
            return _parsed(json.loads(content))
        except (TuningError, ValueError, RecursionError) as error:
            raise TuningError(
                f"{path}: not a tuning of this version ({error}): delete it, or run 'pyspike tune'"
            ) from error

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file, whole or not at all."""
        machines = [
            {**machine._asdict(), "kernels": {name: list(choice) for name, choice in kernels.items()}}
            for machine, kernels in self.machines.items()
        ]
        text = json.dumps({"format": FORMAT, "sha256": self.sha256, "machines": machines}, indent=1)
        write_whole(path, text.encode())

    def updated(self, other: Tuning) -> Tuning:
        """These choices, and those of `other` where both know a machine; those of `other` alone for another image."""
        return Tuning(other.sha256, {**(self.machines if self.sha256 == other.sha256 else {}), **other.machines})

    def choices(self, names: Sequence[str], isa: str, threads: int) -> list[Choice]:
        """A choice for each of the layers `names` on this machine; none at all where nothing is known for it."""
        kernels = self.machines.get(Machine(cpu_name(), isa, threads), {}) if self.machines else {}
        return [kernels.get(name, ("", 0)) for name in names] if kernels else []


def beside(path: Path, sha256: str) -> Tuning | None:
    """The tuning beside the image at `path`, if any. One for another image is left alone, with a warning."""
    side = path.with_name(path.name + SUFFIX)
    if not side.is_file():
        return None
    found = Tuning.load(side)
    if found.sha256 == sha256:
        return found
    warnings.warn(f"{side}: made for another image, and not used: run 'pyspike tune' again", stacklevel=3)
    return None


def cpu_name() -> str:
    """What this CPU calls itself."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as file:
            found = re.search(r"^model name\s*: (.*)$", file.read(1 << 16), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


def _parsed(data: Any) -> Tuning:
    top = _fields(data, format=int, sha256=str, machines=list)
    if top["format"] != FORMAT:
        raise TuningError(f"expected format {FORMAT}, found {top['format']}")
    machines: dict[Machine, dict[str, Choice]] = {}
    for each in top["machines"]:
        known = _fields(each, cpu=str, isa=str, threads=int, kernels=dict)
        kernels = {name: _choice(name, choice) for name, choice in known.pop("kernels").items()}
        machines[Machine(**known)] = kernels
    return Tuning(top["sha256"], machines)


def _fields(data: Any, **types: type) -> dict[str, Any]:
    if not isinstance(data, dict) or set(data) != set(types):
        raise TuningError(f"expected an object with {', '.join(types)}")
    for name, wanted in types.items():
        if type(data[name]) is not wanted:
            raise TuningError(f"{name}: expected {wanted.__name__}, found {type(data[name]).__name__}")
    return data


def _choice(name: str, choice: Any) -> Choice:
    if isinstance(choice, list) and len(choice) == 2:
        kernel, block = choice
        if kernel in KERNELS and type(block) is int and 0 <= block <= MAX_BLOCK:
            return kernel, block
    raise TuningError(f"{name}: expected one of {', '.join(KERNELS)} and a number up to {MAX_BLOCK}, found {choice!r}")
