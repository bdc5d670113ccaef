"""The networks that are raced, built once and kept under build/bench.

SpikeYOLO-n at 320 x 320, 80 classes, T = 1, D = 4: seeded weights, and biases shifted until every neuron fires as often
on the input as a sheet of published rates says (`benchmarks.calibrate`); without a sheet, 0.49 counts on average in
every neuron. And the demo's trained detector on its photograph. The input is the demo's photograph, letterboxed.

    python -m benchmarks.networks [--rates SHEET] [NAME ...]     # build, and print what fires
"""

from __future__ import annotations

import argparse
import copy
import functools
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.inliner
import torch
from torch import Tensor, nn

import pyspike
from benchmarks.calibrate import Spikes, calibrate, of_counts, overall, spikes
from pyspike import image, reference
from pyspike import nn as spiking
from pyspike._files import write_whole
from pyspike.io.images import read_image
from pyspike.models.spikeyolo import SpikeYOLO
from pyspike.nn.export import onnx_model
from pyspike.ops import Fire
from pyspike.report.activity import measure
from pyspike.report.papers import read_sheet
from pyspike.tasks.detect import Detector
from pyspike.tasks.letterbox import letterbox

CACHE = Path(__file__).parent.parent / "build" / "bench"
DATA = Path(pyspike.__file__).parent / "data"
SIZE, CLASSES, UNIFORM = 320, 80, 0.49
MOST = 0.95  # share of non-zero counts that no neuron exceeds
VERSION = 2  # of what is built; part of every folder's name


@dataclass(frozen=True)
class Network:
    """Files of one network. `spk`: the image; `quantised`: its ONNX form, with plain ONNX operators in the neurons'
    place; `folded`, `unfolded`: float weights with and without batch norms merged, likewise; `module`: the float
    network in PyTorch; `x`: the input, uint8. `folded`, `unfolded` and `module` are None where only integers exist.

    facts: float_exact, and rates: neuron -> mean, nonzero, planes, elements.
    """

    name: str
    bits: int
    spk: Path
    quantised: Path
    x: Path
    facts: dict[str, Any]
    folded: Path | None = None
    unfolded: Path | None = None
    module: Path | None = None

    @property
    def rates(self) -> dict[str, Spikes]:
        """What every neuron of the integer network emits on the input."""
        return {name: Spikes(**each) for name, each in self.facts["rates"].items()}

    @property
    def spikes(self) -> Spikes:
        """All neurons as one."""
        return overall(list(self.rates.values()))


def photograph(size: int = SIZE) -> np.ndarray:
    """The demo's photograph as network input, uint8 [1, 3, size, size]."""
    fitted, _ = letterbox(read_image(DATA / "demo.jpg"), (size, size))
    return np.ascontiguousarray(fitted.transpose(2, 0, 1)[None])


def published(sheet: Path | None) -> list[float]:
    """Mean counts of all neurons in order of execution; a sheet's first row is the layer that reads pixels."""
    return [row.rate for row in read_sheet(sheet)][1:] if sheet else [UNIFORM] * 88


@functools.cache
def float_network(rates: tuple[float, ...], size: int = SIZE) -> tuple[Path, Path, Path]:
    """(module, folded ONNX, unfolded ONNX) of the float network that fires at `rates`."""
    folder = _folder("float", rates, size)
    paths = folder / "module.pt", folder / "folded.onnx", folder / "unfolded.onnx"
    if not all(path.exists() for path in paths):
        x = torch.from_numpy(photograph(size))
        torch.manual_seed(0)
        model = SpikeYOLO.scale("n", num_classes=CLASSES).double()
        calibrate(model, x.double() / 255, rates)
        model.float()
        _save_plain(spiking.fold(model), x, paths[1])
        _save_plain(_FromPixels(model), x, paths[2])
        torch.save(model, paths[0])
    return paths


class _FromPixels(nn.Module):
    """An unfolded network behind the division by 255 that folding has in the first weights."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Any:
        return self.model(images.float() / 255)


def spikeyolo(bits: int, rates: Sequence[float], density: float | None = None, size: int = SIZE) -> Network:
    """SpikeYOLO-n with weights of `bits` bits, every neuron at its rate on the photograph; with `density`, biases are
    shifted again until the share of non-zero counts is `density` overall, neurons keeping their proportions.
    """
    rates = tuple(rates)
    module, folded, unfolded = float_network(rates, size)
    name = f"spikeyolo-n{size}" + ("" if density is None else f"-d{density:g}") + f"-w{bits}"
    folder = _folder(name, rates, size, density)
    network = Network(
        name, bits, folder / "network.spk", folder / "quantised.onnx", folder / "x.npy", {}, folded, unfolded, module
    )
    if not (folder / "facts.json").exists():
        x = photograph(size)
        np.save(network.x, x)
        model = _firing(_on_grid(bits, rates, size), torch.from_numpy(x), rates, density)
        rates_reached = {name: asdict(each) for name, each in spikes(model, torch.from_numpy(x)).items()}
        _write(spiking.quantise(model.float(), bits).eval(), network, torch.from_numpy(x), rates_reached)
    return _read_facts(network)


def demo() -> Network:
    """The demo's detector on its photograph; its weights are integers, and no others are known."""
    folder = _folder(
        "demo", *(hashlib.sha256((DATA / f"demo.{kind}").read_bytes()).digest() for kind in ("onnx", "spk"))
    )
    network = Network("demo", 8, DATA / "demo.spk", folder / "quantised.onnx", folder / "x.npy", {})
    if not (folder / "facts.json").exists():
        model = pyspike.Model.load(network.spk)
        x = Detector(model).preprocess(read_image(DATA / "demo.jpg"))[0]
        np.save(network.x, x)
        onnx.save(onnx.inliner.inline_local_functions(onnx.load(DATA / "demo.onnx")), network.quantised)
        graph, watched = image.read(network.spk), {}
        reference.run(graph, {model.inputs[0].name: x}, watched)
        fired = [node.output for node in graph.nodes if isinstance(node.op, Fire)]
        rates = {name: asdict(of_counts(torch.from_numpy(watched[name][0]))) for name in fired}
        _write_facts(network, {"float_exact": model.metadata["float_exact"], "rates": rates})
    return _read_facts(network)


@functools.cache
def _on_grid(bits: int, rates: tuple[float, ...], size: int) -> nn.Module:
    """The folded network (SepRepConv factored) with the weights that `bits` bits can hold, biases on one grid."""
    module, _, _ = float_network(rates, size)
    folded = spiking.fold(torch.load(module, weights_only=False), factor="auto")
    quantised = spiking.quantise(folded, bits)
    for name, layer in quantised.named_modules():
        if isinstance(layer, spiking.QuantConv2d):
            plain = folded.get_submodule(name)
            with torch.no_grad():
                plain.weight.copy_(layer.on_grid()[0])
                if plain.bias is not None:
                    plain.bias.copy_(torch.round(plain.bias * 2.0**12) * 2.0**-12)
    return folded


def _firing(model: nn.Module, x: Tensor, rates: Sequence[float], density: float | None) -> nn.Module:
    """A copy in float64, in which every sum is exact: neurons fire in it as they do in integers."""
    model = copy.deepcopy(model).double()
    calibrate(model, x, rates)
    if density is not None:
        parts = list(spikes(model, x).values())
        calibrate(model, x, _shares(parts, density), "nonzero")
    return model


def _shares(parts: Sequence[Spikes], density: float) -> list[float]:
    """Non-zero shares in the proportions of `parts`, none above `MOST`, whose mean over all elements is `density`."""
    low, high = 0.0, 1e3
    for _ in range(60):
        factor = (low + high) / 2
        shares = [min(MOST, factor * each.nonzero) for each in parts]
        mean = sum(s * each.elements for s, each in zip(shares, parts, strict=True)) / sum(e.elements for e in parts)
        low, high = (factor, high) if mean < density else (low, factor)
    return shares


def _write(model: nn.Module, network: Network, x: Tensor, rates: dict[str, Any]) -> None:
    """Write image, ONNX form and facts of a quantised network."""
    exported = onnx_model(model, x)
    report = pyspike.compile(exported, network.spk, weight_bits=network.bits)
    onnx.save(onnx.inliner.inline_local_functions(exported), network.quantised)
    _write_facts(network, {"float_exact": report.float_exact, "because": report.float_inexact_because, "rates": rates})


def _write_facts(network: Network, facts: dict[str, Any]) -> None:
    """`facts` with what a counted run adds: dense operations, and the share of them that meets a count above zero."""
    graph = image.read(network.spk)
    found = measure(graph, {graph.inputs[0].name: np.load(network.x)})
    facts |= {"macs": found.macs, "sops": found.sops, "synaptic_density": found.synaptic_density}
    write_whole(network.x.with_name("facts.json"), json.dumps(facts, indent=1).encode())


def _read_facts(network: Network) -> Network:
    return replace(network, facts=json.loads(network.x.with_name("facts.json").read_text(encoding="utf-8")))


def _save_plain(model: nn.Module, x: Tensor, path: Path) -> None:
    onnx.save(onnx.inliner.inline_local_functions(onnx_model(model, x)), path)


def _folder(name: str, *key: object) -> Path:
    digest = hashlib.sha256(repr((VERSION, torch.__version__, *key)).encode()).hexdigest()[:12]
    folder = CACHE / f"{name}-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def describe(network: Network) -> str:
    """One line on what fires."""
    fires = network.spikes
    return (
        f"{network.name}: {network.facts['macs'] / 1e9:.2f} GMAC, mean count {fires.mean:.3f}, non-zero "
        f"{fires.nonzero:.1%} (by fan-out {network.facts['synaptic_density']:.1%}), bit-planes per event "
        f"{fires.planes:.2f}, float-exact {network.facts['float_exact']}"
    )


def by_name(name: str, rates: Sequence[float]) -> Network:
    """`demo`, or `BITS` or `BITS@DENSITY` for SpikeYOLO-n, such as `8` and `4@0.15`."""
    if name == "demo":
        return demo()
    bits, _, density = name.partition("@")
    return spikeyolo(int(bits), rates, float(density) if density else None)


def main() -> int:
    """Build and describe."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=["8", "7", "6", "4", "8@0.15", "demo"], metavar="NAME")
    parser.add_argument("--rates", type=Path, help="a sheet of published rates (.json)")
    parser.add_argument("--layers", action="store_true", help="what every neuron emits, too")
    arguments = parser.parse_args()
    rates = published(arguments.rates)
    if arguments.rates is None:
        print(f"no --rates: every neuron has a mean count of {UNIFORM}")
    for name in arguments.names:
        network = by_name(name, rates)
        print(describe(network), network.spk, sep="\n  ", flush=True)
        for neuron, fires in network.rates.items() if arguments.layers else ():
            print(f"  {neuron:26} {fires.mean:6.3f} {fires.nonzero:6.1%} {fires.planes:5.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
