"""What was executed: the instructions of section `spk_synapse` that an emulator met while a program ran.

`qemu-x86_64 -d in_asm` logs every block of instructions when it is reached for the first time: addresses and bytes.
What they are, objdump says: the emulator's own disassembler loses its way where an instruction straddles its buffer.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.kernels.mnemonics import SECTION, Instruction, instructions

_LOGGED = re.compile(r"^0x(?P<address>[0-9a-f]+):  (?P<bytes>[0-9a-f]{2}(?: [0-9a-f]{2})*)(?:  |\s*$)")


def kernels_of(binary: Path) -> set[str]:
    """Names of the functions in the section of a program."""
    listing = subprocess.run(["objdump", "-t", str(binary)], check=True, capture_output=True, text=True).stdout
    return set(re.findall(rf" F {SECTION}\t[0-9a-f]+ +(\S+)$", listing, re.MULTILINE))


def executed(log: Path, binary: Path) -> list[Instruction]:
    """The instructions of the section that `log` has; the program is loaded where its file says."""
    standing = {each.address: each for each in instructions(binary)}
    met = set()
    with log.open() as lines:
        for line in lines:
            if match := _LOGGED.match(line):
                address = int(match["address"], 16)
                met |= standing.keys() & range(address, address + len(match["bytes"].split()))
    return [standing[address] for address in sorted(met)]
