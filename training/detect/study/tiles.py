"""Cuts annotated photographs into tiles: one large one into data sets for spatial cross-validation, others whole.

The large photograph is divided into four quarters. A fold validates on one and trains on the tiles of the other three;
no tile crosses the border of a quarter, so that no pixel is in both. The other photographs are for networks that never
saw them.
"""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.detect.formats.stored import Boxes, number
from training.detect.formats.voc import read_annotation

LARGE = "2019_YELL_2_528000_4978000_image_crop2"
OTHERS = ("2019_YELL_2_541000_4977000_image_crop", "OSBS_029")
CLASSES = ("Tree",)
CORNERS = ("xmin", "ymin", "xmax", "ymax")
SIDE = 320
STRIDE = 160  # of training tiles; those that are evaluated do not overlap more than they must
KEPT = 0.4  # a box belongs to a tile that holds this share of its area


def cut_folds(source: Path, out: Path) -> None:
    """Write VOC data sets fold0 to fold3 of the large photograph of `source` into `out`, unless they are there."""
    if out.exists():
        return
    pixels, boxes = read_photograph(source, LARGE)
    aside = _aside(out)
    for fold in range(4):
        folder = aside / f"fold{fold}"
        names: dict[str, list[str]] = {"train": [], "val": []}
        for quarter in range(4):
            split, stride = ("val", SIDE) if quarter == fold else ("train", STRIDE)
            for x, y in corners(pixels.shape[:2], quarter, stride):
                name = f"{quarter}_{y}_{x}"
                if _write(folder, name, pixels, boxes, x, y) or split == "val":
                    names[split].append(name)
        _list(folder, names)
    aside.replace(out)


def cut_others(source: Path, out: Path) -> None:
    """Write a VOC data set, with a validation split alone, of each other photograph into `out`, unless it is there."""
    if out.exists():
        return
    aside = _aside(out)
    for photograph in OTHERS:
        pixels, boxes = read_photograph(source, photograph)
        height, width = pixels.shape[:2]
        places = [(x, y) for y in along(0, height, SIDE) for x in along(0, width, SIDE)]
        for x, y in places:
            _write(aside / photograph, f"{y}_{x}", pixels, boxes, x, y)
        _list(aside / photograph, {"val": [f"{y}_{x}" for x, y in places]})
    aside.replace(out)


def read_photograph(source: Path, name: str) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Pixels [H, W, 3] and boxes [N, 4], x1 y1 x2 y2, from an XML file or a CSV file beside the photograph."""
    Image.MAX_IMAGE_PIXELS = None
    with Image.open(source / f"{name}.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    table = source / f"{name}.csv"
    if not table.is_file():
        found = read_annotation(source / f"{name}.xml", CLASSES, pixels.shape[:2])
        return pixels, np.array(found.corners, np.float64)
    found = Boxes(pixels.shape[:2])
    with table.open(newline="") as file:
        for line, row in enumerate(csv.DictReader(file), 2):
            where = f"{table}:{line}"
            found.add([number(row[key], where) for key in CORNERS], CLASSES.index(row["label"]), where)
    return pixels, np.array(found.corners, np.float64)


def corners(size: tuple[int, ...], quarter: int, stride: int) -> list[tuple[int, int]]:
    """Upper left corners (x, y) of the tiles of a quarter, which they cover; the last ones end at its border."""
    spans = []
    for side, part in zip(size, divmod(quarter, 2), strict=True):
        spans.append(along(*((0, side // 2) if part == 0 else (side // 2, side)), stride))
    return [(x, y) for y in spans[0] for x in spans[1]]


def along(begin: int, end: int, stride: int) -> list[int]:
    """Where tiles begin that cover begin..end."""
    return [*range(begin, end - SIDE, stride), end - SIDE]


def _aside(out: Path) -> Path:
    """An empty folder beside `out`, which it becomes when it is whole."""
    aside = out.with_name(out.name + ".tmp")
    shutil.rmtree(aside, ignore_errors=True)
    return aside


def _list(folder: Path, names: dict[str, list[str]]) -> None:
    for split, listed in names.items():
        (folder / f"{split}.txt").write_text("\n".join(listed) + "\n")


def _write(folder: Path, name: str, pixels: NDArray[np.uint8], boxes: NDArray[np.float64], x: int, y: int) -> int:
    """Write one tile and its annotation; returns its number of boxes."""
    for part in ("images", "annotations"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels[y : y + SIDE, x : x + SIDE]).save(folder / "images" / f"{name}.png")
    whole = boxes - np.array([x, y, x, y])
    cut = np.clip(whole, 0, SIDE)
    share = (cut[:, 2:] - cut[:, :2]).prod(1) / (whole[:, 2:] - whole[:, :2]).prod(1)
    root = ET.Element("annotation")
    for box in cut[share >= KEPT]:
        item = ET.SubElement(root, "object")
        ET.SubElement(item, "name").text = CLASSES[0]
        corner = ET.SubElement(item, "bndbox")
        for key, value in zip(CORNERS, box, strict=True):
            ET.SubElement(corner, key).text = f"{value:g}"
    ET.ElementTree(root).write(folder / "annotations" / f"{name}.xml")
    return int((share >= KEPT).sum())
