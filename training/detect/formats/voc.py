"""Pascal VOC: lists of names, one XML file of boxes per image.

<split>.txt, images/<name>.jpg and annotations/<name>.xml, or the same in VOC's own folders ImageSets/Main, JPEGImages
and Annotations.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from xml.parsers import expat

from training.detect.formats.stored import SUFFIXES, Boxes, DatasetError, Stored, number, photograph


def _folders(root: Path) -> tuple[Path, Path, Path]:
    if (root / "ImageSets" / "Main").is_dir():
        return root / "ImageSets" / "Main", root / "JPEGImages", root / "Annotations"
    return root, root / "images", root / "annotations"


def is_voc(root: Path, split: str) -> bool:
    """Whether `root` holds such a data set."""
    lists, _, annotations = _folders(root)
    return (lists / f"{split}.txt").is_file() and annotations.is_dir()


def read_voc(root: Path, split: str, classes: tuple[str, ...]) -> list[Stored]:
    """All samples that the list of `split` names."""
    lists, images, annotations = _folders(root)
    listing = lists / f"{split}.txt"
    samples = []
    for line, name in enumerate(listing.read_text().splitlines(), 1):
        if name := name.strip():
            where = f"{listing}:{line}"
            path = next((p for s in SUFFIXES if (p := images / f"{name}{s}").is_file()), images / f"{name}.jpg")
            read, size = photograph(path, where)
            if not (annotations / f"{name}.xml").is_file():
                raise DatasetError(f"{where}: the annotation {annotations / f'{name}.xml'} is missing")
            samples.append(read_annotation(annotations / f"{name}.xml", classes, size).stored(name, read))
    return samples


def read_annotation(path: Path, classes: tuple[str, ...], size: tuple[int, int]) -> Boxes:
    """The boxes of one XML file whose image is of `size` (H, W)."""
    root, lines = _parsed(path)
    boxes = Boxes(size)
    for item in root.iter("object"):
        where = f"{path}:{lines[item]}"
        name = item.findtext("name", "")
        if name not in classes:
            raise DatasetError(f"{where}: class {name!r} is none of {classes}")
        corners = []
        for key in ("xmin", "ymin", "xmax", "ymax"):
            text = item.findtext(f"bndbox/{key}")
            if text is None:
                raise DatasetError(f"{where}: expected an object with bndbox/{key}, found none")
            corners.append(number(text, where))
        boxes.add(corners, classes.index(name), where)
    return boxes


def _parsed(path: Path) -> tuple[ET.Element, dict[ET.Element, int]]:
    """The root element, and the line on which each element begins."""
    parser, builder = expat.ParserCreate(), ET.TreeBuilder()
    lines: dict[ET.Element, int] = {}

    def start(tag: str, attributes: dict[str, str]) -> None:
        lines[builder.start(tag, attributes)] = parser.CurrentLineNumber

    parser.StartElementHandler, parser.EndElementHandler = start, builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(path.read_bytes(), True)
    except expat.ExpatError as error:
        raise DatasetError(f"{path}:{error.lineno}: expected XML: {expat.ErrorString(error.code)}") from None
    return builder.close(), lines
