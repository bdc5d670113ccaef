"""Which format a folder holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from training.detect.formats.coco import is_coco, read_coco
from training.detect.formats.stored import DatasetError, Stored
from training.detect.formats.voc import is_voc, read_voc


@dataclass(frozen=True)
class Format:
    """One format: whether a folder holds it, and how it is read."""

    holds: Callable[[Path, str], bool]
    read: Callable[[Path, str, tuple[str, ...]], list[Stored]]
    what: str


def _yolo(root: Path, split: str, classes: tuple[str, ...]) -> list[Stored]:
    from training.detect.formats.yolo import read_yolo  # needs PyYAML

    return read_yolo(root, split, classes)


def _recordings(root: Path, split: str, classes: tuple[str, ...]) -> list[Stored]:
    from training.detect.formats.recordings import read_recordings

    return read_recordings(root, split, classes)


def _is_yolo(root: Path, split: str) -> bool:
    return (root / "data.yaml").is_file()


def _is_recordings(root: Path, split: str) -> bool:
    return any((root / split).glob("*_td.dat"))


FORMATS = {
    "YOLO": Format(_is_yolo, _yolo, "data.yaml"),
    "COCO": Format(is_coco, read_coco, "annotations/instances_<split>*.json"),
    "Pascal VOC": Format(is_voc, read_voc, "<split>.txt and annotations/, or ImageSets/Main and Annotations/"),
    "event recordings": Format(_is_recordings, _recordings, "<split>/*_td.dat"),
}


def read_split(root: Path, split: str, classes: tuple[str, ...]) -> list[Stored]:
    """The samples of `split` ("train", "val", "test") of the data set in the folder `root`, at their own size.

    Raises `DatasetError` for a folder that holds no known format or no sample, and whatever its reader finds wrong.
    """
    for name, known in FORMATS.items():
        if known.holds(root, split):
            samples = known.read(root, split, classes)
            if not samples:
                raise DatasetError(f"{root}: the split {split!r} ({name}) is empty")
            return samples
    expected = "; ".join(f"{name}: {known.what}" for name, known in FORMATS.items())
    raise DatasetError(f"{root}: found no data set with a split {split!r}; expected one of {expected}")
