"""The trace of a chip, against the rules of the Trace Event Format and against the run."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyspike.report.chip_data import ChipRun
from pyspike.report.chip_trace import CORES, LAYERS, LINK_LOAD, PROCESSES, write_trace
from tests.report.chip_example import example, renamed, small

NUMBER = (int, float)
# Phase -> what an event of it must have.
REQUIRED: dict[str, dict[str, Any]] = {
    "M": {"pid": int, "tid": int, "name": str, "args": dict},
    "X": {"pid": int, "tid": int, "name": str, "cat": str, "ts": NUMBER, "dur": NUMBER, "args": dict},
    "C": {"pid": int, "name": str, "ts": NUMBER, "args": dict},
}


def _valid(text: str) -> list[dict[str, Any]]:
    """The events of a trace that follows the format; fails for any other."""
    trace = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert set(trace) == {"displayTimeUnit", "otherData", "traceEvents"}
    assert trace["displayTimeUnit"] == "ns"
    events: list[dict[str, Any]] = trace["traceEvents"]
    for event in events:
        required = REQUIRED[event["ph"]]
        assert set(event) == {"ph", *required}
        assert all(isinstance(event[key], kind) for key, kind in required.items()), event
        assert event["pid"] in PROCESSES
        assert event.get("tid", 1) >= 1
        assert min(event.get("ts", 0), event.get("dur", 0)) >= 0
        if event["ph"] == "C":
            assert event["args"]
            assert all(isinstance(value, NUMBER) for value in event["args"].values())
        if event["ph"] == "M":
            assert event["name"] in ("process_name", "process_sort_index", "thread_name", "thread_sort_index")
    return events


def _tracks(events: list[dict[str, Any]]) -> dict[tuple[int, int], list[dict[str, Any]]]:
    tracks = defaultdict(list)
    for event in events:
        if event["ph"] == "X":
            tracks[event["pid"], event["tid"]].append(event)
    return tracks


def _written(run: ChipRun, folder: Path) -> list[dict[str, Any]]:
    write_trace(run, folder / "run.json")
    return _valid((folder / "run.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def run() -> ChipRun:
    return example()


@pytest.fixture(scope="module")
def events(run: ChipRun, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return _written(run, tmp_path_factory.mktemp("trace"))


def _assert_in_order(events: list[dict[str, Any]]) -> None:
    for track, slices in _tracks(events).items():
        nanoseconds = [(round(1000 * each["ts"]), round(1000 * (each["ts"] + each["dur"]))) for each in slices]
        for (begin, end), (following, _) in pairwise(nanoseconds):
            assert begin <= end <= following, track
    last: dict[tuple[int, str], float] = {}
    for event in events:
        if event["ph"] == "C":
            key = event["pid"], event["name"]
            assert last.get(key, -1.0) < event["ts"], key
            last[key] = event["ts"]


def test_slices_of_a_track_follow_each_other(events: list[dict[str, Any]]) -> None:
    _assert_in_order(events)


@pytest.mark.parametrize("clock", [333e6, 1e9 / 7, 3.7e9, 1e3])
def test_neighbours_never_overlap_whatever_the_clock(clock: float, tmp_path: Path) -> None:
    """Steps without a cycle between them: rounding both ends of each by itself would let them overlap."""
    run = small()
    lengths = np.random.default_rng(5).integers(1, 30, 2000)
    ends = np.cumsum(lengths)
    cycles, n = int(ends[-1]), len(ends)
    zero = np.zeros(n, dtype=np.int64)
    order = np.random.default_rng(6).permutation(n)
    steps = replace(
        run.steps, core=zero, tile=zero, names=["step"] * n, layer=zero, spikes=zero, t=zero,
        first=(ends - lengths)[order], last=(ends - 1)[order],
    )  # fmt: skip
    classes = np.array([[cycles, 0, 0, 0]])
    run = replace(
        run, chip=replace(run.chip, clock=clock), cycles=cycles, steps=steps, classes=classes,
        window=cycles, window_classes=classes[None],
    )  # fmt: skip
    events = _written(run, tmp_path)
    _assert_in_order(events)
    slices = _tracks(events)[CORES, 2]
    assert len(slices) == n
    assert slices[-1]["ts"] + slices[-1]["dur"] == pytest.approx(1e6 * cycles / clock, abs=1e-3)


def test_every_step_is_a_slice_of_its_core(run: ChipRun, events: list[dict[str, Any]]) -> None:
    names = {(e["pid"], e["tid"]): e["args"]["name"] for e in events if e["name"] == "thread_name"}
    found = []
    for (process, thread), slices in _tracks(events).items():
        if process != CORES:
            continue
        core = thread - 2
        assert names[process, thread] == f"core {core} ({core % 16}, {core // 16})"
        for each in slices:
            first, length = (round(each[key] * 1e-6 * run.chip.clock) for key in ("ts", "dur"))
            arguments = each["args"]
            found.append(
                (core, first, first + length - 1, each["name"], *(arguments[k] for k in ("tile", "t", "spikes")))
            )
    steps = run.steps
    columns = (steps.core, steps.first, steps.last, np.array(steps.names), steps.tile, steps.t, steps.spikes)
    assert sorted(found) == sorted(zip(*(column.tolist() for column in columns), strict=True))


def test_layers_and_passes_have_tracks(run: ChipRun, events: list[dict[str, Any]]) -> None:
    tracks = {thread: slices for (process, thread), slices in _tracks(events).items() if process == LAYERS}
    (first, second) = tracks.pop(1)
    assert [first["name"], second["name"]] == [title for title, _ in run.passes]
    assert second["ts"] == pytest.approx(1e6 * run.passes[1][1] / run.chip.clock)
    assert second["ts"] + second["dur"] == pytest.approx(1e6 * run.cycles / run.chip.clock)
    assert [slices[0]["name"] for _, slices in sorted(tracks.items())] == [layer.name for layer in run.layers]
    assert [slices[0]["args"]["sops"] for _, slices in sorted(tracks.items())] == [layer.sops for layer in run.layers]


def _integral(run: ChipRun, counter: list[dict[str, Any]], key: str) -> float:
    """Sum over time, in units per second, of a counter that keeps its value until the next event."""
    assert counter[-1]["ts"] <= 1e6 * run.cycles / run.chip.clock
    assert counter[-1]["args"][key] == 0
    pairs = pairwise(counter)
    return sum(before["args"][key] * (after["ts"] - before["ts"]) for before, after in pairs) * 1e-6


def test_counters_sum_to_the_run(run: ChipRun, events: list[dict[str, Any]]) -> None:
    counters = defaultdict(list)
    for event in events:
        if event["ph"] == "C":
            counters[event["name"]].append(event)
    assert _integral(run, counters["power, W"], "total") == pytest.approx(run.energy, rel=1e-4)
    for kind, joules in run.energy_parts.items():
        assert _integral(run, counters["power by kind, W"], kind) == pytest.approx(joules, rel=1e-4)
    clock = run.chip.clock
    busy = _integral(run, counters["busy share"], "busy") * clock
    assert busy == pytest.approx(run.classes[:, 0].mean(), rel=1e-4)
    between = _integral(run, counters["flits between routers per cycle"], "flits") * clock
    assert between == pytest.approx(run.links[:, 1:].sum(), rel=1e-4)
    core = int(run.classes[:, 0].argmax())
    found = _integral(run, counters[f"busy {core} ({core % 16}, {core // 16})"], "busy") * clock
    assert found == pytest.approx(run.classes[core, 0], rel=1e-4)


def test_every_used_link_has_a_counter(run: ChipRun, events: list[dict[str, Any]]) -> None:
    counters = defaultdict(list)
    for event in events:
        if event["ph"] == "C" and event["pid"] == LINK_LOAD:
            counters[event["name"]].append(event)
    flits = {}
    for name, counter in counters.items():
        for output in counter[0]["args"]:
            flits[name, output] = _integral(run, counter, output) * run.chip.clock
    expected = {
        (f"router {router} ({router % 16}, {router // 16})", "LNESW"[output]): run.links[router, output]
        for router, output in np.argwhere(run.links).tolist()
    }
    assert flits == pytest.approx(expected, rel=1e-4)


def test_any_name_is_written_as_it_is(tmp_path: Path) -> None:
    name = '</script>"\\\n\ud800\u2028{}'
    events = _written(renamed(example(), name), tmp_path)
    assert {slices[0]["name"] for (process, _), slices in _tracks(events).items() if process == CORES} == {name}


def test_a_host_a_run_without_passes_and_numpy_numbers(tmp_path: Path) -> None:
    run = small()
    run = replace(
        run,
        steps=replace(run.steps, core=np.array([-1])),
        layers=[
            replace(run.layers[0], sops=np.int64(16), energy={"adds": np.float64(3e-12)}, first_cycle=np.int64(14))
        ],
    )
    events = _written(run, tmp_path)
    assert {"host", "passes"} <= {event["args"]["name"] for event in events if event["name"] == "thread_name"}
    assert len(_tracks(events)[CORES, 1]) == 1
    assert (LAYERS, 1) not in _tracks(events)


def test_a_trace_can_be_compressed_and_is_the_same_every_time(tmp_path: Path) -> None:
    for name in ("a.json", "b.json.gz", "c.json.gz"):
        write_trace(small(), tmp_path / name)
    assert gzip.decompress((tmp_path / "b.json.gz").read_bytes()) == (tmp_path / "a.json").read_bytes()
    assert (tmp_path / "b.json.gz").read_bytes() == (tmp_path / "c.json.gz").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "b.json.gz", "c.json.gz"]


def test_an_invalid_trace_is_seen() -> None:
    """A check that cannot fail proves nothing."""
    head = '{"displayTimeUnit":"ns","otherData":{},"traceEvents":['
    good = {"ph": "X", "pid": 3, "tid": 1, "name": "a", "cat": "cores", "ts": 5, "dur": 2, "args": {}}
    assert _valid(f"{head}{json.dumps(good)}]}}")
    for change in ({"ts": -1}, {"pid": 9}, {"name": 3}, {"tid": 0}, {"extra": 1}, {"dur": "2"}):
        with pytest.raises(AssertionError):
            _valid(f"{head}{json.dumps(good | change)}]}}")
    with pytest.raises(AssertionError):
        _assert_in_order([good, good | {"ts": 6.999}])
    with pytest.raises(pytest.fail.Exception, match="NaN is no JSON"):
        _valid(f"{head}{json.dumps(good | {'ts': float('nan')})}]}}")
