"""The network that ships with pyspike, on its photograph: all executors, the files' promises, a changed weight."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import pyspike
from pyspike import image, memory
from pyspike.ops import Conv2d, Synapse
from pyspike.tasks.detect import Detector, DetectTask

DATA = Path(pyspike.__file__).parent / "data"
MODEL, ONNX, PHOTO = DATA / "demo.spk", DATA / "demo.onnx", DATA / "demo.jpg"


@pytest.fixture(scope="module")
def photograph() -> dict[str, np.ndarray]:
    pytest.importorskip("PIL")
    from pyspike.io.images import read_image

    model = pyspike.Model.load(MODEL)
    x, _ = Detector(model).preprocess(read_image(PHOTO))
    return {model.inputs[0].name: x}


def test_every_executor_agrees_on_the_photograph(photograph) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")
    report = pyspike.verify(MODEL, onnx=ONNX, inputs=photograph)
    assert report.missing == ()
    assert report.differences == 0, str(report)
    assert {"reference", "chip", "torch float64", "torch float32", "onnxruntime"} < set(report.executors)
    assert len(report.executors) == 5 + 2 * len(pyspike.runtime.available_isas())


def test_one_weight_off_by_one_step_is_found(photograph, tmp_path) -> None:
    pytest.importorskip("onnxruntime")
    graph = image.read(MODEL)
    stem = next(node for node in graph.nodes if isinstance(node.op, Conv2d))  # every pixel meets each of its weights
    changed = stem.op.weight.copy()
    changed[0, 3, 3, 0] += 1 if changed[0, 3, 3, 0] < 127 else -1
    object.__setattr__(stem.op, "weight", changed)
    image.write(graph, tmp_path / "changed.spk")
    report = pyspike.verify(tmp_path / "changed.spk", onnx=ONNX, inputs=photograph)
    assert report.differences > 0
    assert report.first is not None
    assert "onnxruntime" in report.first[2]


def test_files_keep_their_promises() -> None:
    graph = image.read(MODEL)
    assert MODEL.stat().st_size <= 4_000_000
    assert memory.plan(graph).arena_bytes <= 20_000_000
    assert graph.metadata["float_exact"] is True
    assert graph.metadata["source_exact"] is True
    task = DetectTask.from_metadata(graph.metadata)
    assert task.classes == ("RBC", "WBC", "Platelets")
    assert all(np.abs(node.op.weight).max() <= 127 for node in graph.nodes if isinstance(node.op, Synapse))


def test_compiling_the_onnx_file_again_gives_the_same_graph(tmp_path) -> None:
    pytest.importorskip("onnx")
    first, second = tmp_path / "1.spk", tmp_path / "2.spk"
    for path in (first, second):
        pyspike.compile(ONNX, path)
    assert first.read_bytes() == second.read_bytes() == MODEL.read_bytes()


def test_cells_are_found_in_the_photograph(photograph) -> None:
    from pyspike.io.images import read_image

    found = Detector(pyspike.Model.load(MODEL))(read_image(PHOTO))
    names = [cell.name for cell in found]
    assert names.count("WBC") == 1  # as annotated: one white cell, seventeen red ones, two platelets
    assert 10 <= names.count("RBC") <= 25
