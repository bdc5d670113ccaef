"""A run of the chip that never happened: a detector of 24 layers on 16 x 16 cores, in the report's own form.

The numbers are drawn, but hang together as those of a simulation do: classes sum to the cycles, windows to the whole
run, parts to the energy, and flits take XY paths.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pyspike.report.chip_data import ChipFacts, ChipRun, LayerRecord, SpikeRaster, StepTimes

KINDS = ("adds", "weight SRAM", "potential SRAM", "fire", "routers and links", "off-chip link", "static")
JOULES_PER_SOP = (0.11e-12, 0.42e-12, 0.78e-12, 0.08e-12, 0.2e-12, 0.02e-12, 0.0)
STATIC_WATT = 0.012
TIMESTEPS = 2
WINDOW = 4096
COLUMNS = ROWS = 16

# Names that would end a script, begin a tag, or be taken for a part of the page's template.
HOSTILE = ["</script><b>", "{{arrays}}", "<!--<script>", "'\"&amp;\\\u2028\ud800", "<img src=x onerror=console.log(1)>"]


@dataclass(frozen=True)
class _Stage:
    """One synapse and the neurons behind it, on the same cores, in cycles start..end of every timestep."""

    name: str
    kind: str
    cores: NDArray[np.int64]
    start: int
    end: int
    load: float


def example(seed: int = 1) -> ChipRun:
    """A run of about 900,000 cycles in 220 windows, two passes."""
    random = np.random.default_rng(seed)
    stages = _stages(random)
    length = max(stage.end for stage in stages) + 1500
    cycles = TIMESTEPS * length
    edges = np.append(np.arange(0, cycles, WINDOW), cycles)
    steps = _steps(stages, length, random)
    window_classes = _classes(stages, length, edges, random)
    window_links = _links(stages, length, edges, random)
    busy = window_classes[:, :, 0].sum(1)
    sops = int(busy.sum()) * 9
    window_energy = busy[:, None] * 9 * np.asarray(JOULES_PER_SOP)
    window_energy[:, -1] = STATIC_WATT * np.diff(edges) / 200e6
    parts = {kind: float(joules) for kind, joules in zip(KINDS, window_energy.sum(0), strict=True)}
    layers = _layers(stages, length, sops, parts, random)
    return ChipRun(
        title="Example detector, 320 x 320, 2 timesteps",
        chip=ChipFacts("default", (COLUMNS, ROWS), 16, 200e6, "bitwise"),
        cycles=cycles,
        seconds=cycles / 200e6,
        sops=sops,
        adds=int(sops * 0.93),
        flits=int(window_links[:, :, 0].sum()),
        energy=sum(parts.values()),
        agreement="drawn at random, no simulation",
        classes=window_classes.sum(0),
        links=window_links.sum(0),
        window=WINDOW,
        window_classes=window_classes,
        window_links=window_links,
        window_energy=window_energy,
        energy_parts=parts,
        layers=layers,
        steps=steps,
        passes=(("backbone", 0), ("neck and head", (stages[6].start + length) // WINDOW * WINDOW)),
        raster=_raster(layers, steps, random),
    )


def small() -> ChipRun:
    """One core, one layer, one window: the least run there is."""
    return ChipRun(
        title="least",
        chip=ChipFacts("one", (1, 1), 16, 200e6, "unary"),
        cycles=37,
        seconds=37 / 200e6,
        sops=16,
        adds=16,
        flits=20,
        energy=3e-12,
        agreement="",
        classes=np.array([[19, 0, 13, 5]]),
        links=np.array([[2, 0, 0, 0, 18]]),
        window=64,
        window_classes=np.array([[[19, 0, 13, 5]]]),
        window_links=np.array([[[2, 0, 0, 0, 18]]]),
        window_energy=np.array([[3e-12]]),
        energy_parts={"adds": 3e-12},
        layers=[LayerRecord("only", "fire", [0], 14, 31, spikes=16, flits=17, energy={"adds": 3e-12})],
        steps=StepTimes(*(np.array([0]),) * 2, ["only"], *(np.array([n]) for n in (0, 14, 31, 16, 0))),
    )


def renamed(run: ChipRun, name: str) -> ChipRun:
    """`run` with `name` wherever a user could have written one."""
    parts = {name if kind == "adds" else kind: joules for kind, joules in run.energy_parts.items()}
    layers = [
        replace(layer, name=name, energy={name if k == "adds" else k: v for k, v in layer.energy.items()})
        for layer in run.layers
    ]
    return replace(
        run,
        title=name,
        agreement=name,
        chip=replace(run.chip, name=name, coding=name),
        energy_parts=parts,
        layers=layers,
        steps=replace(run.steps, names=[name] * len(run.steps.names)),
        passes=[(name, first) for _, first in run.passes],
    )


def _stages(random: np.random.Generator) -> list[_Stage]:
    """Eleven stages one behind the other, overlapping, each on its own piece of a serpentine through the mesh."""
    names = "stem stage1.a stage1.b pool2 stage2.a stage2.b stage3.a stage3.b neck.up neck.down head".split()
    places = [
        (row, column if row % 2 == 0 else COLUMNS - 1 - column) for row in range(ROWS) for column in range(COLUMNS)
    ]
    serpentine = np.array([row * COLUMNS + column for row, column in places])
    sizes = [12, 22, 26, 10, 24, 28, 30, 30, 20, 24, 18]
    lengths = [70, 95, 110, 40, 85, 90, 70, 65, 60, 45, 50]
    stages, place, start = [], 0, 300
    for name, size, length in zip(names, sizes, lengths, strict=True):
        end = start + int(length * 1000 * random.uniform(0.8, 1.1))
        kind = "pool" if name.startswith("pool") else "synapse"
        cores = np.sort(serpentine[place : place + size])
        stages.append(_Stage(name, kind, cores, start, end, random.uniform(0.35, 0.95)))
        place, start = place + size, start + (end - start) // 2
    return stages


def _steps(stages: list[_Stage], length: int, random: np.random.Generator) -> StepTimes:
    """One step for each core and timestep, in the second half of its stage; layer 2 * stage + 2 is its neurons."""
    rows, names = [], []
    for index, stage in enumerate(stages):
        for t in range(TIMESTEPS):
            for core in stage.cores:
                begin = int(random.uniform(0.45, 0.75) * (stage.end - stage.start)) + stage.start
                end = int(random.uniform(0.85, 1.0) * (stage.end - stage.start)) + stage.start
                rows.append((core, 0, 2 * index + 2, t * length + begin, t * length + end, (end - begin) // 9, t))
                names.append(f"{stage.name}.spikes")
    core, tile, layer, first, last, spikes, t_of = np.array(rows).T
    return StepTimes(core, tile, names, layer, first, last, spikes, t_of)


def _share_in(edges: NDArray[np.int64], first: int, last: int) -> NDArray[np.float64]:
    """Share of each window that lies in first..last."""
    return np.diff(np.clip(edges, first, last)) / np.diff(edges)


def _classes(
    stages: list[_Stage], length: int, edges: NDArray[np.int64], random: np.random.Generator
) -> NDArray[np.int64]:
    cycles = np.diff(edges)
    classes = np.zeros((len(cycles), COLUMNS * ROWS, 4), dtype=np.int64)
    for stage in stages:
        for core in stage.cores:
            level = stage.load * random.uniform(0.5, 1.1)
            for t in range(TIMESTEPS):
                noise = random.normal(1, 0.15, len(cycles))
                share = _share_in(edges, t * length + stage.start, t * length + stage.end) * level * noise
                busy = (np.clip(share, 0, 0.98) * cycles).astype(np.int64)
                classes[:, core, 0] += np.minimum(busy, cycles - classes[:, core, :2].sum(1))
                stalled = (np.clip(share * random.uniform(0, 0.12), 0, 1) * cycles).astype(np.int64)
                classes[:, core, 1] += np.minimum(stalled, cycles - classes[:, core, :2].sum(1))
            over = edges[1:] > (TIMESTEPS - 1) * length + stage.end
            rest = cycles - classes[:, core].sum(1)
            classes[:, core, 2], classes[:, core, 3] = np.where(over, 0, rest), np.where(over, rest, 0)
    classes[:, :, 3] += cycles[:, None] - classes.sum(2)
    return classes


def _links(
    stages: list[_Stage], length: int, edges: NDArray[np.int64], random: np.random.Generator
) -> NDArray[np.int64]:
    links = np.zeros((len(edges) - 1, COLUMNS * ROWS, 5), dtype=np.int64)
    for stage, reader in zip(stages, [*stages[1:], None], strict=True):
        for core in stage.cores:
            targets = [-1] if reader is None else random.choice(reader.cores, 4, replace=False)
            rate = stage.load * random.uniform(0.005, 0.04)
            for t in range(TIMESTEPS):
                share = _share_in(edges, t * length + (stage.start + stage.end) // 2, t * length + stage.end)
                flits = (share * rate * np.diff(edges)).astype(np.int64)
                for target in targets:
                    for router, output in _path(int(core), int(target)):
                        links[:, router, output] += flits
    return links


def _path(core: int, target: int) -> list[tuple[int, int]]:
    """(router, output) of an XY path; target -1 is the host."""
    (y, x), (ty, tx) = divmod(core, COLUMNS), divmod(max(target, 0), COLUMNS)
    taken = []
    while x != tx:
        taken.append((y * COLUMNS + x, 2 if tx > x else 4))
        x += 1 if tx > x else -1
    while y != ty:
        taken.append((y * COLUMNS + x, 3 if ty > y else 1))
        y += 1 if ty > y else -1
    return [*taken, (y * COLUMNS + x, 0 if target >= 0 else 4)]


def _layers(
    stages: list[_Stage], length: int, sops: int, parts: dict[str, float], random: np.random.Generator
) -> list[LayerRecord]:
    """The input, then synapse and neurons of every stage, then the output."""
    weight = np.array([stage.load * len(stage.cores) * (stage.end - stage.start) for stage in stages])
    share = weight / weight.sum()
    later = (TIMESTEPS - 1) * length
    last = stages[-1].end
    layers = [LayerRecord("images", "input", [], 0, later + 60_000, spikes=307_200, flits=307_204, hops=1_402_000)]
    for stage, part in zip(stages, share, strict=True):
        cores, span = stage.cores.tolist(), (stage.end - stage.start) * 3 // 4
        dynamic = {kind: joules * part for kind, joules in parts.items() if kind not in ("static", "off-chip link")}
        drive = {kind: joules for kind, joules in dynamic.items() if kind != "fire"}
        neurons = {"fire": dynamic["fire"], "potential SRAM": dynamic["potential SRAM"] * 0.2}
        drive["potential SRAM"] *= 0.8
        drive["routers and links"] *= 0.1
        neurons["routers and links"] = dynamic["routers and links"] * 0.9
        done, events = int(sops * part), int(sops * part / random.uniform(60, 300))
        layers.append(
            LayerRecord(
                f"{stage.name}.conv" if stage.kind == "synapse" else stage.name,
                stage.kind,
                cores,
                stage.start,
                later + stage.start + span,
                events,
                done,
                int(done * 0.93),
                done // 9,
                energy=drive,
                density=float(random.uniform(0.05, 0.3)),
                flits=500,
                hops=2100,
            )
        )
        spikes = int(events * random.uniform(0.2, 0.8))
        layers.append(
            LayerRecord(
                f"{stage.name}.spikes",
                "fire",
                cores,
                stage.start + span // 2,
                later + stage.end,
                spikes=spikes,
                flits=spikes * 4,
                hops=spikes * 19,
                energy=neurons,
                density=float(random.uniform(0.05, 0.25)),
            )
        )
    off_chip = {"off-chip link": parts["off-chip link"]}
    layers.append(LayerRecord("boxes", "output", stages[-1].cores.tolist(), last, later + last, energy=off_chip))
    return layers


def _raster(layers: list[LayerRecord], steps: StepTimes, random: np.random.Generator) -> SpikeRaster:
    """20,000 spikes within the steps; neurons of a core lie together, some fire more often than others."""
    total = int(steps.spikes.sum())
    chosen = random.choice(len(steps.names), 20_000, p=steps.spikes / total)
    along = random.beta(1.2, 1.6, len(chosen))
    cycle = (steps.first[chosen] + along * (steps.last - steps.first)[chosen]).astype(np.int64)
    place = np.array([layers[layer].cores.index(core) for layer, core in zip(steps.layer, steps.core, strict=True)])
    neuron = place[chosen] * 512 + (random.beta(0.8, 1.4, len(chosen)) * 512).astype(np.int64)
    order = np.argsort(cycle, kind="stable")
    return SpikeRaster(cycle[order], steps.layer[chosen][order], neuron[order], total)
