"""Every number that docs/chip.md works out by hand, on both simulators.

The numbers were written down before either simulator existed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from .firmwares import Builder
from .simulators import SIMULATORS, Result, Simulator, counters, cycles_of

SPIKE, END, READY = 0, 1, 2


@pytest.fixture(params=SIMULATORS)
def simulators(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def simulate(simulators: tuple[Simulator, Simulator]) -> Simulator:
    return simulators[0]


def values(shape: tuple[int, ...], *ones: tuple[int, ...]) -> NDArray[np.int32]:
    """Counts of 1 at some sites of one timestep."""
    array = np.zeros((1, *shape), dtype=np.int32)
    for site in ones:
        array[(0, *site)] = 1
    return array


def test_1_one_event_through_a_pointwise_convolution(simulate: Simulator) -> None:
    chip = Builder()
    fire = chip.tile(channels=16).fire([1], clear=False)
    chip.input(1, 1, 16).to(fire.port(inputs=16, outputs=16))
    fire.to_edge()
    run = simulate(chip.build(), [values((1, 1, 16), (0, 0, 0))])

    assert cycles_of(run, 0, "out", READY) == [0]
    assert cycles_of(run, 0, "grant L W", READY) == [3]
    assert cycles_of(run, "host pop", READY) == [5]
    assert cycles_of(run, "host send", SPIKE) == [7]
    assert cycles_of(run, "host send", END) == [8]
    assert cycles_of(run, 0, "grant W L") == [9, 10]
    assert cycles_of(run, 0, "axon", SPIKE) == [11]
    assert cycles_of(run, 0, "axon", END) == [12]
    assert cycles_of(run, 0, "issue") == [13]
    assert cycles_of(run, 0, "read") == [14]
    assert cycles_of(run, 0, "fire") == [14]
    assert cycles_of(run, 0, "out", SPIKE) == list(range(15, 31))
    assert cycles_of(run, 0, "out", END) == [31]
    assert cycles_of(run, 0, "grant L W", END) == [34]
    assert cycles_of(run, "host pop", END) == [36]

    assert run["cycles"] == 37
    found = counters(run)
    assert [found[name] for name in ("busy", "waiting", "idle", "stalled")] == [19, 13, 5, 0]
    assert [found[name] for name in ("sops", "adds", "weight_words")] == [16, 16, 1]
    assert [found[name] for name in ("potential_reads", "potential_writes")] == [2, 1]
    assert (found["hops_x"], found["hops_y"]) == (0, 0)
    sent = {name: found[name] + run["inputs"][0].tolist()[k] for k, name in enumerate(("spikes", "potentials", "ends"))}
    assert sent == {"spikes": 17, "potentials": 0, "ends": 2}
    assert found["readies"] == 1
    assert run["times"].tolist() == [[[14, 31]]]
    assert run["input_times"].tolist() == [[[7, 8]]]
    assert (run["outputs"][0] == 1).all()


def convolution(*ones: tuple[int, int, int], **chip: int) -> tuple[Builder, NDArray[np.int32]]:
    """A 3x3 convolution with padding 1 over 4x4 sites and 16 channels, and its input."""
    builder = Builder(**chip)  # type: ignore[arg-type]
    fire = builder.tile(rows=4, columns=4, channels=16).fire([1])
    builder.input(4, 4, 16).to(fire.port(kernel=(3, 3), padding=(1, 1), inputs=16, outputs=16))
    fire.to_edge()
    return builder, values((4, 4, 16), *ones)


def issues_at(run: Result, site: tuple[int, int]) -> list[tuple[int, tuple[int, int]]]:
    """(cycle, target site) of the issues of the event at a site, on a map of four columns."""
    found = []
    for line in run["trace"]:
        words = line.split()
        if words[1:4] == ["0", "issue", "0"] and (int(words[4]), int(words[5])) == site:
            found.append((int(words[0]), divmod(int(words[8]), 4)))
    return found


def test_2_corner_border_and_inside_of_a_convolution(simulate: Simulator) -> None:
    chip, ones = convolution((0, 0, 0), (0, 1, 0), (1, 1, 0))
    run = simulate(chip.build(), [ones])
    assert cycles_of(run, "host send") == [7, 8, 9, 10]
    late = 1  # so the four are poppable from 11 on, where the page begins at 10

    assert cycles_of(run, 0, "axon", SPIKE) == [late + c for c in (10, 11, 15)]
    corner = [(1, 1), (1, 0), (0, 1), (0, 0)]
    assert issues_at(run, (0, 0)) == list(zip(range(late + 12, late + 16), corner, strict=True))
    border = [(1, 2), (1, 1), (1, 0), (0, 2), (0, 1), (0, 0)]
    assert issues_at(run, (0, 1)) == list(zip(range(late + 16, late + 22), border, strict=True))
    inside = [(y, x) for y in (2, 1, 0) for x in (2, 1, 0)]
    assert issues_at(run, (1, 1)) == list(zip(range(late + 22, late + 31), inside, strict=True))
    assert cycles_of(run, 0, "axon", END) == [late + 21]
    assert run["times"][0, 0, 0] == late + 23
    assert cycles_of(run, 0, "read")[0] == late + 31


def test_3_two_cores_contend_for_a_link(simulators: tuple[Simulator, Simulator]) -> None:
    flits = np.array([(cycle, core, 2) for cycle in range(4) for core in (0, 1)], dtype=np.int64)
    run = simulators[1](3, 1, flits)
    assert run["entered"].tolist() == flits[:, 0].tolist()
    from_west, from_local = run["popped"][flits[:, 1] == 0], run["popped"][flits[:, 1] == 1]
    # The grants of router 1 are four cycles before: L 3, 4; W 5; L 6; W 7; L 8; W 9, 10.
    assert from_local.tolist() == [c + 4 for c in (3, 4, 6, 8)]
    assert from_west.tolist() == [c + 4 for c in (5, 7, 9, 10)]
    assert sorted(run["popped"].tolist()) == list(range(7, 15))
    assert run["cycles"] == 15
    assert run["links"].tolist() == [[0, 0, 4, 0, 0], [0, 0, 8, 0, 0], [8, 0, 0, 0, 0]]


def test_4_a_full_fifo(simulate: Simulator) -> None:
    chip, ones = convolution(*((1, 1, channel) for channel in range(10)), axon_fifo=2)
    run = simulate(chip.build(), [ones])
    assert cycles_of(run, 0, "grant W L") == [9, 10, 12, 13, 22, 31, 40, 49, 58, 67, 76]
    assert cycles_of(run, 0, "axon")[:2] == [11, 12]
    assert cycles_of(run, "host send", SPIKE) == [*range(7, 15), 23, 32]
    assert cycles_of(run, "host send", END) == [41]
    assert cycles_of(run, 0, "issue") == list(range(13, 13 + 90))
    for event in range(10):
        found = cycles_of(run, 0, "issue", 0, 1, 1, event)
        assert found == list(range(13 + 9 * event, 22 + 9 * event))
    assert cycles_of(run, 0, "axon", END) == [93]
    assert run["times"][0, 0, 0] == 95
    assert cycles_of(run, 0, "read")[0] == 103


def test_5_fire_of_words_with_no_one_and_many_spikes(simulate: Simulator) -> None:
    chip = Builder()
    fire = chip.tile(columns=3, channels=16).fire([1], clear=False)
    chip.input(1, 3, 16).to(fire.port())  # channel to channel
    fire.to_edge()
    fire.to_edge()
    run = simulate(chip.build(), [values((1, 3, 16), (0, 1, 7), *((0, 2, c) for c in range(16)))])
    start = cycles_of(run, 0, "read")[0]
    assert cycles_of(run, 0, "read") == [start + c for c in (0, 1, 4)]
    assert cycles_of(run, 0, "out", SPIKE) == [start + c for c in (2, 3, *range(5, 37))]
    assert cycles_of(run, 0, "out", END) == [start + 37, start + 38]


def test_6_engine_and_fire_compete_for_the_port(simulate: Simulator) -> None:
    chip = Builder(mesh=(2, 1))
    events = chip.tile(core=0, columns=7, channels=16).fire([1], number=10)
    rival = chip.tile(core=0, channels=16).fire(range(12), membrane=True, number=5)
    sink = chip.tile(core=1, channels=16).fire([1], number=11)
    wide = events.port(kernel=(1, 7), padding=(0, 3), outputs=16)
    single = events.port(outputs=16)
    # The host's flits to core 1 do nothing but take time, so that the others come when they should: an event of
    # seven issues, behind it the END that lets the rival start, and an event of one issue much later.
    chip.input(1, 4, 8, number=0).to(sink.port(), c=(0, 6)).to(wide, c=(7, 7), offset=(0, 0, -7))
    chip.input(1, 1, 1, number=1).to(rival.port())
    chip.input(1, 1, 6, number=2).to(sink.port(), c=(0, 4)).to(single, c=(5, 5), offset=(0, 0, -5))
    first = values((1, 4, 8), *((0, 3, c) for c in range(8)))
    run = simulate(chip.build(), [first, values((1, 1, 1)), values((1, 1, 6), *((0, 0, c) for c in range(6)))])

    step = 1  # the rival's
    start = int(run["times"][0, step, 0])
    assert cycles_of(run, 0, "issue") == [*range(start - 3, start + 4), start + 6]
    assert [c for c in cycles_of(run, 0, "read") if c < start + 9] == [start + 4, start + 5]
    assert cycles_of(run, 0, "fire 1") == [start + 6]
    membrane, accumulator = 8, 7
    assert cycles_of(run, 0, "read", accumulator) == [start + 4]
    assert cycles_of(run, 0, "read", membrane) == [start + 5]
    assert cycles_of(run, 0, "write", membrane) == [start + 8]
    assert cycles_of(run, 0, "write", accumulator) == [start + 9]


@pytest.mark.parametrize("delay", [0, 1, 3])
def test_latency_without_load(simulators: tuple[Simulator, Simulator], delay: int) -> None:
    """From being poppable in an out FIFO (a cycle after entering) to being poppable in the axon FIFO."""
    width, height = 4, 3
    for source in range(width * height):
        for core in range(width * height):
            run = simulators[1](width, height, np.array([(0, source, core)], dtype=np.int64), link_delay=delay)
            hops = abs(source % width - core % width) + abs(source // width - core // width)
            assert run["entered"].tolist() == [0]
            assert run["popped"].tolist() == [1 + (2 + delay) * (hops + 2)]
