"""A simulation as the arrays that its report, trace and pictures are drawn from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pyspike.chip.figures import RunFigures
from pyspike.chip.firmware import FIRE
from pyspike.chip.simulate import LayerFigures, SimulationReport
from pyspike.report.chip_data import HOST, ChipFacts, ChipRun, LayerRecord, SpikeRaster, StepTimes


def chip_run(report: SimulationReport, title: str, agreement: str = "") -> ChipRun:
    """`report` as plain arrays; `agreement` says what its outputs were compared with."""
    chip = report.chip
    joules = report.energy
    index = {layer.name: i for i, layer in enumerate(report.layers)}
    return ChipRun(
        title=title,
        chip=ChipFacts(chip.name, chip.mesh, chip.lanes, chip.clock, chip.coding),
        cycles=report.cycles,
        seconds=report.seconds,
        sops=report.sops,
        adds=report.adds,
        flits=report.flits,
        energy=joules.total,
        agreement=agreement,
        classes=sum(each.raw["cores"][:, :4] for each in report.passes),
        links=sum(each.raw["links"] for each in report.passes),
        window=_edges(report),
        window_classes=np.concatenate([each.raw["window_classes"] for each in report.passes]),
        window_links=np.concatenate([each.raw["window_links"] for each in report.passes]),
        window_energy=_window_energy(report),
        energy_parts=joules.parts,
        layers=[_layer(layer) for layer in report.layers],
        steps=_steps(report, index),
        passes=[(f"pass {i + 1}", each.first_cycle) for i, each in enumerate(report.passes)]
        if len(report.passes) > 1
        else (),
        raster=_raster(report, index),
    )


def write_html(report: SimulationReport, path: str | os.PathLike[str], title: str, agreement: str = "") -> None:
    """The self-contained HTML report."""
    from pyspike.report import chip_html

    Path(path).parent.mkdir(parents=True, exist_ok=True)
    chip_html.write_html(chip_run(report, title, agreement), path)


def write_trace(report: SimulationReport, path: str | os.PathLike[str], title: str) -> None:
    """The trace for Perfetto or chrome://tracing."""
    from pyspike.report import chip_trace

    Path(path).parent.mkdir(parents=True, exist_ok=True)
    chip_trace.write_trace(chip_run(report, title), path)


def _edges(report: SimulationReport) -> NDArray[np.int64]:
    parts = [each.edges()[:-1] + each.first_cycle for each in report.passes]
    return np.concatenate([*parts, np.array([report.cycles], dtype=np.int64)])


def _window_energy(report: SimulationReport) -> NDArray[np.float64]:
    if report.papers:  # the papers' formula knows no time: it is spread as SOPs are
        sops = np.concatenate([np.asarray(each.by_window().sops, dtype=np.float64) for each in report.passes])
        return np.outer(sops / max(sops.sum(), 1.0), list(report.energy.parts.values()))
    rows = []
    for each in report.passes:
        priced = report.price(each.by_window()).attojoules
        columns = [np.broadcast_to(np.asarray(priced[kind], dtype=np.float64), len(each.edges()) - 1) / 1e18
                   for kind in report.energy.parts]  # fmt: skip
        rows.append(np.stack(columns, axis=1))
    return np.concatenate(rows)


def _layer(layer: LayerFigures) -> LayerRecord:
    counts = layer.counts.total()
    fires = layer.kind in ("fire", "relay")
    return LayerRecord(
        name=layer.name, kind=layer.kind, cores=layer.cores, first_cycle=layer.first_cycle,
        last_cycle=layer.last_cycle, events=int(counts.events), sops=int(counts.sops), adds=int(counts.adds),
        issues=layer.issues, spikes=int(counts.spikes), flits=int(counts.flits),
        hops=int(counts.hops_x) + int(counts.hops_y), energy=layer.energy.parts,
        density=int(counts.fired) / layer.neurons if fires and layer.neurons else None,
    )  # fmt: skip


def _rows(figures: RunFigures, index: dict[str, int]) -> Iterator[tuple[int, int, str, int, int, int, int, int]]:
    """Core, tile, name, layer, first and last cycle, spikes and t of every step that was under way."""
    firmware = figures.firmware
    layers, shift = firmware.metadata["layers"], figures.first_cycle
    spikes = figures.raw["steps"][:, figures.spikes_column]
    for core in firmware.cores:
        for number in range(core.first_tile, core.first_tile + core.tiles):
            tile = firmware.tiles[number]
            for step in range(tile.first_step, tile.first_step + tile.steps):
                name = layers[firmware.metadata["steps"][step]]
                for t, (first, last) in enumerate(figures.raw["times"][:, step].tolist()):
                    mean = int(spikes[step]) // firmware.timesteps
                    yield core.number, number, name, index[name], first + shift, last + shift, mean, t
    for i, name in enumerate(firmware.metadata["inputs"]):
        for t, (first, last) in enumerate(figures.raw["input_times"][:, i].tolist()):
            sent = int(figures.raw["inputs"][i, 0]) // firmware.timesteps
            yield HOST, 0, name, index[name], first + shift, last + shift, sent, t


def _steps(report: SimulationReport, index: dict[str, int]) -> StepTimes:
    rows = [row for each in report.passes for row in _rows(each, index) if row[4] <= row[5]]
    core, tile, names, layer, first, last, spikes, t = zip(*rows, strict=True)
    arrays = (np.array(each, dtype=np.int64) for each in (core, tile, layer, first, last, spikes, t))
    core_a, tile_a, layer_a, first_a, last_a, spikes_a, t_a = arrays
    return StepTimes(core_a, tile_a, names, layer_a, first_a, last_a, spikes_a, t_a)


def _raster(report: SimulationReport, index: dict[str, int]) -> SpikeRaster | None:
    parts = []
    for each in report.passes:
        points = each.raw.get("raster")
        if points is None or not len(points):
            continue
        firmware = each.firmware
        layers = np.array([index[firmware.metadata["layers"][i]] for i in firmware.metadata["steps"]])
        offset = _offsets(each)
        parts.append(np.stack(
            [points[:, 0] + each.first_cycle, layers[points[:, 1]], points[:, 2] + offset[points[:, 1]]], axis=1
        ))  # fmt: skip
    if not parts:
        return None
    cycle, layer, neuron = np.concatenate(parts).astype(np.int64).T
    total = sum(each.total("fired") for each in report.passes)
    return SpikeRaster(cycle, layer, neuron, total)


def _offsets(figures: RunFigures) -> NDArray[np.int64]:
    """Where the neurons of each step's tile begin among those of its layer."""
    firmware = figures.firmware
    offsets = np.zeros(len(firmware.steps), dtype=np.int64)
    used: dict[int, int] = {}
    for tile in firmware.tiles:
        for step in range(tile.first_step, tile.first_step + tile.steps):
            if firmware.steps[step].kind == FIRE:
                layer = firmware.metadata["steps"][step]
                offsets[step] = used.get(layer, 0)
                used[layer] = offsets[step] + tile.rows * tile.columns * tile.channels
    return offsets
