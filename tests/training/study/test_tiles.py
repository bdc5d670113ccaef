"""Tiles: no pixel on both sides of a fold, boxes where they were, everything covered."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from training.detect.formats import DatasetError, read_split
from training.detect.study import tiles
from training.detect.study.tiles import CLASSES, LARGE, OTHERS, SIDE, cut_folds, cut_others, read_photograph

HEIGHT, WIDTH = 901, 1000
REAL = Path(__file__).parents[3] / "runs" / "study" / "data" / "crowns"
BOXES = np.array(
    [
        [10, 20, 60, 90],
        [300, 300, 330, 350],  # in two tiles of the first quarter, more than 40% in one alone
        [480, 100, 530, 140],  # astride the border between quarters
        [900, 850, 1000, 901],
    ]
)


def write_xml(path: Path, boxes: np.ndarray) -> None:
    root = ET.Element("annotation")
    for box in boxes:
        item = ET.SubElement(root, "object")
        ET.SubElement(item, "name").text = "Tree"
        corner = ET.SubElement(item, "bndbox")
        for key, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True):
            ET.SubElement(corner, key).text = str(value)
    ET.ElementTree(root).write(path)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A photograph every pixel of which says where it is, and two others, one with a table of boxes."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    for name, (h, w) in ((LARGE, (HEIGHT, WIDTH)), (OTHERS[0], (400, 700)), (OTHERS[1], (320, 330))):
        picture = np.stack([y % 256, x % 256, (y // 256) * 16 + x // 256], -1).astype(np.uint8)[:h, :w]
        Image.fromarray(picture).save(folder / f"{name}.png")
    write_xml(folder / f"{LARGE}.xml", BOXES)
    write_xml(folder / f"{OTHERS[0]}.xml", BOXES[:2])
    (folder / f"{OTHERS[1]}.csv").write_text("image_path,xmin,ymin,xmax,ymax,label\na.tif,5,6,25,36,Tree\n")
    return folder


def places(image: np.ndarray) -> np.ndarray:
    """Numbers of the photograph's pixels that a tile shows."""
    row, column, block = np.moveaxis(image.astype(int), -1, 0)
    return (block // 16 * 256 + row) * WIDTH + block % 16 * 256 + column


def test_no_pixel_of_a_validation_tile_is_in_a_training_tile(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "crowns"
    cut_folds(source, out)
    validated = np.zeros(HEIGHT * WIDTH, int)
    for fold in range(4):
        seen = {}
        for split in ("train", "val"):
            seen[split] = np.zeros(HEIGHT * WIDTH, bool)
            for sample in read_split(out / f"fold{fold}", split, CLASSES):
                assert sample.size == (SIDE, SIDE)
                seen[split][places(sample.image)] = True
        assert not (seen["train"] & seen["val"]).any()
        assert seen["train"].any()
        validated += seen["val"]
    assert (validated == 1).all()  # each pixel is validated on, by one fold


def test_boxes_lie_on_what_they_lay_on(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "crowns"
    cut_folds(source, out)
    found = set()
    for fold in range(4):
        samples = [(split, s) for split in ("train", "val") for s in read_split(out / f"fold{fold}", split, CLASSES)]
        for split, sample in samples:
            y, x = divmod(int(places(sample.image)[0, 0]), WIDTH)
            whole = BOXES - np.array([x, y, x, y])
            cut = np.clip(whole, 0, SIDE)
            area = lambda b: (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1])  # noqa: E731
            expected = cut[area(cut) >= 0.4 * area(whole)]
            assert sample.boxes.tolist() == expected.tolist()
            assert len(expected) or split == "val"  # tiles without a box are validated on alone
            found |= {tuple(box) for box in (sample.boxes + np.array([x, y, x, y])).tolist()}
    assert (10, 20, 60, 90) in found  # whole somewhere
    assert (480, 100, 500, 140) in found  # on both sides of the border, cut there
    assert (500, 100, 530, 140) in found


def test_other_photographs_are_covered(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "others"
    cut_others(source, out)
    for name, size in ((OTHERS[0], (400, 700)), (OTHERS[1], (320, 330))):
        seen = np.zeros(HEIGHT * WIDTH, bool)
        for sample in read_split(out / name, "val", CLASSES):
            seen[places(sample.image)] = True
        assert seen.reshape(HEIGHT, WIDTH)[: size[0], : size[1]].all()
        assert seen.sum() == size[0] * size[1]
    assert [s.boxes.tolist() for s in read_split(out / OTHERS[1], "val", CLASSES)] == [
        [[5, 6, 25, 36]],
        [[0, 6, 15, 36]],
    ]


def test_what_is_there_is_not_cut_again(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(*_: object) -> int:
        raise KeyboardInterrupt

    out = tmp_path / "crowns"
    with monkeypatch.context() as patched:
        patched.setattr(tiles, "_write", dies)
        with pytest.raises(KeyboardInterrupt):
            cut_folds(source, out)
    assert not out.exists()  # nothing half cut is taken for whole
    cut_folds(source, out)
    cut_folds(tmp_path / "nowhere", out)


def test_a_table_that_holds_no_numbers_is_refused(source: Path) -> None:
    table = source / f"{OTHERS[1]}.csv"
    table.write_text(table.read_text() + "a.tif,5,six,25,36,Tree\n")
    with pytest.raises(DatasetError, match=r"OSBS_029\.csv:3: expected a number, found 'six'"):
        read_photograph(source, OTHERS[1])


@pytest.mark.skipif(not REAL.is_dir(), reason="the photographs have not been cut here")
def test_the_tiles_of_the_study() -> None:
    validated = 0
    for fold in range(4):
        placed = {}
        for split in ("train", "val"):
            samples = read_split(REAL / f"fold{fold}", split, CLASSES)
            placed[split] = np.array([s.name.split("_")[1:] for s in samples], int)
            validated += len(samples) if split == "val" else 0
        apart = np.abs(placed["train"][:, None] - placed["val"][None]).max(-1)
        assert (apart >= SIDE).all()
        assert len(placed["train"]) > 100
    assert validated == 64
