"""Energies as papers state them: of a measured network, layer by layer, and of a published sheet of firing rates.

The formula is that of `pyspike.report.activity`. A sheet is a JSON list of rows in the order of the network, one for
each synapse, the first of them the one that reads pixels:

    {"layer": name, "rate": mean count, "cin": channels, "cout": channels, "k": kernel, "s": stride, "hin": side of the
     square input, "groups": groups}

with MAC = cin x cout x k x k x (hin / s)^2 / groups. A row may state its "mac" too; it is checked.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pyspike.errors import Error, RangeError
from pyspike.report.activity import PICOJOULE_PER_ADDITION, PICOJOULE_PER_MAC, SynapseActivity

PICO = 1e-12


class SheetError(Error, ValueError):
    """A file is no sheet of firing rates, or a row of it breaks a rule."""


@dataclass(frozen=True)
class LayerEnergy:
    """Joules of one synapse on one input: by the papers' formula, by what was counted, and of the dense twin.

    papers: rate x MAC additions, padding included, as if spikes were spread evenly. counted: the additions of one count
    each that took place; for the first layer the multiply-accumulates inside the image. dense: papers', every MAC.
    """

    papers: float
    counted: float
    dense: float


def layer_energy(layer: SynapseActivity) -> LayerEnergy:
    """The energy of a measured synapse; summed over a network, `papers` is `Activity.papers_energy`."""
    dense = PICO * PICOJOULE_PER_MAC * layer.padded_macs
    if layer.first:
        return LayerEnergy(dense, PICO * PICOJOULE_PER_MAC * layer.macs, dense)
    papers = PICO * PICOJOULE_PER_ADDITION * layer.mean * layer.padded_macs
    return LayerEnergy(papers, PICO * PICOJOULE_PER_ADDITION * layer.sops, dense)


@dataclass(frozen=True)
class SheetRow:
    """One synapse of a sheet. hin: side of its input in pixels; rate: mean count of what it reads."""

    layer: str
    rate: float
    cin: int
    cout: int
    k: int
    s: int
    hin: int
    groups: int

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the dense twin in one timestep."""
        return self.cin * self.cout * self.k**2 * (self.hin // self.s) ** 2 // self.groups

    @property
    def dense(self) -> float:
        """Joules of the dense twin: 4.6 pJ x MAC."""
        return PICO * PICOJOULE_PER_MAC * self.macs

    def spiking(self, timesteps: int = 1) -> float:
        """Joules of all timesteps: 0.9 pJ x T x rate x MAC."""
        return PICO * PICOJOULE_PER_ADDITION * timesteps * self.rate * self.macs


# Rows of the published sheet of SpikeYOLO (23M, 640 x 640) that are not the network's: layer, published, right.
CORRECTIONS: tuple[tuple[str, dict[str, int], dict[str, Any]], ...] = (
    ("model.model.12.Conv.lif3", {"cin": 512, "cout": 256, "hin": 20}, {"hin": 40}),
    ("model.model.22.lif1", {"cin": 256, "cout": 512, "hin": 40}, {"cout": 768}),
    ("model.model.22.lif2", {"cin": 512, "cout": 256, "hin": 40}, {"cin": 768}),
)


@dataclass(frozen=True)
class SheetTotals:
    """Joules and dense multiply-accumulates of a whole sheet."""

    spiking: float
    dense: float
    macs: int


def read_sheet(path: str | os.PathLike[str]) -> tuple[SheetRow, ...]:
    """The rows of a JSON sheet. Raises `SheetError` naming the row that breaks a rule, FileNotFoundError."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise SheetError(f"{path}: expected a JSON list of rows: {error}") from None
    if not isinstance(content, list) or not content:
        raise SheetError(f"{path}: expected a JSON list of rows, found {type(content).__name__}")
    return tuple(_row(row, f"{path}: row {i}") for i, row in enumerate(content))


def _row(row: Any, where: str) -> SheetRow:
    whole = ("cin", "cout", "k", "s", "hin", "groups")
    if not isinstance(row, dict) or any(key not in row for key in ("layer", "rate", *whole)):
        raise SheetError(f"{where}: expected an object with layer, rate, {', '.join(whole)}")
    if not isinstance(row["layer"], str):
        raise SheetError(f"{where}: layer: expected a text")
    where = f"{where} ({row['layer']})"
    for key in whole:
        if type(row[key]) is not int or not 1 <= row[key] < 1 << 31:
            raise SheetError(f"{where}: {key}: expected a whole number from 1, found {row[key]!r}")
    if type(row["rate"]) not in (int, float) or not 0 <= row["rate"] < math.inf:
        raise SheetError(f"{where}: rate: expected a number, zero or above, found {row['rate']!r}")
    if row["hin"] % row["s"] or row["cin"] % row["groups"] or row["cout"] % row["groups"]:
        raise SheetError(f"{where}: expected a stride that divides hin, and groups that divide cin and cout")
    found = SheetRow(row["layer"], float(row["rate"]), *(row[key] for key in whole))
    stated = row.get("mac", found.macs)
    if type(stated) not in (int, float) or stated != found.macs:
        raise SheetError(f"{where}: mac: its shape gives {found.macs:,}, the sheet says {stated!r}")
    return found


def corrected(rows: Sequence[SheetRow]) -> tuple[tuple[SheetRow, ...], tuple[str, ...]]:
    """The rows with the shapes of the published network in place of the published sheet's, and which were changed."""
    right = {
        i: replace(row, **changes)
        for i, row in enumerate(rows)
        for layer, published, changes in CORRECTIONS
        if row.layer == layer and all(getattr(row, key) == value for key, value in published.items())
    }
    return tuple(right.get(i, row) for i, row in enumerate(rows)), tuple(row.layer for row in right.values())


def sheet_totals(rows: Sequence[SheetRow], timesteps: int = 1, first_as_spikes: bool = False) -> SheetTotals:
    """What the formula gives a sheet whose rates are those of one timestep.

    first_as_spikes: the first row is taken like any other, 0.9 pJ x rate x MAC, as in the published sheet, which has
    4.6, the picojoules of a MAC, in the place of its rate. Raises `RangeError` for timesteps below 1.
    """
    if timesteps < 1:
        raise RangeError(f"timesteps: expected 1 or more, found {timesteps}")
    first, *others = rows
    spiking = first.spiking() if first_as_spikes else first.dense
    spiking += sum(row.spiking(timesteps) for row in others)
    return SheetTotals(spiking, sum(row.dense for row in rows), sum(row.macs for row in rows))
