"""SANA-FE (GPL, `pip install sanafe`), run beside us: every run in a process of its own, one thread.

Nothing of it is here: its Loihi description and its gesture network are read from the installed package at run time.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.sanafe.network import Ints, Network, from_arrays

MODES = ("simple", "detailed", "cycle")
CONVOLUTION, DENSE = "loihi_conv_synapse", "loihi_dense_synapse"  # 24.0 and 35.5 pJ


@dataclass(frozen=True)
class Figures:
    """One run. seconds: of the simulated chip; cpu: of the simulator's only thread, loading left out; energies: joules.

    resident: bytes of network and loaded chip. fired: (neuron, timestep) pairs by layer where they were asked for.
    """

    cpu: float
    seconds: float
    spikes: int
    events: int
    messages: int
    updated: int
    hops: int
    synapse: float
    soma: float
    network: float
    resident: int
    fired: tuple[frozenset[tuple[int, int]], ...] = ()


def installed() -> bool:
    """Whether the peer is there."""
    return importlib.util.find_spec("sanafe") is not None


def gesture() -> Network:
    """The tutorial's network, on the tutorial's cores."""
    return apart(_gesture)


def _gesture() -> Network:
    from sanafe.tutorial import get_dvs_data

    with get_dvs_data() as file:
        return from_arrays(np.load(file))


def run(
    network: Network,
    mode: str,
    timesteps: int,
    *,
    mesh: tuple[int, int] | None = None,
    drain: int = 0,
    synapse: str = DENSE,
    sync: bool = True,
    trace: bool = False,
) -> Figures:
    """`network` for `timesteps` timesteps, then `drain` more without biases, so that every spike reaches the end.

    mesh: columns and rows of tiles with one core each, numbered down the columns; None is Loihi, 8 x 4 tiles of four.
    sync: with the barrier that Loihi's description has at the end of each timestep. trace: list every spike.
    """
    return apart(_run, network, mode, timesteps, mesh, drain, synapse, sync, trace)


def dense(mode: str, size: int, timesteps: int, share: float) -> Figures:
    """`size` -> `size` neurons, all connected; each of the first spikes with probability `share` in each timestep."""
    return apart(_dense, mode, size, timesteps, share)


def apart(work: Callable[..., Any], *arguments: Any) -> Any:
    """work(*arguments) in a process of its own, whose standard output is dropped."""
    with multiprocessing.get_context("spawn").Pool(1, _quiet) as pool:
        return pool.apply(work, arguments)


def _quiet() -> None:
    """The peer reports its progress on standard output."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.environ["OMP_NUM_THREADS"] = "1"


def resident_bytes() -> int:
    """Memory of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def _architecture(mesh: tuple[int, int] | None, sync: bool) -> Any:
    """Loihi as described by the peer; with one core a tile on `mesh`."""
    import sanafe
    import yaml

    source = Path(sanafe.__file__).parent / "examples" / "loihi.yaml"
    table = yaml.safe_load(source.read_text(encoding="utf-8"))
    chip = table["architecture"]
    if mesh is not None:
        chip["attributes"] |= {"width": mesh[0], "height": mesh[1]}
        (tile,) = chip["tile"]
        (core,) = tile["core"]
        tile["name"] = f"loihi_tile[0..{mesh[0] * mesh[1] - 1}]"
        core["name"] = "loihi_core[0..0]"
    if not sync:
        chip["attributes"] |= {"sync_model": "fixed", "latency_sync": 0.0}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "loihi.yaml"
        path.write_text(yaml.safe_dump(table), encoding="utf-8")
        return sanafe.load_arch(path)


def _run(
    network: Network,
    mode: str,
    timesteps: int,
    mesh: tuple[int, int] | None,
    drain: int,
    synapse: str,
    sync: bool,
    trace: bool,
) -> Figures:
    import sanafe

    before = resident_bytes()
    architecture = _architecture(mesh, sync)
    described = _describe(network, architecture.cores(), synapse, trace)
    chip = sanafe.SpikingChip(architecture)
    chip.load(described)
    resident = resident_bytes() - before
    found = [_timed(chip, mode, timesteps, trace)]
    if drain:
        for neuron in chip.mapped_neuron_groups["layer0"]:
            neuron.set_attributes(model_attributes={"bias": 0.0})
        found.append(_timed(chip, mode, drain, trace))
    fired = _fired(found, len(network.shapes)) if trace else ()
    return _figures(found, resident, fired)


def _describe(network: Network, cores: Any, synapse: str, trace: bool) -> Any:
    import sanafe

    described = sanafe.Network()
    thresholds = [network.threshold, *(layer.threshold for layer in network.layers)]
    groups = []
    for i, ((channels, rows, columns), threshold) in enumerate(zip(network.shapes, thresholds, strict=True)):
        group = described.create_neuron_group(
            f"layer{i}", channels * rows * columns, model_attributes={"threshold": threshold},
            default_synapse_hw_name=synapse, log_spikes=trace,
        )  # fmt: skip
        groups.append(group)
    for at, layer in enumerate(network.layers):
        inputs, rows, columns = network.shapes[at]
        groups[at].connect_neurons_conv2d(
            groups[at + 1], {"w": layer.kernel.astype(float).ravel()}, columns, rows, inputs,
            layer.kernel.shape[1], layer.kernel.shape[0], layer.kernel.shape[3], layer.stride, layer.stride,
        )  # fmt: skip
    for group, numbers in zip(groups, network.cores, strict=True):
        for neuron, number in zip(group, numbers, strict=True):
            neuron.map_to_core(cores[number])
    for neuron, bias in zip(groups[0], network.bias.ravel(), strict=True):
        neuron.set_attributes(model_attributes={"bias": float(bias)})
    return described


def _timed(chip: Any, mode: str, timesteps: int, trace: bool) -> dict[str, Any]:
    began = time.process_time()
    found: dict[str, Any] = chip.sim(
        timesteps, timing_model=mode, processing_threads=1, scheduler_threads=0, perf_trace=True, spike_trace=trace
    )
    return found | {"cpu": time.process_time() - began}


def _fired(found: list[dict[str, Any]], layers: int) -> tuple[frozenset[tuple[int, int]], ...]:
    sets: list[set[tuple[int, int]]] = [set() for _ in range(layers)]
    steps = [step for part in found for step in part["spike_trace"]]
    for t, step in enumerate(steps):
        for neuron in step:
            sets[int(neuron.group_name.removeprefix("layer"))].add((neuron.neuron_offset, t))
    return tuple(frozenset(each) for each in sets)


def _figures(found: list[dict[str, Any]], resident: int, fired: tuple[frozenset[tuple[int, int]], ...] = ()) -> Figures:
    def total(*keys: str) -> Any:
        values = [part[keys[0]] for part in found]
        return sum(value[keys[1]] for value in values) if len(keys) > 1 else sum(values)

    return Figures(
        cpu=total("cpu"), seconds=total("sim_time"), spikes=total("neurons_fired"), events=total("spikes"),
        messages=total("packets_sent"), updated=total("neurons_updated"),
        hops=sum(sum(part["perf_trace"]["hops"]) for part in found),
        synapse=total("energy", "synapse"), soma=total("energy", "soma"), network=total("energy", "network"),
        resident=resident, fired=fired,
    )  # fmt: skip


def _dense(mode: str, size: int, timesteps: int, share: float) -> Figures:
    import sanafe

    rng = np.random.default_rng(0)
    spikes = rng.random((size, timesteps)) < share
    weights = rng.integers(-127, 128, size * size).astype(float)
    before = resident_bytes()
    architecture = sanafe.load_loihi()
    described, cores = sanafe.Network(), architecture.cores()
    first = described.create_neuron_group("first", size)
    second = described.create_neuron_group("second", size, model_attributes={"threshold": 1e6})
    first.connect_neurons_dense(second, {"w": weights})
    for i, (neuron, train) in enumerate(zip(first, spikes, strict=True)):
        neuron.set_attributes(soma_hw_name=f"loihi_inputs[{i}]", model_attributes={"spikes": train.tolist()})
        neuron.map_to_core(cores[0])
    for neuron in second:
        neuron.map_to_core(cores[4])  # the next tile
    chip = sanafe.SpikingChip(architecture)
    chip.load(described)
    figures = _figures([_timed(chip, mode, timesteps, False)], resident_bytes() - before)
    assert figures.events == int(spikes.sum()) * size, "the peer lost spikes"
    return figures


def places(mesh: tuple[int, int] | None) -> Ints:
    """Column and row of every core's router, as the peer numbers them: down the columns, four cores a tile on Loihi."""
    columns, rows, cores = (8, 4, 4) if mesh is None else (*mesh, 1)
    tile = np.arange(columns * rows * cores) // cores
    return np.stack([tile // rows, tile % rows], 1)
