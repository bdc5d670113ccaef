"""SANA-FE's networks on our simulated chip, tile for tile where SANA-FE has its cores, in the figures that it gives."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.sanafe.network import Ints, Layer, Network
from benchmarks.sanafe.peer import resident_bytes
from pyspike.chip.config import Chip
from pyspike.chip.dataflow import Dataflow
from pyspike.chip.emit import emit
from pyspike.chip.energy import Counts, Energy
from pyspike.chip.figures import STEP
from pyspike.chip.firmware import EDGE, Firmware
from pyspike.chip.links import Links
from pyspike.chip.mapping import MappedNetwork, MappedPass, demands, flows, map_network, weight_bits
from pyspike.chip.placement import place
from pyspike.chip.places import network as places_of
from pyspike.chip.simulate import SimulationReport, simulate
from pyspike.chip.tiling import TileSpec
from pyspike.chip.waits import number_steps
from pyspike.graph import Graph, Port, Tensor
from pyspike.ops import Conv2d, Fire, Linear

NAME = "layer{}"


@dataclass(frozen=True)
class Figures:
    """One run. spikes: by layer, bool [timesteps, neurons in SANA-FE's order]; messages: spike flits between cores and
    from the host, without those to it; hops_x, hops_y: theirs alone, tokens left out; cpu: seconds of the simulator.
    """

    spikes: tuple[np.ndarray, ...]
    events: int
    fired: int
    messages: int
    hops_x: int
    hops_y: int
    cycles: int
    seconds: float
    cpu: float
    energy: Energy
    report: SimulationReport


def ours(network: Network, spikes: np.ndarray, mesh: tuple[int, int]) -> Figures:
    """`network` behind its input neurons, whose `spikes` bool [timesteps, neurons] the host sends, on the cores of the
    network: number k at column k // rows, row k % rows of `mesh` (columns, rows). Every core has one tile.
    """
    timesteps, layers = len(spikes), len(network.layers)
    inputs = np.ascontiguousarray(spikes.reshape(timesteps, 1, *network.bias.shape, 1).astype(np.uint8))
    chip = Chip(mesh=mesh, energy="loihi", name="loihi's energies")
    every = simulate(map_by_hand(graph(network, timesteps, tuple(range(1, layers + 1))), network, chip), inputs)
    mapped = map_by_hand(graph(network, timesteps, (layers,)), network, chip)
    began = time.process_time()
    report = simulate(mapped, inputs, windows=1)
    cpu = time.process_time() - began
    (run,), firmware = report.passes, mapped.passes[0].firmware
    flits = Counts(spikes=run.host("spikes"), hops_x=run.host("hops_x"), hops_y=run.host("hops_y"))
    ends = _end_hops(firmware, EDGE, range(firmware.host_destination(), len(firmware.destinations)))
    for at, row in enumerate(run.raw["steps"]):
        core, destinations = _sender(firmware, at)
        if any(firmware.destinations[each].core == EDGE for each in destinations):
            continue  # the last layer: SANA-FE sends its spikes nowhere
        get = dict(zip(STEP, row.tolist(), strict=True))
        flits += Counts(spikes=get["spikes"], hops_x=get["hops_x"], hops_y=get["hops_y"])
        ends += _end_hops(firmware, core, destinations)
    hops_x, hops_y = (int(each) for each in (flits.hops_x, flits.hops_y) - timesteps * ends)
    fired = int(spikes.sum()) + run.total("fired")
    counts = Counts(
        sops=report.sops, fired=fired, fired_words=run.total("fired_words"), spikes=flits.spikes, hops_x=hops_x,
        hops_y=hops_y,
    )  # fmt: skip
    return Figures(
        tuple(_flat(every.outputs[NAME.format(i)]) for i in range(1, layers + 1)), report.sops, fired,
        int(flits.spikes), hops_x, hops_y, report.cycles, report.seconds, cpu, report.price(counts), report,
    )  # fmt: skip


@dataclass(frozen=True)
class DenseFigures:
    """sops, cpu seconds of the simulator, cycles; resident: bytes of network, firmware, simulator and its report."""

    sops: int
    cpu: float
    cycles: int
    resident: int


def dense(size: int, timesteps: int, share: float) -> DenseFigures:
    """`size` -> `size` neurons, all connected; each input spikes with probability `share`.

    One core holds all the neurons, as one of the peer's cores does, so that both simulate the same mapping.
    """
    _dense(16, 1, share)  # what is loaded once is no memory of a synapse
    before = resident_bytes()
    found = _dense(size, timesteps, share)
    return replace(found, resident=resident_bytes() - before)


def _dense(size: int, timesteps: int, share: float) -> DenseFigures:
    rng = np.random.default_rng(0)
    spikes = (rng.random((timesteps, size)) < share).astype(np.uint8)
    found = Graph(timesteps)
    found.add_input(Port("first", "first", "uint8", time_axis=0), Tensor((1, size), 0, 1, time=True))
    none = np.zeros(size, np.int64)
    found.add(Linear(rng.integers(-127, 128, (size, size), dtype=np.int8), none, none, None), ["first"], "drive")
    found.add(_neuron(10**6, timesteps), ["drive"], "second")
    found.add_output(Port("second", "second", "uint8", time_axis=0))
    mapped = map_network(found, Chip(mesh=(1, 1), weight_sram=2 * size * size, potential_sram=64 * size))
    began = time.process_time()
    report = simulate(mapped, spikes.reshape(timesteps, 1, size), windows=1)
    cpu = time.process_time() - began
    assert report.sops == int(spikes.sum()) * size, "events were lost"
    return DenseFigures(report.sops, cpu, report.cycles, 0)


def graph(network: Network, timesteps: int, outputs: tuple[int, ...]) -> Graph:
    """Layers 1.. of `network` in integers, the input neurons' spikes being the input; `outputs` are layers' spikes."""
    found = Graph(timesteps)
    source = NAME.format(0)
    found.add_input(Port(source, source, "uint8", time_axis=0), Tensor((1, *network.bias.shape, 1), 0, 1, time=True))
    for number, layer in enumerate(network.layers, 1):
        found.add(_synapse(layer), [source], f"drive{number}")
        source = NAME.format(number)
        found.add(_neuron(layer.threshold, timesteps), [f"drive{number}"], source)
    for number in outputs:
        found.add_output(Port(NAME.format(number), NAME.format(number), "uint8", time_axis=0))
    return found


def _synapse(layer: Layer) -> Conv2d:
    rows = layer.kernel.transpose(3, 0, 1, 2)
    flat, shift = rows.reshape(len(rows), -1), np.zeros(len(rows), np.int64)
    while np.any(wide := np.abs(flat >> shift[:, None]).max(1) > 127):
        shift += wide
    assert np.array_equal(flat >> shift[:, None] << shift[:, None], flat), "weights of more than 8 bits"
    return Conv2d(rows >> shift[:, None, None, None], -shift, shift, None, (layer.stride, layer.stride))


def _neuron(threshold: int, timesteps: int) -> Fire:
    """Fires where m > threshold, then starts from 0; no leak."""
    return Fire(np.array([[threshold + 1]]), membrane=True, leak=(1, 0), hard_reset=True, steps=timesteps)


def map_by_hand(source: Graph, network: Network, chip: Chip) -> MappedNetwork:
    """Each tile is what `network` has on one core."""
    found, bits = places_of(source), weight_bits(source)
    number_steps(found.dataflow)
    tiles = list(_tiles(found.dataflow, network))
    columns, rows = chip.mesh
    cores = {tile.index: core % rows * columns + core // rows for tile, core in zip(tiles, _used(network), strict=True)}
    links = Links(found.dataflow, tiles)
    placed = place(demands(tiles, links, chip, bits), flows(links), chip, fixed=cores, effort=1)
    firmware = emit(found.dataflow, tiles, links, placed.cores, chip, bits)
    return MappedNetwork(source, chip, found, (MappedPass(found.dataflow, tuple(tiles), placed, firmware),))


def _used(network: Network) -> list[int]:
    return [int(core) for layer in network.layers for core in np.unique(layer.core)]


def _tiles(dataflow: Dataflow, network: Network) -> Iterator[TileSpec]:
    index = 0
    for where, shape, layer in zip(dataflow.places, network.shapes[1:], network.layers, strict=True):
        for core in np.unique(layer.core):
            low, high = (ends(np.argwhere(layer.core.reshape(shape) == core), axis=0) for ends in (np.min, np.max))
            size = high - low + 1
            assert int(np.prod(size)) == int((layer.core == core).sum()), "a core's neurons are no block"
            yield TileSpec(
                where, int(low[1]), int(low[2]), int(size[1]), int(size[2]), int(low[0]), int(size[0]), index
            )
            index += 1


def _sender(firmware: Firmware, step: int) -> tuple[int, range]:
    record = firmware.steps[step]
    core = next(
        core.number
        for core in firmware.cores
        for tile in firmware.tiles[core.first_tile : core.first_tile + core.tiles]
        if tile.first_step <= step < tile.first_step + tile.steps
    )
    return core, range(record.first_destination, record.first_destination + record.destinations)


def _end_hops(firmware: Firmware, core: int, destinations: range) -> Ints:
    """Hops east-west and north-south of one END to each destination; the host enters at core 0."""

    def at(number: int) -> Ints:
        number = 0 if number == EDGE else number
        return np.array([number % firmware.width, number // firmware.width])

    return sum(
        (np.abs(at(firmware.destinations[each].core) - at(core)) for each in destinations), np.zeros(2, np.int64)
    )


def _flat(counts: Ints) -> np.ndarray:
    """[timesteps, 1, rows, columns, channels] as bool [timesteps, neurons by channel, row, column]."""
    return counts.reshape(len(counts), *counts.shape[-3:]).transpose(0, 3, 1, 2).reshape(len(counts), -1) > 0
