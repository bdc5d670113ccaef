"""Images with boxes in Pascal VOC form, in memory, and batches that are a function of (seed, step) alone."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pyspike.tasks.detect import letterbox
from training.detect.augment import augment
from training.detect.config import Config


@dataclass(frozen=True)
class Sample:
    """One image and its boxes.

    name: file stem; image: uint8 [H, W, 3] RGB; boxes: float32 [N, 4], x1 y1 x2 y2 in pixels of `image`;
    classes: int64 [N].
    """

    name: str
    image: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]


def read_annotation(path: Path, classes: tuple[str, ...]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Boxes [N, 4] (x1 y1 x2 y2, pixels) and class numbers [N] of a VOC file; boxes of zero size are dropped.

    Raises `ValueError` for a class that is not in `classes`.
    """
    boxes, labels = [], []
    for item in ET.parse(path).getroot().iter("object"):
        name = item.findtext("name", "")
        if name not in classes:
            raise ValueError(f"{path}: class {name!r} is none of {classes}")
        corners = [float(item.findtext(f"bndbox/{key}", "nan")) for key in ("xmin", "ymin", "xmax", "ymax")]
        if corners[2] > corners[0] and corners[3] > corners[1]:
            boxes.append(corners)
            labels.append(classes.index(name))
    return np.array(boxes, np.float32).reshape(-1, 4), np.array(labels, np.int64)


def read_split(root: Path, split: str, classes: tuple[str, ...]) -> list[Sample]:
    """All samples that the list of `split` names, at their own size.

    `root` holds <split>.txt, images/<name>.jpg and annotations/<name>.xml, or the same in the folders of Pascal VOC:
    ImageSets/Main, JPEGImages and Annotations. Raises `FileNotFoundError` where neither is there.
    """
    voc = (root / "ImageSets" / "Main").is_dir()
    lists, images, annotations = (
        ("ImageSets/Main", "JPEGImages", "Annotations") if voc else ("", "images", "annotations")
    )
    samples = []
    for name in (root / lists / f"{split}.txt").read_text().split():
        with Image.open(root / images / f"{name}.jpg") as picture:
            image = np.asarray(picture.convert("RGB"))
        boxes, labels = read_annotation(root / annotations / f"{name}.xml", classes)
        samples.append(Sample(name, image, boxes, labels))
    return samples


def letterboxed(samples: list[Sample], width: int, height: int) -> list[Sample]:
    """The samples on the network's canvas of width x height pixels."""
    out = []
    for s in samples:
        image, place = letterbox(s.image, (height, width))
        out.append(Sample(s.name, image, place.to_target(s.boxes.astype(np.float64)).astype(np.float32), s.classes))
    return out


@dataclass(frozen=True)
class Batch:
    """images: uint8 [B, H, W, 3]; boxes: float32 [B, M, 4] x1 y1 x2 y2 in pixels; classes: int64 [B, M], -1 = none."""

    images: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]


def collate(samples: list[Sample]) -> Batch:
    """Stack samples of one size, their boxes padded to the largest number."""
    most = max(1, max(len(s.classes) for s in samples))
    boxes = np.zeros((len(samples), most, 4), np.float32)
    classes = np.full((len(samples), most), -1, np.int64)
    for i, s in enumerate(samples):
        boxes[i, : len(s.boxes)], classes[i, : len(s.classes)] = s.boxes, s.classes
    return Batch(np.stack([s.image for s in samples]), boxes, classes)


def training_batch(
    samples: list[Sample], step: int, config: Config, mosaic: bool = True, rank: int = 0, ranks: int = 1
) -> Batch:
    """The batch of `step`: images in a fresh order every epoch, augmented: a function of (seed, step) alone.

    Of `ranks` processes, the one of number `rank` gets its share: shares put together are the batch of one process.
    """
    per_epoch = len(samples) // config.batch or 1
    epoch, position = divmod(step, per_epoch)
    order = np.random.default_rng([config.seed, epoch]).permutation(len(samples))
    picked = order[np.arange(position * config.batch, (position + 1) * config.batch) % len(samples)]
    out = []
    share = config.batch // ranks
    for slot, index in list(enumerate(picked))[rank * share : (rank + 1) * share]:
        rng = np.random.default_rng([config.seed, step, slot])
        image, boxes, classes = augment(samples, int(index), rng, config, mosaic)
        out.append(Sample(samples[index].name, image, boxes, classes))
    return collate(out)
