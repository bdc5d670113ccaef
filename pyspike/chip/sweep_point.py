"""One point of a sweep: a chip is mapped, simulated, compared and priced, on whatever machine this runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.metadata import version
from typing import Any

import numpy as np

from pyspike import image
from pyspike.chip.config import WEIGHT_BITS, Chip
from pyspike.chip.energy import COMPARATORS, FLIT_BITS, POTENTIAL_BITS
from pyspike.chip.mapping import MappedNetwork, map_network
from pyspike.chip.simulate import SimulationReport, simulate
from pyspike.errors import Error
from pyspike.graph import Graph

EFFORT = 50
"""Proposals of the placement per tile: a sweep compares chips, and its placements need not be the best."""
OK = "ok"
PACKAGE = "pyspike-runtime"

# Square micrometres at 45 nm; docs/sweep.md derives them.
SRAM_BIT = 0.346 / 0.5
FULL_ADDER, FLIP_FLOP, MULTIPLEXER, AND_GATE = 4.256, 4.522, 1.862, 1.064
DENSITY = 0.7
ROUTER_INPUTS, SHIFT_STAGES = 5, 5

# What changes when and at what price things happen, but not where: chips that differ in these alone share a mapping.
_UNPLACED = ("router_fifo", "out_fifo", "axon_fifo", "link_delay", "clock", "energy")


@dataclass(frozen=True, eq=False)
class Job:
    """What all points of a sweep have in common.

    model: an image. inputs: integers by input name. expected: what every chip must put out, by output name. seed and
    effort: of the placement. package: version of pyspike, which all workers must have.
    """

    model: bytes
    inputs: Mapping[str, np.ndarray]
    expected: Mapping[str, np.ndarray]
    seed: int = 0
    effort: int = EFFORT
    package: str = version(PACKAGE)

    def run(self, chip: Chip) -> Outcome:
        """Map, simulate, compare. Raises what goes wrong; `evaluate` makes an outcome of it."""
        report = simulate(self.mapping(chip), self.inputs, windows=0, raster=0)
        different = report.differences(self.expected)
        if different:
            return Outcome(f"{different:,} of the outputs differ from those expected", differences=different)
        return Outcome(OK, Figures.of(report))

    def mapping(self, chip: Chip) -> MappedNetwork:
        """The model on `chip`; the last few mappings of this process are kept for chips with other FIFOs or clocks."""
        placed = chip.replace(**{key: getattr(Chip, key) for key in _UNPLACED})
        found = _mapping(self.model, placed, self.seed, self.effort)
        fields: dict[str, Any] = {**chip.firmware_fields()}
        passes = tuple(replace(each, firmware=replace(each.firmware, **fields)) for each in found.passes)
        return replace(found, chip=chip, passes=passes)


@lru_cache(maxsize=1)
def _graph(model: bytes) -> Graph:
    return image.from_bytes(model)


@lru_cache(maxsize=4)
def _mapping(model: bytes, chip: Chip, seed: int, effort: int) -> MappedNetwork:
    return map_network(_graph(model), chip, seed=seed, effort=effort)


@dataclass(frozen=True)
class Figures:
    """What a run amounts to.

    cycles, seconds: latency. joules: energy. sops, adds, flits, hops: counts. utilisation: share of the core-cycles of
    cores in use that were busy. cores: in use, at most at once. passes: loads of the chip. area: `area` of the chip.
    """

    cycles: int
    seconds: float
    joules: float
    sops: int
    adds: int
    flits: int
    hops: int
    utilisation: float
    cores: int
    passes: int
    area: float

    @classmethod
    def of(cls, report: SimulationReport) -> Figures:
        """The figures of a simulation."""
        return cls(
            report.cycles, report.seconds, report.energy.total, report.sops, report.adds, report.flits, report.hops,
            report.utilisation, max(len(each.used_cores) for each in report.passes), len(report.passes),
            area(report.chip),
        )  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """How a point ended. status: "ok", or what went wrong, in one line. figures: of a point that is ok.

    differences: output integers that are not as expected. settled: whether another attempt would end alike.
    """

    status: str
    figures: Figures | None = None
    differences: int = 0
    settled: bool = True


def evaluate(job: Job, chip: Chip) -> Outcome:
    """Run one point; whatever goes wrong is its outcome. Typed errors are settled, differing outputs never are."""
    if job.package != version(PACKAGE):
        return failed(f"this worker has pyspike {version(PACKAGE)}, the sweep {job.package}: install the same version")
    try:
        outcome = job.run(chip)
    except Error as error:
        return replace(failed(f"{type(error).__name__}: {error}"), settled=True)
    except Exception as error:  # one point must not end the others
        return failed(f"{type(error).__name__}: {error}")
    return replace(outcome, settled=not outcome.differences)


def failed(text: str) -> Outcome:
    """A point that has no figures, and is to be tried again when the sweep is."""
    return Outcome(" ".join(text.split()), settled=False)


def area(chip: Chip) -> float:
    """A proxy of the chip's area: square millimetres of its memories, lanes and FIFOs at 45 nm (docs/sweep.md).

    SRAM bits, lanes with their adder, shifter and comparators (and a multiplier where counts are folded), and FIFO
    bits. Control, tables, wires and the edge are left out: it orders chips, and measures none.
    """
    sram = 8 * (chip.weight_sram + chip.potential_sram) * SRAM_BIT
    lane = (1 + COMPARATORS) * POTENTIAL_BITS * FULL_ADDER + SHIFT_STAGES * POTENTIAL_BITS * MULTIPLEXER
    if chip.coding == "folded":
        lane += WEIGHT_BITS * WEIGHT_BITS * (FULL_ADDER + AND_GATE)  # counts have eight bits, as weights do
    slots = ROUTER_INPUTS * chip.router_fifo + chip.out_fifo + chip.axon_fifo
    logic = chip.lanes * lane + slots * FLIT_BITS * (FLIP_FLOP + MULTIPLEXER)
    return 1e-6 * chip.cores * (sram + logic / DENSITY)


def as_fields(outcome: Outcome) -> dict[str, Any]:
    """Status and figures by name; no figures where the point has none."""
    return {"status": outcome.status} | (vars(outcome.figures) if outcome.figures else {})
