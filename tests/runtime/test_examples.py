"""The examples in C++ and C, built against the installed package, print what Python finds."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pyspike import image, reference
from pyspike.graph import Graph, Port, Tensor
from pyspike.ops import Conv2d, Fire, Transpose
from pyspike.runtime import Model
from pyspike.tasks.detect import Detector
from tests.house.sources import ROOT
from tests.runtime.models import draw, spiking

CLASSES = ["RBC", "WBC", "Platelets"]
BINS, SIZE, STRIDES = 4, (64, 96), (8, 16, 32)
TASK = {
    "kind": "detect", "classes": CLASSES, "size": list(SIZE), "layout": "NCHW", "strides": list(STRIDES),
    "reg_max": BINS, "confidence": 0.3, "iou": 0.5,
}  # fmt: skip
BUILD = ROOT / "build" / "package"  # kept, so that only what changed is compiled again


def tool(name: str) -> str:
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def build(source: Path, folder: Path, *definitions: str) -> None:
    cmake = tool("cmake")
    options = ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={tool('ninja')}", "-DCMAKE_BUILD_TYPE=Release", *definitions]
    for command in (
        [cmake, "-S", str(source), "-B", str(folder), "--log-level=WARNING", *options],
        [cmake, "--build", str(folder), "--parallel", "2"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.fixture(scope="module", name="programs")
def _programs() -> dict[str, Path]:
    """The installed package's examples: their executables."""
    prefix = BUILD / "prefix"
    build(ROOT, BUILD / "library", "-DPYSPIKE_PYTHON=OFF")
    subprocess.run(
        [tool("cmake"), "--install", str(BUILD / "library"), "--prefix", str(prefix)], check=True, capture_output=True
    )
    for name in ("cpp", "c"):
        build(ROOT / "examples" / name, BUILD / name, f"-DCMAKE_PREFIX_PATH={prefix}")
    return {"detect": BUILD / "cpp" / "detect", "run": BUILD / "c" / "run"}


def detector() -> Graph:
    """Three heads on a photograph: random weights, shaped like a detection model."""
    rng = np.random.default_rng(3)
    graph = Graph(metadata={"task": TASK})
    graph.add_input(Port("photograph", "photograph", "uint8", "NCHW"), Tensor((1, 3, *SIZE), 0, 255))
    x, channels = graph.add(Transpose((0, 2, 3, 1)), ["photograph"], "pixels"), 3
    for level, stride in enumerate((8, 2, 2)):
        weight = rng.integers(-40, 40, (16, stride, stride, channels), endpoint=True)
        drive = Conv2d(weight, np.full(16, 0), np.zeros(16), None, (stride, stride))
        name = graph.add(drive, [x], f"drive{level}")
        step = max(1, graph.tensors[name].hi // 40)
        x, channels = graph.add(Fire([[step, 2 * step, 3 * step, 4 * step]]), [name], f"counts{level}"), 16
        head = Conv2d(
            rng.integers(-60, 60, (4 * BINS + len(CLASSES), 1, 1, 16), endpoint=True),
            np.full(4 * BINS + len(CLASSES), 6),
            np.zeros(4 * BINS + len(CLASSES)),
            rng.integers(-100, 100, 4 * BINS + len(CLASSES)),
        )
        graph.add(head, [x], f"logits{level}")
        graph.add(Transpose((0, 3, 1, 2)), [f"logits{level}"], f"head{level}")
        graph.add_output(Port(f"head{level}", f"head{level}", "int32", "NCHW"))
    return graph


def run(*command: object) -> str:
    done = subprocess.run([str(each) for each in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
def test_cpp_prints_pythons_detections(programs, tmp_path, threads) -> None:
    photograph = np.random.default_rng(0).integers(0, 256, (120, 150, 3), dtype=np.uint8)
    (tmp_path / "photo.ppm").write_bytes(b"P6\n# noise\n150 120\n255\n" + photograph.tobytes())
    image.write(detector(), tmp_path / "model.spk")
    expected = Detector(Model.load(tmp_path / "model.spk"))(photograph)
    lines = run(programs["detect"], tmp_path / "model.spk", tmp_path / "photo.ppm", threads, *CLASSES).splitlines()
    assert len(lines) == len(expected) > 5
    for line, detection in zip(lines, expected, strict=True):
        name, *numbers = line.split()
        assert name == detection.name
        assert np.allclose([float(each) for each in numbers], [detection.score, *detection.box], atol=1e-4)


@pytest.mark.slow
def test_cpp_says_what_is_wrong(programs, tmp_path) -> None:
    image.write(detector(), tmp_path / "model.spk")
    broken = tmp_path / "broken.spk"
    broken.write_bytes((tmp_path / "model.spk").read_bytes()[:-1])
    photo = tmp_path / "photo.ppm"
    photo.write_bytes(b"P6 2 2 255\n" + bytes(12))
    for arguments, message in (
        ((broken, photo), "truncated"),
        ((tmp_path / "missing.spk", photo), "missing.spk"),
        ((tmp_path / "model.spk", broken), "PPM"),
        ((), "usage"),
    ):
        done = subprocess.run([programs["detect"], *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert message in done.stderr


@pytest.mark.slow
def test_c_prints_the_integers(programs, tmp_path) -> None:
    graph = spiking()
    image.write(graph, tmp_path / "model.spk")
    case = draw(graph)
    files = []
    for name, array in case.items():
        files.append(tmp_path / f"{name}.bin")
        files[-1].write_bytes(array.tobytes())
    lines = run(programs["run"], tmp_path / "model.spk", *files).splitlines()
    expected = reference.run(graph, case)
    assert [line.split()[0] for line in lines] == list(expected)
    for line, values in zip(lines, expected.values(), strict=True):
        assert [int(each) for each in line.split()[1:]] == values.reshape(-1).tolist()
