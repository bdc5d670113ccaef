"""The chip's dimensions: a TOML file, or the presets `default` and `large`.

docs/chip.md explains the keys ("Describe your own chip"), docs/firmware.md the limits.
"""

from __future__ import annotations

import dataclasses
import difflib
import numbers
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyspike.chip.firmware import CODINGS
from pyspike.errors import ChipError

PRESETS = Path(__file__).parent / "presets"
CHIPS = ("default", "large")
LANES = (8, 16, 32)
MAX_MESH = 64
MAX_SRAM = 2**30  # bytes a core; byte addresses and their sums then fit 32 bits signed
MAX_CLOCK = 1e12  # Hz
WEIGHT_BITS = 8  # the widest weights
SHIFT_BITS = 5
CONSTANT_BITS = 32
POTENTIAL_BYTES = 4
MAX_DESTINATIONS = 16384  # destination records of a core

# Key -> least and greatest value.
_WHOLE = {
    "port_table": (1, 255),
    "router_fifo": (1, 4096),
    "out_fifo": (1, 4096),
    "axon_fifo": (1, 4096),
    "link_delay": (0, 1024),
}


@dataclass(frozen=True)
class Chip:
    """One chip. A value that no chip can have raises `ChipError`, which names the key and says what is allowed.

    mesh: columns and rows, 1..64 each. lanes: 8, 16 or 32 channels a word.
    weight_sram, potential_sram: bytes a core. port_table: entries a core.
    router_fifo, out_fifo, axon_fifo: flits. link_delay: extra cycles on every link. clock: Hz.
    coding: how the engine applies a count ("unary", "bitwise" or "folded").
    energy: an energy preset, or the path of a TOML file. name: for reports.
    """

    mesh: tuple[int, int] = (16, 16)
    lanes: int = 16
    weight_sram: int = 262144
    potential_sram: int = 131072
    port_table: int = 64
    router_fifo: int = 4
    out_fifo: int = 16
    axon_fifo: int = 64
    link_delay: int = 0
    clock: float = 200e6
    coding: str = "bitwise"
    energy: str = "45nm"
    name: str = "default"

    def __post_init__(self) -> None:
        self._set("mesh", _mesh(self.mesh))
        self._set("lanes", _lanes(self.lanes))
        # The least SRAM holds one word of the widest kind.
        words = {"weight_sram": self.lanes * WEIGHT_BITS // 8, "potential_sram": self.lanes * POTENTIAL_BYTES}
        for key, word in words.items():
            self._set(key, _whole(key, getattr(self, key), word, MAX_SRAM))
        for key, (least, most) in _WHOLE.items():
            self._set(key, _whole(key, getattr(self, key), least, most))
        self._set("clock", _clock(self.clock))
        if self.coding not in CODINGS:
            raise _refused("coding", f"one of {_listed(CODINGS)}", self.coding, _nearest(self.coding, CODINGS))
        for key in ("energy", "name"):
            if not isinstance(getattr(self, key), str) or not getattr(self, key).strip():
                raise _refused(key, "a text that is not empty", getattr(self, key))

    def _set(self, key: str, value: Any) -> None:
        object.__setattr__(self, key, value)  # frozen for others; lists and NumPy integers become plain values

    @property
    def width(self) -> int:
        """Columns of the mesh."""
        return self.mesh[0]

    @property
    def height(self) -> int:
        """Rows of the mesh."""
        return self.mesh[1]

    @property
    def cores(self) -> int:
        """Number of cores; core number `y * width + x`."""
        return self.width * self.height

    @property
    def potential_words(self) -> int:
        """Words of `lanes` int32 that a core's potential SRAM holds."""
        return self.potential_sram // (POTENTIAL_BYTES * self.lanes)

    @property
    def weight_capacity(self) -> int:
        """Bits of a core's weight SRAM, for weight words, words of shifts and constants."""
        return self.weight_sram * 8

    def firmware_fields(self) -> dict[str, int]:
        """What a firmware image says about the chip, by field of `firmware.Firmware`."""
        same = (
            "lanes", "router_fifo", "out_fifo", "axon_fifo", "link_delay",
            "weight_sram", "potential_sram", "port_table",
        )  # fmt: skip
        return {"width": self.width, "height": self.height} | {key: getattr(self, key) for key in same}

    def replace(self, **changes: Any) -> Chip:
        """This chip with other values for some keys. Raises `ChipError` as the constructor does."""
        _check_keys(changes, "a chip")
        return dataclasses.replace(self, **changes)

    @classmethod
    def load(cls, source: str | os.PathLike[str]) -> Chip:
        """The chip of a preset ("default", "large") or of a TOML file, whose missing keys are those of `default`.

        `name` is the file's unless it says another; a relative `energy` ending in .toml is meant beside the file.
        Raises `ChipError` for a bad description and `FileNotFoundError` where there is none.
        """
        path = PRESETS / f"{source}.toml" if source in CHIPS else Path(source)
        if not path.exists():
            raise FileNotFoundError(
                f"no chip {str(source)!r}: neither a preset ({_listed(CHIPS)}) nor a file{_nearest(str(source), CHIPS)}"
            )
        values = {"name": path.stem} | _chip_table(path)
        energy = values.get("energy")
        if isinstance(energy, str) and energy.endswith(".toml"):
            values["energy"] = str(path.parent / energy)
        try:
            _check_keys(values, "[chip]")
            return cls(**values)
        except ChipError as error:
            raise ChipError(f"{path}: {error}") from None


KEYS = tuple(each.name for each in dataclasses.fields(Chip))


def _chip_table(path: Path) -> dict[str, Any]:
    """The table [chip] of the TOML file at `path`, the only one that it may hold."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ChipError(f"{path}: expected a TOML file ({error})") from error
    table = document.pop("chip", None)
    if not isinstance(table, dict):
        inside = " Write it above the keys." if table is None and any(key in KEYS for key in document) else ""
        raise ChipError(f"{path}: expected a table [chip], found {_listed(document) or 'nothing'}.{inside}")
    if document:
        raise ChipError(f"{path}: expected the table [chip] alone, found {_listed(document)} too")
    return table


def _check_keys(values: Mapping[str, Any], where: str) -> None:
    for key in values:
        if key not in KEYS:
            raise ChipError(f"unknown key {key!r} of {where}{_nearest(key, KEYS) or f'; known are {_listed(KEYS)}'}")


def _mesh(value: Any) -> tuple[int, int]:
    pair = tuple(value) if isinstance(value, list | tuple) else ()
    if len(pair) != 2 or not all(_is_whole(each) and 1 <= each <= MAX_MESH for each in pair):
        raise _refused("mesh", f"[columns, rows], each 1..{MAX_MESH}", value)
    return int(pair[0]), int(pair[1])


def _lanes(value: Any) -> int:
    if not _is_whole(value) or value not in LANES:
        raise _refused("lanes", f"one of {_listed(LANES)}", value)
    return int(value)


def _whole(key: str, value: Any, least: int, most: int) -> int:
    if not _is_whole(value) or not least <= value <= most:
        why = " (one word of all lanes)" if key.endswith("_sram") else ""
        raise _refused(key, f"a whole number of at least {least}{why} and at most {most}", value)
    return int(value)


def _clock(value: Any) -> float:
    if not _is_whole(value) and not isinstance(value, float):
        raise _refused("clock", "a frequency in Hz", value)
    if not 0 < value <= MAX_CLOCK:
        raise _refused("clock", f"a frequency above 0 and at most {MAX_CLOCK:g} Hz", value)
    return float(value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _refused(key: str, allowed: str, found: Any, advice: str = "") -> ChipError:
    return ChipError(f"chip key {key!r}: expected {allowed}, found {found!r}{advice}")


def _nearest(word: Any, known: Iterable[str]) -> str:
    """What to append to a message about `word`: the known word that is nearest, if any is near."""
    near = difflib.get_close_matches(str(word), list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _listed(words: Iterable[object]) -> str:
    return ", ".join(str(word) for word in words)
