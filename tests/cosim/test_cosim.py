"""The Verilog twin against the simulator, as in CI; and that the comparison can fail."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pyspike.chip import firmware as fw
from tests.chip.firmwares import Builder

RUN = Path(__file__).resolve().parents[2] / "firmware_sim" / "cosim" / "run.py"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("verilator") is None, reason="needs Verilator (Debian: verilator)"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the quick campaign has run; asserts that it has passed."""
    folder = tmp_path_factory.mktemp("cosim")
    done = subprocess.run(
        [sys.executable, str(RUN), "--quick", "--folder", str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return folder


def cosim(folder: Path, firmware: fw.Firmware, inputs: np.ndarray, trace: str = "") -> subprocess.CompletedProcess[str]:
    """Runs one program by itself; its report is in `report.json`."""
    (folder / "one.sfw").write_bytes(fw.to_bytes(firmware))
    inputs.astype("<i4").tofile(folder / "one.inputs")
    (folder / "one.list").write_text(f"one {folder / 'one.sfw'} {folder / 'one.inputs'} {trace}\n")
    command = [str(folder / "default" / "cosim"), str(folder / "one.list"), str(folder / "report.json")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def one_event(**chip: int) -> Builder:
    """The first of the worked numbers: an event through a 1x1 convolution whose channels all fire."""
    builder = Builder((1, 1), **chip)
    step = builder.tile(channels=16).fire([1])
    builder.input(1, 1, 1).to(step.port(outputs=16))
    step.to_edge()
    return builder


def test_quick_campaign_passes(folder: Path) -> None:
    traces = list(folder.glob("*/programs/*.trace"))
    assert len(traces) > 200
    assert any(trace.name.startswith("demo-layer") for trace in traces)


def test_worked_numbers(folder: Path) -> None:
    """Those of docs/chip.md, 1: the twin's trace equals the simulator's, whose cycles are the page's."""
    assert cosim(folder, one_event().build(), np.ones(1)).returncode == 0
    report = json.loads((folder / "report.json").read_text())["programs"][0]
    assert (report["rtl"], report["expected"]) == ("", "")
    assert report["cycles"] == 37
    acts = [line.split()[:3] for line in (folder / "one.sfw.trace").read_text().splitlines()]
    assert [int(cycle) for cycle, _, kind in acts if kind == "issue"] == [13]
    assert [int(cycle) for cycle, _, kind in acts if kind == "out"] == [0, *range(15, 32)]
    assert [int(cycle) for cycle, _, kind in acts if kind == "pop"] == [5, *range(20, 37)]


@pytest.mark.parametrize("change", ["value", "missing", "extra"])
def test_a_wrong_line_is_found_in_its_cycle(folder: Path, change: str) -> None:
    firmware = one_event().build()
    assert cosim(folder, firmware, np.ones(1)).returncode == 0
    lines = (folder / "one.sfw.trace").read_text().splitlines()
    at = next(k for k, line in enumerate(lines) if " issue " in line)
    cycle = lines[at].split()[0]
    if change == "value":
        lines[at] = lines[at][:-1] + str((int(lines[at][-1]) + 1) % 10)
    elif change == "missing":
        del lines[at]
    else:
        lines.insert(at, lines[at])
    (folder / "wrong.trace").write_text("\n".join(lines) + "\n")
    assert cosim(folder, firmware, np.ones(1), str(folder / "wrong.trace")).returncode == 0
    report = json.loads((folder / "report.json").read_text())["programs"][0]
    assert report["rtl"] != report["expected"]
    assert report["rtl"].split()[0] == report["expected"].split()[0] == cycle


@pytest.mark.parametrize(("fields", "message"), [({"lanes": 8}, "16 lanes"), ({"timesteps": 2}, "at most 1 timesteps")])
def test_what_the_twin_does_not_have_is_refused(folder: Path, fields: dict[str, int], message: str) -> None:
    frames = fields.get("timesteps", 1)
    done = cosim(folder, one_event(**fields).build(), np.ones(frames))
    assert done.returncode == 1
    assert message in done.stderr
