"""SpikeYOLO-n at 320 x 320 on the simulated chips `default` and `large`, in as many passes as it takes.

The weights are seeded and batch norms are set on noise, so that densities are those of an untrained network. Outputs
are compared with the runtime's. Needs the extra `train`.

    python -m benchmarks.spikeyolo_chip
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import pyspike
from pyspike import image
from pyspike.chip.config import Chip
from pyspike.chip.mapping import map_network
from pyspike.chip.simulate import simulate

SIZE = 320


def compile_network(path: Path) -> None:
    """An image of the seeded network with 8-bit weights."""
    import torch

    from pyspike.models.spikeyolo import SpikeYOLO
    from pyspike.nn.fold import fold
    from pyspike.nn.qat import quantise

    torch.manual_seed(0)
    network = SpikeYOLO(num_classes=80)
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        network.train()(torch.rand(2, 3, SIZE, SIZE))
        for norm in norms:
            norm.bias -= 0.5
    integers = quantise(fold(network.eval()), 8).eval()
    pyspike.compile(integers, path, example=torch.zeros(1, 3, SIZE, SIZE, dtype=torch.uint8))


def main() -> int:
    """Compile, run, simulate twice, compare."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.spk"
        compile_network(path)
        graph, model = image.read(path), pyspike.Model.load(path)
    name, shape = model.inputs[0].name, model.inputs[0].shape
    inputs = {name: np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)}
    expected = model.runtime().run(inputs, raw=True)
    different = 0
    for chip in ("default", "large"):
        began = time.perf_counter()
        mapped = map_network(graph, Chip.load(chip), effort=10)
        middle = time.perf_counter()
        report = simulate(mapped, inputs, windows=0, raster=0)
        ended = time.perf_counter()
        different += sum(int((report.outputs[key] != values).sum()) for key, values in expected.items())
        print(report)
        print(f"mapped in {middle - began:.1f} s, simulated in {ended - middle:.1f} s; {different} outputs differ\n")
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main())
