"""SpikeYOLO at its published sizes: every executor must give the integers of the NumPy reference, each of them.

The weights are seeded and batch norms are set on noise, so that densities are those of an untrained network. Each
network is folded in both forms (`pyspike.nn.fold`: dense, or SepRepConv as two factors), quantised to 8 bits, exported
and compiled. The input is noise. Prints two Markdown tables, what was compared and how long each executor took, and
its progress to the standard error. Needs the extras `train` and `onnx`.

    python -m benchmarks.spikeyolo_exact [--quick] [networks, as in s-640-1x4: scale, size, T x D]
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import onnxruntime
import torch

import pyspike
from pyspike import image, reference
from pyspike.chip.config import Chip
from pyspike.chip.mapping import map_network
from pyspike.chip.simulate import simulate
from pyspike.errors import ChipError, UnsupportedOpError
from pyspike.graph import Graph
from pyspike.models.spikeyolo import SpikeYOLO
from pyspike.nn import export_onnx, fold, integer_twin, quantise
from pyspike.nn.executor import run as run_torch
from pyspike.runtime import available_isas

Integers = Mapping[str, np.ndarray]
Result = TypeVar("Result")
TRAINING_SIZE = 320  # of the noise that batch norms are set on
QUICK = ("n-320-1x4",)
FULL = ("n-320-1x4", "n-320-2x2", "n-640-1x4", "n-640-2x2", "s-320-1x4", "s-320-2x2", "s-640-1x4", "s-640-2x2")
ON_CHIP = ("n", 320)  # a larger network takes the simulator an hour


@dataclass
class Case:
    """One network, its files, and what was found."""

    scale: str
    size: int
    T: int
    D: int
    form: str
    folder: Path
    float_exact: bool = False
    megabytes: float = 0.0
    additions: float = 0.0  # 10^9, of one inference
    values: int = 0
    differences: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"SpikeYOLO-{self.scale} at {self.size}, T = {self.T}, D = {self.D}, {self.form}"

    @property
    def image(self) -> Path:
        """The compiled model."""
        return self.folder / "network.spk"

    @property
    def onnx(self) -> Path:
        """What it was compiled from."""
        return self.folder / "network.onnx"


def network(scale: str, T: int, D: int) -> SpikeYOLO:
    """A seeded network whose neurons fire as those of an untrained network do."""
    torch.manual_seed(0)
    model = SpikeYOLO.scale(scale, num_classes=80, T=T, D=D)
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        model.train()(torch.rand(1, 3, TRAINING_SIZE, TRAINING_SIZE))
        for norm in norms:
            norm.bias -= 0.5
    return model.eval()


def make(case: Case, model: SpikeYOLO, pixels: np.ndarray) -> torch.nn.Module:
    """Write both files of a case; returns the quantised module."""
    quantised = quantise(fold(model, factor=case.form == "factored"), 8).eval()
    export_onnx(quantised, case.onnx, torch.from_numpy(pixels))
    report = pyspike.compile(case.onnx, case.image)
    if not report.source_exact:
        raise SystemExit(f"{case}: the compiler changed the network: {report.changes}")
    case.float_exact, case.megabytes = report.float_exact, report.total_bytes / 1e6
    return quantised


def executors(
    case: Case, graph: Graph, quantised: torch.nn.Module, pixels: np.ndarray
) -> Iterator[tuple[str, Callable[[], Integers]]]:
    """(name, how it runs) of everything but the reference."""
    inputs = {graph.inputs[0].name: pixels}
    model = pyspike.Model.load(case.image)
    for isa in available_isas():
        for threads in (1, 2):
            yield f"runtime {isa} x{threads}", partial(model.runtime(threads=threads, isa=isa).run, inputs, raw=True)
    yield "PyTorch graph float64", lambda: run_torch(graph, inputs, torch.float64)
    yield "PyTorch twin float64", lambda: _module(graph, integer_twin(quantised), pixels)
    if case.float_exact:
        yield "PyTorch module float32", lambda: _module(graph, quantised, pixels)
        yield "ONNX Runtime float32", lambda: _onnxruntime(graph, case.onnx, inputs)
    if (case.scale, case.size) == ON_CHIP:
        yield "chip", lambda: _chip(graph, inputs)


@torch.no_grad()
def _module(graph: Graph, module: torch.nn.Module, pixels: np.ndarray) -> Integers:
    outputs = [each.numpy() for each in module(torch.from_numpy(pixels))]
    return {port.name: _integers(graph, port.tensor, each) for port, each in zip(graph.outputs, outputs, strict=True)}


def _onnxruntime(graph: Graph, path: Path, inputs: Integers) -> Integers:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    outputs = session.run([port.name for port in graph.outputs], dict(inputs))
    return {port.name: _integers(graph, port.tensor, each) for port, each in zip(graph.outputs, outputs, strict=True)}


def _integers(graph: Graph, tensor: str, reals: np.ndarray) -> np.ndarray:
    """Real values as multiples of the tensor's grid. What is no integer stays so, and differs from any."""
    scale = graph.tensors[tensor].scale
    assert isinstance(scale.f, int)
    return np.ldexp(reals.astype(np.float64), scale.f) * scale.divisor


def _chip(graph: Graph, inputs: Integers) -> Integers:
    return simulate(map_network(graph, Chip.load("default"), effort=0), inputs, windows=0, raster=0).outputs


def run(case: Case, model: SpikeYOLO) -> None:
    """Make the files of a case and compare every executor with the reference."""
    pixels = np.random.default_rng(0).integers(0, 256, (1, 3, case.size, case.size), dtype=np.uint8)
    quantised = _timed(case, "made", lambda: make(case, model, pixels))
    graph = image.read(case.image)
    inputs = {graph.inputs[0].name: pixels}
    case.additions = pyspike.Runtime.load(case.image).profile(pixels).adds / 1e9
    expected = _timed(case, "NumPy reference", lambda: reference.run(graph, inputs))
    for name, execute in executors(case, graph, quantised, pixels):
        try:
            found = _timed(case, name, execute)
        except (ChipError, UnsupportedOpError) as error:
            case.missing[name] = str(error)
            continue
        case.values += sum(values.size for values in expected.values())
        wrong = sum(int((found[key] != values).sum()) for key, values in expected.items())
        case.differences += wrong
        if wrong:
            print(f"  {name}: {wrong} values differ", file=sys.stderr)


def _timed(case: Case, name: str, work: Callable[[], Result]) -> Result:
    print(f"  {name} ...", end="", file=sys.stderr, flush=True)
    began = time.perf_counter()
    try:
        result = work()
    except (ChipError, UnsupportedOpError) as error:
        print(f" cannot: {error}", file=sys.stderr)
        raise
    case.seconds[name] = time.perf_counter() - began
    print(f" {case.seconds[name]:.2f} s", file=sys.stderr, flush=True)
    return result


def parsed(name: str) -> tuple[str, int, int, int]:
    """Scale, size, T and D of a network's name."""
    found = re.fullmatch(r"([nsml])-(\d+)-(\d+)x(\d+)", name)
    if not found:
        raise SystemExit(f"expected scale-size-TxD, as in s-640-1x4, found {name!r}")
    return found[1], int(found[2]), int(found[3]), int(found[4])


def comparison(cases: list[Case]) -> str:
    """What was compared, as a Markdown table."""
    lines = [
        "| network | size | T | D | form | image MB | G additions | float-exact | executors | values | differences |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for c in cases:
        ran = len(c.seconds) - 1  # making is none; the reference is what the others are compared with
        lines.append(
            f"| {c.scale} | {c.size} | {c.T} | {c.D} | {c.form} | {c.megabytes:.1f} | {c.additions:.2f} | "
            f"{'yes' if c.float_exact else 'no'} | {ran} | {c.values:,} | {c.differences} |"
        )
    return "\n".join(lines)


def durations(cases: list[Case]) -> str:
    """Seconds of each step and executor, as a Markdown table; an executor that cannot run a network has a dash."""
    heads = [f"{c.scale} {c.size} {c.T}x{c.D} {c.form}" for c in cases]
    lines = ["| | " + " | ".join(heads) + " |", "|---" * (len(cases) + 1) + "|"]
    for name in dict.fromkeys(name for c in cases for name in c.seconds):
        cells = [f"{c.seconds[name]:.2f}" if name in c.seconds else "-" for c in cases]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> int:
    """Exit code 1 where an integer differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="n at 320 with T = 1 alone")
    parser.add_argument("networks", nargs="*", help=f"some of them, by default {' '.join(FULL)}")
    given = parser.parse_args()
    cases: list[Case] = []
    for name in given.networks or (QUICK if given.quick else FULL):
        scale, size, T, D = parsed(name)
        model = network(scale, T, D)
        for form in ("dense", "factored"):
            with tempfile.TemporaryDirectory() as folder:
                case = Case(scale, size, T, D, form, Path(folder))
                print(case, file=sys.stderr, flush=True)
                run(case, model)
                cases.append(case)
    print(comparison(cases), durations(cases), sep="\n\n")
    refused = dict.fromkeys(f"{name}, {case.form}: {why}" for case in cases for name, why in case.missing.items())
    for each in refused:
        print(f"\nnot run: {each}")
    return int(any(case.differences for case in cases))


if __name__ == "__main__":
    sys.exit(main())
