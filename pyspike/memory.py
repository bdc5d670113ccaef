"""The arena plan: where each tensor lies while a model runs, a function of the graph alone.

Offsets are planned once, stored in the model image and checked by its verifier. Tensors whose lifetimes overlap never
share a byte; the larger are placed first, each at the lowest offset that is free for as long as it lives.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyspike.graph import Graph, Phase

ALIGNMENT = 64


@dataclass(frozen=True)
class ArenaPlan:
    """Byte offset of every tensor, the arena's size, and the size of the membranes kept between timesteps."""

    offsets: dict[str, int]
    arena_bytes: int
    state_bytes: int


def align(size: int) -> int:
    """`size` rounded up to the alignment."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def ordered_nodes(graph: Graph) -> list[tuple[int, str]]:
    """(position, output name) in execution order: BEFORE, LOOP, AFTER, each in the graph's own order."""
    names = [node.output for phase in Phase for node in graph.nodes_in(phase)]
    return list(enumerate(names))


def lifetimes(graph: Graph) -> dict[str, tuple[int, int]]:
    """First and last position (in execution order, inputs at -1) at which each tensor must keep its value.

    What crosses into the timestep loop lives until its end, a mean over time from its start, a graph output to the end.
    """
    order = [node for phase in Phase for node in graph.nodes_in(phase)]
    loop = [position for position, node in enumerate(order) if graph.run_phase(node) == Phase.LOOP]
    first_loop, last_loop = (loop[0], loop[-1]) if loop else (0, -1)
    begin = {port.tensor: -1 for port in graph.inputs}
    end = {port.tensor: -1 for port in graph.inputs}
    for position, node in enumerate(order):
        begin[node.output] = first_loop if node.op.over_time else position
        end[node.output] = position
        for name in node.inputs:
            crosses = graph.run_phase(node) == Phase.LOOP and graph.phase(name) == Phase.BEFORE
            end[name] = max(end[name], last_loop if crosses else position)
    for port in graph.outputs:
        end[port.tensor] = len(order)
    return {name: (begin[name], end[name]) for name in graph.tensors}


def plan(graph: Graph) -> ArenaPlan:
    """Place every tensor of `graph`."""
    spans = lifetimes(graph)
    order = {name: index for index, name in enumerate(graph.tensors)}
    placed: list[tuple[int, int, tuple[int, int]]] = []
    offsets: dict[str, int] = {}
    for name in sorted(graph.tensors, key=lambda each: (-graph.tensors[each].nbytes, order[each])):
        span, size = spans[name], align(graph.tensors[name].nbytes)
        offset = 0
        for start, stop, other in sorted(placed):
            if other[0] <= span[1] and span[0] <= other[1] and start < offset + size and offset < stop:
                offset = stop
        offsets[name] = offset
        placed.append((offset, offset + size, span))
    membranes = sum(align(4 * graph.tensors[node.output].size) for node in graph.nodes if node.op.stateful)
    return ArenaPlan(offsets, max((stop for _, stop, _ in placed), default=0), membranes)
