"""docs/cosim.md names every case of functional coverage and every planted bug, and no other."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COSIM = ROOT / "firmware_sim" / "cosim"
PAGE = (ROOT / "docs" / "cosim.md").read_text()


def table(name: str) -> list[list[str]]:
    """The cells of the rows of one of the page's tables."""
    between = PAGE.partition(f"<!-- {name} -->\n")[2].partition(f"<!-- end of {name} -->")[0]
    return [[cell.strip() for cell in row.split("|")[1:-1]] for row in between.splitlines()[2:]]


def cases() -> list[str]:
    """`unit: name` of every case in coverage.sv."""
    found, unit = [], ""
    text = (COSIM / "coverage.sv").read_text()
    for kind, name in re.findall(r'^    `(CASES\(|CASE\(\d+, )"([^"]+)"', text, flags=re.MULTILINE):
        if kind == "CASES(":
            unit = name
        else:
            found.append(f"{unit}: {name}")
    return found


def test_every_case_is_on_the_page_and_was_reached() -> None:
    rows = table("coverage")
    assert sorted(name for name, _ in rows) == sorted(cases())
    assert all(int(count.replace(",", "")) > 0 for _, count in rows)
    assert len(rows) > 100


def test_every_planted_bug_is_on_the_page(monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(COSIM))
    for name in ("mutants", "build"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    from mutants import MUTANTS

    rows = table("mutants")
    assert [name for name, *_ in rows] == [mutant.name for mutant in MUTANTS]
    assert all(cycle.isdigit() for *_, cycle in rows)


def test_planted_bugs_still_have_their_places(monkeypatch, tmp_path) -> None:
    monkeypatch.syspath_prepend(str(COSIM))
    for name in ("mutants", "build"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    from mutants import MUTANTS, plant

    planted = "".join(file.read_text() for file in plant(tmp_path))
    for number in range(1, len(MUTANTS) + 1):
        assert planted.count(f"mutation::chosen == {number} ?") == 1
