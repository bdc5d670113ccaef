"""Instructions of each kernel against those stored, and the comparison itself."""

from __future__ import annotations

import pytest

from benchmarks.micro.instructions import Counts, Impossible, compare, count, load, parse
from tests.native.programs import build, tool


@pytest.mark.slow
def test_no_kernel_takes_more_instructions_than_stored() -> None:
    tool("valgrind", "valgrind")
    program = build("host", "call_each") / "benchmarks" / "micro" / "call_each"
    try:
        complaints = compare(count(program), load())
    except Impossible as reason:
        pytest.skip(str(reason))
    assert complaints == []


def test_only_what_a_kernel_executes_itself_is_counted() -> None:
    listing = (
        "fl=a\nfn=main\n0 5\ncfn=spk_a\ncalls=1 0\n0 99\nfn=spk_a\n0 7\n+3 2\ncalls=2 1\n0 1000\n-1 4\nfn=other\n0 1"
    )
    assert parse(listing) == {"spk_a": 13}


def test_more_instructions_and_other_kernels_are_complaints() -> None:
    stored = Counts("12.2.0", {"spk_a": 1000, "spk_b": 1000, "spk_c": 10})
    assert compare(stored, stored) == []
    assert compare(Counts("12.2.0", {"spk_a": 1030, "spk_b": 900, "spk_c": 10}), stored) == []
    assert compare(Counts("12.2.0", {"spk_a": 1031, "spk_b": 1000, "spk_d": 10}), stored) == [
        "spk_a: 1031 instructions, 1000 before (+3.1%)",
        "spk_c is gone: say --update",
        "spk_d is new: say --update",
    ]
    with pytest.raises(Impossible, match=r"GCC 12\.2\.0, this is 13"):
        compare(Counts("13", {}), stored)
