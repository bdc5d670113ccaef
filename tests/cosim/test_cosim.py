"""The Verilog twin against the simulator, as in CI; and that the comparison can fail."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from pyspike.chip import firmware as fw
from tests.chip import test_worked_numbers as worked_numbers
from tests.chip.firmwares import Builder
from tests.chip.simulators import Result, Simulator, native

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


@pytest.mark.parametrize(
    "worked",
    [
        worked_numbers.test_1_one_event_through_a_pointwise_convolution,
        worked_numbers.test_2_corner_border_and_inside_of_a_convolution,
        worked_numbers.test_5_fire_of_words_with_no_one_and_many_spikes,
    ],
)
def test_worked_numbers(folder: Path, worked: Callable[[Simulator], None]) -> None:
    """Those of docs/chip.md that fit the twin: its trace equals the simulator's, whose cycles are the page's."""

    def twin(firmware: fw.Firmware, inputs: Sequence[np.ndarray]) -> Result:
        done = cosim(folder, firmware, np.concatenate([each.reshape(-1) for each in inputs]))
        assert done.returncode == 0, done.stderr
        report = json.loads((folder / "report.json").read_text())["programs"][0]
        assert (report["rtl"], report["expected"]) == ("", "")
        result = native(firmware, inputs)
        assert report["lines"] == len(result["trace"])
        return result

    worked(twin)


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


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"lanes": 8}, "16 lanes"),
        ({"timesteps": 2}, "at most 1 timesteps"),
        ({"axon_fifo": 63}, "built for another chip"),
    ],
)
def test_what_the_twin_does_not_have_is_refused(folder: Path, fields: dict[str, int], message: str) -> None:
    frames = fields.get("timesteps", 1)
    done = cosim(folder, one_event(**fields).build(), np.ones(frames))
    assert done.returncode == 1
    assert message in done.stderr
