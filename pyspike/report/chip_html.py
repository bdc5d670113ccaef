"""The report of a simulated chip: one HTML file that needs nothing else, for a browser without a network.

The figures travel as JSON, the arrays as one deflated block in base64; the page (assets/chip.html, .css, .js) draws
them by itself. Whatever a user could have named is escaped here and set as text there.
"""

from __future__ import annotations

import base64
import html
import json
import os
import re
import zlib
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyspike._files import write_whole
from pyspike.report.chip_data import CLASSES, OUTPUTS, ChipRun, LayerRecord, coarser

SCRIPTS = ("core", "mesh", "time", "layers", "table", "main")  # assets/chip-*.js, in order

TOTALS = ("cycles", "seconds", "sops", "adds", "flits", "energy", "utilisation")


def write_html(run: ChipRun, path: str | os.PathLike[str], *, windows: int = 256) -> None:
    """Write the report of `run` to `path`, under a temporary name first.

    A longer time series is drawn with about so many windows: neighbours become one.
    """
    write_whole(path, to_html(coarser(run, windows)).encode("utf-8", "replace"))


def to_html(run: ChipRun) -> str:
    """The report of `run` as one page."""
    assets = resources.files("pyspike.report") / "assets"
    figures, block = _figures(run)
    parts = {
        "title": html.escape(run.title),
        "style": (assets / "chip.css").read_text(encoding="utf-8"),
        "script": "\n".join((assets / f"chip-{name}.js").read_text(encoding="utf-8") for name in SCRIPTS),
        "figures": _json(figures),
        "arrays": base64.b64encode(zlib.compress(block, 9)).decode(),
    }
    # In one pass, so that a title that looks like a placeholder stays what it is.
    page = (assets / "chip.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], page)


def _json(value: Any) -> str:
    """JSON that can stand in a <script> element: no tag or comment can begin in it."""
    text = json.dumps(value, allow_nan=False, default=lambda number: number.item())  # of NumPy
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _figures(run: ChipRun) -> tuple[dict[str, Any], bytes]:
    """Everything but the arrays, with a directory of them; and the arrays, one after the other."""
    arrays = {
        "classes": run.classes,
        "links": run.links,
        "edges": run.edges,
        "windowClasses": run.window_classes,
        "windowLinks": run.window_links,
        "windowEnergy": run.window_energy,
        "firing": firing(run),
    }
    if run.raster is not None:
        arrays |= {f"raster{name.title()}": getattr(run.raster, name) for name in ("cycle", "layer", "neuron")}
    directory, block = {}, bytearray()
    for name, array in arrays.items():
        packed = _smallest(array)
        block.extend(bytes(-len(block) % 8))  # typed arrays in JavaScript must be aligned
        directory[name] = {"type": packed.dtype.name, "offset": len(block), "length": packed.size}
        block.extend(packed.tobytes())
    columns, rows = run.chip.mesh
    chip = run.chip
    figures = {
        "title": run.title,
        "chip": {"name": chip.name, "columns": columns, "rows": rows, "lanes": chip.lanes, "clock": chip.clock}
        | {"coding": chip.coding},
        "totals": {name: getattr(run, name) for name in TOTALS},
        "coresInUse": int(run.cores_in_use.any(0).sum()),
        "agreement": run.agreement,
        "classNames": CLASSES,
        "outputNames": OUTPUTS,
        "energyParts": list(run.energy_parts.items()),
        "layers": [_layer(run, index, layer) for index, layer in enumerate(run.layers)],
        "passes": [{"title": title, "first": first} for title, first in run.passes],
        "spikes": None if run.raster is None else run.raster.total,
        "arrays": directory,
    }
    return figures, bytes(block)


def _smallest(array: NDArray[Any]) -> NDArray[Any]:
    """The same numbers in the smallest type that JavaScript has an array for, little-endian."""
    if array.dtype.kind == "f":
        return array.astype("<f4")
    largest = int(array.max()) if array.size else 0
    for bits in (8, 16, 32):
        if largest < 1 << bits:
            return array.astype(f"<u{bits // 8}")
    return array.astype("<f8")


def _layer(run: ChipRun, index: int, layer: LayerRecord) -> dict[str, Any]:
    figures = {name: getattr(layer, name) for name in "name kind events sops adds issues spikes flits hops".split()}
    span = layer.last_cycle + 1 - layer.first_cycle
    return figures | {
        "cores": [int(core) for core in layer.cores],
        "first": layer.first_cycle,
        "end": layer.last_cycle + 1,
        "energy": [float(layer.energy.get(kind, 0.0)) for kind in run.energy_parts],
        "density": layer.density,
        "busy": _work(run, index, layer) / (span * len(layer.cores)) if span and len(layer.cores) else None,
    }


def _work(run: ChipRun, index: int, layer: LayerRecord) -> int:
    """Core-cycles of a layer's own work: its issues or, where it has none, those with one of its steps under way."""
    if layer.issues:
        return layer.issues
    own = (run.steps.layer == index) & (run.steps.core >= 0)
    return int((run.steps.last[own] + 1 - run.steps.first[own]).sum())


def firing(run: ChipRun) -> NDArray[np.float64]:
    """Share of each layer's cores that have one of its steps under way: [layers, windows].

    The mean over those cycles of a window that lie between the layer's first and last.
    """
    edges, steps = run.edges, run.steps
    share = np.zeros((len(run.layers), len(edges) - 1))
    for index, layer in enumerate(run.layers):
        own = (steps.layer == index) & (steps.core >= 0)
        if own.any():
            until = _cycles_before(edges, steps.first[own]) - _cycles_before(edges, steps.last[own] + 1)
            within = np.diff(np.clip(edges, layer.first_cycle, layer.last_cycle + 1)) * max(1, len(layer.cores))
            share[index] = np.diff(until) / np.maximum(1, within)
    return share


def _cycles_before(edges: NDArray[np.int64], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each edge, the sum over starts of the cycles from the start to the edge, 0 where it lies behind."""
    starts = np.sort(starts)
    sums = np.concatenate([[0], np.cumsum(starts)])
    count = np.searchsorted(starts, edges)
    return np.asarray(count * edges - sums[count])
