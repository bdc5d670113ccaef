"""What the kernels of 64-bit ARM may consist of: the whitelist that `tests.kernels.mnemonics` has for x86, for NEON.

Command line: `python -m tests.native.aarch64 PROGRAM` prints the histogram.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.kernels.mnemonics import SECTION, instructions

OBJDUMP = "aarch64-linux-gnu-objdump"

# Every instruction that may stand in the section, by what it does. Scalar and vector forms share their names. Nothing
# here multiplies, divides, or knows floating-point arithmetic: `fmov` moves bits only.
GROUPS = {
    "moves, loads, stores": """
        mov movi mvni movz movk movn fmov adr adrp ldr ldrb ldrh ldrsb ldrsh ldrsw ldur ldurb ldurh ldursb ldursh
        ldursw ldp ldnp ldpsw str strb strh stur sturb sturh stp stnp ld1 ld1r st1 dup umov smov ins""",
    "conditional selects": "csel csinc csinv csneg cset csetm cinc cinv cneg ccmp ccmn",
    "widening, narrowing, shuffling": """
        sxtb sxth sxtw uxtb uxth uxtw sxtl sxtl2 uxtl uxtl2 sshll sshll2 ushll ushll2 shll shll2 xtn xtn2 shrn shrn2
        sqxtn sqxtn2 uqxtn uqxtn2 sqxtun sqxtun2
        tbl tbx zip1 zip2 uzp1 uzp2 trn1 trn2 ext rev rev16 rev32 rev64 extr bfi bfxil ubfiz ubfx sbfiz sbfx""",
    "additions": """
        add adds sub subs neg negs adc sbc addp addv saddw saddw2 uaddw uaddw2 saddl saddl2 uaddl uaddl2 ssubw ssubw2
        uqsub usubw usubw2 ssubl ssubl2 usubl usubl2 saddlp uaddlp sadalp uadalp saddlv uaddlv""",
    "maxima, minima, absolute values": """
        smax smin umax umin smaxp sminp umaxp uminp smaxv sminv umaxv uminv abs""",
    "comparisons": "cmp cmn tst cmeq cmgt cmge cmlt cmle cmhi cmhs cmtst",
    "logic": "and ands bic bics orr orn eor eon mvn not bit bif bsl",
    "shifts, rotations": "lsl lsr asr ror lslv lsrv asrv shl sshl ushl sshr ushr ssra usra sli sri",
    "counting bits": "cnt clz cls rbit",
    "prefetching": "prfm prfum",
    "branches and returns": """
        b b.eq b.ne b.cs b.hs b.cc b.lo b.mi b.pl b.vs b.vc b.hi b.ls b.ge b.lt b.gt b.le b.any b.none
        cbz cbnz tbz tbnz ret""",
    "nothing, and padding between files, which traps": "nop udf",
}
ALLOWED = {name for names in GROUPS.values() for name in names.split()}
BRANCHES = set(GROUPS["branches and returns"].split()) - {"ret"}

_TARGET = re.compile(r"\b[0-9a-f]+ <(?P<name>[^>+]+)(\+0x[0-9a-f]+)?>$")


def violations(binary: Path) -> list[str]:
    """What breaks the rule, each naming the mnemonic and the function; empty where the section only adds."""
    listing = subprocess.run([OBJDUMP, "-t", str(binary)], check=True, capture_output=True, text=True).stdout
    kernels = {line.split()[-1] for line in listing.splitlines() if re.search(rf" F {SECTION}\b", line)}
    found = set()
    for each in instructions(binary, OBJDUMP):
        target = _TARGET.search(each.operands.split("//")[0].strip())
        if each.mnemonic not in ALLOWED:
            found.add(f"{each.mnemonic} in {each.function}")
        elif each.mnemonic in BRANCHES and (target is None or target["name"] not in kernels):
            found.add(f"{each.mnemonic} {each.operands} out of the section, in {each.function}")
    return sorted(found)


def print_histogram(binary: Path) -> None:
    """How often each mnemonic occurs, the most frequent first."""
    counts = Counter(each.mnemonic for each in instructions(binary, OBJDUMP))
    for mnemonic, count in counts.most_common():
        print(f"{count:7d}  {mnemonic}" + ("" if mnemonic in ALLOWED else "   NOT ALLOWED"))
    print(f"{counts.total():7d}  instructions in section {SECTION} of {binary.name}")


if __name__ == "__main__":
    print_histogram(Path(sys.argv[1]))
