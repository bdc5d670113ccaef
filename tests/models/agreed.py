"""A SpikeYOLO with seeded weights and what it computes: agreement with the published code, kept.

The tests beside this compare with tensors of the published code where those are at hand. What the model computes once
they agree is written to `data/spikeyolo_agreed.npz`, so that a change is seen where they are not:

    python -m tests.models.agreed        # refuses unless all of those tests ran and passed
"""

from __future__ import annotations

import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import torch

from pyspike.models.spikeyolo import SpikeYOLO
from pyspike.nn import IntegerLIF

FILE = Path(__file__).parent / "data" / "spikeyolo_agreed.npz"
CONFIG = {"depth": 0.33, "width": 0.0625, "num_classes": 4}
CASES = {
    "T1D4": {"T": 1, "D": 4},
    "T2D4": {"T": 2, "D": 4},
    "T4D1": {"T": 4, "D": 1},
    "gen1": {"T": 2, "D": 4, "neuron": "gen1"},
}


def seeded(model: SpikeYOLO) -> SpikeYOLO:
    """Weights that depend on their names alone, the same with every version of every library."""
    state = model.state_dict()
    for name, tensor in state.items():
        random = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
        fan = max(int(np.prod(tensor.shape[1:])), 1)
        values = random.standard_normal(tuple(tensor.shape)) / np.sqrt(fan) if tensor.ndim > 1 else None
        if values is None and tensor.is_floating_point():
            spread = random.random(tuple(tensor.shape))
            values = 0.5 + spread if name.endswith(("var", "weight")) else spread - 0.5
        if values is not None:
            state[name] = torch.from_numpy(np.asarray(values)).to(tensor.dtype)
    model.load_state_dict(state)
    return model


@torch.no_grad()
def computed(case: str) -> dict[str, np.ndarray]:
    """Raw heads, and of every neuron the mean and mean square of its drive, of one image of 64 x 64, in float64."""
    model = seeded(SpikeYOLO(**CONFIG, **CASES[case]).double()).eval()
    drives: list[float] = []
    neurons = [module for module in model.modules() if isinstance(module, IntegerLIF)]
    hooks = [n.register_forward_hook(lambda m, x, y: drives.extend(_moments(x[0]))) for n in neurons]
    image = np.random.Generator(np.random.PCG64(1)).integers(0, 256, (1, 3, 64, 64)) / 255
    raw = model(torch.from_numpy(image))
    for hook in hooks:
        hook.remove()
    found = {f"{case}_raw{level}": tensor.numpy() for level, tensor in enumerate(raw)}
    return found | {f"{case}_drives": np.array(drives)}


def _moments(drive: torch.Tensor) -> tuple[float, float]:
    return float(drive.mean()), float(drive.square().mean())


def main() -> int:
    """Write the file, if the model agrees with the published code."""
    tests = Path(__file__).parent / "test_spikeyolo.py"
    run = subprocess.run([sys.executable, "-m", "pytest", "-q", "-rs", str(tests)], capture_output=True, text=True)
    if run.returncode or "skipped" in run.stdout:
        print(run.stdout, "\nnot written: the model was not compared with the published tensors, or differs")
        return 1
    arrays = {name: values for case in CASES for name, values in computed(case).items()}
    FILE.parent.mkdir(exist_ok=True)
    np.savez_compressed(FILE, **arrays)
    print(f"{FILE}: {FILE.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
