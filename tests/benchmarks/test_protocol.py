"""Contestants in processes of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers.protocol import PeerError, Process, peak_memory
from benchmarks.race import outputs_of


def start(tmp_path: Path, factor: int) -> Process:
    np.save(tmp_path / "x.npy", np.arange(6).reshape(2, 3))
    return Process("tests.benchmarks.echo", {"x": str(tmp_path / "x.npy"), "factor": factor})


def test_a_contestant_runs_when_told_to(tmp_path: Path) -> None:
    with start(tmp_path, 3) as process:
        assert process.ask("load")["seconds"] > 0
        assert len(process.ask("run", times=4)["seconds"]) == 4
        memory = process.ask("memory")
        (found,) = outputs_of(process)
    np.testing.assert_array_equal(found, 3 * np.arange(6).reshape(2, 3))
    assert 0 < memory["baseline"] <= memory["peak"]
    assert process.process.poll() is not None


def test_what_a_peer_raises_is_told_and_it_goes_on(tmp_path: Path) -> None:
    with start(tmp_path, 0) as process:
        with pytest.raises(PeerError, match="ValueError: no factor"):
            process.ask("load")
        with pytest.raises(PeerError, match="unknown command"):
            process.ask("jump")


def test_a_process_that_ends_tells_its_last_words(tmp_path: Path) -> None:
    with (
        Process("tests.benchmarks.echo", {"x": str(tmp_path / "none.npy"), "factor": 1}) as process,
        pytest.raises(PeerError, match=r"FileNotFoundError.*none\.npy"),
    ):
        process.ask("load")


def test_peak_memory_grows_with_what_is_touched() -> None:
    before = peak_memory()
    held = np.ones(before // 4, np.uint64)  # twice as large as all before
    assert peak_memory() >= held.nbytes
