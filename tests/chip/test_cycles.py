"""The C++ simulator against the slow one in every cycle, and what holds for any chip and coding.

PYSPIKE_CHIP_PROGRAMS   how many random programs to compare (40)
"""

from __future__ import annotations

import os
from random import Random
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, note, reject, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pyspike import _simulator
from pyspike.chip import firmware as fw
from pyspike.chip.config import Chip
from pyspike.chip.mapping import map_network
from pyspike.chip.simulate import simulate as simulate_network
from pyspike.errors import ModelFormatError, UnsupportedOpError
from pyspike.graph import Graph
from tests.exact.graphs import inputs_of

from . import oracle
from .firmwares import Builder, Program, programs, random_program
from .networks import networks
from .simulators import (
    ERRORS,
    SIMULATORS,
    Simulator,
    check,
    counters,
    cycles_of,
    differences,
    native,
    native_traffic,
)

PROGRAMS = int(os.environ.get("PYSPIKE_CHIP_PROGRAMS", "40"))
LONGEST = 20000  # cycles of a run: more is not worth the oracle's time


def compare(program: Program, longest: int = LONGEST) -> int:
    """The cycles of the run, where both simulators agree in all of it; 0 where it is too long."""
    cycles = native(program.firmware, program.inputs, trace=False)["cycles"]
    if cycles > longest:
        return 0
    theirs = native(program.firmware, program.inputs)
    difference = differences(oracle.simulate(program.firmware, program.inputs), theirs)
    assert not difference, difference
    return int(cycles)


@settings(max_examples=PROGRAMS)
@given(programs())
def test_both_simulators_agree_in_every_cycle(program: Program) -> None:
    assume(compare(program))


@pytest.mark.parametrize("seed", range(PROGRAMS))
def test_both_simulators_agree_in_every_cycle_of_evenly_drawn_programs(seed: int) -> None:
    """Hypothesis looks where it is odd and shrinks; these are typical."""
    compare(random_program(Random(seed)))


@settings(max_examples=max(5, PROGRAMS // 4), suppress_health_check=list(HealthCheck))
@given(networks(largest=1000), st.data())
def test_both_simulators_agree_in_every_cycle_of_mapped_networks(graph: Graph, data: st.DataObject) -> None:
    """What the mapper makes, with its streams, relays and tiles, on chips with FIFOs of any depth."""
    depth = st.sampled_from([1, 2, 4, 16])
    chip = Chip(
        mesh=(data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3))), lanes=data.draw(st.sampled_from([8, 16])),
        weight_sram=2**24, potential_sram=2**24, port_table=255, coding=data.draw(st.sampled_from(fw.CODINGS)),
        router_fifo=data.draw(depth), out_fifo=data.draw(depth), axon_fifo=data.draw(depth),
        link_delay=data.draw(st.integers(0, 3)),
    )  # fmt: skip
    try:
        mapped = map_network(graph, chip, effort=0)
    except UnsupportedOpError:
        reject()
    with mock.patch("pyspike._simulator.run", wraps=_simulator.run) as run:
        simulate_network(mapped, data.draw(inputs_of(graph)), windows=0, raster=0)
    for call in run.call_args_list:
        compare(Program(fw.from_bytes(call.args[0]), call.args[1]))


def test_the_comparison_names_the_first_difference() -> None:
    program = random_program(Random(0))
    ours = oracle.simulate(program.firmware, program.inputs)
    later = oracle.simulate(program.with_chip(link_delay=program.firmware.link_delay + 1).firmware, program.inputs)
    assert differences(ours, ours) == ""
    assert differences(ours, later).startswith("trace, line ")
    later["trace"] = ours["trace"]
    assert differences(ours, later).startswith("cores")


@settings(max_examples=PROGRAMS)
@given(st.data())
def test_the_meshes_alone_agree(data: st.DataObject) -> None:
    width, height = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    core = st.integers(0, width * height - 1)
    flits = sorted(data.draw(st.lists(st.tuples(st.integers(0, 12), core, core), max_size=80)))
    depth = st.sampled_from([1, 2, 3, 4, 16])
    options = {
        "router_fifo": data.draw(depth), "out_fifo": data.draw(depth), "axon_fifo": data.draw(depth),
        "link_delay": data.draw(st.integers(0, 3)), "max_cycles": data.draw(st.sampled_from([0, 0, 0, 9, 20])),
    }  # fmt: skip
    array = np.array(flits, dtype=np.int64).reshape(-1, 3)
    ours, theirs = oracle.traffic(width, height, array, **options), native_traffic(width, height, array, **options)
    note(f"{options}")
    for name in ("entered", "popped", "links", "cycles"):
        assert np.array_equal(ours[name], theirs[name]), name


# What holds of every run


@pytest.mark.parametrize("simulators", SIMULATORS)
@pytest.mark.parametrize("seed", range(100, 112))
def test_classes_flits_and_hops_add_up(simulators: tuple[Simulator, Simulator], seed: int) -> None:
    program = random_program(Random(seed))
    run = simulators[0](program.firmware, program.inputs)
    for core in range(len(run["cores"])):
        row = counters(run, row=core)
        assert sum(row[name] for name in ("busy", "stalled", "waiting", "idle")) == run["cycles"]
    total = counters(run)
    sent = sum(total[name] for name in ("spikes", "potentials", "ends", "readies")) + run["edge_in"]
    assert sent == total["flits_received"] + run["edge_out"]
    parts = [dict(zip(oracle.INPUT_COUNTERS, row, strict=True)) for row in run["inputs"].tolist()]
    parts += [counters(run, "steps"), counters(run, "ports")]
    for name in ("hops_x", "hops_y"):
        assert total[name] == sum(part[name] for part in parts)
    for table in ("steps", "ports"):
        own = counters(run, table)
        shared = set(own) - {"hops_x", "hops_y", "potential_reads", "potential_writes"}
        assert {name: own[name] for name in shared} == {name: total[name] for name in shared}
    ends = total["ends"] + sum(part["ends"] for part in parts if "readies" not in part and "fired" not in part)
    assert ends == len(program.firmware.destinations) * program.firmware.timesteps


def outputs_differ(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return any((x != y).any() for x, y in zip(a["outputs"], b["outputs"], strict=True))


@pytest.mark.parametrize("simulators", SIMULATORS)
@pytest.mark.parametrize("seed", range(200, 208))
def test_coding_and_chip_change_no_result(simulators: tuple[Simulator, Simulator], seed: int) -> None:
    program = random_program(Random(seed))
    simulate = simulators[0]
    first = simulate(program.firmware, program.inputs)
    same = ("sops", "events", "fired_words", "compares", "fired", "spikes", "potentials", "ends", "readies", "hops_x")
    others = [program.with_coding(coding) for coding in (fw.UNARY, fw.BITWISE, fw.FOLDED)]
    others += [
        program.with_chip(router_fifo=1, out_fifo=1, axon_fifo=1, link_delay=3),
        program.with_chip(router_fifo=9, out_fifo=64, axon_fifo=64, link_delay=0),
    ]
    for other in others:
        run = simulate(other.firmware, other.inputs)
        assert not outputs_differ(first, run)
        assert {name: counters(first)[name] for name in same} == {name: counters(run)[name] for name in same}


def dense(counts: NDArray[np.int32], weights: NDArray[np.int64], stride: int, dilation: int) -> NDArray[np.int64]:
    """A convolution [H, W, I] * [I, kh, kw, O] with padding 1, summed site by site."""
    padded = np.pad(counts, ((1, 1), (1, 1), (0, 0))).astype(np.int64)
    reach = 2 * dilation
    rows = [
        [
            np.einsum("yxi,iyxo->o", padded[y : y + reach + 1 : dilation, x : x + reach + 1 : dilation], weights)
            for x in range(0, padded.shape[1] - reach, stride)
        ]
        for y in range(0, padded.shape[0] - reach, stride)
    ]
    return np.array(rows)


@pytest.mark.parametrize("simulators", SIMULATORS)
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 2), (3, 2)])
def test_a_convolution_is_a_convolution(simulators: tuple[Simulator, Simulator], stride: int, dilation: int) -> None:
    """Two tiles of channels and halves of rows in two cores, against a dense sum."""
    bulk = np.random.default_rng(stride * 10 + dilation)
    counts = bulk.integers(0, 5, (1, 7, 6, 3), dtype=np.int32)
    weights = bulk.integers(-127, 128, (3, 3, 3, 12))
    expected = dense(counts[0], weights, stride, dilation)
    height, width = expected.shape[:2]
    split = max(1, height // 2)
    chip = Builder(mesh=(2, 2), lanes=8)
    host = chip.input(7, 6, 3)
    output = chip.output(height, width, 12)
    for core, (first, rows) in enumerate([(0, split), (split, height - split)]):
        for channel, channels in ((0, 9), (9, 3)) if rows else ():
            tile = chip.tile(core, rows=rows, columns=width, channels=channels, at=(first, 0, channel))
            step = tile.output()
            words = np.zeros((27, tile.words * 8), dtype=np.int8)
            words[:, :channels] = weights.reshape(27, 12)[:, channel : channel + channels]
            port = step.port(
                kernel=(3, 3), padding=(1, 1), stride=(stride, stride), dilation=(dilation, dilation),
                inputs=3, outputs=12, weights=words.reshape(-1, 8),
            )  # fmt: skip
            host.to(port)
            step.to(output)
    run = simulators[0](chip.build(), [counts])
    assert np.array_equal(run["outputs"][0][0], expected)


# What must not go unseen


def wait_pairs(firmware: fw.Firmware) -> list[tuple[tuple[str, int], tuple[str, int]]]:
    """(who waits, whom for) within a timestep, from the records: ("steps" or "inputs", number) each."""
    sender_of: dict[int, tuple[str, int]] = {}
    for name in ("steps", "inputs"):
        for k, sender in enumerate(getattr(firmware, name)):
            for number in range(sender.first_destination, sender.first_destination + sender.destinations):
                sender_of[number] = (name, k)
    before = {s for tile in firmware.tiles for s in range(tile.first_step + 1, tile.first_step + tile.steps)}
    pairs = [(("steps", k), ("steps", k - 1)) for k in before]
    first_port = {core.number: core.first_port for core in firmware.cores}
    for number, destination in enumerate(firmware.destinations):
        if destination.core == fw.EDGE:
            continue
        port = first_port[destination.core] + destination.port
        reader = next(k for k, s in enumerate(firmware.steps) if s.first_port <= port < s.first_port + s.ports)
        pairs.append((("steps", reader), sender_of[number]))
        if reader in before:
            pairs.append((sender_of[number], ("steps", reader - 1)))
    return pairs


@pytest.mark.parametrize("seed", range(300, 306))
def test_a_step_number_that_is_not_above_all_it_waits_for_is_refused(seed: int) -> None:
    firmware = random_program(Random(seed)).firmware
    check(firmware)
    for (waiter, k), (name, other) in wait_pairs(firmware):
        changed = fw.from_bytes(fw.to_bytes(firmware))
        getattr(changed, waiter)[k].number = getattr(changed, name)[other].number
        with pytest.raises(ModelFormatError, match="number"):
            check(changed)


@pytest.mark.parametrize("simulators", SIMULATORS)
def test_an_event_before_its_group_is_an_error(simulators: tuple[Simulator, Simulator]) -> None:
    """Without READY, the host's second timestep overtakes the firing of the first."""
    chip = Builder(timesteps=2)
    fire = chip.tile(channels=16).fire([1])
    chip.input(1, 1, 16).to(fire.port())
    fire.to_edge()
    firmware = chip.build()
    counts = np.ones((2, 1, 1, 16), dtype=np.int32)
    assert (simulators[0](firmware, [counts])["outputs"][0] == 1).all()
    with pytest.raises(ERRORS, match="group"):
        simulators[0](firmware, [counts], ignore_ready=True)


@pytest.mark.parametrize("simulators", SIMULATORS)
def test_steps_that_wait_for_each_other_are_a_deadlock(simulators: tuple[Simulator, Simulator]) -> None:
    """No reader takes such firmware, unless it is told not to look at the order of waits."""
    chip = Builder(mesh=(2, 1))
    first, second = (chip.tile(core, channels=16).fire([1], number=core) for core in (0, 1))
    first.to(second.port())
    second.to(first.port())
    firmware = chip.build()
    with pytest.raises(ERRORS, match=r"deadlock.*(\n.*)+core 0 tile 0.*\n.*core 1 tile 0"):
        simulators[0](firmware, [], check_order=False)
    if simulators[0] is native:
        with pytest.raises(ModelFormatError, match="number"):
            native(firmware, [])


def test_the_oracle_sees_a_deadlock() -> None:
    """One END too many to wait for: such a record is refused by every reader, and the oracle has none."""
    chip = Builder()
    fire = chip.tile(channels=16).fire([1])
    chip.input(1, 1, 16).to(fire.port())
    firmware = chip.build()
    firmware.steps[0].ends += 1
    with pytest.raises(oracle.SimulationError, match="deadlock:\ncore 0 tile 0 at t 0, step 0: 1 of 2 ENDs"):
        oracle.simulate(firmware, [np.ones((1, 1, 1, 16), dtype=np.int32)])


@pytest.mark.parametrize("seed", range(400, 406))
def test_threads_and_windows_change_nothing_and_windows_add_up(seed: int) -> None:
    program = random_program(Random(seed))
    plain = native(program.firmware, program.inputs)
    run = native(program.firmware, program.inputs, threads=2, windows=8)
    assert differences(plain, run) == ""
    assert len(run["window_counters"]) == -(-run["cycles"] // run["window"]) <= 8
    assert np.array_equal(run["window_counters"].sum(axis=0), run["cores"].sum(axis=0))
    assert np.array_equal(run["window_classes"].sum(axis=0), run["cores"][:, :4])
    assert np.array_equal(run["window_links"].sum(axis=0), run["links"])


# Rules of the page that no worked number shows


@pytest.mark.parametrize("simulators", SIMULATORS)
def test_a_step_of_the_last_timestep_sends_only_its_end_before(simulators: tuple[Simulator, Simulator]) -> None:
    """The mean of three timesteps: the accumulator stays, readers get an END at every t, and one word is visited."""
    chip = Builder(timesteps=3)
    mean = chip.tile(channels=16).fire([5], last=True)
    chip.input(1, 1, 16).to(mean.port())
    reader = chip.tile(channels=16).fire([1], last=True)
    mean.to(reader.port())
    reader.to_edge(varies=False)
    counts = np.zeros((3, 1, 1, 16), dtype=np.int32)
    counts[:, 0, 0, 3] = [1, 2, 2]
    counts[:, 0, 0, 4] = [1, 2, 1]
    run = simulators[0](chip.build(), [counts])
    assert np.flatnonzero(run["outputs"][0]).tolist() == [3]
    first, last = run["times"][:, 0].T.tolist()
    assert [b - a for a, b in zip(first[:2], last[:2], strict=True)] == [1, 1]  # taken, and the END behind it
    assert counters(run, "steps", 0)["fired_words"] == 1
    assert counters(run, "steps", 0)["ends"] == 3
    assert cycles_of(run, 0, "fire 0")[0] == first[2]


@pytest.mark.parametrize("simulators", SIMULATORS)
def test_the_lowest_tile_sends_its_readies_first(simulators: tuple[Simulator, Simulator]) -> None:
    chip = Builder()
    host = chip.input(1, 1, 4)
    for channels in (1, 2):
        fire = chip.tile(channels=channels).fire([1])
        for _ in range(2):
            host.to(fire.port())
    run = simulators[0](chip.build(), [np.ones((1, 1, 1, 4), dtype=np.int32)])
    sent = [line for line in run["trace"] if line.split()[2] == "out"]
    assert sent == [f"{cycle} 0 out 2 0 0 255 0 0 0 {cycle} 0" for cycle in range(4)]


@pytest.mark.parametrize("simulators", SIMULATORS)
def test_an_end_names_its_offset_modulo_two_to_the_fourteen(simulators: tuple[Simulator, Simulator]) -> None:
    chip = Builder()
    fire = chip.tile(channels=1).fire([1])
    chip.input(1, 1, 4).to(fire.port(), c=(3, 3), offset=(0, 0, -3))
    run = simulators[0](chip.build(), [np.ones((1, 1, 1, 4), dtype=np.int32)])
    assert [line.split()[3:] for line in run["trace"] if " host send 1 " in line] == [
        ["1", "0", "0", "0", "0", "0", "0", str(2**14 - 3), "0"]
    ]


@pytest.mark.parametrize("seed", [*range(500, 512), 60022, 60051, 60054])
def test_without_ready_both_fail_in_the_same_cycle_or_not_at_all(seed: int) -> None:
    program = random_program(Random(seed))
    found = []
    for simulate in (oracle.simulate, native):
        try:
            found.append(simulate(program.firmware, program.inputs, ignore_ready=True)["trace"])
        except ERRORS as error:
            found.append(str(error).partition(":")[0])  # cycle ...
    assert found[0] == found[1]
