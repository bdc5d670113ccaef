"""The gesture network of SANA-FE's tutorial in plain NumPy: every spike of every timestep, without SANA-FE.

Neurons, all layers: m[t] = m[t-1] + bias + (sum of the weights of the previous layer's spikes at t - 1); a neuron fires
where m > threshold and then starts again from m = 0. Everything is an integer. Layers are (channels, rows, columns),
neurons numbered in that order. docs/sanafe.md says where each of these rules was found.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
CORES = (1, 4, 16, 16, 4, 1)  # that the tutorial spreads each layer over, in slices of neuron numbers


@dataclass(frozen=True)
class Layer:
    """kernel: int64 [rows, columns, inputs, outputs], without padding; a dense layer is a kernel as large as its input.

    threshold: of its neurons. core: the core of each neuron, by number.
    """

    name: str
    kernel: Ints
    stride: int
    threshold: int
    core: Ints


@dataclass(frozen=True)
class Network:
    """bias [rows, columns]: of the input neurons, one channel; threshold, core: likewise; layers read one another."""

    bias: Ints
    threshold: int
    core: Ints
    layers: tuple[Layer, ...]

    @property
    def shapes(self) -> list[tuple[int, int, int]]:
        """(channels, rows, columns) of the input neurons and of each layer."""
        found: list[tuple[int, int, int]] = [(1, *self.bias.shape)]
        for layer in self.layers:
            rows, columns = (1 + (found[-1][i + 1] - layer.kernel.shape[i]) // layer.stride for i in (0, 1))
            found.append((layer.kernel.shape[3], rows, columns))
        return found

    @property
    def cores(self) -> list[Ints]:
        """Core of each neuron: of the input neurons, and of each layer."""
        return [self.core, *(layer.core for layer in self.layers)]

    @property
    def synapses(self) -> int:
        """Connections, one by one."""
        return sum(int(fan.sum()) for fan in map(self.fan_out, range(len(self.layers))))

    def fan_out(self, at: int) -> Ints:
        """Targets of each neuron of layer `at` (0: the input neurons) in the next layer."""
        return np.asarray(self.reach(at, np.zeros(self._size(at + 1), np.int64))[:, 0])

    def reach(self, at: int, core: Ints) -> Ints:
        """[neurons of layer `at`, cores]: how many targets each has in the next layer on each core."""
        layer, (inputs, rows, columns) = self.layers[at], self.shapes[at]
        channels, out_rows, out_columns = self.shapes[at + 1]
        by_site = np.zeros((channels, out_rows, out_columns, int(core.max()) + 1), np.int64)
        np.put_along_axis(by_site, core.reshape(channels, out_rows, out_columns, 1), 1, 3)
        of_site = by_site.sum(0)
        found = np.zeros((rows, columns, of_site.shape[2]), np.int64)
        for ky in range(layer.kernel.shape[0]):
            for kx in range(layer.kernel.shape[1]):
                found[ky : ky + out_rows * layer.stride : layer.stride][
                    :, kx : kx + out_columns * layer.stride : layer.stride
                ] += of_site
        return np.broadcast_to(found, (inputs, *found.shape)).reshape(inputs * rows * columns, -1)

    def _size(self, at: int) -> int:
        channels, rows, columns = self.shapes[at]
        return channels * rows * columns


def from_arrays(arrays: Any) -> Network:
    """The network of the arrays that SANA-FE ships: conv1..conv4, dense1, inputs, thresholds."""
    thresholds = [int(threshold) for threshold in arrays["thresholds"]]
    kernels = [_whole(arrays[name]) for name in ("conv1", "conv2", "conv3", "conv4")]
    dense = _whole(arrays["dense1"])  # [neurons of layer 4 by channel, row, column; outputs]
    side = round((dense.shape[0] // kernels[3].shape[3]) ** 0.5)
    kernels.append(dense.reshape(-1, side, side, dense.shape[1]).transpose(1, 2, 0, 3))
    bias = _whole(arrays["inputs"])
    empty = np.zeros(0, np.int64)
    names = ("conv1", "conv2", "conv3", "conv4", "dense")
    layers = tuple(
        Layer(name, kernel, 2 if i == 0 else 1, thresholds[i + 1], empty)
        for i, (name, kernel) in enumerate(zip(names, kernels, strict=True))
    )
    size = round(bias.size**0.5)
    return mapped(Network(bias.reshape(size, size), thresholds[0], empty, layers), CORES)


def mapped(network: Network, counts: tuple[int, ...]) -> Network:
    """Each layer on the next `counts` cores, in equal slices of neuron numbers; the last takes the rest."""
    first, found = 0, []
    for (channels, rows, columns), count in zip(network.shapes, counts, strict=True):
        size = channels * rows * columns
        found.append(first + np.minimum(np.arange(size) // (size // count), count - 1))
        first += count
    layers = tuple(replace(layer, core=core) for layer, core in zip(network.layers, found[1:], strict=True))
    return replace(network, core=found[0], layers=layers)


def tiled(network: Network, blocks: tuple[tuple[int, int], ...]) -> Network:
    """Each layer in blocks of rows x blocks of channels, each on the next core: tiles as the chip has them."""
    first, found = 0, []
    for (channels, rows, columns), (row_blocks, channel_blocks) in zip(network.shapes, blocks, strict=True):
        block = np.arange(channels)[:, None] * channel_blocks // channels * row_blocks
        block = block + np.arange(rows) * row_blocks // rows
        found.append(first + np.repeat(block, columns))
        first += row_blocks * channel_blocks
    layers = tuple(replace(layer, core=core) for layer, core in zip(network.layers, found[1:], strict=True))
    return replace(network, core=found[0], layers=layers)


def in_bits(network: Network, bits: int) -> Network:
    """Weights rounded to `bits` signed bits times a power of two for each output channel: what the chip can hold."""
    most = 2 ** (bits - 1) - 1
    layers = []
    for layer in network.layers:
        shift = np.zeros(layer.kernel.shape[3], np.int64)
        while np.any(wide := np.abs(np.rint(layer.kernel / 2**shift)).max((0, 1, 2)) > most):
            shift += wide
        layers.append(replace(layer, kernel=np.rint(layer.kernel / 2**shift).astype(np.int64) << shift))
    return replace(network, layers=tuple(layers))


def _whole(values: NDArray[Any]) -> Ints:
    found = np.asarray(values).astype(np.int64)
    assert np.array_equal(found, values), "the network is not one of integers"
    return found


@dataclass(frozen=True)
class Run:
    """spikes, updated: bool [timesteps, neurons] of the input neurons and of each layer.

    updated: neurons that SANA-FE counts as updated: membrane not zero, a bias, or an event in the timestep before.
    """

    spikes: list[NDArray[np.bool_]]
    updated: list[NDArray[np.bool_]]


def run(network: Network, timesteps: int, drain: int = 0) -> Run:
    """All spikes of `timesteps` timesteps with the biases and `drain` ones without, one delay from layer to layer."""
    steps = timesteps + drain
    drive = np.zeros((steps, network.bias.size), np.int64)
    drive[:timesteps] = network.bias.ravel()
    spikes, updated = [], []
    fired, live = _fire(drive, drive != 0, network.threshold)
    spikes.append(fired)
    updated.append(live)
    for at, layer in enumerate(network.layers):
        drive, touched = _arrivals(spikes[-1], network.shapes[at], network.shapes[at + 1], layer)
        fired, live = _fire(drive, touched, layer.threshold)
        spikes.append(fired)
        updated.append(live)
    return Run(spikes, updated)


def _arrivals(
    spikes: NDArray[np.bool_], source: tuple[int, int, int], target: tuple[int, int, int], layer: Layer
) -> tuple[Ints, NDArray[np.bool_]]:
    """Sum of weights, and whether there was an event, [timesteps, neurons]: those of spikes one timestep before."""
    channels, rows, columns = target
    now = np.zeros((len(spikes), *source), np.float32)
    now[1:] = spikes[:-1].reshape(-1, *source)
    drive = np.zeros((len(spikes), rows, columns, channels), np.float32)  # exact: sums stay far below 2^24
    events = np.zeros((len(spikes), rows, columns), np.float32)
    for ky in range(layer.kernel.shape[0]):
        for kx in range(layer.kernel.shape[1]):
            tap = now[:, :, ky : ky + rows * layer.stride : layer.stride][
                ..., kx : kx + columns * layer.stride : layer.stride
            ]
            drive += np.einsum("tcyx,co->tyxo", tap, layer.kernel[ky, kx].astype(np.float32), optimize=True)
            events += tap.sum(1)
    assert np.abs(layer.kernel).sum((0, 1, 2)).max() < 2**24
    touched = np.broadcast_to(events[:, None] > 0, (len(spikes), channels, rows, columns))
    return drive.transpose(0, 3, 1, 2).reshape(len(spikes), -1).astype(np.int64), touched.reshape(len(spikes), -1)


def _fire(drive: Ints, touched: NDArray[np.bool_], threshold: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    membrane = np.zeros(drive.shape[1], np.int64)
    spikes, updated = np.zeros(drive.shape, bool), np.zeros(drive.shape, bool)
    for t, now in enumerate(drive):
        updated[t] = touched[t] | (membrane != 0)
        membrane += now
        spikes[t] = membrane > threshold
        membrane[spikes[t]] = 0
    return spikes, updated


@dataclass(frozen=True)
class Work:
    """What a run makes the chip do. messages: one for each core that a spike reaches; accesses: neurons x timesteps."""

    spikes: int
    events: int
    messages: int
    hops_x: int
    hops_y: int
    updated: int
    accesses: int


def work(network: Network, found: Run, place: Ints) -> Work:
    """`place` [cores, 2]: column and row of each core's router; messages travel along columns and rows."""
    events = messages = hops_x = hops_y = 0
    for at in range(len(network.layers)):
        reach = network.reach(at, network.cores[at + 1])
        often = found.spikes[at].sum(0)
        events += int(often @ reach.sum(1))
        messages += int(often @ (reach > 0).sum(1))
        away = np.abs(place[network.cores[at]][:, None] - place[None, : reach.shape[1]])
        hops_x, hops_y = (
            hops + int(often @ (away[..., i] * (reach > 0)).sum(1)) for i, hops in enumerate((hops_x, hops_y))
        )
    return Work(
        sum(int(layer.sum()) for layer in found.spikes), events, messages, hops_x, hops_y,
        sum(int(layer.sum()) for layer in found.updated), sum(layer.size for layer in found.spikes),
    )  # fmt: skip


def simple_seconds(network: Network, found: Run, synapse: float = 3.1) -> float:
    """What SANA-FE's simple timing gives with Loihi's delays: in each timestep, the longest that any core takes for its
    neurons (6.0 ns each, 3.7 where updated, 30 where it fires, 5.1 for each message) or for its messages (16 ns each,
    `synapse` ns for each synaptic event), one after the other; neurons and messages overlap, cores run side by side.
    """
    cores = 1 + max(int(core.max()) for core in network.cores)
    neurons, messages = np.zeros((2, len(found.spikes[0]), cores))
    for at, core in enumerate(network.cores):
        owner = np.eye(cores)[core]
        spikes = found.spikes[at].astype(float)
        neurons += 6.0 * owner.sum(0) + 3.7 * (found.updated[at] @ owner) + 30.0 * (spikes @ owner)
        if at < len(network.layers):
            reach = network.reach(at, network.cores[at + 1])
            neurons += 5.1 * (spikes * (reach > 0).sum(1)) @ owner
            messages[:, : reach.shape[1]] += 16.0 * (spikes @ (reach > 0)) + synapse * (spikes @ reach)
    return float(np.maximum(neurons.max(1), messages.max(1)).sum() * 1e-9)
