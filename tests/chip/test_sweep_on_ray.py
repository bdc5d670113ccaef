"""A sweep on a Ray cluster: the same figures, and a worker that dies is one point."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyspike.chip.sweep import Grid, sweep
from pyspike.chip.sweep_point import Job
from tests.chip.sweeping import AXES, BASE, check_deadly, deadly, table


# Ray opens sockets and files that it leaves to the garbage collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_ray_finds_what_this_process_finds(job: Job, tmp_path: Path) -> None:
    ray = pytest.importorskip("ray", reason="Ray is not installed (the extra `ray`)")
    grid = Grid(BASE, AXES)
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        there = sweep(job, grid, tmp_path / "there", workers=2, ray="local")
        assert ray.is_initialized(), "a cluster that was there before stays"
        outcomes = sweep(deadly(job), Grid(BASE, {"lanes": [8, 32, 16]}), tmp_path / "journal", workers=2, ray="local")
    finally:
        ray.shutdown()
    here = sweep(job, grid, tmp_path / "here", workers=0)
    assert table(grid, here, tmp_path / "here.csv") == table(grid, there, tmp_path / "there.csv")
    assert outcomes[1].status.startswith("the worker was lost: ")
    check_deadly(job, outcomes, tmp_path / "journal")


def test_no_cluster_at_an_address(job: Job, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed (the extra `ray`)")
    for address in ("127.0.0.1:1", "ray://127.0.0.1:1", "nowhere:port"):
        with pytest.raises(ConnectionError, match=f"no Ray cluster at '{address}'"):
            sweep(job, Grid(BASE, AXES), tmp_path / "journal", ray=address)
