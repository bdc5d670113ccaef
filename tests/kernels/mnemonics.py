"""Which instructions the kernels consist of: reads section `spk_synapse` of a binary and holds it against a whitelist.

Command line: `python -m tests.kernels.mnemonics [binary]` prints the histogram.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SECTION = "spk_synapse"

# Every instruction that may stand in the section, by what it does. Vector forms are listed by their base name: the form
# of AVX has a `v` in front. Nothing here multiplies, divides, or knows floating-point arithmetic: `movaps`, `xorps` and
# their like move bits only.
GROUPS = {
    "moves, loads, stores": """
        mov movabs movzb movzw movsb movsw movslq movsbl movzbl movzwl movswl movsbq movswq movzbw movsbw cltq cltd cwtl
        cqto push pop xchg lea bswap
        movd movq movdqa movdqu movaps movups movapd movupd movlps movhps movlpd movhpd movss movsd lddqu movmskps
        movmskpd pmovmskb maskmovdqu broadcasti128 broadcastss broadcastsd
        movdqa32 movdqa64 movdqu8 movdqu16 movdqu32 movdqu64 broadcasti32x4 broadcasti64x2 broadcasti32x8
        broadcasti64x4""",
    "conditional moves and sets": """
        cmova cmovae cmovb cmovbe cmove cmovne cmovg cmovge cmovl cmovle cmovs cmovns
        seta setae setb setbe sete setne setg setge setl setle sets setns sbb""",
    "widening, packing, shuffling, extracting": """
        pmovsxbw pmovsxbd pmovsxwd pmovzxbw pmovzxbd pmovzxwd packsswb packssdw packuswb packusdw
        punpcklbw punpckhbw punpcklwd punpckhwd punpckldq punpckhdq punpcklqdq punpckhqdq
        pshufb pshufd pshuflw pshufhw shufps shufpd movhlps movlhps unpcklps unpckhps unpcklpd unpckhpd palignr
        pextrb pextrw pextrd pextrq pinsrb pinsrw pinsrd pinsrq extracti128 inserti128 extractf128 insertf128 perm2i128
        permq permd permilps blendw blendd pblendvb pblendw pblendd blendvps blendps insertps extractps
        pbroadcastb pbroadcastw pbroadcastd pbroadcastq
        pmovzxdq pmovsxdq pmovdb pmovdw pmovwb pmovqb pmovqw pmovqd permb permw permi2b permi2w permt2b permt2w
        permi2d permt2d permi2q permt2q pcompressb pcompressw blendmd blendmq pblendmb pblendmw pblendmd pblendmq alignd
        alignq extracti32x4 extracti64x2 extracti32x8 extracti64x4 extractf32x4 extractf64x2 inserti32x4 inserti64x2
        inserti32x8 inserti64x4 shufi32x4 shufi64x2""",
    "masks of lanes": """
        kmovb kmovw kmovd kmovq kandb kandw kandd kandq kandnb kandnw kandnd kandnq korb korw kord korq kxorb kxorw
        kxord kxorq knotb knotw knotd knotq kortestb kortestw kortestd kortestq ktestb ktestw ktestd ktestq kshiftrb
        kshiftrw kshiftrd kshiftrq kshiftlb kshiftlw kshiftld kshiftlq kunpckbw kunpckwd kunpckdq pmovb2m pmovw2m
        pmovd2m pmovq2m pmovm2b pmovm2w pmovm2d pmovm2q""",
    "additions": "add adc sub inc dec neg paddb paddw paddd paddq psubb psubusb psubw psubd psubq psadbw",
    "maxima, minima, absolute values": """
        pmaxsb pmaxsw pmaxsd pmaxub pmaxuw pmaxud pminsb pminsw pminsd pminub pminuw pminud pabsb pabsw pabsd
        pmaxsq pmaxuq pminsq pminuq pabsq""",
    "comparisons": """
        cmp test pcmpeqb pcmpeqw pcmpeqd pcmpeqq pcmpgtb pcmpgtw pcmpgtd pcmpgtq ptest bt ptestmb ptestmw ptestmd
        ptestmq ptestnmb ptestnmw ptestnmd ptestnmq pcmpltb pcmpltw pcmpltd pcmpltq pcmpleb pcmplew pcmpled pcmpleq
        pcmpnltb pcmpnltw pcmpnltd pcmpnltq pcmpnleb pcmpnlew pcmpnled pcmpnleq pcmpneqb pcmpneqw pcmpneqd pcmpneqq
        pcmpltub pcmpltuw pcmpltud pcmpleub pcmpleuw pcmpleud pcmpnltub pcmpnltuw pcmpnltud pcmpnleub pcmpnleuw
        pcmpnleud pcmpequb pcmpequw pcmpequd pcmpnequb pcmpnequw pcmpnequd""",
    "logic": """
        and andn or xor not pand pandn por pxor andps andnps orps xorps andpd andnpd orpd xorpd pandd pandq pandnd
        pandnq pord porq pxord pxorq pternlogd pternlogq""",
    "shifts, rotations": """
        shl sal shr sar shld shrd rol ror shlx shrx sarx rorx
        psllw pslld psllq pslldq psrlw psrld psrlq psrldq psraw psrad psllvd psllvq psrlvd psrlvq psravd
        psraq psravq psllvw psrlvw psravw prold prolq prord prorq""",
    "counting bits": "popcnt tzcnt lzcnt bsf bsr blsr blsi blsmsk",
    "prefetching": "prefetcht0 prefetcht1 prefetcht2 prefetchnta",
    "branches and returns": "jmp ja jae jb jbe je jne jg jge jl jle js jns jo jno ret",
    "nothing": "nop nopw nopl data16 cs endbr64 zeroupper zeroall leave xchg",
}
ALLOWED = {name for names in GROUPS.values() for name in names.split()}
BRANCHES = set(GROUPS["branches and returns"].split()) - {"ret"}

_FUNCTION = re.compile(r"^[0-9a-f]+ <(?P<name>[^>@]+)(@[^>]*)?>:$")
_INSTRUCTION = re.compile(r"^\s*(?P<address>[0-9a-f]+):\t(?P<text>.+)$")
_TARGET = re.compile(r"^[0-9a-f]+ <(?P<name>[^>+@]+)(@[^>+]*)?(\+0x[0-9a-f]+)?>")
_PREFIXES = {"rep", "repz", "bnd", "notrack", "cs", "data16", "ds"}


@dataclass(frozen=True)
class Instruction:
    """One instruction of the section, and the function it belongs to."""

    function: str
    mnemonic: str
    operands: str
    address: int


def instructions(binary: Path, objdump: str = "objdump") -> Iterator[Instruction]:
    """All instructions of section `spk_synapse` of an object file, shared library or program."""
    command = [objdump, "-d", "-w", "--no-show-raw-insn", "-j", SECTION, str(binary)]
    listing = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    function = "?"
    for line in listing.splitlines():
        if match := _FUNCTION.match(line):
            function = match["name"]
        elif match := _INSTRUCTION.match(line):
            words = match["text"].split("# ")[0].split()  # ARM writes numbers as #31
            while len(words) > 1 and words[0] in _PREFIXES:
                words.pop(0)
            yield Instruction(function, words[0], " ".join(words[1:]), int(match["address"], 16))


def base_name(mnemonic: str) -> str:
    """The name in the whitelist: without the `v` of AVX, and without the suffix that tells an operand's size."""
    for name in (mnemonic, mnemonic.removeprefix("v")):
        if name in ALLOWED:
            return name
        if name[:-1] in ALLOWED and name[-1] in "bwlq":
            return name[:-1]
    return mnemonic


def violations(binary: Path) -> list[str]:
    """What breaks the rule, each naming the mnemonic and the function; empty where the section only adds."""
    found = []
    for each in instructions(binary):
        if base_name(each.mnemonic) not in ALLOWED:
            found.append(f"{each.mnemonic} in {each.function}")
        elif each.mnemonic in BRANCHES:
            target = _TARGET.match(each.operands)
            if target is None or target["name"] not in symbols(binary):
                found.append(f"{each.mnemonic} {each.operands} out of the section, in {each.function}")
    return sorted(set(found))


def symbols(binary: Path) -> frozenset[str]:
    """Names of the functions in the section."""
    return _SYMBOLS.setdefault(binary, frozenset(_read_symbols(binary)))


_SYMBOLS: dict[Path, frozenset[str]] = {}


def _read_symbols(binary: Path) -> Iterator[str]:
    """From the symbol table, or where it was stripped from the dynamic one, which kernels are in as well."""
    for table in ("-t", "-T"):
        listing = subprocess.run(["objdump", table, str(binary)], check=True, capture_output=True, text=True).stdout
        names = [line.split()[-1] for line in listing.splitlines() if re.search(rf" D?F {SECTION}\b", line)]
        if names:
            yield from names
            return


def histogram(binary: Path) -> dict[str, Counter[str]]:
    """How often each mnemonic occurs, by group."""
    counts = Counter(each.mnemonic for each in instructions(binary))
    result: dict[str, Counter[str]] = {}
    for mnemonic, count in counts.items():
        name = base_name(mnemonic)
        group = next((group for group, names in GROUPS.items() if name in names.split()), "NOT ALLOWED")
        result.setdefault(group, Counter())[mnemonic] = count
    return result


def print_histogram(binary: Path) -> None:
    """The histogram as text, the most frequent first."""
    groups = histogram(binary)
    for group, counts in sorted(groups.items(), key=lambda item: -item[1].total()):
        print(f"{counts.total():7d}  {group}: " + ", ".join(f"{name} {n}" for name, n in counts.most_common()))
    print(f"{sum(counts.total() for counts in groups.values()):7d}  instructions in section {SECTION} of {binary.name}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print_histogram(Path(sys.argv[1]))
    else:
        from pyspike import _native

        print_histogram(Path(_native.__file__))
