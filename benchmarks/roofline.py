"""What bounds each layer: its additions, the bytes it moves, and what is neither.

Two ceilings are measured in the same run: additions per second of a layer that has little else to do (3x3, 128 to 128
channels at 40 x 40, every input firing), and bytes per second of a copy that no cache holds. A layer cannot
take less than its additions at the one rate, nor than its weights, input and output at the other; what it takes above
the greater of both goes into event lists, into staging weights, into groups that are filled up and into settling sums.

    python -m benchmarks.roofline [--rates SHEET] [--threads N] [--write] [NAME ...]
"""

from __future__ import annotations

import argparse
import datetime
import io
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.layers import conv_graph, counts
from benchmarks.networks import Network, by_name, published
from benchmarks.pages import DOCS, cpu, markdown, write_measured
from pyspike import image
from pyspike._files import write_whole
from pyspike.ops import Synapse
from pyspike.runtime import Model

HOT = {"shape": (40, 40, 128), "outputs": 128, "kernel": 3}  # every input fires, with one bit
COPIED = 2**27  # bytes, beyond every cache
RUNS = 25
COLOURS = ("tab:blue", "tab:red", "tab:green", "tab:purple", "tab:orange", "tab:brown")
LISTED = 0.01  # share of a network's time from which a layer has a line of its own


@dataclass(frozen=True)
class Ceilings:
    """Additions per second, and bytes per second."""

    adds: float
    bytes: float


@dataclass(frozen=True)
class Layer:
    """A layer that weighs events: least seconds, additions, bytes of weights, input and output."""

    name: str
    kernel: str
    seconds: float
    adds: int
    bytes: int
    density: float

    def bound(self, ceilings: Ceilings) -> float:
        """Seconds below which it cannot come."""
        return max(self.adds / ceilings.adds, self.bytes / ceilings.bytes)


@dataclass(frozen=True)
class Roofline:
    """A network's layers, what bounds them, and the seconds of all its other operators and of whole runs."""

    network: Network
    top: Ceilings
    layers: list[Layer]
    others: float
    run: float


def ceilings(threads: int, bits: int) -> Ceilings:
    """Both, on this machine, now, with weights of `bits` bits."""
    graph = conv_graph(**HOT, bits=bits)
    x = (counts(graph, 1.0) != 0).astype(np.uint8)
    runtime = Model.load(image.to_bytes(graph)).runtime(threads)
    adds = max(layer.adds / layer.seconds for layer in (runtime.profile(x).layers[0] for _ in range(4 * RUNS)))
    source = np.ones(COPIED, np.uint8)
    target = np.empty_like(source)
    seconds = []
    for _ in range(8):
        start = time.perf_counter()
        np.copyto(target, source)
        seconds.append(time.perf_counter() - start)
    return Ceilings(adds, 2 * COPIED / min(seconds))


def measure(network: Network, threads: int) -> Roofline:
    """Least times over some runs."""
    top = ceilings(threads, network.bits)
    model, x = Model.load(network.spk), np.load(network.x)
    runtime, graph = model.runtime(threads), image.read(network.spk)
    profiles = [runtime.profile(x) for _ in range(RUNS)]
    seconds = np.min([[layer.seconds for layer in each.layers] for each in profiles], axis=0)
    whole = []
    for _ in range(RUNS):
        start = time.perf_counter()
        runtime.run(x)
        whole.append(time.perf_counter() - start)
    ops = {node.output: node for node in graph.nodes}
    layers, others = [], 0.0
    for found, (kernel, _), least in zip(profiles[0].layers, runtime.kernels, seconds, strict=True):
        node = ops[found.name]
        if not isinstance(node.op, Synapse):
            others += float(least)
            continue
        tensors = [graph.tensors[name] for name in (*node.inputs, node.output)]
        moved = node.op.weight.size + sum(each.size * np.dtype(each.dtype).itemsize for each in tensors)
        layers.append(Layer(found.name, kernel or "depthwise", float(least), found.adds, moved, found.density))
    return Roofline(network, top, layers, others, float(np.median(whole)))


def as_markdown(found: Roofline) -> list[str]:
    """A section of the page."""
    top = found.top
    total = sum(layer.seconds for layer in found.layers)
    bound = sum(layer.bound(top) for layer in found.layers)
    rows = [
        (layer.name, layer.kernel, f"{layer.density:.1%}", f"{layer.seconds * 1e3:.3f}", f"{layer.adds / 1e6:.1f}",
         f"{layer.adds / layer.seconds / 1e9:.0f}", f"{layer.bytes / 1e6:.2f}", f"{layer.bound(top) * 1e3:.3f}",
         "additions" if layer.adds / top.adds > layer.bytes / top.bytes else "bytes",
         f"{layer.bound(top) / layer.seconds:.0%}")
        for layer in sorted(found.layers, key=lambda each: -each.seconds) if layer.seconds > LISTED * total
    ]  # fmt: skip
    header = ("layer", "kernel", "density", "ms", "M additions", "G additions/s", "MB", "bound ms", "by", "reached")
    summary = (
        f"A run takes {found.run * 1e3:.2f} ms: {total * 1e3:.2f} ms in layers with weights, whose bounds sum "
        f"to {bound * 1e3:.2f} ms, and {found.others * 1e3:.2f} ms in all other operators. Ceilings: "
        f"{top.adds / 1e9:.0f} G additions/s, {top.bytes / 1e9:.1f} GB/s."
    )
    return [f"### {found.network.name}", "", summary, "", *markdown(header, rows), ""]


def plot(networks: Sequence[Roofline]) -> bytes:
    """A picture: additions per second against additions per byte, under both ceilings; areas are shares of time."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    intensity = np.geomspace(1e-3, 1e3, 200)
    for found, colour in zip(networks, COLOURS, strict=False):
        bound = np.minimum(found.top.adds, intensity * found.top.bytes) / 1e9
        axes.plot(intensity, bound, color=colour, linewidth=1)
        total = sum(layer.seconds for layer in found.layers)
        axes.scatter(
            [layer.adds / layer.bytes for layer in found.layers],
            [layer.adds / layer.seconds / 1e9 for layer in found.layers],
            [4 + 1500 * layer.seconds / total for layer in found.layers],
            color=colour, alpha=0.5, label=f"{found.network.name}: layers, by their time",
        )  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel="additions per byte of weights, input and output",
             ylabel="10^9 additions per second")  # fmt: skip
    axes.legend(fontsize=8)
    written = io.BytesIO()
    figure.savefig(written, format="png", dpi=110, metadata={"Software": None})
    return written.getvalue()


def main() -> int:
    """Measure, print, and write where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", type=Path, help="a sheet of published rates (.json), for SpikeYOLO-n")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="docs/images/roofline.png, and tables of the page")
    parser.add_argument(
        "names", nargs="*", default=["8", "4", "demo"], metavar="NAME", help="as in benchmarks.networks"
    )
    arguments = parser.parse_args()
    rates = published(arguments.rates)
    networks = [measure(by_name(name, rates), arguments.threads) for name in arguments.names]
    given = [Path(each).name if "/" in each else each for each in sys.argv[1:]]
    lines = [
        f"Measured {datetime.date.today().isoformat()} on {cpu()}, by "
        f"`{' '.join(['python -m benchmarks.roofline', *given])}`.",
        "",
        *(line for found in networks for line in as_markdown(found)),
    ]
    print("\n".join(lines))
    if arguments.write:
        write_whole(DOCS / "images" / "roofline.png", plot(networks))
        write_measured("performance.md", "\n".join(lines), "roofline")
    return 0


if __name__ == "__main__":
    sys.exit(main())
