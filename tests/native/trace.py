"""What was executed: the instructions of section `spk_synapse` that an emulator met while a program ran.

`qemu-x86_64 -d in_asm` logs every block of instructions when it is reached for the first time, disassembled by itself.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.kernels.mnemonics import SECTION

_EXECUTED = re.compile(r"^0x(?P<address>[0-9a-f]+):  (?:[0-9a-f]{2} )+ +(?P<mnemonic>\S+)")


@dataclass(frozen=True)
class Executed:
    """An instruction that was met, and the kernel it belongs to."""

    address: int
    mnemonic: str
    kernel: str


def kernel_bounds(binary: Path) -> dict[str, range]:
    """Addresses of each kernel of a program that is loaded where its file says."""
    listing = subprocess.run(["objdump", "-t", str(binary)], check=True, capture_output=True, text=True).stdout
    found = re.finditer(rf"^([0-9a-f]+) .{{7}} {SECTION}\t([0-9a-f]+) +(\S+)$", listing, re.MULTILINE)
    return {name: range(int(at, 16), int(at, 16) + int(size, 16)) for at, size, name in (f.groups() for f in found)}


def executed(log: Path, bounds: dict[str, range]) -> Iterator[Executed]:
    """The instructions of `log` that lie in any of the kernels."""
    at_first = {address: name for name, addresses in bounds.items() for address in addresses}
    with log.open() as lines:
        for line in lines:
            if match := _EXECUTED.match(line):
                address = int(match["address"], 16)
                if address in at_first:
                    yield Executed(address, match["mnemonic"], at_first[address])
