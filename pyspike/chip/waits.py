"""The order of steps: proof that no step waits for itself, and the relays that make it so.

Within a timestep a step waits for the steps that feed its group, the one before it in its place, and, for each of its
readers, the step before the reader's group there. Numbers that rise along all of these exist exactly where the waits
are acyclic. A cycle always runs through a reader that is ready only later (a long skip of counts): a relay, ready at
once, keeps the counts for it.
"""

from __future__ import annotations

import heapq

from pyspike.chip.dataflow import Dataflow, Edge, HostInput, Step, relay

Waiter = Step | HostInput


def number_steps(dataflow: Dataflow) -> None:
    """Set the number of every step and host input, adding relays where readers of one step sit in a circle."""
    while True:
        waits = _Waits(dataflow)
        order = waits.order()
        if len(order) == len(waits.all):
            break
        for edge in waits.late(order):
            relay(dataflow, edge)
    for number, waiter in enumerate(order):
        waiter.number = number


class _Waits:
    def __init__(self, dataflow: Dataflow) -> None:
        self.all: list[Waiter] = [*dataflow.inputs, *dataflow.steps()]
        self.before: dict[int, Step] = {}
        for place in dataflow.places:
            for earlier, later in zip(place.steps, place.steps[1:], strict=False):
                self.before[id(later)] = earlier

    def fed_by(self, waiter: Waiter) -> list[Waiter]:
        """What must have ended for the group to be complete and current."""
        if isinstance(waiter, HostInput):
            return []
        earlier = self.before.get(id(waiter))
        return [edge.source for edge in waiter.edges] + ([earlier] if earlier else [])

    def ready_after(self, edge: Edge) -> Step | None:
        """The step after which the reader of `edge` sends READY; None where it does so at once."""
        return self.before.get(id(edge.step))

    def order(self) -> list[Waiter]:
        """The waiters that can go one after another, earlier layers first; short where there is a circle."""
        place = {id(waiter): i for i, waiter in enumerate(self.all)}
        missing = {id(waiter): 0 for waiter in self.all}
        next_ones: dict[int, list[Waiter]] = {id(waiter): [] for waiter in self.all}
        for waiter in self.all:
            for each in self._waits_for(waiter):
                missing[id(waiter)] += 1
                next_ones[id(each)].append(waiter)
        heap = [i for i, waiter in enumerate(self.all) if not missing[id(waiter)]]
        order = []
        while heap:
            waiter = self.all[heapq.heappop(heap)]
            order.append(waiter)
            for each in next_ones[id(waiter)]:
                missing[id(each)] -= 1
                if not missing[id(each)]:
                    heapq.heappush(heap, place[id(each)])
        return order

    def late(self, order: list[Waiter]) -> list[Edge]:
        """Of the first step that waits for late readers alone, those readers' edges."""
        done = {id(waiter) for waiter in order}
        for waiter in self.all:
            if id(waiter) not in done and all(id(each) in done for each in self.fed_by(waiter)):
                return [edge for edge in _readers(waiter) if self._is_late(edge, done)]
        raise AssertionError("data dependencies of a graph have no circle")

    def _is_late(self, edge: Edge, done: set[int]) -> bool:
        step = self.ready_after(edge)
        return step is not None and id(step) not in done

    def _waits_for(self, waiter: Waiter) -> list[Waiter]:
        late = [step for edge in _readers(waiter) if (step := self.ready_after(edge)) is not None]
        return [*self.fed_by(waiter), *late]


def _readers(waiter: Waiter) -> list[Edge]:
    return waiter.edges if isinstance(waiter, HostInput) else waiter.readers
