"""Pages of docs/ whose measured parts are written by benchmarks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pyspike._files import write_whole

DOCS = Path(__file__).parent.parent / "docs"
BEGIN, END = "<!-- measured{}: begin -->", "<!-- measured{}: end -->"


def write_measured(page: str, text: str, part: str = "") -> None:
    """Put `text` between the marks of docs/`page`; `part` where the page has several."""
    path = DOCS / page
    begin, end = (mark.format(part and f" {part}") for mark in (BEGIN, END))
    before, found, rest = path.read_text(encoding="utf-8").partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise SystemExit(f"{path}: expected the lines '{begin}' and '{end}', between which results go")
    write_whole(path, f"{before}{begin}\n{text.rstrip()}\n\n{end}{after}".encode())


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table in Markdown, line by line."""
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return ["| " + " | ".join(row) + " |" for row in (header, ["---"] * len(header), *escaped)]


def cpu() -> str:
    """The CPU as the system names it, and how many of them."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]} ({len(names)} cores)" if names else "an unnamed CPU"
