"""What is the C++ simulator's own: time series, cycles that are counted later, errors, its picture of the records."""

from __future__ import annotations

import re
import signal
from dataclasses import fields
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pyspike import _simulator
from pyspike.chip import firmware as fw
from pyspike.errors import Error, RangeError, ShapeError, SimulationError
from tests.house.sources import ROOT

from .firmwares import Builder, Program, random_program

CORE, PORT, STEP, INPUT = (
    {name: k for k, name in enumerate(names)}
    for names in (
        _simulator.CORE_COUNTERS, _simulator.PORT_COUNTERS, _simulator.STEP_COUNTERS, _simulator.INPUT_COUNTERS
    )
)  # fmt: skip
SEEDS = range(12)
Run = dict[str, Any]


def run(program: Program, **options: Any) -> Run:
    return _simulator.run(fw.to_bytes(program.firmware), program.inputs, **options)


def assert_equal(ours: Run, other: Run) -> None:
    """Everything but the time series."""
    for name, value in ours.items():
        if name == "outputs":
            assert all(np.array_equal(a, b) for a, b in zip(value, other[name], strict=True))
        elif not name.startswith("window"):
            assert np.array_equal(value, other[name]), name


# Records


def test_the_structs_are_the_records_of_firmware_py() -> None:
    """format.hpp lists the same fields in the same order; arrays of three count as three."""
    source = (ROOT / "firmware_sim" / "format.hpp").read_text(encoding="utf-8")
    structs = dict(re.findall(r"struct (\w+) \{(.*?)\};", source, re.DOTALL))
    found = {}
    for name, body in structs.items():
        found[name] = []
        for kind, names in re.findall(r"std::(u?int32_t|array<std::u?int32_t, \d>) ([^;]+);", body):
            found[name] += [(each.strip(), "u" not in kind.replace("std::", "")) for each in names.split(",")]
    for _, record in fw.SECTIONS:
        expected = [(each.name, each.name in fw.SIGNED) for each in fields(record)]
        assert found.pop(record.__name__) == expected, record.__name__
    sections = [name for name, _ in fw.SECTIONS]
    counts = [*sections, "constants", "shift_words", "weight_words", "metadata_bytes", "zeros"]
    assert found == {"Chip": [(name, False) for name in (*fw.CHIP_FIELDS, *counts)]}


def test_the_numbers_are_those_of_firmware_py() -> None:
    source = (ROOT / "firmware_sim" / "format.hpp").read_text(encoding="utf-8")
    numbers = {name: int(value, 0) for name, value in re.findall(r"k(\w+) = (\w+)", source)}
    for name in ("EDGE", "FIRE", "OUTPUT", "ADD", "MAX", "SYNAPSE", "LOAD", "COUNTS", "POTENTIALS", "UNARY", "BITWISE",
                 "FOLDED", "EDGE_PORT", "KIND_FIRMWARE"):  # fmt: skip
        assert numbers[name.title().replace("_", "")] == getattr(fw, name), name


# Counters


@pytest.mark.parametrize("seed", SEEDS)
def test_every_flit_and_every_cycle_is_counted_once(seed: int) -> None:
    program = random_program(Random(seed))
    result = run(program)
    cores, ports, steps, inputs = (result[name].sum(axis=0) for name in ("cores", "ports", "steps", "inputs"))
    assert (result["cores"][:, :4].sum(axis=1) == result["cycles"]).all()
    assert cores[CORE["potential_reads"]] == steps[STEP["potential_reads"]] + ports[PORT["issues"]]
    assert cores[CORE["potential_writes"]] == steps[STEP["potential_writes"]] + ports[PORT["issues"]]
    for name in set(PORT) - {"hops_x", "hops_y"}:
        assert cores[CORE[name]] == ports[PORT[name]], name
    for name in ("fired_words", "compares", "constant_words", "spikes", "potentials", "ends", "fired"):
        assert cores[CORE[name]] == steps[STEP[name]], name
    sent = sum(cores[CORE[name]] for name in ("spikes", "potentials", "ends", "readies"))
    sent_by_host = sum(inputs[INPUT[name]] for name in ("spikes", "potentials", "ends"))
    assert sent_by_host == result["edge_in"]
    assert sent + sent_by_host == cores[CORE["flits_received"]] + result["edge_out"]
    # The hops that routers made are those that senders sent their flits for.
    for name in ("hops_x", "hops_y"):
        assert cores[CORE[name]] == ports[PORT[name]] + steps[STEP[name]] + inputs[INPUT[name]], name
    links = result["links"]
    assert links[:, 0].sum() == cores[CORE["flits_received"]]
    assert links[0, 4] == result["edge_out"]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_trace_changes_nothing(seed: int, tmp_path: Path) -> None:
    """With a trace every issue is made by itself, without one all of a site at once."""
    program = random_program(Random(seed))
    assert_equal(run(program), run(program, trace=str(tmp_path / "trace")))


# Time series


def test_without_windows_there_is_no_series() -> None:
    result = run(random_program(Random(0)))
    assert result["window"] == 0
    assert result["window_classes"].shape == (0, *result["cores"][:, :4].shape)
    assert result["window_links"].shape == (0, *result["links"].shape)
    assert result["window_counters"].shape == (0, len(CORE))


@pytest.mark.parametrize("windows", [1, 2, 3, 7, 64, 1 << 20])
@pytest.mark.parametrize("seed", SEEDS)
def test_windows_sum_to_the_totals(seed: int, windows: int) -> None:
    program = random_program(Random(seed))
    plain, result = run(program), run(program, windows=windows)
    assert_equal(plain, result)
    length, cycles = result["window"], result["cycles"]
    assert length & (length - 1) == 0
    needed = -(-cycles // length)
    assert needed <= windows
    assert length == 1 or -(-cycles // (length // 2)) > windows, "shorter windows would do"
    assert len(result["window_classes"]) == len(result["window_links"]) == len(result["window_counters"]) == needed
    assert np.array_equal(result["window_classes"].sum(axis=0), result["cores"][:, :4])
    assert np.array_equal(result["window_links"].sum(axis=0), result["links"])
    assert np.array_equal(result["window_counters"].sum(axis=0), result["cores"].sum(axis=0))
    ends = np.minimum(np.arange(1, needed + 1) * length, cycles)
    assert (result["window_classes"].sum(axis=2) == np.diff(ends, prepend=0)[:, None]).all()


@pytest.mark.parametrize("windows", [1 << 20, 40])
@pytest.mark.parametrize("seed", SEEDS)
def test_what_happens_is_counted_in_its_window(seed: int, windows: int, tmp_path: Path) -> None:
    """The series, made without a trace, against the trace, line by line."""
    program = random_program(Random(seed))
    result = run(program, windows=windows)
    path = tmp_path / "trace"
    run(program, trace=str(path))
    expected = np.zeros_like(result["window_counters"])
    links = np.zeros_like(result["window_links"])
    flits = ("spikes", "ends", "readies", "potentials")
    for line in path.read_text(encoding="ascii").splitlines():
        cycle, core, act, *words = line.split()
        row = expected[int(cycle) // result["window"]]
        if act == "issue":
            row[CORE["null_issues" if words[5] == "-1" else "issues"]] += 1
        elif act == "out":
            row[CORE[flits[int(words[0])]]] += 1
        elif act == "axon":
            row[CORE["flits_received"]] += 1
        elif act == "grant":
            links[int(cycle) // result["window"], int(core), "LNESW".index(words[1])] += 1
    for name in ("issues", "null_issues", *flits, "flits_received"):
        assert np.array_equal(result["window_counters"][:, CORE[name]], expected[:, CORE[name]]), name
    assert np.array_equal(result["window_links"], links)


@pytest.mark.parametrize("seed", SEEDS)
def test_windows_of_any_length_agree(seed: int) -> None:
    """Whenever the classes of a core's cycles are counted, they are the same."""
    program = random_program(Random(seed))
    fine, coarse = run(program, windows=1 << 20), run(program, windows=5)
    assert fine["window"] == 1
    starts = np.arange(0, fine["cycles"], coarse["window"])
    for name in ("window_classes", "window_links", "window_counters"):
        assert np.array_equal(np.add.reduceat(fine[name], starts), coarse[name]), name


# Raster


def fired(program: Program, path: Path) -> NDArray[np.int64]:
    """Every neuron that fired, (cycle, step, neuron), by the lines of the trace."""
    firmware, points = program.firmware, []
    tiles = {core.number: core.first_tile for core in firmware.cores}
    times = run(program, trace=str(path))["times"]
    for line in path.read_text(encoding="ascii").splitlines():
        cycle, core, act, *words = line.split()
        if act != "fire":
            continue
        number, address = tiles[int(core)] + int(words[0]), int(words[1])
        tile = firmware.tiles[number]
        under_way = [
            step
            for step in range(tile.first_step, tile.first_step + tile.steps)
            if any(first <= int(cycle) <= last for first, last in times[:, step])
        ]
        assert len(under_way) == 1
        if firmware.steps[under_way[0]].kind == fw.OUTPUT:
            continue
        site, word = divmod(address - tile.base, -(-tile.channels // firmware.lanes))
        for lane, count in enumerate(map(int, words[2:])):
            if count > 0:
                neuron = site * tile.channels + word * firmware.lanes + lane
                points.append((int(cycle), under_way[0], neuron))
    return np.array(points, dtype=np.int64).reshape(-1, 3)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_raster_is_what_fired(seed: int, tmp_path: Path) -> None:
    program = random_program(Random(seed))
    points = fired(program, tmp_path / "trace")
    result = run(program, raster=1 << 40)
    assert np.array_equal(result["raster"], points)
    assert len(points) == result["cores"][:, CORE["fired"]].sum()


@pytest.mark.parametrize("most", [1, 2, 3, 10, 999])
def test_the_raster_is_thinned_out_evenly(most: int) -> None:
    everything = run(crowd(4), raster=1 << 40)["raster"]
    assert len(everything) > 999
    every = 1
    while -(-len(everything) // every) > most:
        every *= 2
    assert np.array_equal(run(crowd(4), raster=most)["raster"], everything[::every])
    assert np.array_equal(run(crowd(4), raster=most, threads=3)["raster"], everything[::every])
    assert run(crowd(4))["raster"].shape == (0, 3)


# Errors


def two_layers(timesteps: int = 3) -> Program:
    """A slow second layer: its events of one timestep are not done when the first could send those of the next."""
    chip = Builder(mesh=(2, 1), timesteps=timesteps)
    first = chip.tile(core=0, rows=4, columns=4, channels=16).fire([1])
    second = chip.tile(core=1, rows=4, columns=4, channels=32).fire([1])
    chip.input(4, 4, 16).to(first.port())
    first.to(second.port(kernel=(3, 3), padding=(1, 1), inputs=16, outputs=32))
    second.to_edge()
    return Program(chip.build(), [np.ones((timesteps, 4, 4, 16), dtype=np.int32)])


def test_without_ready_an_event_comes_outside_its_group() -> None:
    program = two_layers()
    run(program)
    with pytest.raises(
        SimulationError, match=r"outside its group at core \d, tile 0, port 0: it is for group 0 of t = 1"
    ):
        run(program, ignore_ready=True)


def test_the_error_is_one_of_pyspike() -> None:
    assert _simulator.SimulationError is SimulationError
    assert issubclass(SimulationError, Error)


def test_a_circle_of_waits_is_refused_and_deadlocks() -> None:
    """Two steps that feed each other: whatever their numbers are, one is not higher than that which it waits for."""
    chip = Builder(mesh=(2, 1))
    first = chip.tile(core=0, channels=8).fire([1], number=1)
    second = chip.tile(core=1, channels=8).fire([1], number=2)
    chip.input(1, 1, 8, number=0).to(first.port())
    first.to(second.port())
    second.to(first.port())
    data, inputs = fw.to_bytes(chip.build()), [np.ones((1, 1, 1, 8), dtype=np.int32)]
    with pytest.raises(Error, match="step 1: its number must be lower than that of step 0, which it feeds"):
        _simulator.run(data, inputs)
    with pytest.raises(SimulationError) as error:
        _simulator.run(data, inputs, check_order=False)
    lines = str(error.value).splitlines()
    assert re.match(r"deadlock in cycle \d+: nothing can happen any more, 0 flits are under way", lines[0])
    assert len(lines) == 3
    assert "core 0 tile 0 step 0 (number 1) of t = 0: 1 of 2 ENDs" in lines[1]
    assert "core 1 tile 0 step 0 (number 2) of t = 0: 0 of 1 ENDs" in lines[2]
    assert "axon FIFO 0 of 64, out FIFO 0 of 16" in lines[2]


def test_a_deadlock_of_many_tiles_shows_twenty_lines() -> None:
    chip = Builder(mesh=(8, 8))
    tiles = [chip.tile(core=core, channels=8).fire([1], number=core) for core in range(64)]
    for at, step in enumerate(tiles):
        step.to(tiles[(at + 1) % 64].port())
    with pytest.raises(SimulationError) as error:
        _simulator.run(fw.to_bytes(chip.build()), [], check_order=False)
    assert len(str(error.value).splitlines()) == 22
    assert str(error.value).endswith("...")


def test_too_long_a_run_stops() -> None:
    program = two_layers()
    cycles = run(program)["cycles"]
    assert run(program, max_cycles=cycles)["cycles"] == cycles
    with pytest.raises(SimulationError, match=f"not ended after {cycles - 1} cycles"):
        run(program, max_cycles=cycles - 1)


@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        ([], ShapeError, "expected 1 inputs, found 0"),
        ([np.ones((1, 4, 4, 16), dtype=np.int32)], ShapeError, "input 0: expected 768 values, found 256"),
        ([np.full((3, 4, 4, 16), 256, dtype=np.int32)], RangeError, "counts must be 0..255, found 256"),
        ([np.full((3, 4, 4, 16), -1, dtype=np.int32)], RangeError, "counts must be 0..255, found -1"),
    ],
)
def test_inputs_that_are_none(inputs: list[NDArray[np.int32]], error: type[Error], message: str) -> None:
    with pytest.raises(error, match=message):
        run(Program(two_layers().firmware, inputs))


def test_a_trace_that_cannot_be_written() -> None:
    with pytest.raises(OSError, match="cannot write the trace"):
        run(two_layers(), trace=str(ROOT / "tests"))


# Long runs


def run_for_ever(**options: Any) -> None:
    """Runs of more than a tenth of a second each."""
    program = two_layers(256).with_chip(link_delay=1000)
    while True:
        run(program, **options)


def test_progress_is_told_and_may_stop_the_run() -> None:
    class Enough(Exception):
        pass

    calls = []

    def progress(*numbers: int) -> None:
        calls.append(numbers)
        if len(calls) == 2:
            raise Enough

    with pytest.raises(Enough):
        run_for_ever(progress=progress)
    for cycle, done, steps in calls:
        assert cycle > 0
        assert 0 <= done <= steps == 512


def test_a_signal_stops_the_run() -> None:
    class Alarm(Exception):
        pass

    def handler(number: int, frame: object) -> None:
        raise Alarm

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        with pytest.raises(Alarm):
            run_for_ever()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


# Threads


def crowd(timesteps: int = 2) -> Program:
    """A mesh full of cores that all send at once: cycles that are worth several threads."""
    chip = Builder(mesh=(16, 17), timesteps=timesteps)
    rng = np.random.default_rng(0)
    cores = rng.permutation(16 * 17)
    for sender, receiver in zip(cores[::2], cores[1::2], strict=True):
        fire = chip.tile(core=int(sender), channels=24).fire([0, 1], bias=rng.integers(-1, 2, 24))
        fire.to(chip.tile(core=int(receiver), channels=24).output().port(inputs=24, outputs=24))
    return Program(chip.build(), [])


@pytest.mark.parametrize("threads", [2, 3, 17, 100])
def test_any_number_of_threads_gives_the_same(threads: int) -> None:
    alone, together = (run(crowd(), windows=20, threads=number) for number in (1, threads))
    assert_equal(alone, together)
    for name in ("window", "window_classes", "window_links", "window_counters"):
        assert np.array_equal(alone[name], together[name]), name


@pytest.mark.parametrize("seed", SEEDS)
def test_two_threads_give_the_same_of_small_programs(seed: int) -> None:
    """They meet in the first cycle at least."""
    program = random_program(Random(seed))
    assert_equal(run(program), run(program, threads=2))


def test_errors_of_threads_are_those_of_one() -> None:
    program = crowd().with_chip(timesteps=3)
    messages = []
    for threads in (1, 4):
        for options in ({"ignore_ready": True}, {"max_cycles": 30}):
            with pytest.raises(SimulationError) as error:
                run(program, threads=threads, **options)
            messages.append(str(error.value))
    assert messages[:2] == messages[2:]
    assert "outside its group" in messages[0]
    assert "not ended after 30 cycles" in messages[1]
