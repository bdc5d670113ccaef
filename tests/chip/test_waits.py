"""The order of steps: numbers rise along every wait, and relays stand where no numbers could."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyspike import _simulator
from pyspike.chip.dataflow import Dataflow, Edge, HostInput, Step
from pyspike.chip.firmware import to_bytes
from pyspike.chip.mapping import map_pass
from pyspike.chip.places import network
from pyspike.chip.waits import number_steps
from pyspike.errors import ModelFormatError
from pyspike.graph import Graph

from .networks import networks
from .small import AMPLE, Net, assert_exact, numbered, residual, skips


def waits(dataflow: Dataflow) -> list[tuple[Step | HostInput, Step | HostInput]]:
    """(what waits, for what) within a timestep, as docs/chip.md defines it."""
    before = {id(b): a for place in dataflow.places for a, b in zip(place.steps, place.steps[1:], strict=False)}
    found: list[tuple[Step | HostInput, Step | HostInput]] = []
    for step in dataflow.steps():
        found += [(step, edge.source) for edge in step.edges]
        found += [(step, before[id(step)])] if id(step) in before else []
    for sender in [*dataflow.steps(), *dataflow.inputs]:
        readers = sender.edges if isinstance(sender, HostInput) else sender.readers
        found += [(sender, before[id(edge.step)]) for edge in readers if id(edge.step) in before]
    return found


def ordered_by_data(dataflow: Dataflow) -> None:
    """Numbers that rise along data and programs alone: what one would have without looking at READY."""
    number = 0
    left: list[Step | HostInput] = [*dataflow.inputs, *dataflow.steps()]
    done: set[int] = set()
    before = {id(b): a for place in dataflow.places for a, b in zip(place.steps, place.steps[1:], strict=False)}
    while left:
        for each in left:
            needs = [] if isinstance(each, HostInput) else [edge.source for edge in each.edges]
            needs += [before[id(each)]] if id(each) in before else []
            if all(id(need) in done for need in needs):
                each.number, number = number, number + 1
                done.add(id(each))
                left.remove(each)
                break
        else:
            raise AssertionError("data has a circle")


def readers_of(dataflow: Dataflow, relay: str) -> list[Edge]:
    return [edge for step in dataflow.steps() if step.name == relay for edge in step.readers]


@given(networks())
def test_numbers_rise_along_every_wait(graph: Graph) -> None:
    dataflow = numbered(graph).dataflow
    for waiting, other in waits(dataflow):
        assert waiting.number > other.number, (waiting.name, other.name)
    numbers = [each.number for each in [*dataflow.inputs, *dataflow.steps()]]
    assert sorted(numbers) == list(range(len(numbers)))


@given(st.data())
def test_networks_get_relays_only_where_they_need_them(data) -> None:
    """Without relays there are numbers exactly if the waits have no circle."""
    graph = data.draw(networks())
    plain = network(graph).dataflow
    above: dict[int, list[Step | HostInput]] = {}
    for waiting, other in waits(plain):
        above.setdefault(id(waiting), []).append(other)
    left = {id(each) for each in [*plain.inputs, *plain.steps()]}
    while free := {each for each in left if not any(id(other) in left for other in above.get(each, []))}:
        left -= free
    number_steps(plain)
    assert bool(plain.relays) == bool(left)


def test_a_long_skip_has_a_relay_of_its_own() -> None:
    graph = skips()
    dataflow = numbered(graph).dataflow
    assert sorted(dataflow.relays) == ["b for last_n", "b for s_n", "s_n for z_n", "z_n for last_n"]
    # Each keeps the counts for one reader, and what it keeps are the counts, one to one.
    for name in dataflow.relays:
        (edge,) = readers_of(dataflow, name)
        assert edge.step.name == name.split(" for ")[1]
        keeper = edge.source
        assert isinstance(keeper, Step)
        assert keeper.ladder.tolist() == [[1, 2]]
        assert (keeper.edges[0].synapses.weight == 1).all()
    assert_exact(graph)
    assert numbered(residual()).dataflow.relays == []


@pytest.mark.parametrize("timesteps", [1, 2])
def test_without_its_relays_a_network_is_refused(timesteps: int) -> None:
    graph = skips(timesteps)
    with_relays = numbered(graph).dataflow
    _simulator.check(to_bytes(map_pass(with_relays, AMPLE, 4, effort=0).firmware))
    without = network(graph).dataflow
    ordered_by_data(without)
    image = to_bytes(map_pass(without, AMPLE, 4, effort=0).firmware)
    with pytest.raises(ModelFormatError, match=r"its number must be (higher|lower) than that of step"):
        _simulator.check(image)


def test_an_early_step_comes_first() -> None:
    """Of two inputs the one whose layers are first in the network is sent first."""
    n = Net()
    n.input("late")
    graph = n.out(n.fire("y", n.conv("a", n.input("early"))), n.fire("z", n.conv("b", "late")))
    dataflow = numbered(graph).dataflow
    assert [each.name for each in sorted(dataflow.inputs, key=lambda each: each.number)] == ["early", "late"]
