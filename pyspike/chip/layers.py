"""A simulated run layer by layer."""

from __future__ import annotations

from dataclasses import dataclass, field

from pyspike.chip.energy import Counts
from pyspike.chip.figures import PORT, RunFigures
from pyspike.chip.firmware import MAX, OUTPUT
from pyspike.chip.simulate import LayerFigures, SimulationReport


@dataclass
class _Layer:
    kind: str
    cores: set[int] = field(default_factory=set)
    first: int = -1
    last: int = -2
    neurons: int = 0
    issues: int = 0
    counts: Counts = field(default_factory=Counts)

    def seen(self, first: int, last: int) -> None:
        if first < 0:
            return
        self.first = first if self.first < 0 else min(self.first, first)
        self.last = max(self.last, last)


def layers_of(report: SimulationReport) -> tuple[LayerFigures, ...]:
    """Every layer of a run: host inputs first, then in the order of their first cycle."""
    found: dict[str, _Layer] = {}
    for each in report.passes:
        _inputs(each, found)
        _steps(each, found)
        _ports(each, found)
        for name, counts in each.by_layer(list(_names(each))).items():
            found[name].counts += counts
    layers = sorted(found.items(), key=lambda item: (item[1].kind != "input", item[1].first < 0, item[1].first))
    return tuple(
        LayerFigures(
            name, layer.kind, tuple(sorted(layer.cores)), max(layer.first, 0), max(layer.last, layer.first - 1, -1),
            layer.neurons, layer.issues, layer.counts, report.price_layer(name, layer.counts),
        )
        for name, layer in layers
    )  # fmt: skip


def repeated(report: SimulationReport) -> dict[str, int]:
    """SOPs that the chip does and the graph does not: by synapse, how many more (an upsampled stream applies an event
    at several sites; a synapse read by two places runs in both; what does not vary in time runs at every timestep).

    A synapse of which every place holds only a part (cropped potentials) is left out: the chip may do fewer there.
    """
    found: dict[str, int] = {}
    copies = report.mapped.network.copies
    for layer, sops in _sops(report).items():
        times = copies.get(layer, {})
        whole = next((place for place, factor in times.items() if factor), None)
        if whole is None and times:
            continue
        extra = sum(sops.values()) - (sops.get(whole, 0) // times[whole] if whole is not None else 0)
        if extra:
            found[layer] = extra
    return found


def _sops(report: SimulationReport) -> dict[str, dict[str, int]]:
    """SOPs by layer and place."""
    found: dict[str, dict[str, int]] = {}
    for mapped, figures in zip(report.mapped.passes, report.passes, strict=True):
        firmware, cores = figures.firmware, mapped.placement.cores
        sops = figures.raw["ports"][:, PORT.index("sops")]
        tiles = sorted(mapped.tiles, key=lambda tile: (cores[tile.index], tile.index))  # as `emit` writes them
        for tile, record in zip(tiles, firmware.tiles, strict=True):
            for step in firmware.steps[record.first_step : record.first_step + record.steps]:
                for port in range(step.first_port, step.first_port + step.ports):
                    places = found.setdefault(firmware.metadata["layers"][firmware.metadata["ports"][port]], {})
                    places[tile.place.name] = places.get(tile.place.name, 0) + int(sops[port])
    return found


def _names(figures: RunFigures) -> dict[str, None]:
    metadata = figures.firmware.metadata
    return dict.fromkeys([*metadata["inputs"], *metadata["layers"]])


def _inputs(figures: RunFigures, found: dict[str, _Layer]) -> None:
    firmware = figures.firmware
    for i, name in enumerate(firmware.metadata["inputs"]):
        layer = found.setdefault(name, _Layer("input"))
        record = firmware.inputs[i]
        layer.neurons += record.height * record.width * record.channels
        for first, last in figures.raw["input_times"][:, i].tolist():
            layer.seen(first + figures.first_cycle, last + figures.first_cycle)


def _steps(figures: RunFigures, found: dict[str, _Layer]) -> None:
    firmware = figures.firmware
    names = firmware.metadata["layers"]
    for core in firmware.cores:
        for tile in firmware.tiles[core.first_tile : core.first_tile + core.tiles]:
            for number in range(tile.first_step, tile.first_step + tile.steps):
                name = names[firmware.metadata["steps"][number]]
                kind = "output" if firmware.steps[number].kind == OUTPUT else "fire"
                if name in firmware.metadata["relays"]:
                    kind = "relay"
                layer = found.setdefault(name, _Layer(kind))
                layer.cores.add(core.number)
                layer.neurons += tile.rows * tile.columns * tile.channels * firmware.timesteps
                for first, last in figures.raw["times"][:, number].tolist():
                    layer.seen(first + figures.first_cycle, last + figures.first_cycle)


def _ports(figures: RunFigures, found: dict[str, _Layer]) -> None:
    """Synapses work from the end of the step before the group to the beginning of the step behind it."""
    firmware = figures.firmware
    names = firmware.metadata["layers"]
    issues = figures.raw["ports"][:, PORT.index("issues")]
    for core in firmware.cores:
        for tile in firmware.tiles[core.first_tile : core.first_tile + core.tiles]:
            kind = "pool" if tile.mode == MAX else "synapse"
            for number in range(tile.first_step, tile.first_step + tile.steps):
                step = firmware.steps[number]
                for port in range(step.first_port, step.first_port + step.ports):
                    layer = found.setdefault(names[firmware.metadata["ports"][port]], _Layer(kind))
                    layer.cores.add(core.number)
                    layer.issues += int(issues[port])
                    for t, (first, _) in enumerate(figures.raw["times"][:, number].tolist()):
                        fed = _fed_from(figures, port, t)
                        if first > fed >= 0:
                            layer.seen(fed + figures.first_cycle, first - 1 + figures.first_cycle)


def _fed_from(figures: RunFigures, port: int, t: int) -> int:
    """The first cycle in which a producer of `port` was under way."""
    firmware = figures.firmware
    record = firmware.ports[port]
    firsts = []
    for producer in firmware.producers[record.first_producer : record.first_producer + record.producers]:
        step, host = figures.sender(producer.core, producer.destination)
        times = figures.raw["input_times"] if host else figures.raw["times"]
        firsts.append(int(times[min(t, len(times) - 1), step, 0]))
    return min(firsts, default=-1)
