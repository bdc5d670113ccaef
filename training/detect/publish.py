"""Makes the demo's files from a finished run: the model, the ONNX file, the photograph, the model card.

    python -m training.detect.publish --data <folder> --run runs/<name>

The card's integer metrics are those of the PyTorch twin and of the C++ runtime alike: on every photograph of both
splits their head tensors must be equal. Run it once, when nothing will be changed any more: it evaluates the test
split.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import track
from torch import nn

import pyspike
from pyspike.nn import export_onnx, integer_twin
from training.detect import checkpoint
from training.detect.config import Config
from training.detect.data import letterboxed
from training.detect.final import load_final, report
from training.detect.formats import read_split

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "pyspike" / "data"
DOCS = ROOT / "docs" / "demo"
CARD = "docs/demo/model-card.md"


def build(model: nn.Module, config: Config, metrics: dict[str, Any]) -> pyspike.CompileReport:
    """Export and compile the quantised detector to demo.onnx and demo.spk."""
    example = torch.zeros(1, 3, config.height, config.width, dtype=torch.uint8)
    keys = ("map50", "map50_95", "density")
    metadata = {
        "name": "blood cell detector",
        "data": "BCCD Dataset, MIT licence",
        "metrics": {s: {k: metrics[s]["integer"][k] for k in keys} for s in ("val", "test")},
        "task": {
            "kind": "detect",
            "classes": list(config.classes),
            "size": [config.height, config.width],
            "layout": "NCHW",
            "fill": 114,
            "strides": [8, 16, 32],
            "reg_max": config.model.reg_max,
            "confidence": 0.3,
            "iou": 0.5,
            "max_detections": 300,
        },
    }
    names = ["p3", "p4", "p5"]
    export_onnx(model, DATA / "demo.onnx", example, input_names=["images"], output_names=names, metadata=metadata)
    return pyspike.compile(DATA / "demo.onnx", DATA / "demo.spk")


def check_runtime(model: nn.Module, config: Config, data: Path) -> None:
    """Raise `RuntimeError` unless demo.spk in the C++ runtime gives the twin's head tensors, on val and test."""
    runtime, twin = pyspike.Runtime.load(DATA / "demo.spk", threads=2), integer_twin(model)
    samples = [s for split in ("val", "test") for s in read_split(data, split, config.classes)]
    for sample in track(letterboxed(samples, config.width, config.height), description="runtime against twin"):
        pixels = np.ascontiguousarray(sample.image.transpose(2, 0, 1)[None])
        with torch.no_grad():
            expected = [head.numpy() for head in twin(torch.from_numpy(pixels))]
        for level, (name, found) in enumerate(runtime.run(pixels).items()):
            if not np.array_equal(found, expected[level]):
                raise RuntimeError(f"{sample.name}: output {name!r} of the runtime is not the twin's")


def write_photograph(data: Path, name: str) -> None:
    """Copy a photograph of the test split beside the model, with its licence."""
    if name not in (data / "test.txt").read_text().split():
        raise ValueError(f"{name} is not in the test split")
    shutil.copyfile(data / "images" / f"{name}.jpg", DATA / "demo.jpg")
    shutil.copyfile(data / "LICENSE", DATA / "demo.jpg.LICENSE")


def card(config: Config, metrics: dict[str, Any], compiled: pyspike.CompileReport, photo: str, log: Path) -> str:
    """The model card, in Markdown."""
    rows = "\n".join(_row(metrics, split, kind) for split in ("val", "test") for kind in _KINDS)
    classes = "\n".join(
        f"| {split} | {name} | {_pair(metrics[split], 'float', name)} | {_pair(metrics[split], 'integer', name)} |"
        for split in ("val", "test")
        for name in config.classes
    )
    change = metrics["val"]["integer_minus_float"]
    low, high = change["map50_interval"]
    val = metrics["val"]["integer"]
    steps, seconds = _log_summary(log)
    size = (DATA / "demo.spk").stat().st_size
    return _CARD.format(
        rows=rows, classes=classes, change=change["map50"], low=low, high=high, photo=photo, size=size / 1e6,
        parameters=metrics["parameters"], folded=metrics["folded_parameters"], steps=steps, hours=seconds / 3600,
        width=config.width, height=config.height, density=val["density"], elements=val["element_density"],
        synapses=val["synaptic_density"], exact="yes" if compiled.float_exact else "no", target=config.densities[-1],
        met="met" if val["density"] <= config.densities[-1] else "missed",
    )  # fmt: skip


_KINDS = {"float": "float, trained freely", "sparse_float": "float, sparse", "integer": "integer (8 bits)"}

_CARD = """# Model card: the demo's blood cell detector

Written by `python -m training.detect.publish`; numbers are those of the committed files.

A SpikeYOLO-shaped detector of red cells (RBC), white cells (WBC) and platelets in photographs of stained blood smears,
at {width} x {height} pixels: {parameters:,} parameters, {folded:,} after folding, 8-bit weights, spike counts 0..4, one
timestep. The image `pyspike/data/demo.spk` has {size:.2f} MB. Float-exact: {exact}.

## Results

mAP by pycocotools; intervals are 95% bootstrap intervals over images. Density: share of non-zero counts, half by
element, half by fan-out. The integer rows are what the C++ runtime computes: its outputs were equal to the twin's.

| split | model | mAP50 | interval | mAP50:95 | density |
|---|---|---|---|---|---|
{rows}

The integer network is the best of those that stage (c) validated, so its figure on val flatters it; the one on test
does not. Paired change of mAP50 on val, integer and sparse against float: {change:+.4f}, interval
[{low:+.4f}, {high:+.4f}], part of it because the float network trained for fewer steps. Density on val
{density:.4f} ({elements:.4f} by element, {synapses:.4f} by fan-out): the target of {target:.2f} was {met}.

| split | class | float AP50 / AP50:95 | integer AP50 / AP50:95 |
|---|---|---|---|
{classes}

## Training

`make train` trains it: {steps} steps, {hours:.1f} hours of step time on one core of a two-core machine. The log is
`training-log.csv` beside this card; [the recipe](../training.md) says what the three stages do. Stage (c) of the
committed run was begun anew from the end of stage (b), so that a run from scratch follows the same recipe but not the
same bits. The test split was evaluated once, after training had ended.

## Data

BCCD Dataset (Shenggan, from photographs of cosmicad and akshaylamba), MIT licence: 205 photographs to train, 87 to
validate, 36 to test. `pyspike/data/demo.jpg` is its {photo}, from the test split; the licence lies beside it. Not every
cell in the set is labelled, so that no detector reaches 1.0. This is a demonstration, not a medical device.
"""


def _row(metrics: dict[str, Any], split: str, kind: str) -> str:
    m = metrics[split][kind]
    low, high = m["map50_interval"]
    interval = f"[{low:.3f}, {high:.3f}]"
    return f"| {split} | {_KINDS[kind]} | {m['map50']:.4f} | {interval} | {m['map50_95']:.4f} | {m['density']:.4f} |"


def _pair(metrics: dict[str, Any], kind: str, name: str) -> str:
    ap = metrics[kind]["per_class"][name]
    return f"{ap['ap50']:.3f} / {ap['ap50_95']:.3f}"


def _log_summary(log: Path) -> tuple[int, float]:
    """Steps of a run, and the seconds they took: the log holds the mean seconds per step since the row before."""
    with log.open() as file:
        rows = list(csv.DictReader(file))
    steps = [0, *(int(row["step"]) for row in rows)]
    lengths = [after - before for before, after in itertools.pairwise(steps)]
    return steps[-1], sum(float(row["seconds"]) * length for row, length in zip(rows, lengths, strict=True))


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(prog="python -m training.detect.publish")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--photo", default="BloodImage_00041", help="a name of the test split")
    args = parser.parse_args()
    DATA.mkdir(exist_ok=True)
    DOCS.mkdir(parents=True, exist_ok=True)
    metrics = report(args.data, args.run, test=True)
    model = load_final(args.run / "final.pt")
    config: Config = model.training_config  # type: ignore[assignment]
    write_photograph(args.data, args.photo)
    compiled = build(model, config, metrics)
    check_runtime(model, config, args.data)
    shutil.copyfile(args.run / "log.csv", DOCS / "training-log.csv")
    checkpoint.save_json(DOCS / "metrics.json", json.loads(json.dumps(metrics)))
    (ROOT / CARD).write_text(card(config, metrics, compiled, args.photo, args.run / "log.csv"))
    print(compiled)


if __name__ == "__main__":
    main()
