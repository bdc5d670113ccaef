"""Chips: what the presets hold, what a file may say, and that every impossible value is refused by its key."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyspike import ChipError
from pyspike.chip.config import CHIPS, KEYS, PRESETS, Chip
from pyspike.chip.firmware import Firmware

DOCS = Path(__file__).parents[2] / "docs" / "chip.md"


def test_the_documented_chip_is_the_preset_and_the_constructor() -> None:
    block = re.findall(r"```toml\n(\[chip\].*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert len(block) == 1
    documented = tomllib.loads(block[0])["chip"]
    preset = tomllib.loads((PRESETS / "default.toml").read_text(encoding="utf-8"))["chip"]
    assert preset == documented | {"name": "default"}
    assert set(preset) == set(KEYS)
    assert Chip.load("default") == Chip()


def test_large_is_four_times_default() -> None:
    assert Chip.load("large") == Chip(mesh=(32, 32), name="large")
    assert Chip.load("large").cores == 4 * Chip().cores == 1024


def test_firmware_fields_are_fields_of_the_firmware() -> None:
    chip = Chip(mesh=(3, 5), lanes=8, router_fifo=2, link_delay=7)
    firmware = Firmware(**chip.firmware_fields())
    assert (firmware.width, firmware.height, firmware.lanes) == (3, 5, 8)
    assert (firmware.router_fifo, firmware.link_delay, firmware.port_table) == (2, 7, 64)
    untouched = Firmware(**Chip().firmware_fields())
    assert untouched.weight_sram == Chip().weight_sram == 2**18
    assert untouched.potential_sram == Chip().potential_sram == 2**17


def test_capacities() -> None:
    chip = Chip(lanes=32, potential_sram=1000, weight_sram=64)
    assert chip.potential_words == 7  # of 128 bytes
    assert chip.weight_capacity == 512


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mesh": (0, 4)}, r"'mesh': expected \[columns, rows\], each 1..64, found \(0, 4\)"),
        ({"mesh": [4, 65]}, "'mesh'"),
        ({"mesh": [4]}, "'mesh'"),
        ({"mesh": 4}, "'mesh'"),
        ({"mesh": [4.0, 4]}, "'mesh'"),
        ({"mesh": [True, True]}, "'mesh'"),
        ({"lanes": 0}, "'lanes': expected one of 8, 16, 32, found 0"),
        ({"lanes": 16.0}, "'lanes'"),
        ({"lanes": "16"}, "'lanes'"),
        ({"weight_sram": 15}, r"'weight_sram': expected a whole number of at least 16 \(one word of all lanes\)"),
        ({"weight_sram": 2**30 + 1}, "'weight_sram'"),
        ({"potential_sram": 63}, "'potential_sram': expected a whole number of at least 64 .*, found 63"),
        ({"potential_sram": -1}, "'potential_sram'"),
        ({"lanes": 32, "potential_sram": 127}, "'potential_sram': expected a whole number of at least 128"),
        ({"port_table": 0}, "'port_table'"),
        ({"port_table": 256}, "'port_table': .* at most 255, found 256"),
        ({"router_fifo": 0}, "'router_fifo': expected a whole number of at least 1 and at most 4096, found 0"),
        ({"out_fifo": 0}, "'out_fifo'"),
        ({"axon_fifo": 4097}, "'axon_fifo'"),
        ({"axon_fifo": True}, "'axon_fifo'"),
        ({"link_delay": -1}, "'link_delay'"),
        ({"link_delay": 1025}, "'link_delay'"),
        ({"clock": 0}, "'clock': expected a frequency above 0 and at most .* Hz, found 0"),
        ({"clock": 10**400}, "'clock'"),
        ({"clock": True}, "'clock': expected a frequency in Hz, found True"),
        ({"clock": float("inf")}, "'clock'"),
        ({"clock": float("nan")}, "'clock'"),
        ({"clock": "200 MHz"}, "'clock'"),
        ({"coding": "bitwize"}, "'coding': expected .* bitwise, folded, found 'bitwize'; did you mean 'bitwise'"),
        ({"coding": 1}, "'coding'"),
        ({"energy": " "}, "'energy'"),
        ({"name": 3}, "'name'"),
        ({"lane": 8}, "unknown key 'lane' of a chip; did you mean 'lanes'"),
        ({"colour": 8}, "unknown key 'colour' of a chip; known are mesh, lanes"),
    ],
)  # fmt: skip
def test_impossible_chips_are_refused_by_key(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ChipError, match=message):
        Chip().replace(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"mesh": (1, 64), "lanes": 8, "weight_sram": 8, "potential_sram": 32},
        {"lanes": 32, "weight_sram": 2**30, "potential_sram": 2**30},
        {"port_table": 1, "router_fifo": 1, "out_fifo": 1, "axon_fifo": 1, "link_delay": 0},
        {"port_table": 255, "router_fifo": 4096, "out_fifo": 4096, "axon_fifo": 4096, "link_delay": 1024},
    ],
)
def test_limits_are_allowed(changes: dict[str, Any]) -> None:
    chip = Chip().replace(**changes)
    assert {key: getattr(chip, key) for key in changes} == changes
    assert chip.clock == Chip().clock


def test_values_become_plain_python() -> None:
    chip = Chip(mesh=[np.int64(2), 3], lanes=np.int32(8), clock=10**9)  # type: ignore[arg-type]
    assert (chip.mesh, type(chip.mesh[0]), type(chip.lanes), type(chip.clock)) == ((2, 3), int, int, float)
    assert chip == Chip(mesh=(2, 3), lanes=8, clock=1e9)
    assert len({chip, Chip(mesh=(2, 3), lanes=8, clock=1e9)}) == 1


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    path.write_text('[chip]\nmesh = [2, 3]\nlanes = 8\nenergy = "mine.toml"\n')
    chip = Chip.load(path)
    assert chip == Chip(mesh=(2, 3), lanes=8, energy=str(tmp_path / "mine.toml"), name="small")
    assert Chip.load(str(path)) == chip
    path.write_text('[chip]\nname = "one"\nenergy = "loihi"\n')
    assert Chip.load(path) == Chip(name="one", energy="loihi")
    path.write_text("[chip]\n")
    assert Chip.load(path) == Chip(name="small")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"[chip]\nrouter_fifo = 0\n", "'router_fifo': expected .*, found 0"),
        (b"[chip]\nmehs = [2, 2]\n", r"unknown key 'mehs' of \[chip\]; did you mean 'mesh'"),
        (b"[chip\n", "expected a TOML file"),
        (b"\xff\xfe[chip]", "expected a TOML file"),
        (b"", r"expected a table \[chip\], found nothing"),
        (b"mesh = [2, 2]\n", r"expected a table \[chip\], found mesh. Write it above the keys"),
        (b"chip = 3\n", r"expected a table \[chip\]"),
        (b"[chip]\n[core]\n", r"expected the table \[chip\] alone, found core too"),
    ],
)
def test_bad_files_are_refused_by_name(tmp_path: Path, text: bytes, message: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(text)
    with pytest.raises(ChipError, match=f"bad.toml: .*{message}"):
        Chip.load(path)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"no chip 'larg': neither a preset .* did you mean 'large'"):
        Chip.load("larg")
    assert CHIPS == ("default", "large")
