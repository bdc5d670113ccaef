"""What run.py runs: the proofs stage by stage, what must be reachable, and the planted bugs."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Job:
    """One run of sby on the module `top`."""

    name: str
    top: str
    mode: str = "prove"
    depth: int = 1
    proves: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()  # stages proved before, whose assertions are assumed
    cuts: tuple[str, ...] = ()  # wires that become free: what is proved then holds whatever drives them
    parameters: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Mutant:
    """A bug: `old` becomes `new` in `file`, and the assertion `refuted` must fail from reset."""

    name: str
    file: str
    old: str
    new: str
    refuted: str
    top: str = "router_proof"
    parameters: dict[str, int] = field(default_factory=dict)


FIFO = ("fifo_full", "fifo_empty", "fifo_order", "inv_count", "inv_first", "inv_next", "inv_ahead", "inv_word")

# Assertions by stage. A stage may use those above it.
STAGES: dict[str, tuple[str, ...]] = {
    "bounds": ("fifo_overflow", "fifo_underflow", "fifo_behind", "inv_fifo"),
    "credits": ("credit_in", "credit_out"),
    "rule": ("grant_in_turn", "grant_given", "inv_grant"),
    "grants": ("grant_one_input", "grant_one_output", "grant_pops", "grant_wanted"),
    "followed": ("inv_follow_state", "inv_follow_a", "inv_follow_b", "inv_follow_order", "inv_follow_gone"),
    "slots-a": ("inv_slots_a",),
    "slots-b": ("inv_slots_b",),
    "heads": ("inv_heads",),
    "path": ("path_kept", "path_once", "inv_once"),
    "pairs": ("path_order", "path_apart", "path_number"),
    "turns": ("turn_back", "turn_y_to_x", "turn_next"),
    "waits": (
        *("wait_grants", "wait_head", "wait_fifo"),
        *("inv_wait_fair", "inv_wait_grants", "inv_wait_head", "inv_wait_fifo"),
    ),
}
# What each stage assumes, and what it does not need to know. Free winners and heads stand for any arbiter and any FIFO
# that keep the assumed assertions.
WINNERS, HEADS = "dut.outputs*.winner", "dut.heads"
_GRANTED = ("bounds", "grants")
PROOFS: tuple[Job, ...] = (
    *(Job(f"fifo-{n}", "fifo_proof", proves=FIFO, parameters={"DEPTH": n}) for n in (1, 2, 3, 4)),
    # A FIFO's control does not see its words: each bit is stored as if it were alone.
    *(Job(f"fifo-{n}", "fifo_proof", proves=FIFO, parameters={"DEPTH": n, "WIDTH": 1}) for n in (16, 64)),
    *(
        Job(stages[0], "router_proof", proves=tuple(n for s in stages for n in STAGES[s]), uses=uses, cuts=cuts)
        for stages, uses, cuts in (
            (("bounds", "credits"), (), ()),
            (("rule",), ("bounds", "credits"), ()),
            (("grants",), ("bounds", "rule"), ()),
            (("followed",), _GRANTED, (WINNERS,)),
            (("slots-a",), (*_GRANTED, "followed"), (WINNERS,)),
            (("slots-b",), (*_GRANTED, "followed"), (WINNERS,)),
            (("heads",), (*_GRANTED, "followed", "slots-a", "slots-b"), (WINNERS,)),
            (("path",), (*_GRANTED, "followed", "heads"), (WINNERS, HEADS)),
            (("pairs",), (*_GRANTED, "followed", "heads", "path"), (WINNERS, HEADS)),
            (("turns",), _GRANTED, (WINNERS, HEADS)),
            (("waits",), (*_GRANTED, "credits", "rule", "followed", "heads"), ()),
        )
    ),
)

# That the assumptions leave room: each of these must be reached.
REACH = Job("reach", "router_proof", "cover", 14)

# Each bug is judged by one assertion alone, from reset, with nothing assumed but legal neighbours.
MUTANT_DEPTH = 20
_SMALL = {"DEPTH": 1, "LOCAL_CREDITS": 1}
MUTANTS: tuple[Mutant, ...] = (
    Mutant("wraps-late", "fifo.sv", "INDEX'(DEPTH - 1) ?", "INDEX'(DEPTH) ?", "fifo_order", "fifo_proof", {"DEPTH": 3}),
    Mutant("refuses-when-full", "fifo.sv", "if (push) slots", "if (push && !full) slots", "fifo_order", "fifo_proof"),
    Mutant("full-early", "fifo.sv", "count == COUNT'(DEPTH)", "count == COUNT'(DEPTH - 1)", "fifo_full", "fifo_proof"),
    Mutant("empty-early", "fifo.sv", "empty = count == '0", "empty = count < 2", "fifo_empty", "fifo_proof"),
    Mutant("last-in-first-out", "fifo.sv", "slots[first]", "slots[INDEX'(next - 1'b1)]", "path_order"),
    Mutant("pops-no-more-while-pushed", "fifo.sv", "if (pop) first", "if (pop && !push) first", "path_once"),
    Mutant(
        "keeps-what-it-credits", "router.sv", ".pop(in_credit[i])", ".pop(in_credit[i] && !in_valid[i])", "credit_in"
    ),
    Mutant("overflows", "router.sv", ".pop(in_credit[i])", ".pop(in_credit[i] && !in_valid[i])", "fifo_overflow"),
    Mutant("pops-the-empty", "router.sv", "empty ? '0 : output_port", "output_port", "fifo_underflow"),
    Mutant("spends-no-credit", "router.sv", "credits - COUNT'(grant)", "credits", "credit_out"),
    Mutant("loses-a-credit", "router.sv", "COUNT'(out_credit[o])", "COUNT'(out_credit[o] && !grant)", "credit_out"),
    Mutant("one-credit-too-many", "router.sv", "<= COUNT'(CREDITS)", "<= COUNT'(CREDITS + 1)", "fifo_behind"),
    Mutant("asks-for-no-credit", "router.sv", " && credits != '0", "", "fifo_behind"),
    Mutant("saves-the-last-credit", "router.sv", "credits != '0", "credits > 1", "grant_given"),
    Mutant("never-grants", "router.sv", "credits != '0", "credits > 1", "wait_head", parameters=_SMALL),
    Mutant("never-lets-through", "router.sv", "credits != '0", "credits > 1", "wait_fifo", parameters=_SMALL),
    Mutant("pointer-at-winner", "router.sv", "{winner[PORTS-2:0], winner[PORTS-1]}", "winner", "grant_in_turn"),
    Mutant("pointer-runs-free", "router.sv", "if (grant) pointer", "pointer", "grant_in_turn"),
    Mutant("favours-the-winner", "router.sv", "{winner[PORTS-2:0], winner[PORTS-1]}", "winner", "wait_grants"),
    Mutant(
        "grants-all",
        "router.sv",
        "winner = first[2*PORTS-1:PORTS] | first[PORTS-1:0]",
        "winner = requests",
        "grant_one_input",
    ),
    Mutant(
        "merges", "router.sv", "winner = first[2*PORTS-1:PORTS] | first[PORTS-1:0]", "winner = requests", "path_apart"
    ),
    Mutant("two-ways", "router.sv", "output_port = '0", "output_port = 5'd1", "grant_one_output"),
    Mutant("copies", "router.sv", "output_port = '0", "output_port = 5'd1", "path_number"),
    Mutant(
        "pops-not-for-L",
        "router.sv",
        "int o = 0; o < PORTS; o++) in_credit",
        "int o = 1; o < PORTS; o++) in_credit",
        "grant_pops",
    ),
    Mutant("keeps-the-old", "router.sv", "if (grant) out_flit", "if (grant && !out_valid[o]) out_flit", "path_kept"),
    Mutant(
        "sends-again",
        "router.sv",
        "out_valid[o] <= grant",
        "out_valid[o] <= grant || (out_valid[o] && !out_credit[o])",
        "path_once",
    ),
    Mutant(
        "north-is-south",
        "router.sv",
        "head.y < here_y) output_port[flit::N]",
        "head.y < here_y) output_port[flit::S]",
        "turn_back",
    ),
    Mutant("goes-too-far-east", "router.sv", "head.x > here_x", "head.x >= here_x", "turn_y_to_x"),
    Mutant("y-first", "router.sv", "if (head.x < here_x)", "if (head.x < here_x && head.y == here_y)", "turn_next"),
    Mutant(
        "no-edge",
        "router.sv",
        "flit::EDGE_PORT) output_port[flit::W]",
        "flit::EDGE_PORT) output_port[flit::L]",
        "grant_wanted",
    ),
)
