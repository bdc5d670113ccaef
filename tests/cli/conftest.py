"""A small detection model and files to feed the command line with."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from pyspike import image
from pyspike.cli import main
from pyspike.graph import Graph, Port, Tensor
from pyspike.io.images import save_image
from pyspike.ops import Conv2d, Fire, Transpose

TASK = {
    "kind": "detect",
    "classes": ["RBC", "WBC"],
    "size": [32, 48],
    "strides": [8, 16],
    "reg_max": 4,
    "layout": "NCHW",
    "fill": 114,
    "confidence": 0.25,
    "iou": 0.7,
}
CHANNELS = 4 * 4 + 2


def _synapse(rng: np.random.Generator, out: int, kernel: int, inputs: int, stride: int) -> Conv2d:
    weight = rng.integers(-7, 8, (out, kernel, kernel, inputs))
    return Conv2d(
        weight=weight,
        exponent=np.full(out, 6),
        shift=np.full(out, 6),
        bias=rng.integers(-2000, 2000, out),
        stride=(stride, stride),
        padding=(kernel // 2,) * 2 + ((kernel - 1) // 2,) * 2,
    )


def detection_graph() -> Graph:
    """Pixels -> spikes at stride 8 and 16 -> two heads, as detection models have them; weights at random."""
    rng = np.random.default_rng(0)
    graph = Graph(metadata={"task": TASK, "float_exact": True})
    graph.add_input(Port("images", "pixels", "uint8", axes="NCHW"), Tensor((1, 3, 32, 48), 0, 255))
    graph.add(Transpose((0, 2, 3, 1)), ["pixels"], "x")
    graph.add(_synapse(rng, 8, 8, 3, 8), ["x"], "drive8")
    graph.add(Fire(np.array([[0, 100000, 200000]])), ["drive8"], "spikes8")
    graph.add(_synapse(rng, 8, 3, 8, 2), ["spikes8"], "drive16")
    graph.add(Fire(np.array([[0, 2000]])), ["drive16"], "spikes16")
    for stride in (8, 16):
        graph.add(_synapse(rng, CHANNELS, 1, 8, 1), [f"spikes{stride}"], f"logits{stride}")
        graph.add(Transpose((0, 3, 1, 2)), [f"logits{stride}"], f"head{stride}")
        graph.add_output(Port(f"head{stride}", f"head{stride}", "int32", axes="NCHW"))
    return graph


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


Cli = Callable[..., Result]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Cli:
    """Runs `pyspike` with the given arguments in this process; returns exit code, stdout and stderr."""

    def run(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["pyspike", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        monkeypatch.setenv("NO_COLOR", "1")
        capfd.readouterr()
        code: object = 0
        try:
            main()
        except SystemExit as leaving:
            code = leaving.code or 0
        captured = capfd.readouterr()
        assert isinstance(code, int)
        return Result(code, captured.out, captured.err)

    return run


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.spk"
    path.write_bytes(image.to_bytes(detection_graph()))
    return path


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    save_image(np.random.default_rng(1).integers(0, 256, (64, 96, 3), dtype=np.uint8), path)
    return path
