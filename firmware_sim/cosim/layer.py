"""A layer of the network that ships with pyspike, on the photograph that does: a 3x3 convolution and its neurons."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from programs import Program

import pyspike
from pyspike import image, reference
from pyspike.chip import firmware as fw
from pyspike.ops import Conv2d, Fire
from tests.chip.firmwares.builder import Builder

DATA = Path(pyspike.__file__).parent / "data"
COUNTS, SYNAPSE, NEURON = "stage1.0.conv1.neuron", "stage1.0.conv1.synapse", "stage1.0.conv2.neuron"
SIDE = 20  # sites of the part that is run, in each direction, beginning at
FIRST = (22, 30)


@dataclass
class Layer:
    """The layer as a program, and the counts [SIDE, SIDE, C] that the reference computes."""

    program: Program
    expected: NDArray[np.int32]


def demo_layer(**chip: int) -> Layer:
    """Eight tiles on eight cores: halves of the rows, of the columns and of the channels."""
    graph = image.read(DATA / "demo.spk")
    ops = {node.output: node.op for node in graph.nodes}
    synapse, neuron = ops[SYNAPSE], ops[NEURON]
    assert isinstance(synapse, Conv2d)
    assert isinstance(neuron, Fire)
    counts, fired = _real_counts()
    channels = len(synapse.weight) // 2
    builder = Builder((3, 3), **chip)
    photograph = builder.input(SIDE + 2, SIDE + 2, counts.shape[-1])
    output = builder.output(SIDE, SIDE, 2 * channels, kind=fw.COUNTS)
    half = SIDE // 2
    for core in range(8):
        y, x, c = 1 + (core & 1) * half, 1 + (core >> 1 & 1) * half, (core >> 2) * channels
        tile = builder.tile(core, rows=half, columns=half, channels=channels, at=(y, x, c))
        step = tile.fire(neuron.thresholds[c : c + channels])
        weights = synapse.weight[c : c + channels].transpose(3, 1, 2, 0).reshape(-1, channels)
        port = step.port(
            kernel=(3, 3), padding=(1, 1), inputs=counts.shape[-1], outputs=2 * channels, weights=weights,
            shifts=synapse.shift[c : c + channels].reshape(1, -1),
        )  # fmt: skip
        photograph.to(port, y=(y - 1, y + half), x=(x - 1, x + half))
        step.to(output, offset=(-1, -1, 0))
    return Layer(Program("demo-layer", builder.build(), [counts[None]]), fired)


def _real_counts() -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The layer's input, with a rim of 1 around the part, and what fires there."""
    graph = image.read(DATA / "demo.spk")
    *_, height, width = graph.tensors["images"].shape
    photo = Image.open(DATA / "demo.jpg").convert("RGB").resize((width, height))
    watched: dict[str, list[NDArray[np.int32]]] = {}
    reference.run(graph, {"images": np.asarray(photo).transpose(2, 0, 1)[None]}, watch=watched)
    y, x = FIRST
    counts = watched[COUNTS][0][0, y - 1 : y + SIDE + 1, x - 1 : x + SIDE + 1]
    fired = watched[NEURON][0][0, y : y + SIDE, x : x + SIDE]
    return counts.astype(np.int32), fired.astype(np.int32)
