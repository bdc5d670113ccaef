"""Networks larger than the chip: passes that fit, and what lives from one to the next."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pyspike.chip.config import Chip
from pyspike.chip.dataflow import HostInput
from pyspike.chip.firmware import COUNTS, LOAD, OUTPUT, POTENTIALS
from pyspike.chip.passes import split
from pyspike.chip.simulate import simulate
from pyspike.chip.tiling import needs
from pyspike.graph import Graph

from .small import AMPLE, Net, assert_exact, case_of, mapped, numbered, residual, skips


def with_words(words: int, mesh: tuple[int, int] = (2, 1)) -> Chip:
    return replace(AMPLE, mesh=mesh, lanes=8, potential_sram=4 * 8 * words)


def deep(timesteps: int = 1) -> Graph:
    """Six layers of one place each, the third with a membrane, and a skip from the first to the last."""
    n = Net(timesteps)
    x = n.input(time=timesteps > 1)
    first = n.fire("n0", n.conv("c0", x))
    last = first
    for number in range(1, 6):
        drive = n.conv(f"c{number}", last)
        if number == 5:
            drive = n.add("sum", drive, n.conv("skip", first, kernel=1))
        last = n.membrane(f"n{number}", drive) if number == 3 and timesteps > 1 else n.fire(f"n{number}", drive)
    return n.out(last)


@pytest.mark.parametrize("timesteps", [1, 3])
@pytest.mark.parametrize("words", [24, 40, 50])
def test_a_deep_network_in_passes(timesteps: int, words: int) -> None:
    graph = deep(timesteps)
    one = assert_exact(graph)
    report = assert_exact(graph, with_words(words))
    passes = len(one.passes), len(report.passes)
    assert passes[0] == 1 < passes[1]
    assert report.sops - sum(report.extra_sops.values()) == one.sops - sum(one.extra_sops.values())
    assert report.cycles == sum(each.cycles for each in report.passes)
    starts = [each.first_cycle for each in report.passes]
    assert starts == np.cumsum([0, *(each.cycles for each in report.passes)])[:-1].tolist()


@pytest.mark.parametrize("timesteps", [1, 3])
@pytest.mark.parametrize("membranes", [False, True])
def test_a_stream_goes_on_in_the_next_pass(timesteps: int, membranes: bool) -> None:
    """Its potentials leave at every timestep, and are loaded again at every timestep."""
    if membranes and timesteps == 1:
        return
    graph = residual(timesteps, membranes)
    chip = with_words(70 if membranes else 45)
    onto = mapped(graph, chip)
    passes = len(onto.passes)
    assert passes > 1
    before, after = onto.passes[0], onto.passes[1]
    (out,) = [step for step in before.dataflow.steps() if step.kind == OUTPUT]
    (stream,) = [each for each in after.dataflow.inputs if each.kind == POTENTIALS]
    assert out.delivery.kind == POTENTIALS
    assert stream.origin is out
    assert [port.kind for port in after.firmware.ports].count(LOAD) >= 1
    report = assert_exact(graph, onto)
    assert sum(each.total("potentials") for each in report.passes) >= 4 * 4 * 8 * timesteps


def test_what_a_later_pass_reads_leaves_and_comes_back() -> None:
    onto = mapped(deep(), with_words(24))
    made: dict[str, int] = {}
    for number, each in enumerate(onto.passes):
        for source in each.dataflow.inputs:
            if source.origin is not None:
                assert made[source.origin.name] < number, "it was delivered before"
                assert source.kind == COUNTS
        made |= {step.name: number for step in each.dataflow.steps()}
    assert [source.name for source in onto.passes[0].dataflow.inputs] == ["x"]
    late = [source.name for source in onto.passes[-1].dataflow.inputs]
    assert any(name.startswith("n0") for name in late), "the skip over all passes"


def test_each_pass_has_its_own_steps_and_fits() -> None:
    graph = skips(2)
    chip = with_words(36)
    found = numbered(graph)
    passes = split(found.dataflow, chip, 4, 0.8)
    count = len(passes)
    assert count > 1
    names = [step.name for each in passes for step in each.steps() if step.kind != OUTPUT]
    assert sorted(names) == sorted({*names}), "every step is in one pass"
    assert {step.name for step in found.dataflow.steps()} <= {*names}
    onto = mapped(graph, chip)
    for each in onto.passes:
        used: dict[int, int] = {}
        for tile, core in zip(each.tiles, each.placement.cores, strict=True):
            used[core] = used.get(core, 0) + needs(tile, 8, each.firmware.weight_bits).potential
        assert max(used.values()) <= 36
    assert_exact(graph, chip)


def test_a_network_that_fits_stays_whole() -> None:
    found = numbered(residual())
    assert split(found.dataflow, AMPLE, 4, 0.8) == [found.dataflow]


def test_inputs_of_a_later_pass_are_sent_when_they_are_needed() -> None:
    n = Net()
    a = n.fire("b", n.conv("a", n.input("x1")))
    z = n.add("z", n.conv("c", a), n.conv("d", n.input("x2")))
    graph = n.out(n.fire("y", z))
    onto = mapped(graph, with_words(24, (1, 1)))
    sent = [[source.name for source in each.dataflow.inputs] for each in onto.passes]
    assert sent == [["x1"], ["x2", "b"]] or sent == [["x1"], ["b", "x2"]]
    assert all(isinstance(source, HostInput) for each in onto.passes for source in each.dataflow.inputs)
    assert_exact(graph, onto)


def test_outputs_of_all_passes_come_together() -> None:
    n = Net(2)
    first = n.fire("b", n.conv("a", n.input(time=True)))
    second = n.fire("d", n.conv("c", first))
    graph = n.out(first, "a", second, n.fire("f", n.conv("e", second)))
    report = assert_exact(graph, with_words(12))
    passes = len(report.passes)
    assert passes == 3
    assert list(report.outputs) == ["b", "a", "d", "f"]


def test_each_pass_writes_its_own_trace(tmp_path) -> None:
    graph = deep()
    for chip, names in ((AMPLE, ["t.log"]), (with_words(24), None)):
        onto = mapped(graph, chip)
        folder = tmp_path / str(len(onto.passes))  # passes: 1, then more
        folder.mkdir()
        report = simulate(onto, case_of(graph), trace=folder / "t.log")
        names = names or [f"t.{number}.log" for number in range(len(report.passes))]
        assert sorted(path.name for path in folder.iterdir()) == names
        for name, each in zip(names, report.passes, strict=True):
            lines = (folder / name).read_text(encoding="ascii").splitlines()
            assert int(lines[-1].split()[0]) < each.cycles
            assert sum(" host send " in line for line in lines) == each.host("spikes") + each.host("ends")


def test_a_port_table_that_is_full_ends_a_pass() -> None:
    """Thirty layers in one core, and a stream of thirteen branches: more edges than a core has ports."""
    n = Net()
    last = n.input()
    for number in range(30):
        last = n.fire(f"n{number}", n.conv(f"c{number}", last, kernel=1))
    long = n.out(last, "c29")
    n = Net()
    a = n.conv("a", n.input())
    for number in range(12):
        a = n.add(f"s{number}", a, n.conv(f"c{number}", n.fire(f"n{number}", a), kernel=1))
    wide = n.out(n.fire("y", a), a)
    for graph, ports in ((long, 8), (wide, 4)):
        report = assert_exact(graph, AMPLE.replace(port_table=ports))
        passes = len(report.passes)
        assert passes > 2
        assert max(core.ports for each in report.passes for core in each.firmware.cores) <= ports
