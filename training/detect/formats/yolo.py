"""YOLO: data.yaml with the splits and the names of the classes, and beside each image a text file of boxes.

A split is a folder of images, or a text file that lists them; the labels of .../images/<x>.jpg are in
.../labels/<x>.txt, one box a line: class cx cy w h, the last four as shares of the image's sides. An image without such
a file shows nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from training.detect.formats.stored import SUFFIXES, Boxes, DatasetError, Stored, number, photograph

DATA = "data.yaml"


def read_yolo(root: Path, split: str, classes: tuple[str, ...]) -> list[Stored]:
    """All samples of `split`. Class numbers of the files are matched with `classes` by name."""
    content = _description(root / DATA)
    numbers = _numbers(content, root / DATA, classes)
    if split not in content:
        raise DatasetError(f"{root / DATA}: expected the split {split!r}, found {sorted(content)}")
    base = root / str(content.get("path") or "")
    places = content[split] if isinstance(content[split], list) else [content[split]]
    samples = []
    for path, where in [found for place in places for found in _images(base / str(place), base, root / DATA)]:
        read, size = photograph(path, where)
        boxes = Boxes(size)
        labels = _labels_of(path)
        if labels.is_file():
            _read_labels(labels, boxes, numbers)
        samples.append(
            boxes.stored(path.relative_to(base).as_posix() if path.is_relative_to(base) else str(path), read)
        )
    return samples


def _description(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise DatasetError(f"{path}{line}: expected YAML: {getattr(error, 'problem', None) or error}") from None
    if not isinstance(content, dict):
        raise DatasetError(f"{path}: expected keys and values, found {type(content).__name__}")
    return content


def _numbers(content: dict[str, Any], path: Path, classes: tuple[str, ...]) -> dict[int, int]:
    """Class number of the files -> ours."""
    names = content.get("names")
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not all(isinstance(k, int) for k in names):
        raise DatasetError(f"{path}: expected names: a list, or class numbers with their names; found {names!r:.80}")
    if "nc" in content and content["nc"] != len(names):
        raise DatasetError(f"{path}: nc says {content['nc']!r} classes, names has {len(names)}")
    strange = [n for n in names.values() if n not in classes]
    if strange:
        raise DatasetError(f"{path}: class {strange[0]!r} is none of {classes}")
    return {number: classes.index(name) for number, name in names.items()}


def _images(place: Path, base: Path, description: Path) -> list[tuple[Path, str]]:
    """Images of a split, in the order of their names or of the list, and who names each."""
    if place.is_dir():
        return [(p, str(place)) for p in sorted(place.rglob("*")) if p.suffix.lower() in SUFFIXES]
    if not place.is_file():
        raise DatasetError(f"{description}: expected a folder of images or a list of them at {place}, found nothing")
    lines = enumerate(place.read_text().splitlines(), 1)
    return [(base / line.strip(), f"{place}:{n}") for n, line in lines if line.strip()]


def _labels_of(image: Path) -> Path:
    """The last folder named images becomes labels; without one, the labels lie beside the image."""
    parts = list(image.parts)
    if "images" in parts:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    return Path(*parts).with_suffix(".txt")


def _read_labels(path: Path, boxes: Boxes, numbers: dict[int, int]) -> None:
    height, width = boxes.size
    for n, line in enumerate(path.read_text().splitlines(), 1):
        where = f"{path}:{n}"
        words = line.split()
        if not words:
            continue
        if len(words) != 5:
            raise DatasetError(f"{where}: expected class, cx, cy, w, h; found {len(words)} values")
        label, cx, cy, w, h = (number(word, where) for word in words)
        if label not in numbers:
            raise DatasetError(f"{where}: expected a class of {sorted(numbers)}, found {words[0]}")
        if not all(0 <= v <= 1 for v in (cx, cy, w, h)):
            raise DatasetError(f"{where}: expected shares 0..1 of the image's sides, found {' '.join(words[1:])}")
        corners = ((cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width, (cy + h / 2) * height)
        boxes.add(corners, numbers[int(label)], where)
