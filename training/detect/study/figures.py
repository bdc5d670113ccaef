"""The study's plots. Needs matplotlib (the extra `report`)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from training.detect.study.findings import FREE, LIMIT, ORDER, PARENT, TARGETS, Findings, mean_neurons
from training.detect.study.intervals import Estimate
from training.detect.study.plan import BITS, CONVERTED_BITS

DPI = 110
COLOURS = ("tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple", "tab:brown", "tab:gray", "tab:olive")


def draw(study: Findings, folder: Path) -> list[str]:
    """Write learning-<name>.png into `folder`, of what there is; returns the names."""
    folder.mkdir(parents=True, exist_ok=True)
    plots: dict[str, Callable[[Findings], Figure | None]] = {
        "neurons": neurons, "bits": bits, "rates": rates, "extremes": extremes, "counts": counts,
    }  # fmt: skip
    drawn = []
    for name, plot in plots.items():
        figure = plot(study)
        if figure is not None:
            # without the library's version in it, the same numbers give the same bytes
            figure.savefig(folder / f"learning-{name}.png", dpi=DPI, metadata={"Software": None})
            drawn.append(name)
    return drawn


def _figure(columns: int = 1, width: float = 7.5, height: float = 3.8) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, columns, squeeze=False)[0]
    for ax in axes:
        ax.grid(alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
    return figure, list(axes)


def _point(ax: Axes, x: float, found: Estimate, metric: int, colour: str, label: str | None = None) -> None:
    """Interval, mean, and each training beside it."""
    ax.vlines(x, found.low[metric], found.high[metric], color=colour, linewidth=2)
    ax.plot([x], [found.mean[metric]], "o", color=colour, markersize=7, label=label)


def neurons(study: Findings) -> Figure | None:
    """mAP50 and mAP50:95 of every kind of neuron."""
    found = {n: e for n in ORDER if (e := study.estimate("neurons", n)) is not None}
    if not found:
        return None
    figure, axes = _figure(2, 9.0)
    for metric, (ax, title) in enumerate(zip(axes, ("mAP50", "mAP50:95"), strict=True)):
        for x, (name, estimate) in enumerate(found.items()):
            colour = "tab:orange" if name == "ANN" else "tab:blue"
            _point(ax, x, estimate, metric, colour)
            seeds = [v[metric] for v in estimate.single.values()]
            ax.plot(np.full(len(seeds), x + 0.2), seeds, ".", color=colour, alpha=0.6)
        ax.set_xticks(range(len(found)), list(found), rotation=30)
        ax.set_title(f"{title}: mean, 95% interval, and each seed", fontsize=9)
    return figure


def bits(study: Findings) -> Figure | None:
    """Paired change of mAP50 to the float parent, by bits."""
    figure, (ax,) = _figure()
    empty = True
    for kind, widths, shift, colour, label in (
        ("converted", CONVERTED_BITS, -0.08, "tab:orange", "rounded after training"),
        ("integer", BITS, 0.08, "tab:blue", "integer-exact training after it"),
    ):
        first = True
        for width in widths:
            change = study.change((kind, f"{width} bits"), PARENT)
            if change is not None:
                _point(ax, width + shift, change, 0, colour, label if first else None)
                first = empty = False
    free = study.change(FREE, PARENT)
    if free is not None:
        ax.axhspan(free.low[0], free.high[0], color="tab:gray", alpha=0.2, label="float, trained on: 95% interval")
    ax.axhline(0, color="black", linewidth=0.8)
    ax.set_xticks(sorted(CONVERTED_BITS))
    ax.set_xlabel("bits of a weight")
    ax.set_ylabel("mAP50 - float parent")
    if not empty:
        ax.legend(fontsize=8)
    return None if empty else figure


def rates(study: Findings) -> Figure | None:
    """mAP50 against the density measured in validation."""
    figure, (ax,) = _figure()
    keys = [PARENT, *(("rate", t) for t in ("free", *TARGETS))]
    names = {PARENT: "parent", FREE: "free"}
    empty = True
    for key in keys:
        found, setting = study.estimate(*key), study.found.get(key)
        density = setting.mean("density") if setting else None
        if found is None or setting is None or density is None:
            continue
        empty = empty and key == PARENT
        colour = {PARENT: "tab:gray", FREE: "tab:orange"}.get(key, "tab:blue")
        _point(ax, density, found, 0, colour)
        ax.annotate(names.get(key, f"target {key[1]}"), (density, found.mean[0]), (6, 6), textcoords="offset points",
                    fontsize=8)  # fmt: skip
        for k, values in found.single.items():
            ax.plot([setting.summaries[k]["density"]], [values[0]], ".", color=colour, alpha=0.6)
    ax.set_xscale("log")
    ticks = [0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4]
    ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
    ax.set_xticks([], minor=True)
    ax.set_xlabel("share of non-zero counts in validation")
    ax.set_ylabel("mAP50: mean, 95% interval, seeds")
    return None if empty else figure


def extremes(study: Findings) -> Figure | None:
    """Dead and saturated neurons by layer."""
    figure, axes = _figure(2, 11.0)
    some = False
    for name, colour in zip(ORDER, COLOURS, strict=True):
        setting = study.found.get(("neurons", name))
        layers = mean_neurons(setting.neurons.values()) if setting else {}
        if layers:
            some = True
            for ax, key in zip(axes, ("dead", "saturated"), strict=True):
                ax.plot([n[key] for n in layers.values()], color=colour, linewidth=1, label=name)
    for ax, title in zip(axes, ("dead", "saturated"), strict=True):
        ax.set_title(f"share of neurons that are {title}", fontsize=9)
        ax.set_xlabel("layer, in the order of firing")
    if some:
        axes[0].legend(fontsize=8)
    return figure if some else None


def counts(study: Findings) -> Figure | None:
    """Counts changed by rounding, by layer."""
    if not study.counts:
        return None
    figure, (ax,) = _figure(1, 9.0)
    for width, colour in zip(CONVERTED_BITS, COLOURS, strict=False):
        tables = [by_bits[width][0].neurons for by_bits in study.counts.values()]
        shares = np.mean([[n.share for n in neurons] for neurons in tables], 0)
        ax.plot(100 * shares, color=colour, linewidth=1, label=f"{width} bits")
    ax.axhline(100 * LIMIT, color="black", linewidth=0.8, linestyle=":")
    ax.set_yscale("log")
    ax.set_ylabel("counts changed, % (mean of seeds)")
    ax.set_xlabel("layer, in the order of firing")
    ax.legend(fontsize=8)
    return figure
