"""The installed C++ library: found by CMake, linked by the examples, equal to Python."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pyspike
from pyspike import image
from pyspike.errors import BudgetError
from pyspike.graph import Graph, Port, Tensor
from pyspike.ops import Conv2d, Fire
from pyspike.tasks.detect import Detector
from tests.cli.conftest import detection_graph

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


def _run(*command: object) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _tool(name: str) -> str:
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.is_file() else shutil.which(name)
    assert found, f"{name} is not installed: pip install {name}"
    return found


def _build(source: Path, build: Path, *options: str) -> None:
    cmake = _tool("cmake")
    ninja = f"-DCMAKE_MAKE_PROGRAM={_tool('ninja')}"
    _run(cmake, "-S", source, "-B", build, "-G", "Ninja", ninja, "-DCMAKE_BUILD_TYPE=Release", *options)
    _run(cmake, "--build", build)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library without Python, built and installed under a prefix of its own."""
    folder = tmp_path_factory.mktemp("installed")
    _build(ROOT, folder / "build", "-DPYSPIKE_PYTHON=OFF")
    _run(_tool("cmake"), "--install", folder / "build", "--prefix", folder / "prefix")
    return folder / "prefix"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.spk"
    path.write_bytes(image.to_bytes(detection_graph()))
    return path


def test_every_public_header_is_installed(installed: Path) -> None:
    ours = {path.name for path in (ROOT / "csrc" / "include" / "spk").iterdir()}
    assert {path.name for path in (installed / "include" / "spk").iterdir()} == ours


def test_cpp_example_finds_what_python_finds(installed: Path, model: Path, tmp_path: Path) -> None:
    _build(ROOT / "examples" / "cpp", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={installed}")
    photo = np.random.default_rng(7).integers(0, 256, (90, 130, 3), dtype=np.uint8)
    (tmp_path / "photo.ppm").write_bytes(b"P6\n130 90\n255\n" + photo.tobytes())
    printed = _run(tmp_path / "build" / "detect", model, tmp_path / "photo.ppm", 2, "RBC", "WBC")
    expected = Detector(pyspike.Model.load(model), confidence=0.3, iou=0.5)(photo)
    assert expected
    lines = [f"{d.name} {d.score:.6f} " + " ".join(f"{side:.4f}" for side in d.box) for d in expected]
    assert printed.splitlines() == lines


def test_c_example_gives_the_same_integers(installed: Path, model: Path, tmp_path: Path) -> None:
    _build(ROOT / "examples" / "c", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={installed}")
    x = np.random.default_rng(8).integers(0, 256, (1, 3, 32, 48), dtype=np.uint8)
    x.tofile(tmp_path / "x.bin")
    printed = _run(tmp_path / "build" / "run", model, tmp_path / "x.bin")
    for line, (name, values) in zip(
        printed.splitlines(), pyspike.Runtime.load(model).run(x, raw=True).items(), strict=True
    ):
        assert line.split()[0] == name
        assert list(map(int, line.split()[1:])) == values.ravel().tolist()


def _two_layers_in_time() -> Graph:
    """Counts in two timesteps, a neuron with a leak, and a layer that reads its spikes."""
    graph = Graph(2)
    graph.add_input(Port("x", "x", "uint8", time_axis=0), Tensor((1, 3, 3, 4), 0, 4, time=True))
    rng = np.random.default_rng(0)
    for name, source in (("drive", "x"), ("out", "spikes")):
        weight = rng.integers(-3, 6, (4, 1, 1, 4))
        graph.add(Conv2d(weight, np.zeros(4), np.zeros(4), None), [source], name)
        if name == "drive":
            graph.add(Fire([[10, 20]], True, (1, 1), False, [0, 10, 20], 0, 2), ["drive"], "spikes")
    graph.add_output(Port("out", "out", "int32", time_axis=0))
    return graph


@pytest.mark.parametrize("language", ["c", "cpp"])
def test_budgets_are_kept(installed: Path, tmp_path: Path, language: str) -> None:
    """OK is code 0, a wrong shape 2, a budget 6, at place 3: operators."""
    _build(ROOT / "tests" / "examples" / "budget", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={installed}")
    model = image.to_bytes(_two_layers_in_time())
    (tmp_path / "m.spk").write_bytes(model)
    x = np.random.default_rng(1).integers(0, 5, (2, 1, 3, 3, 4), dtype=np.uint8)
    x.tofile(tmp_path / "x.bin")
    runtime = pyspike.Runtime.load(model)
    integers = " ".join(map(str, runtime.run(x, raw=True)["out"].ravel()))
    drive = [np.count_nonzero(frame) for frame in x]
    first = _spikes(runtime, x[0])
    counts = [drive[0], first, drive[1], runtime.profile(x).layers[2].events - first]
    total, step = sum(counts), sum(counts[2:])
    budgets = (total, total - 1, counts[0], 0, step, step - 1)
    printed = _run(tmp_path / "build" / f"budget_{language}", tmp_path / "m.spk", tmp_path / "x.bin", *budgets)
    expected = []
    for most in budgets:
        ran, stepped = _expected(counts, most), _expected(counts[2:], most)
        undone = "stands" if stepped.startswith("6") else "went on"
        expected += [f"run {ran}", f"again {ran}", f"{integers} ", "without 2 0 0 0 0", f"step {stepped}", undone]
    assert printed.splitlines() == expected


def _spikes(runtime: pyspike.Runtime, frame: np.ndarray) -> int:
    """Events of the second layer in the first timestep: what a budget of nothing more refuses."""
    with pytest.raises(BudgetError) as caught:
        runtime.step(frame, max_events=np.count_nonzero(frame))
    assert caught.value.layer == "out"
    return caught.value.refused


def _expected(counts: list[int], most: int) -> str:
    """code, place, number, events, refused of layers that alternate between operators 0 and 2."""
    taken = 0
    for i, count in enumerate(counts):
        if taken + count > most:
            return f"6 3 {2 * (i % 2)} {taken} {count}"
        taken += count
    return f"0 0 0 {taken} 0"


def test_cpp_example_says_what_is_wrong(installed: Path, model: Path, tmp_path: Path) -> None:
    _build(ROOT / "examples" / "cpp", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={installed}")
    broken, photo = tmp_path / "broken.spk", tmp_path / "photo.ppm"
    broken.write_bytes(model.read_bytes()[:-1])
    photo.write_bytes(b"P6 2 2 255\n" + bytes(12))
    for arguments, message in (
        ((broken, photo), "truncated"),
        ((tmp_path / "missing.spk", photo), "missing.spk"),
        ((model, broken), "PPM"),
        ((), "usage"),
    ):
        done = subprocess.run([tmp_path / "build" / "detect", *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert message in done.stderr
