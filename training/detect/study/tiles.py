"""Cuts one large annotated photograph into data sets for spatial cross-validation.

The photograph is divided into four quarters. A fold validates on one and trains on the tiles of the other three; no
tile crosses the border of a quarter, so that no pixel is in both.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.detect.formats.voc import read_annotation

LARGE = "2019_YELL_2_528000_4978000_image_crop2"
CLASSES = ("Tree",)
SIDE = 320
STRIDE = 160  # of training tiles; those that are evaluated do not overlap more than they must
KEPT = 0.4  # a box belongs to a tile that holds this share of its area


def cut_folds(source: Path, out: Path) -> None:
    """Write VOC data sets fold0 to fold3 of the large photograph of `source` into `out`, unless they are there."""
    if out.exists():
        return
    Image.MAX_IMAGE_PIXELS = None
    with Image.open(source / f"{LARGE}.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    found = read_annotation(source / f"{LARGE}.xml", CLASSES, pixels.shape[:2])
    boxes = np.array(found.corners, np.float64)
    aside = out.with_name(out.name + ".tmp")
    shutil.rmtree(aside, ignore_errors=True)
    for fold in range(4):
        folder = aside / f"fold{fold}"
        for part in ("images", "annotations"):
            (folder / part).mkdir(parents=True)
        names: dict[str, list[str]] = {"train": [], "val": []}
        for quarter in range(4):
            split, stride = ("val", SIDE) if quarter == fold else ("train", STRIDE)
            for x, y in corners(pixels.shape[:2], quarter, stride):
                name = f"{quarter}_{y}_{x}"
                if _write(folder, name, pixels, boxes, x, y) or split == "val":
                    names[split].append(name)
        for split, listed in names.items():
            (folder / f"{split}.txt").write_text("\n".join(listed) + "\n")
    aside.replace(out)


def corners(size: tuple[int, ...], quarter: int, stride: int) -> list[tuple[int, int]]:
    """Upper left corners (x, y) of the tiles of a quarter, which they cover; the last ones end at its border."""
    spans = []
    for side, part in zip(size, divmod(quarter, 2), strict=True):
        begin, end = (0, side // 2) if part == 0 else (side // 2, side)
        last = end - SIDE
        spans.append([*range(begin, last, stride), last])
    return [(x, y) for y in spans[0] for x in spans[1]]


def _write(folder: Path, name: str, pixels: NDArray[np.uint8], boxes: NDArray[np.float64], x: int, y: int) -> int:
    """Write one tile and its annotation; returns its number of boxes."""
    Image.fromarray(pixels[y : y + SIDE, x : x + SIDE]).save(folder / "images" / f"{name}.png")
    whole = boxes - np.array([x, y, x, y])
    cut = np.clip(whole, 0, SIDE)
    share = (cut[:, 2:] - cut[:, :2]).prod(1) / (whole[:, 2:] - whole[:, :2]).prod(1)
    root = ET.Element("annotation")
    for box in cut[share >= KEPT]:
        item = ET.SubElement(root, "object")
        ET.SubElement(item, "name").text = CLASSES[0]
        corner = ET.SubElement(item, "bndbox")
        for key, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True):
            ET.SubElement(corner, key).text = f"{value:g}"
    ET.ElementTree(root).write(folder / "annotations" / f"{name}.xml")
    return int((share >= KEPT).sum())
