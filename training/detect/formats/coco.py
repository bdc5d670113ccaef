"""COCO: annotations/instances_<split>*.json, and a folder of images of the same name.

instances_train2017.json has its images in train2017/ or images/train2017/. Regions of a crowd are left out: they are no
boxes of one object.
"""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

from pycocotools.coco import COCO

from training.detect.formats.stored import Boxes, DatasetError, Stored, photograph


def _files(root: Path, split: str) -> list[Path]:
    return sorted((root / "annotations").glob(f"instances_{split}*.json"))


def is_coco(root: Path, split: str) -> bool:
    """Whether `root` holds such a data set."""
    return bool(_files(root, split))


def read_coco(root: Path, split: str, classes: tuple[str, ...]) -> list[Stored]:
    """All images of `split`, also those without boxes, by their numbers."""
    found = _files(root, split)
    if len(found) > 1:
        raise DatasetError(f"{root / 'annotations'}: expected one file for {split!r}, found {[p.name for p in found]}")
    path = found[0]
    coco = _index(path)
    labels = {}
    for number, category in coco.cats.items():
        if category.get("name") not in classes:
            raise DatasetError(f"{path}: category {number}: class {category.get('name')!r} is none of {classes}")
        labels[number] = classes.index(category["name"])
    folder = path.stem.removeprefix("instances_")
    images = root / folder if (root / folder).is_dir() else root / "images" / folder
    samples = []
    for image in coco.loadImgs(sorted(coco.getImgIds())):
        where = f"{path}: image {image['id']}"
        read, size = photograph(images / str(image.get("file_name")), where)
        stated = (image.get("height", size[0]), image.get("width", size[1]))
        if stated != size:
            raise DatasetError(f"{where}: expected {stated[1]} x {stated[0]} pixels, found {size[1]} x {size[0]}")
        boxes = Boxes(size)
        for entry in coco.imgToAnns[image["id"]]:
            if not entry.get("iscrowd"):
                _add(entry, boxes, labels, f"{path}: annotation {entry['id']}")
        samples.append(boxes.stored(str(image["file_name"]), read))
    return samples


def _index(path: Path) -> COCO:
    """The file, indexed; its lists and numbers are checked first, as pycocotools does not."""
    try:
        content = json.loads(path.read_bytes())
    except json.JSONDecodeError as error:
        raise DatasetError(f"{path}:{error.lineno}: expected JSON: {error.msg}") from None
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: expected JSON in UTF-8: {error.reason}") from None
    for key, needed in (("images", ("id", "file_name")), ("annotations", ("id", "image_id")), ("categories", ("id",))):
        entries = content.get(key) if isinstance(content, dict) else None
        if not isinstance(entries, list):
            raise DatasetError(f"{path}: expected a list {key!r}, found {type(entries).__name__}")
        for n, entry in enumerate(entries):
            missing = [k for k in needed if not isinstance(entry, dict) or k not in entry]
            if missing:
                raise DatasetError(f"{path}: {key}[{n}]: expected {needed}, {missing[0]!r} is missing")
    numbers = {image["id"] for image in content["images"]}
    for entry in content["annotations"]:
        if entry["image_id"] not in numbers:
            raise DatasetError(f"{path}: annotation {entry['id']}: there is no image {entry['image_id']}")
    coco = COCO()
    coco.dataset = content
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
    return coco


def _add(entry: dict[str, Any], boxes: Boxes, labels: dict[int, int], where: str) -> None:
    label = entry.get("category_id")
    if label not in labels:
        raise DatasetError(f"{where}: expected a category of {sorted(labels)}, found {label!r}")
    box = entry.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not all(isinstance(v, int | float) for v in box):
        raise DatasetError(f"{where}: expected bbox: x, y, w, h; found {box!r:.60}")
    x, y, w, h = box
    boxes.add((x, y, x + w, y + h), labels[label], where)
