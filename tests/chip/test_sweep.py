"""Sweeps: the same figures whoever runs the points, one point that fails ends no other, and nothing is done twice."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pyspike import ChipError, image
from pyspike.chip.config import Chip
from pyspike.chip.firmware import to_bytes
from pyspike.chip.mapping import map_network
from pyspike.chip.simulate import simulate
from pyspike.chip.sweep import MAX_POINTS, Grid, Outcome, sweep
from pyspike.chip.sweep_journal import Journal, Keys
from pyspike.chip.sweep_point import Figures, Job, area, evaluate
from pyspike.chip.sweep_workers import in_processes
from tests.chip.sweeping import AXES, BASE, check_deadly, deadly, small_graph, table
from tests.cli import conftest
from tests.cli.conftest import Cli

# The grid


def test_a_grid_is_the_product_in_order(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text((Path(image.__file__).parent / "chip/presets/45nm.toml").read_text())
    path = tmp_path / "grid.toml"
    path.write_text('[chip]\naxon_fifo = 8\n[grid]\nmesh = [[2, 3], [4, 4]]\nenergy = ["45nm", "mine.toml"]\n')
    grid = Grid.load(path)
    assert [point.chip for point in grid.points] == [
        Chip(mesh=mesh, axon_fifo=8, energy=energy, name="grid")
        for mesh in ((2, 3), (4, 4)) for energy in ("45nm", str(tmp_path / "mine.toml"))
    ]  # fmt: skip
    assert str(grid.points[0]) == "mesh 2x3, energy 45nm"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[grid]\nlans = [8]", r"unknown key 'lans'; known are mesh, lanes"),
        ("[grid]\nname = ['a']", "unknown key 'name'"),
        ("[grid]\nlanes = []", r"'lanes': expected a list of values, found \[\]"),
        ("[grid]\nlanes = 8", "'lanes': expected a list of values, found 8"),
        ("[grid]\nlanes = [8, 8]", "'lanes': expected every value once, found 8 twice"),
        ("[grid]\nlanes = [8, 12]", "chip key 'lanes': expected one of 8, 16, 32, found 12"),
        ("[grid]\nmesh = [8, 8]", "'mesh': expected every value once"),
        ("[grid]\nmesh = [8, 9]", r"chip key 'mesh': expected \[columns, rows\]"),
        ("[grid]\nenergy = ['5nm']", "expected one of 45nm, paper, loihi"),
        ("[chip]\nlanes = 8", r"expected a table \[grid\] of keys with lists of values, found none"),
        ("grid = 3", "expected a table .grid. of keys with lists of values, found 3"),
        ("[grid]\nlanes = [8]\n[chips]\n", r"expected the tables \[chip\] and \[grid\] alone, found chips too"),
        ("chip = 3\n[grid]\nlanes = [8]", "found a value 'chip' too"),
        ("[chip]\nlans = 8\n[grid]\nlanes = [8]", "unknown key 'lans' of a chip; did you mean 'lanes'"),
        ("[grid", "expected a TOML file"),
    ],
)
def test_bad_grids_are_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "grid.toml"
    path.write_text(text)
    with pytest.raises(ChipError, match=message) as error:
        Grid.load(path)
    assert str(error.value).startswith(str(path))


def test_huge_grids_are_refused_before_they_are_made() -> None:
    axes = {"axon_fifo": list(range(1, 4001)), "out_fifo": list(range(1, 4001))}
    with pytest.raises(ChipError, match=r"at most 10,000 points, found 16,000,000 = 4000 \(axon_fifo\) x 4000 .*fewer"):
        Grid(Chip(), axes)
    assert len(Grid(Chip(), {"axon_fifo": list(range(1, 101)), "out_fifo": list(range(1, 101))}).points) == MAX_POINTS


def test_combinations_that_no_chip_can_have_are_points_that_fail(job: Job, tmp_path: Path) -> None:
    """64 bytes hold a word of 8 and 16 lanes, not one of 32."""
    grid = Grid(BASE, {"lanes": [16, 32], "potential_sram": [64, 8192]})
    outcomes = sweep(job, grid, tmp_path / "journal", workers=0)
    assert [outcome.figures is not None for outcome in outcomes] == [False, True, False, True]
    assert "'potential_sram': expected a whole number of at least 128" in outcomes[2].status


# A point


def test_figures_are_those_of_a_simulation(job: Job) -> None:
    """Also where chips share a mapping, because they differ in FIFOs, delays, clock and energy alone."""
    for changes in (
        {},
        {"router_fifo": 1, "out_fifo": 1, "axon_fifo": 1},
        {"link_delay": 3},
        {"clock": 1e6},
        {"energy": "loihi"},
        {"coding": "folded"},
        {"lanes": 8},
    ):
        chip = BASE.replace(**changes)
        mapped = map_network(small_graph(), chip, effort=job.effort)
        report = simulate(mapped, job.inputs)
        assert evaluate(job, chip) == Outcome("ok", Figures.of(report))
        assert [to_bytes(each.firmware) for each in job.mapping(chip).passes] == [
            to_bytes(each.firmware) for each in mapped.passes
        ]
        assert (report.cycles, report.energy.total, report.flits) == (
            evaluate(job, chip).figures.cycles, evaluate(job, chip).figures.joules, evaluate(job, chip).figures.flits
        )  # fmt: skip


def test_other_outputs_are_a_failure_that_is_tried_again(job: Job) -> None:
    expected = {name: values.copy() for name, values in job.expected.items()}
    expected["logits"].flat[7] += 1
    found = evaluate(replace(job, expected=expected), BASE)
    assert found == Outcome("1 of the outputs differ from those expected", None, 1, settled=False)
    expected = {name: values[..., :2] for name, values in job.expected.items()}
    assert evaluate(replace(job, expected=expected), BASE).differences == expected["logits"].size


def test_another_version_is_refused(job: Job) -> None:
    found = evaluate(replace(job, package="0.0"), BASE)
    assert found.figures is None
    assert "this worker has pyspike 0.1.0, the sweep 0.0" in found.status


def test_the_area_is_that_of_its_parts() -> None:
    """By hand from docs/sweep.md, and what more of anything costs."""
    chip = Chip(mesh=(1, 1))
    assert area(chip) == pytest.approx(2.1768 + 0.0348 + 0.0876, abs=2e-4)
    assert area(chip.replace(mesh=(16, 16))) == pytest.approx(256 * area(chip))
    assert area(chip.replace(coding="unary")) == area(chip)
    for changes, more in (
        ({"potential_sram": 131073}, 8 * 0.692),
        ({"lanes": 32}, 16 * (9 * 32 * 4.256 + 160 * 1.862) / 0.7),
        ({"coding": "folded"}, 16 * 64 * (4.256 + 1.064) / 0.7),
        ({"router_fifo": 5}, 5 * 96 * (4.522 + 1.862) / 0.7),
        ({"out_fifo": 17}, 96 * (4.522 + 1.862) / 0.7),
        ({"axon_fifo": 65}, 96 * (4.522 + 1.862) / 0.7),
    ):
        assert 1e6 * (area(chip.replace(**changes)) - area(chip)) == pytest.approx(more, rel=1e-6), changes


# Who runs the points


def test_processes_find_what_this_process_finds(job: Job, tmp_path: Path) -> None:
    grid = Grid(BASE, AXES)
    here, told = sweep(job, grid, tmp_path / "here", workers=0), []
    there = sweep(job, grid, tmp_path / "there", workers=2, tell=lambda point, *rest: told.append((str(point), *rest)))
    assert table(grid, here, tmp_path / "here.csv") == table(grid, there, tmp_path / "there.csv")
    assert len({outcome.figures for outcome in here}) == 4
    assert sorted(told) == sorted(
        (str(point), outcome, False) for point, outcome in zip(grid.points, here, strict=True)
    )
    with (tmp_path / "here.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["lanes"], row["coding"]) for row in rows] == [
        ("8", "bitwise"), ("8", "folded"), ("16", "bitwise"), ("16", "folded")
    ]  # fmt: skip
    assert [float(row["joules"]) for row in rows] == [outcome.figures.joules for outcome in here]


def test_a_point_that_does_not_fit_ends_no_other(job: Job, tmp_path: Path) -> None:
    grid = Grid(BASE, {"potential_sram": [8192, 64, 4096]})
    outcomes = sweep(job, grid, tmp_path / "journal", workers=1)
    assert [outcome.figures is not None for outcome in outcomes] == [True, False, True]
    assert outcomes[1].status.startswith("ChipError: ")
    with (tmp_path / "t.csv").open("wb") as file:
        file.write(table(grid, outcomes, tmp_path / "u.csv"))
    with (tmp_path / "t.csv").open() as file:
        row = list(csv.DictReader(file))[1]
    assert row["status"] == outcomes[1].status
    assert row["cycles"] == row["area"] == ""


def test_a_worker_that_dies_is_one_point(job: Job, tmp_path: Path) -> None:
    outcomes = sweep(deadly(job), Grid(BASE, {"lanes": [8, 32, 16]}), tmp_path / "journal", workers=2)
    assert outcomes[1].status == "the process died: it was killed, or crashed"
    check_deadly(job, outcomes, tmp_path / "journal")


class Pressed(Job):
    """Ctrl-C reaches the workers, too, and is none of their business."""

    def run(self, chip: Chip) -> Outcome:
        os.kill(os.getpid(), signal.SIGINT)
        return super().run(chip)


def test_workers_leave_interrupts_to_their_parent(job: Job, tmp_path: Path) -> None:
    pressed = Pressed(job.model, job.inputs, job.expected)
    try:
        outcomes = sweep(pressed, Grid(BASE, {"lanes": [8]}), tmp_path / "journal", workers=1)
    except KeyboardInterrupt:
        pytest.fail("an interrupt ended the worker")
    assert outcomes[0].status == "ok"


class Endless(Job):
    """Takes an hour for chips with 32 lanes."""

    def run(self, chip: Chip) -> Outcome:
        if chip.lanes == 32:
            time.sleep(3600)
        return super().run(chip)


@pytest.mark.timeout(120)
def test_closing_waits_for_no_point(job: Job) -> None:
    endless = Endless(job.model, job.inputs, job.expected)
    running = in_processes(endless, [(0, BASE.replace(lanes=32)), (1, BASE.replace(lanes=8))], 2)
    assert next(running) == (1, evaluate(job, BASE.replace(lanes=8)))
    running.close()


# The journal


def test_finished_points_are_not_run_again(job: Job, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    first = sweep(job, Grid(BASE, {"lanes": [8], "potential_sram": [8192, 32]}), journal, workers=0)
    told = []
    grid = Grid(BASE, {"potential_sram": [32, 8192], "lanes": [16, 8]})
    found = sweep(job, grid, journal, workers=0, tell=lambda point, outcome, known: told.append((str(point), known)))
    assert sorted(told) == [
        ("potential_sram 32, lanes 16", True),  # that one is impossible
        ("potential_sram 32, lanes 8", True),
        ("potential_sram 8192, lanes 16", False),
        ("potential_sram 8192, lanes 8", True),
    ]
    assert [found[3], found[1]] == first


def test_keys_tell_apart_what_could_differ(job: Job, tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    preset = (Path(image.__file__).parent / "chip/presets/45nm.toml").read_text()
    mine.write_text(preset)
    key = Keys(job).of(BASE)
    assert Keys(job).of(BASE.replace(name="other")) == key
    assert Keys(job).of(BASE.replace(energy=str(mine))) == key
    other = tmp_path / "other.toml"
    other.write_text(preset.replace("value = 20\n", "value = 21\n"))
    inputs = {"counts": job.inputs["counts"].copy()}
    inputs["counts"].flat[0] ^= 1
    keys = [
        key,
        *(Keys(job).of(BASE.replace(**change)) for change in (
            {"mesh": (3, 4)}, {"lanes": 8}, {"weight_sram": 16385}, {"potential_sram": 8193}, {"port_table": 63},
            {"router_fifo": 5}, {"out_fifo": 17}, {"axon_fifo": 65}, {"link_delay": 1}, {"clock": 1e8},
            {"coding": "unary"}, {"energy": str(other)},
        )),
        *(Keys(replace(job, **change)).of(BASE) for change in (
            {"model": job.model + b"x"}, {"inputs": inputs}, {"seed": 1}, {"effort": 1}, {"package": "0"},
        )),
    ]  # fmt: skip
    assert len(set(keys)) == len(keys) == 18


def test_torn_and_foreign_lines_say_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "new" / "journal")
    assert journal.read() == {}
    figures = Figures(1, 0.1, 1e-300, 2, 3, 4, 5, 1 / 3, 6, 1, 7.5)
    good = {"a": Outcome("ok", figures), "b": Outcome("ChipError: no"), "c": Outcome("ok", replace(figures, cycles=9))}
    for key in ("a", "b"):
        journal.append(key, good[key])
    journal.append("d", Outcome("died", settled=False))
    entry = json.loads(journal.path.read_text().splitlines()[0])
    strange = [{**entry, "cycles": True}, {**entry, "cycles": 1.5}, {**entry, "more": 1}, {**entry, "point": 3},
               {**entry, "status": "no"}, {"point": "e", "status": "ok"}, [], 3]  # fmt: skip
    with journal.path.open("a") as file:
        file.write(
            "".join(f"{json.dumps(each)}\n" for each in strange) + "\x00\ud7ff\n" + json.dumps(entry | {"cycles": 8})
        )
    assert journal.read() == {"a": good["a"], "b": good["b"]}
    journal.append("c", good["c"])  # after half a line
    found = journal.read()
    assert found["b"] == good["b"]
    assert found["c"] == good["c"]


# The command

cli = conftest.cli


@pytest.fixture
def files(job: Job, tmp_path: Path) -> Path:
    """A folder with model, input and grid."""
    (tmp_path / "small.spk").write_bytes(job.model)
    np.save(tmp_path / "x.npy", job.inputs["counts"])
    (tmp_path / "grid.toml").write_text(
        "[chip]\nmesh = [3, 3]\nweight_sram = 16384\n"
        '[grid]\npotential_sram = [4096, 8192, 64]\ncoding = ["bitwise", "folded"]\n'
    )
    return tmp_path


def arguments(files: Path, output: str, *more: object) -> list[object]:
    return ["sweep", files / "small.spk", files / "x.npy", "--grid", files / "grid.toml", "-o", files / output, *more]


def test_the_command_writes_table_and_picture(cli: Cli, files: Path) -> None:
    result = cli(*arguments(files, "new/sweep.csv", "--workers", 1))
    assert result.code == 0, result.err
    assert len(result.err.splitlines()) == 2
    assert re.search(r"^potential_sram 64, coding bitwise: ChipError: ", result.err, re.MULTILINE)
    assert "points      6: 4 ran, 2 failed" in result.out
    assert re.search(r"^8192 +folded|^4096 +folded", result.out, re.MULTILINE)
    assert len((files / "new/sweep.csv").read_text().splitlines()) == 7
    assert (files / "new/sweep.png").stat().st_size > 1000


def test_the_command_tells_what_is_wrong(cli: Cli, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "expected a file that ends in .csv" in cli(*arguments(files, "sweep.png")).err
    grid = (files / "grid.toml").read_text()
    (files / "grid.toml").write_text("[grid]\nlans = [8]")
    result = cli(*arguments(files, "sweep.csv"))
    assert result.code == 2
    assert "unknown key 'lans'" in result.err
    (files / "grid.toml").write_text(grid.replace("4096, 8192, ", ""))
    assert cli(*arguments(files, "sweep.csv", "--workers", 1)).code == 1, "no point ran"
    (files / "grid.toml").write_text(grid)

    def differ(*_: object, **__: object) -> list[Outcome]:
        good = Outcome("ok", Figures(1, 0.1, 1.0, 2, 3, 4, 5, 0.5, 6, 1, 7.5))
        return [good, Outcome("3 of the outputs differ from those expected", None, 3, False), *[good] * 4]

    monkeypatch.setattr("pyspike.chip.sweep.sweep", differ)
    assert cli(*arguments(files, "sweep.csv")).code == 1


def test_a_killed_sweep_goes_on_to_the_same_table(cli: Cli, files: Path) -> None:
    """Killed after its first point, at a moment of which it knows nothing; its workers die with it."""
    with (files / "grid.toml").open("a") as file:
        file.write("axon_fifo = [1, 2, 3, 4, 5]\n")
    command = [sys.executable, "-m", "pyspike", *map(str, arguments(files, "killed.csv", "--workers", 2))]
    journal = files / "killed.csv.journal"
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    while not journal.exists() or not journal.read_bytes().count(b"\n"):
        assert running.poll() is None
        time.sleep(0.002)
    running.kill()
    running.wait()
    known = journal.read_bytes()
    wait_for_the_end(running.pid)
    assert not (files / "killed.csv").exists()
    assert known.count(b"\n") < 30
    with journal.open("ab") as file:
        file.write(b'{"point": "half a li')
    assert cli(*arguments(files, "killed.csv", "--workers", 2)).code == 0
    assert journal.read_bytes().startswith(known)
    assert journal.read_bytes().count(b"\n") == 31, "30 points, and what was torn"
    assert cli(*arguments(files, "whole.csv", "--workers", 1)).code == 0
    assert (files / "killed.csv").read_bytes() == (files / "whole.csv").read_bytes()


def wait_for_the_end(group: int) -> None:
    """Until no process of a group is left that has lost its leader."""
    for _ in range(6000):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    os.killpg(group, signal.SIGKILL)
    raise AssertionError("workers outlived the sweep by a minute")


def test_an_interrupted_sweep_says_how_to_go_on(files: Path) -> None:
    command = [sys.executable, "-m", "pyspike", *map(str, arguments(files, "stopped.csv", "--workers", 2))]
    with (files / "grid.toml").open("a") as file:
        file.write("axon_fifo = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\n")
    running = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    journal = files / "stopped.csv.journal"
    while not journal.exists():
        assert running.poll() is None
        time.sleep(0.002)
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does: to the workers, too
    _, said = running.communicate()
    assert running.returncode == 130
    found = re.search(
        r"^pyspike: stopped after (\d+) of 60 points; the same command goes on from there$", said, re.MULTILINE
    )
    assert found, said
    assert journal.read_bytes().count(b"\n") - int(found[1]) in (0, 1), "a point may have been on its way to the screen"
    assert "Traceback" not in said
    wait_for_the_end(running.pid)
    assert not (files / "stopped.csv").exists()
