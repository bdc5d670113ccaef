"""`pyspike latency`: its tables, its JSON, and a deadline."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.latency.made_up import bound_of


def test_a_model_is_measured(cli: Cli, model: Path, photo: Path) -> None:
    result = cli("latency", model, photo, "--repetitions", 2, "--threads", 2, "--isa", "portable")
    assert result.code == 0, result.err
    for text in ("drive8", "logits16", "everything else", "total", "ns/event", "us to p99", "2 threads, portable"):
        assert text in result.out
    for text in ("silence", "density 0.5 in patches", "held out: density 0.35", "held out: sample 0", "p50 ms"):
        assert text in result.out
    assert "Measured, not proven: p99 of 2 runs of each" in result.out
    assert "max_events" not in result.out


def test_everything_as_json(cli: Cli, model: Path) -> None:
    result = cli("latency", model, "--repetitions", 1, "--json", "--deadline", 1e6, "--quantile", 0.5)
    assert result.code == 0, result.err
    found = json.loads(result.out)
    assert [layer["name"] for layer in found["layers"]] == ["drive8", "drive16", "logits8", "logits16"]
    assert found["quantile"] == 0.5
    assert found["max_events"] == found["most"] == sum(layer["most"] for layer in found["layers"])
    assert found["worst"] >= found["a"] > 0


def test_a_deadline_names_a_budget(cli: Cli, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bound = bound_of((1.0, 0.25, 10))
    monkeypatch.setattr("pyspike.runtime.Model.latency_bound", lambda *arguments, **options: bound)
    assert "max_events=4 keeps a run within 3500 ms" in cli("latency", model, "--deadline", 3500).out
    result = cli("latency", model, "--deadline", 2000)
    assert result.code == 2
    assert "everything else" in result.out
    assert re.search(r"error: seconds: expected at least 2\.5", result.err)


def test_bad_arguments(cli: Cli, model: Path) -> None:
    for arguments, match in (
        (("--repetitions", 0), "repetitions"),
        (("--quantile", 2), "quantile"),
        (("--isa", "x"), "isa"),
    ):
        result = cli("latency", model, *arguments)
        assert result.code == 2
        assert match in result.err
    assert "no such file" in cli("latency", "absent.spk").err


def test_help_has_an_example(cli: Cli) -> None:
    result = cli("latency", "--help")
    assert result.code == 0
    assert "pyspike latency " in result.out.split("Example:")[1]
