"""Event recordings, as the Gen1 automotive data set has them: <split>/<name>_td.dat with <split>/<name>_bbox.npy.

A sample is what a recording holds before an annotated time: T slices of events, cut and ordered as the published models
were trained (`pyspike.io.events`), oldest events last. Boxes are cut to the sensor.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pyspike.io.events import CLASSES, EventFileError, Recording, open_recording, read_annotations, slices
from training.detect.formats.stored import Boxes, DatasetError, Stored

SENSOR = (240, 304)  # rows and columns, for recordings that do not state them


def read_recordings(root: Path, split: str, classes: tuple[str, ...]) -> list[Stored]:
    """A sample for every annotated time of every recording of `split`."""
    samples = []
    for path in sorted((root / split).glob("*_td.dat")):
        annotations = path.with_name(path.name.removesuffix("_td.dat") + "_bbox.npy")
        if not annotations.is_file():
            raise DatasetError(f"{path}: its annotations {annotations} are missing")
        try:
            recording, entries = _open(path), read_annotations(annotations)
        except EventFileError as error:
            raise DatasetError(str(error)) from None
        for t in np.unique(entries["t"]).tolist():
            boxes = Boxes(recording.size)
            for n in np.flatnonzero(entries["t"] == t):
                _add(entries[n], boxes, classes, f"{annotations}: box {n}")
            samples.append(boxes.stored(f"{path.name}@{t}", partial(_frames, recording, t)))
    return samples


def _open(path: Path) -> Recording:
    try:
        return open_recording(path)
    except EventFileError:
        return open_recording(path, SENSOR)


def _add(entry: np.void, boxes: Boxes, classes: tuple[str, ...], where: str) -> None:
    label = int(entry["class_id"])
    if label >= len(CLASSES) or CLASSES[label] not in classes:
        raise DatasetError(f"{where}: class {label} of {CLASSES} is none of {classes}")
    height, width = boxes.size
    x, y, w, h = (float(entry[key]) for key in "xywh")
    xs, ys = np.clip((x, x + w), 0, width).tolist(), np.clip((y, y + h), 0, height).tolist()
    boxes.add((xs[0], ys[0], xs[1], ys[1]), classes.index(CLASSES[label]), where)


def _frames(recording: Recording, t: int) -> NDArray[np.uint8]:
    """uint8 [T, H, W, 3], the latest slice first, three equal channels."""
    try:
        grey = slices(recording, t)[::-1]
    except EventFileError as error:
        raise DatasetError(str(error)) from None
    return np.repeat(grey[..., None], 3, axis=3)
