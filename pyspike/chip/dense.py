"""The same network as an int8 network on the same chip: what a run is to be compared with, memory traffic included.

Layer by layer, from the mapping that the run had: the twin sends its activations to the same cores over the same hops,
and computes in the cheaper of two loop orders (`pyspike.chip.energy.twin`). docs/energy.md states what is assumed.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyspike.chip.dataflow import Edge
from pyspike.chip.energy import Counts, DenseLayer, Energy, twin
from pyspike.chip.links import Links
from pyspike.chip.moves import Origin
from pyspike.chip.simulate import SimulationReport
from pyspike.errors import ChipError
from pyspike.graph import Graph, Node
from pyspike.ops import Conv2d, Synapse


@dataclass(frozen=True)
class TwinLayer:
    """A synapse on both networks: joules, without static power. `spiking` is what the run spent on the synapse and on
    the way of its events (firing neurons is in the total alone); `dense` what the int8 twin spends.
    """

    name: str
    spiking: float
    dense: float


@dataclass(frozen=True)
class Comparison:
    """A run and its int8 twin. `spiking`, `dense`: whole networks, with static power over the time that each takes."""

    layers: tuple[TwinLayer, ...]
    spiking: Energy
    dense: Energy

    @property
    def ratio(self) -> float:
        """The spiking network's energy over the twin's: below 1 it wins."""
        return self.spiking.total / self.dense.total

    @property
    def lost(self) -> tuple[TwinLayer, ...]:
        """Synapses on which the spiking network spends more, the worst first."""
        worse = [layer for layer in self.layers if layer.spiking > layer.dense]
        return tuple(sorted(worse, key=lambda layer: layer.dense - layer.spiking))


def compare(report: SimulationReport) -> Comparison:
    """`report` beside its int8 twin.

    Raises `ChipError` where the energy preset prices no multiplication (measurements of spiking chips) or no memory
    (the papers' formula).
    """
    costs = report.preset.costs(report.chip)
    if not costs["multiply"] or not costs["weight memory"]:
        what = "memory" if costs["multiply"] else "multiplication"
        raise ChipError(f"energy {report.chip.energy!r} prices no {what}: compare the twin under '45nm'")
    graph = report.mapped.graph
    ways = _ways(report)
    nodes = [node for node in graph.nodes if isinstance(node.op, Synapse)]
    delivered = set(report.mapped.network.delivered)
    layers = [_dense_layer(graph, node, ways.get(node.output, _Way()), delivered) for node in nodes]
    busy = report.utilisation or 1.0
    found = twin(layers, report.preset, report.chip, utilisation=busy)
    own = {layer.name: layer for layer in report.layers}
    rows = []
    total = Energy({})
    for node, (_, energy) in zip(nodes, found, strict=True):
        total = total + energy
        layer = own.get(node.output)
        spent = 0.0
        if layer is not None:
            spent = layer.energy.total + _way_energy(report, int(layer.counts.events), ways[node.output])
        rows.append(TwinLayer(node.output, spent, energy.total - energy.parts.get("static", 0.0)))
    return Comparison(tuple(rows), report.energy, total)


@dataclass
class _Way:
    """How the events of a synapse travel: elements of its input, elements sent (to every core that reads them), and
    hops of all of those.
    """

    inputs: int = 0
    sent: int = 0
    hops_x: int = 0
    hops_y: int = 0


def _ways(report: SimulationReport) -> dict[str, _Way]:
    found: dict[str, _Way] = {}
    width = report.chip.width
    for each in report.mapped.passes:
        links = Links(each.dataflow, list(each.tiles))
        for step in each.dataflow.steps():
            for edge in step.edges:
                way = found.setdefault(edge.synapses.layer, _Way())
                way.inputs += _volume(edge)
                for tile in each.tiles:
                    for link in links.into(edge, tile) if tile.place is edge.place else ():
                        y0, y1, x0, x1, c0, c1 = link.window
                        size = (y1 - y0 + 1) * (x1 - x0 + 1) * (c1 - c0 + 1)
                        target = each.placement.cores[tile.index]
                        source = 0 if link.source is None else each.placement.cores[link.source.index]
                        way.sent += size
                        way.hops_x += size * abs(source % width - target % width)
                        way.hops_y += size * abs(source // width - target // width)
    return found


def _volume(edge: Edge) -> int:
    y0, y1, x0, x1 = edge.window
    return (y1 - y0 + 1) * (x1 - x0 + 1) * (edge.high - edge.low)


def _dense_layer(graph: Graph, node: Node, way: _Way, delivered: set[str]) -> DenseLayer:
    op = node.op
    assert isinstance(op, Synapse)
    source, output = graph.tensors[node.inputs[0]], graph.tensors[node.output]
    steps = graph.timesteps if source.time else 1
    sent = max(way.sent, 1)
    crossing = source.size if Origin(graph).is_host(node.inputs[0]) else 0
    crossing += output.size if node.output in delivered else 0
    return DenseLayer(
        name=node.output, macs=op.macs(source.shape) * steps, weights=op.weight.size, inputs=source.size * steps,
        outputs=output.size * steps, channels=output.shape[-1], depthwise=isinstance(op, Conv2d) and op.depthwise,
        destinations=max(way.sent / max(way.inputs, 1), 1.0), hops_x=way.hops_x / sent, hops_y=way.hops_y / sent,
        edge=crossing * steps,
    )  # fmt: skip


def _way_energy(report: SimulationReport, events: int, way: _Way) -> float:
    """Joules of the flits that brought a synapse's events, at the mean distance of its links."""
    hops_x = round(events * way.hops_x / max(way.sent, 1))
    hops_y = round(events * way.hops_y / max(way.sent, 1))
    routed = hops_x + hops_y + events
    counts = Counts(flits=events, hops_x=hops_x, hops_y=hops_y, routed=routed, fifo_writes=routed + 2 * events)
    return report.price(counts).total
