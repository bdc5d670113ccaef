"""Planted bugs: each changes one expression of the RTL, and the comparison must find it.

All are in one build: the expression becomes a choice by a number that the harness gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from build import MODULES, RTL

PACKAGE = """package mutation;
    import "DPI-C" function int watch_mutant();
    int chosen = watch_mutant();
endpackage
"""


@dataclass(frozen=True)
class Mutant:
    """The expression `was` becomes `is_now` in the text `where` (or in itself), which stands once in the module."""

    name: str
    module: str
    was: str
    is_now: str
    where: str = ""


MUTANTS = (
    Mutant("round robin stays at the winner", "router", "{winner[PORTS-2:0], winner[PORTS-1]}", "winner"),
    Mutant("round robin begins at N", "router", "PORTS'(1)", "PORTS'(2)"),
    Mutant("an output's credits one too few", "router", "COUNT'(CREDITS)", "COUNT'(CREDITS - 1)"),
    Mutant("a flit from L takes two credits", "router", "COUNT'(grant)", "COUNT'(grant) + COUNT'(winner[0])"),
    Mutant("y before x for half of the turns", "router", "head.x < here_x", "head.x < here_x && head.y == here_y"),
    Mutant("FIFOs full a slot early", "fifo", "count == COUNT'(DEPTH)", "count >= COUNT'(DEPTH - 1)"),
    Mutant("a slot is free in the cycle in which it is left", "core", "!out_full", "!(out_full && !out_leaves)",
           "fire_holds && !out_full"),
    Mutant("READY yields to fire", "core", "!out_full", "!out_full && !fire_holds", "ready_pending && !out_full"),
    Mutant("credits for the router one too few", "core", "COUNT'(ROUTER_FIFO)", "COUNT'(ROUTER_FIFO - 1)"),
    Mutant("END counts a cycle early", "tile_program", "counted", "counted + 10'(end_counts)",
           "counted == current.ends"),
    Mutant("a step starts without READY", "tile_program", "(current.waits & ~ready) == '0", "1'b1"),
    Mutant("of equal steps the higher tile starts", "sequencer", "numbers[k] <= numbers[chosen]",
           "numbers[k] < numbers[chosen]"),
    Mutant("READYs of the highest tile first", "sequencer", "waiting[k]", "waiting[k] && sender == '0",
           "if (waiting[k]) sender"),
    Mutant("a token waits for the engine", "decode", "held && token", "held && token && engine_free",
           "(held && token) ||"),
    Mutant("a first output channel is ignored", "decode", "30'(port_record.channel)", "30'd0"),
    Mutant("a group writes one channel less", "decode", "30'(port_record.outputs) - 30'd1",
           "30'(port_record.outputs) - 30'd1 - 30'(port_record.outputs > 1)"),
    Mutant("strides round towards zero", "axis", "sum >>> 1", "sum / 14'sd2"),
    Mutant("a tap beyond the kernel", "axis", "sum - taps + 14'sd1", "sum - taps"),
    Mutant("a gap between two events", "engine", "!active || last_issue", "!active"),
    Mutant("planes from the bottom", "engine", "remaining[p]",
           "remaining[p] && (remaining & ((8'd1 << p) - 8'd1)) == '0", "if (remaining[p])"),
    Mutant("planes weigh the same", "engine", "work.bitwise ? 6'(plane) : 6'd0", "6'd0"),
    Mutant("channel words of a site overlap", "engine", "potential + tables::POTENTIAL'(word)", "potential"),
    Mutant("no forwarding", "potentials", "storing && stored_address == read_address", "1'b0"),
    Mutant("fire reads in spite of an issue", "fire", "due && !engine_issues", "due"),
    Mutant("above the threshold, not at it", "fire",
           "signed'(drive) >= signed'(ladder_words[k*tables::WORD+lane*32+:32])",
           "signed'(drive) > signed'(ladder_words[k*tables::WORD+lane*32+:32])"),
    Mutant("the opposite lane's count is sent", "fire", "fired[sender*32+:32]", "fired[(15-32'(sender))*32+:32]"),
    Mutant("a window excludes its last column", "window", "x <= destination.x_high", "x < destination.x_high"),
    Mutant("words are not cleared", "fire", "step_record.clear", "1'b0", "clearing <= step_record.clear"),
    Mutant("the last channel word is left out", "fire", "here_word == tile_record.words - 11'd1",
           "here_word + 11'd1 >= tile_record.words - 11'd1", "&& here_word == tile_record.words - 11'd1"),
)  # fmt: skip


def plant(folder: Path) -> Sequence[Path]:
    """Writes the RTL with all bugs planted into `folder`; its files in the order of compilation.

    Raises `RuntimeError` where the RTL no longer has the text of a mutant.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts = {name: (RTL / f"{name}.sv").read_text() for name in MODULES}
    for number, mutant in enumerate(MUTANTS, 1):
        where = mutant.where or mutant.was
        found = texts[mutant.module].count(where)
        if found != 1:
            raise RuntimeError(
                f"mutant {mutant.name!r}: expected {where!r} once in {mutant.module}.sv, found it {found} times"
            )
        choice = f"(mutation::chosen == {number} ? ({mutant.is_now}) : ({mutant.was}))"
        texts[mutant.module] = texts[mutant.module].replace(where, where.replace(mutant.was, choice))
    files = [folder / "mutation.sv", *(folder / f"{name}.sv" for name in MODULES)]
    for file, text in zip(files, [PACKAGE, *texts.values()], strict=True):
        file.write_text(text)
    return files
