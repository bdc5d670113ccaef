"""`pyspike map` and `pyspike simulate`: what they print, write and return."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pyspike import _simulator, image
from pyspike.chip import firmware as fw
from tests.chip.small import Net, residual
from tests.cli.conftest import Cli

TINY = """
[chip]
mesh = [2, 1]
lanes = 8
potential_sram = 1536
port_table = 255
coding = "folded"
"""


@pytest.fixture
def stream(tmp_path: Path) -> Path:
    """A residual network, which a chip of the tiny kind runs in passes."""
    path = tmp_path / "stream.spk"
    image.write(residual(2), path)
    return path


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY, encoding="utf-8")
    return path


def error(cli: Cli, *arguments: object) -> str:
    result = cli(*arguments)
    assert result.code == 2
    assert result.out == ""
    assert result.err.startswith("pyspike: error: ")
    assert result.err.count("\n") == 1, result.err
    return result.err


@pytest.mark.parametrize("command", ["map", "simulate"])
def test_help_has_an_example(cli: Cli, command: str) -> None:
    assert re.search(rf"\b{command}\b", cli("--help").out)
    result = cli(command, "--help")
    assert result.code == 0
    assert f"pyspike {command} " in result.out.split("Example:")[1]


# map


def test_map_draws_and_writes_firmware(cli: Cli, model: Path, tmp_path: Path) -> None:
    picture, firmware = tmp_path / "new" / "map.png", tmp_path / "tiny.sfw"
    result = cli("map", model, "-o", picture, "--firmware", firmware, "--effort", 5)
    assert result.code == 0, result.err
    assert re.search(r"drive8 +4 x 6 x 8 +1 +\d+ +\d+", result.out)
    assert re.search(r"tiles +\d+ in \d+ of 256 cores, one pass", result.out)
    assert "no placement below" in result.out
    assert f"picture     {picture}" in result.out
    with Image.open(picture) as drawn:
        assert min(drawn.size) > 100
    mapped = fw.read(firmware)
    _simulator.check(firmware.read_bytes())
    assert (mapped.width, mapped.height, mapped.lanes) == (16, 16, 16)
    assert mapped.metadata["outputs"] == ["logits8", "logits16"]


def test_map_takes_a_chip_file_and_numbers_passes(cli: Cli, stream: Path, tiny: Path, tmp_path: Path) -> None:
    result = cli("map", stream, "--chip", tiny, "-o", tmp_path / "m.png", "--firmware", tmp_path / "m.sfw")
    assert result.code == 0, result.err
    passes = int(re.findall(r"pass \d+ of (\d+)", result.out)[0])
    assert passes > 1
    for number in range(passes):
        assert (tmp_path / f"m.{number}.png").is_file()
        written = fw.read(tmp_path / f"m.{number}.sfw")
        assert (written.width, written.lanes, written.ports[0].coding) == (2, 8, fw.FOLDED)
    assert not (tmp_path / "m.png").exists()


def test_map_is_the_same_for_a_seed(cli: Cli, stream: Path, tmp_path: Path) -> None:
    images = []
    for effort in (50, 50, 0):
        result = cli(
            "map", stream, "--seed", 3, "--effort", effort, "-o", tmp_path / "m.png", "--firmware", tmp_path / "m.sfw"
        )
        assert result.code == 0, result.err
        images.append((tmp_path / "m.sfw").read_bytes())
    assert images[0] == images[1] != images[2]


# simulate


def test_simulate_compares_and_reports(cli: Cli, model: Path, photo: Path, tmp_path: Path) -> None:
    html, trace, retire = tmp_path / "new" / "r.html", tmp_path / "t.json", tmp_path / "retire.txt"
    result = cli("simulate", model, photo, "--html", html, "--trace", trace, "--retire", retire)
    assert result.code == 0, result.err
    for text in (
        "drive8", "logits16", "bitwise coding, one pass", "SOPs by", "busy", "uJ by 45nm",
        "outputs equal the runtime's", f"report      {html}",
    ):  # fmt: skip
        assert text in result.out, text
    page = html.read_text(encoding="utf-8")
    assert "tiny.spk on chip default" in page
    assert "outputs equal the runtime" in page
    events = json.loads(trace.read_text(encoding="utf-8"))["traceEvents"]
    assert any(event.get("name") == "spikes8" for event in events)
    cycles = int(re.search(r"([\d,]+) cycles", result.out)[1].replace(",", ""))
    lines = retire.read_text(encoding="ascii").splitlines()
    assert int(lines[-1].split()[0]) < cycles
    assert {"issue", "fire", "grant"} <= {line.split()[2] for line in lines}


def test_simulate_draws_inputs_and_goes_to_out(cli: Cli, stream: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    one, again, other = (cli("simulate", stream, "--seed", seed) for seed in (0, 0, 1))
    assert one.code == again.code == other.code == 0, one.err
    assert one.out == again.out != other.out
    assert (tmp_path / "out" / "chip.html").is_file()


def test_simulate_takes_arrays(cli: Cli, stream: Path, tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 5, (2, 1, 4, 4, 8), dtype=np.uint8)
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "x.npz", x=x)
    found = [cli("simulate", stream, tmp_path / name, "--html", tmp_path / "r.html") for name in ("x.npy", "x.npz")]
    assert found[0].code == 0, found[0].err
    assert found[0].out == found[1].out


@pytest.mark.parametrize("coding", ["unary", "bitwise", "folded"])
def test_simulate_codings(cli: Cli, stream: Path, tmp_path: Path, coding: str) -> None:
    result = cli("simulate", stream, "--coding", coding, "--html", tmp_path / "r.html", "--energy", "loihi")
    assert result.code == 0, result.err
    assert f"{coding} coding" in result.out
    assert "uJ by loihi" in result.out
    assert ("with multiplications" in result.out) == (coding == "folded")


def test_simulate_in_passes_on_a_chip_of_ones_own(cli: Cli, stream: Path, tiny: Path, tmp_path: Path) -> None:
    result = cli(
        "simulate", stream, "--chip", tiny, "--coding", "unary", "--html", tmp_path / "r.html",
        "--trace", tmp_path / "t.json", "--retire", tmp_path / "t.txt", "--threads", 2,
    )  # fmt: skip
    assert result.code == 0, result.err
    passes = int(re.search(r"chip +tiny, 2 x 1 cores, 2 in use, unary coding, (\d+) passes", result.out)[1])
    assert passes > 1
    assert "outputs equal the runtime's" in result.out
    assert sorted(path.name for path in tmp_path.glob("t.*.txt")) == [f"t.{number}.txt" for number in range(passes)]
    assert json.loads((tmp_path / "t.json").read_text(encoding="utf-8"))["traceEvents"]


def test_simulate_returns_one_on_a_difference(cli: Cli, stream: Path, tmp_path: Path, monkeypatch) -> None:
    from pyspike.chip import mapping

    honest = mapping.network

    def off_by_one(graph):
        found = honest(graph)
        step = next(step for step in found.dataflow.steps() if step.name == "z_n")
        step.bias = step.bias + 60
        return found

    monkeypatch.setattr(mapping, "network", off_by_one)
    result = cli("simulate", stream, "--html", tmp_path / "r.html")
    assert result.code == 1
    assert re.search(r"agreement +\d+ of the outputs differ from the runtime's", result.out)
    assert "differ from the runtime" in (tmp_path / "r.html").read_text(encoding="utf-8")


# Errors


def test_errors_are_one_line(cli: Cli, stream: Path, tmp_path: Path, monkeypatch) -> None:
    broken = tmp_path / "broken.spk"
    broken.write_bytes(stream.read_bytes()[:-1])
    impossible = tmp_path / "impossible.toml"
    impossible.write_text("[chip]\nlanes = 12\n", encoding="utf-8")
    small = tmp_path / "small.toml"
    small.write_text("[chip]\nmesh = [1, 1]\npotential_sram = 64\n", encoding="utf-8")
    for command in ("map", "simulate"):
        assert "no such file" in error(cli, command, tmp_path / "absent.spk")
        error(cli, command, broken)
        error(cli, command, tmp_path)
        assert "no chip 'defalt'" in error(cli, command, stream, "--chip", "defalt")
        assert "lanes" in error(cli, command, stream, "--chip", impossible)
        assert "coding" in error(cli, command, stream, "--coding", "ternary")
        assert "fit" in error(cli, command, stream, "--chip", small)
    assert "threads" in error(cli, "simulate", stream, "--threads", 0)
    assert "no such file" in error(cli, "simulate", stream, tmp_path / "absent.npy")
    monkeypatch.setattr("pyspike.simulate", None)  # nothing is simulated before the energy preset is known
    assert "44nm" in error(cli, "simulate", stream, "--energy", "44nm", "--html", tmp_path / "r.html")
    monkeypatch.undo()
    np.save(tmp_path / "x.npy", np.full((2, 1, 4, 4, 8), 9))
    assert "expected 0..4, found 9..9" in error(cli, "simulate", stream, tmp_path / "x.npy")
    assert cli("map", stream, "--effort", "much").code == 2
    assert not (tmp_path / "r.html").exists()


def test_what_no_chip_can_run_is_one_line(cli: Cli, tmp_path: Path) -> None:
    n = Net()
    image.write(n.out(n.conv("b", n.conv("a", n.input()))), tmp_path / "deep.spk")
    for command in ("map", "simulate"):
        message = error(cli, command, tmp_path / "deep.spk")
        assert "the chip cannot run conv2d 'b'" in message
        assert "put a neuron before it" in message
