"""The command line from outside: what it prints, writes and returns."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pyspike
from pyspike.cli.console import percent, si
from tests.cli.conftest import Cli

COMMANDS = ("demo", "compile", "run", "detect", "inspect", "profile", "verify")


def test_help_lists_every_command(cli: Cli) -> None:
    result = cli("--help")
    assert result.code == 0
    for command in COMMANDS:
        assert re.search(rf"\b{command}\b", result.out)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_an_example(cli: Cli, command: str) -> None:
    result = cli(command, "--help")
    assert result.code == 0
    assert f"pyspike {command} " in result.out.split("Example:")[1]


def test_version(cli: Cli) -> None:
    assert cli("--version").out == f"pyspike {pyspike.__version__}\n"


def test_modules_are_the_command() -> None:
    for module in ("pyspike", "pyspike.cli"):
        done = subprocess.run([sys.executable, "-m", module, "--version"], capture_output=True, text=True, check=True)
        assert done.stdout == f"pyspike {pyspike.__version__}\n"


def test_usage_errors_return_two(cli: Cli) -> None:
    assert cli("nothing").code == 2
    assert cli("run", "a.spk", "--threads", "many").code == 2


def test_run_random_array_and_photo(cli: Cli, model: Path, photo: Path, tmp_path: Path) -> None:
    result = cli("run", model)
    assert result.code == 0, result.err
    assert "head8" in result.out
    assert "1 x 18 x 4 x 6" in result.out
    x = np.random.default_rng(2).integers(0, 256, (1, 3, 32, 48), dtype=np.uint8)
    np.save(tmp_path / "x.npy", x)
    assert cli("run", model, tmp_path / "x.npy", "-o", tmp_path / "new" / "y.npz", "--raw").code == 0
    expected = pyspike.Runtime.load(model).run(x, raw=True)
    with np.load(tmp_path / "new" / "y.npz") as saved:
        assert set(saved.files) == {"head8", "head16"}
        for name in saved.files:
            assert np.array_equal(saved[name], expected[name])
    np.savez(tmp_path / "x.npz", images=x)
    assert cli("run", model, tmp_path / "x.npz").out == cli("run", model, tmp_path / "x.npy").out
    assert cli("run", model, photo).code == 0


def test_detect_writes_a_picture(cli: Cli, model: Path, photo: Path, tmp_path: Path) -> None:
    result = cli("detect", model, photo, "--output", tmp_path / "found.png", "--confidence", 0.01)
    assert result.code == 0, result.err
    assert re.search(r"\d+ RBC, \d+ WBC -> ", result.out)
    with Image.open(tmp_path / "found.png") as picture:
        assert picture.size == (96, 64)
    result = cli("detect", model, photo, photo, "-o", tmp_path / "folder", "--json", "--confidence", 0.01)
    lines = [json.loads(line) for line in result.out.splitlines()]
    assert len(lines) == 2
    assert set(lines[0]) == {"photo", "picture", "detections"}
    assert (tmp_path / "folder" / "photo.png").is_file()
    result = cli("detect", model, photo, photo, "-o", tmp_path / "one.png")
    assert result.code == 2
    assert "name a folder" in result.err


def test_inspect_shows_what_is_inside(cli: Cli, model: Path) -> None:
    result = cli("inspect", model, "--layers")
    assert result.code == 0, result.err
    for text in ("verified", "images", "head16", "task.classes: ['RBC', 'WBC']", "conv2d", "fire", "memory: weights"):
        assert text in result.out


def test_profile_counts(cli: Cli, model: Path, photo: Path) -> None:
    result = cli("profile", model, photo)
    assert result.code == 0, result.err
    assert "total" in result.out
    assert "SOPs" in result.out


def test_verify_agrees_and_names_what_is_missing(cli: Cli, model: Path, photo: Path) -> None:
    for arguments in ((model,), (model, "--input", photo)):
        result = cli("verify", *arguments)
        assert result.code == 0, result.err
        assert re.search(r"verified: \d+ executors, [\d,]+ values, 0 differences", result.out)


def test_verify_returns_one_on_a_difference(cli: Cli, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyspike.verify import VerifyReport

    report = VerifyReport(("reference", "other"), (), 10, 1, ("head8", (0, 1), {"reference": 3, "other": 4}))
    monkeypatch.setattr("pyspike.cli.verify.verify_with_progress", lambda *arguments: report)
    result = cli("verify", model)
    assert result.code == 1
    assert "1 differences" in result.out
    assert "head8" in result.out


def _onnx_file(path: Path) -> Path:
    """A convolution and its neurons, on the grid already."""
    onnx = pytest.importorskip("onnx")
    from tests.compiler.networks import Writer

    writer = Writer()
    x = writer.cast(writer.input("images", (1, 3, 8, 8)))
    weight = np.random.default_rng(9).integers(-3, 4, (4, 3, 3, 3)) / 64
    spikes = writer.fire(writer.conv(x, weight, pads=[1, 1, 1, 1]), 4)
    onnx.save(writer.model([writer.conv(spikes, weight[:2, :1].repeat(4, axis=1))]), path)
    return path


def test_compile_then_verify(cli: Cli, tmp_path: Path) -> None:
    source = _onnx_file(tmp_path / "network.onnx")
    (tmp_path / "facts.json").write_text('{"name": "small"}')
    result = cli("compile", source, "--metadata", tmp_path / "facts.json")
    assert result.code == 0, result.err
    assert "conv2d" in result.out
    assert re.search(r"network\.spk: [\d,]+ bytes", result.out)
    assert "name: small" in cli("inspect", tmp_path / "network.spk").out
    result = cli("verify", tmp_path / "network.spk", "--onnx", source)
    assert result.code == 0, result.err + result.out
    assert ", 0 differences" in result.out
    quiet = cli("compile", source, tmp_path / "other.spk", "--quiet", "--weight-bits", 4)
    assert "conv2d" not in quiet.out


def test_compile_tells_errors_in_one_line(cli: Cli, tmp_path: Path) -> None:
    source = _onnx_file(tmp_path / "network.onnx")
    assert "NAME=LO,HI,F" in _error(cli, "compile", source, "--calibration", "images=1")
    assert "nothing" in _error(cli, "compile", source, "--calibration", "nothing=0,3,0")
    (tmp_path / "list.json").write_text("[]")
    assert "expected a JSON object" in _error(cli, "compile", source, "--metadata", tmp_path / "list.json")
    (tmp_path / "junk.json").write_text("{")
    assert "expected JSON" in _error(cli, "compile", source, "--metadata", tmp_path / "junk.json")
    (tmp_path / "junk.onnx").write_bytes(b"junk")
    _error(cli, "compile", tmp_path / "junk.onnx")
    assert not (tmp_path / "junk.spk").exists()
    _error(cli, "compile", tmp_path)


def test_demo_finds_counts_and_proves(
    cli: Cli, model: Path, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    model.rename(data / "demo.spk")
    Image.open(photo).save(data / "demo.jpg")
    monkeypatch.setattr("pyspike.cli.demo.DATA", data)
    monkeypatch.chdir(tmp_path)
    result = cli("demo")
    assert result.code == 0, result.err
    assert re.search(r"found +\d+ RBC, \d+ WBC\n", result.out)
    for text in ("density", "SOPs", "MACs", "papers' formula", "4.6 pJ", "0.9 pJ", "out/demo.png"):
        assert text in result.out
    assert re.search(r"verified: \d+ executors, [\d,]+ values, 0 differences", result.out)
    assert (tmp_path / "out" / "demo.png").is_file()
    result = cli("demo", photo, "--output", tmp_path / "own.png", "--no-verify")
    assert result.code == 0, result.err
    assert "verified" not in result.out
    assert (tmp_path / "own.png").is_file()


def _error(cli: Cli, *arguments: object) -> str:
    """The one line that an error is told in."""
    result = cli(*arguments)
    assert result.code == 2
    assert result.out == ""
    assert result.err.startswith("pyspike: error: ")
    assert result.err.count("\n") == 1, result.err
    return result.err


def test_errors_are_one_line(cli: Cli, model: Path, photo: Path, tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    broken = tmp_path / "broken.spk"
    broken.write_bytes(model.read_bytes()[:-1])
    empty = tmp_path / "empty.spk"
    empty.touch()
    text = tmp_path / "text.png"
    text.write_text("no image")
    for command in ("run", "inspect", "profile", "verify"):
        assert "no such file" in _error(cli, command, absent)
        _error(cli, command, broken)
        _error(cli, command, empty)
        _error(cli, command, tmp_path)
    assert "no such file" in _error(cli, "detect", model, absent)
    assert "directory" in _error(cli, "detect", model, tmp_path)
    assert "expected an image" in _error(cli, "detect", model, text)
    assert "confidence" in _error(cli, "detect", model, photo, "--confidence", 2)
    assert "no such file" in _error(cli, "compile", absent)
    _error(cli, "run", model, "--threads", 0)
    assert "nonsense" in _error(cli, "run", model, "--isa", "nonsense")


def test_bad_arrays_are_one_line(cli: Cli, model: Path, tmp_path: Path) -> None:
    x = np.zeros((1, 3, 32, 48), np.uint8)
    for name, array in {
        "shape": x[:, :2],
        "dtype": x.astype(np.float32),
        "nan": np.full(x.shape, np.nan),
        "negative": x.astype(np.int32) - 1,
        "large": x.astype(np.int64) + 256,
    }.items():
        np.save(tmp_path / f"{name}.npy", array)
        _error(cli, "run", model, tmp_path / f"{name}.npy")
    np.savez(tmp_path / "two.npz", a=x, b=x)
    assert "expected arrays named images; found a, b" in _error(cli, "run", model, tmp_path / "two.npz")
    np.save(tmp_path / "object.npy", np.array([None]), allow_pickle=True)
    assert "expected arrays as NumPy saves them" in _error(cli, "run", model, tmp_path / "object.npy")
    (tmp_path / "junk.npz").write_bytes(b"junk")
    assert "expected arrays as NumPy saves them" in _error(cli, "run", model, tmp_path / "junk.npz")
    (tmp_path / "cut.npy").write_bytes((tmp_path / "shape.npy").read_bytes()[:-100])
    assert "expected arrays as NumPy saves them" in _error(cli, "run", model, tmp_path / "cut.npy")
    assert "no such file" in _error(cli, "run", model, tmp_path / "absent.npy")


@pytest.mark.parametrize("package", ["typer", "rich", "PIL"])
def test_missing_packages_name_the_extra(package: str, model: Path, photo: Path) -> None:
    code = (
        "import sys\n"
        f"sys.modules[{package!r}] = None\n"
        f"sys.argv = ['pyspike', 'detect', {str(model)!r}, {str(photo)!r}]\n"
        "from pyspike.cli import main\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'pyspike-runtime[cli]'" in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr


def test_numbers_read_well() -> None:
    assert [si(v, "J") for v in (0, 7, 999, 1.5, 0.00001234, 81e6, 1.2e13)] == [
        "0 J", "7 J", "999 J", "1.50 J", "12.3 uJ", "81.0 MJ", "12.0 TJ",
    ]  # fmt: skip
    assert percent(1, 3) == "33.3 %"
    assert percent(1, 0) == "-"
