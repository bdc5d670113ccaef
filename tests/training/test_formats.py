"""One data set in every format reads the same, and what is broken is named with its file and line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from training.detect.data import collate, letterboxed
from training.detect.formats import DatasetError, Stored, read_split

from .scenes import CLASSES, write_scenes


def voc(root: Path) -> Path:
    return write_scenes(root, 2, 1)


def voc_folders(root: Path) -> Path:
    """The same in Pascal VOC's own folders."""
    plain = write_scenes(root.with_name("plain"), 2, 1)
    (root / "ImageSets").mkdir(parents=True)
    (plain / "images").rename(root / "JPEGImages")
    (plain / "annotations").rename(root / "Annotations")
    plain.rename(root / "ImageSets" / "Main")
    return root


def yolo(root: Path) -> Path:
    """The same as data.yaml and shares of the sides, with the classes in the other order."""
    plain = write_scenes(root.with_name("plain"), 2, 1)
    for split in ("train", "val"):
        (root / "images" / split).mkdir(parents=True)
        (root / "labels" / split).mkdir(parents=True)
        for s in read_split(plain, split, CLASSES):
            (plain / "images" / f"{s.name}.jpg").rename(root / "images" / split / f"{s.name}.jpg")
            lines = []
            for (x1, y1, x2, y2), label in zip(s.boxes.tolist(), s.classes.tolist(), strict=True):
                centre = (x1 + x2) / 2 / 128, (y1 + y2) / 2 / 96, (x2 - x1) / 128, (y2 - y1) / 96
                lines.append(f"{1 - label} " + " ".join(map(repr, centre)))
            (root / "labels" / split / f"{s.name}.txt").write_text("\n".join(lines) + "\n")
    description = {"path": ".", "train": "images/train", "val": "images/val", "nc": 2, "names": list(CLASSES[::-1])}
    (root / "data.yaml").write_text(yaml.safe_dump(description))
    return root


def coco(root: Path) -> Path:
    """The same as instances_<split>2017.json, with a crowd that is left out and numbers that have gaps."""
    plain = write_scenes(root.with_name("plain"), 2, 1)
    (root / "annotations").mkdir(parents=True)
    for split in ("train", "val"):
        (root / f"{split}2017").mkdir()
        images: list[Any] = []
        entries: list[Any] = []
        for s in read_split(plain, split, CLASSES):
            (plain / "images" / f"{s.name}.jpg").rename(root / f"{split}2017" / f"{s.name}.jpg")
            images.append({"id": 7 * len(images) + 3, "file_name": f"{s.name}.jpg", "width": 128, "height": 96})
            for (x1, y1, x2, y2), label in zip(s.boxes.tolist(), s.classes.tolist(), strict=True):
                entry = {"image_id": images[-1]["id"], "category_id": (9, 4)[label], "bbox": [x1, y1, x2 - x1, y2 - y1]}
                entries.append({**entry, "id": len(entries) + 1, "iscrowd": 0})
            crowd = {"image_id": images[-1]["id"], "category_id": 4, "bbox": [0, 0, 9, 9], "iscrowd": 1}
            entries.append({**crowd, "id": len(entries) + 1})
        categories = [{"id": 9, "name": "square"}, {"id": 4, "name": "bar"}]
        content = {"images": images[::-1], "annotations": entries, "categories": categories}
        (root / "annotations" / f"instances_{split}2017.json").write_text(json.dumps(content))
    return root


@pytest.mark.parametrize("write", [voc, voc_folders, yolo, coco])
def test_every_format_reads_the_same(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    expected = read_split(write_scenes(tmp_path / "expected", 2, 1), "train", CLASSES)
    root = write(tmp_path / "data")
    found = read_split(root, "train", CLASSES)
    assert [Path(s.name).stem for s in found] == [s.name for s in expected] == ["scene0", "scene1"]
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.size == theirs.size == (96, 128)
        assert (ours.image == theirs.image).all()
        assert ours.classes.tolist() == theirs.classes.tolist() == [0, 1]
        np.testing.assert_allclose(ours.boxes, theirs.boxes, atol=1e-5)
        assert (ours.boxes[:, 2:] - ours.boxes[:, :2]).round(3).tolist() == [[32, 32], [48, 16]]  # as scenes draws them
    assert len(read_split(root, "val", CLASSES)) == 1
    with pytest.raises(DatasetError, match=r"(train|data|instances_train2017|scene0)\S*: .*'bar' is none of"):
        read_split(root, "train", ("square",))


def test_images_may_stay_on_disk(tmp_path: Path) -> None:
    samples = read_split(voc(tmp_path / "data"), "train", CLASSES)
    kept, read = letterboxed(samples, 64, 64), letterboxed(samples, 64, 64, in_memory=False)
    one, two = collate(kept), collate(read)
    assert (one.images == two.images).all()
    assert (one.boxes == two.boxes).all()
    assert [s.content for s in kept] == [s.content for s in read] == [(0, 8, 64, 56)] * 2
    for path in (tmp_path / "data" / "images").iterdir():
        path.unlink()
    assert kept[0].image.shape == (64, 64, 3)
    with pytest.raises(DatasetError, match="cannot be read"):
        read[0].image


def replaced(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def line(path: Path, number: int, content: str) -> None:
    lines = path.read_text().splitlines()
    lines[number - 1 : number] = [content]
    path.write_text("\n".join(lines))


JSON = "annotations/instances_train2017.json"
LABELS = "labels/train/scene0.txt"
BROKEN: list[tuple[Callable[[Path], Path], Callable[[Path], Any], str]] = [
    (voc, lambda r: (r / "images/scene1.jpg").unlink(), "train.txt:2: the image .*scene1.jpg is missing"),
    (voc, lambda r: (r / "annotations/scene1.xml").unlink(), "train.txt:2: the annotation .*scene1.xml is missing"),
    (voc, lambda r: (r / "images/scene0.jpg").write_bytes(b"no"), "scene0.jpg: expected an image"),
    (voc, lambda r: replaced(r / "annotations/scene0.xml", "<object>", "\n\n<object>\n"), ""),
    (voc, lambda r: replaced(r / "annotations/scene0.xml", "<object><name>bar", "\n<object><name>cat"),
     "scene0.xml:2: class 'cat' is none of"),
    (voc, lambda r: replaced(r / "annotations/scene0.xml", "<xmin>", "<xmin>nan"), "scene0.xml:1: expected a number"),
    (voc, lambda r: replaced(r / "annotations/scene0.xml", "xmin", "left"), "scene0.xml:1: .*mismatched tag"),
    (voc, lambda r: (r / "annotations/scene0.xml").write_text("<a>\n<object/></a>"), "xml:2: class '' is none of"),
    (voc, lambda r: (r / "annotations/scene0.xml").write_text("<a>\n\n<object><name>bar</name></object></a>"),
     "xml:3: expected an object with bndbox/xmin"),
    (voc, lambda r: (r / "train.txt").write_text("\n"), "the split 'train' .* is empty"),
    (voc, lambda r: (r / "train.txt").unlink(), "found no data set with a split 'train'; expected one of YOLO"),
    (yolo, lambda r: line(r / LABELS, 2, "2 .5 .5 .1 .1"), r"scene0.txt:2: expected a class of \[0, 1\]"),
    (yolo, lambda r: line(r / LABELS, 2, "0.5 .5 .5 .1 .1"), "scene0.txt:2: expected a class"),
    (yolo, lambda r: line(r / LABELS, 2, "1 .5 .5 .1"), "scene0.txt:2: expected class, .*found 4"),
    (yolo, lambda r: line(r / LABELS, 2, "1 .5 x .1 .1"), "scene0.txt:2: expected a number, found 'x'"),
    (yolo, lambda r: line(r / LABELS, 2, "1 .5 nan .1 .1"), "scene0.txt:2: expected shares"),
    (yolo, lambda r: line(r / LABELS, 2, "1 .5 1.5 .1 .1"), "scene0.txt:2: expected shares"),
    (yolo, lambda r: (r / LABELS).unlink(), ""),
    (yolo, lambda r: (r / "data.yaml").write_text("names: [a\nb: c"), "data.yaml:2: expected YAML"),
    (yolo, lambda r: (r / "data.yaml").write_text("- 1"), "data.yaml: expected keys and values, found list"),
    (yolo, lambda r: replaced(r / "data.yaml", "nc: 2", "nc: 3"), "data.yaml: nc says 3 classes, names has 2"),
    (yolo, lambda r: replaced(r / "data.yaml", "train: images/train", "train: absent"), "data.yaml: .*found nothing"),
    (yolo, lambda r: replaced(r / "data.yaml", "train: ", "other: "), "data.yaml: expected the split 'train'"),
    (yolo, lambda r: replaced(r / "data.yaml", "names:", "labels:"), "data.yaml: expected names"),
    (yolo, lambda r: ((r / "list.txt").write_text("images/train/scene0.jpg\nimages/train/x.jpg\n"),
                      replaced(r / "data.yaml", "train: images/train", "train: list.txt")), "list.txt:2: the image"),
    (coco, lambda r: (r / "train2017/scene1.jpg").unlink(), "image 10: the image .*scene1.jpg is missing"),
    (coco, lambda r: replaced(r / JSON, '"bbox": [', '"bbox": [-500'),
     "annotation 1: box .* outside its image of 128 x 96"),
    (coco, lambda r: replaced(r / JSON, ", 32.0, 32.0]", ", -2, 32.0]"),
     "annotation 1: expected a box with x1 <= x2"),
    (coco, lambda r: replaced(r / JSON, ", 32.0, 32.0]", ", NaN, 32.0]"),
     "annotation 1: expected a box of four finite numbers"),
    (coco, lambda r: replaced(r / JSON, ", 32.0, 32.0]", ", 32.0]"),
     "annotation 1: expected bbox: x, y, w, h"),
    (coco, lambda r: replaced(r / JSON, '"category_id": 9', '"category_id": 8'),
     r"annotation 1: expected a category of \[4, 9\], found 8"),
    (coco, lambda r: replaced(r / JSON, '"image_id": 3', '"image_id": 4'),
     "annotation 1: there is no image 4"),
    (coco, lambda r: replaced(r / JSON, '"width": 128', '"width": 127'),
     "image 10: expected 127 x 96 pixels, found 128 x 96"),
    (coco, lambda r: replaced(r / JSON, '"file_name"', '"name"'),
     r"images\[0\]: .*'file_name' is missing"),
    (coco, lambda r: (r / JSON).write_text('{\n"images": ]'), "2017.json:2: expected JSON"),
    (coco, lambda r: (r / JSON).write_bytes(b"\xff"), "2017.json: expected JSON in UTF-8"),
    (coco, lambda r: (r / JSON).write_text("[]"), "expected a list 'images'"),
    (coco, lambda r: (r / "annotations/instances_train.json").write_text("{}"), "expected one file for 'train'"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("write", "damage", "message"), BROKEN, ids=lambda v: re.sub(r"\W+", " ", v) if isinstance(v, str) else None
)
def test_what_is_broken_is_named(tmp_path: Path, write: Any, damage: Any, message: str) -> None:
    root = write(tmp_path / "data")
    damage(root)
    if not message:  # unusual, and allowed
        assert len(read_split(root, "train", CLASSES)) == 2
        return
    with pytest.raises(DatasetError, match=message):
        read_split(root, "train", CLASSES)


def test_a_truncated_image_is_named_when_it_is_read(tmp_path: Path) -> None:
    root = voc(tmp_path / "data")
    path = root / "images" / "scene0.jpg"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DatasetError, match=r"scene0\.jpg: the image cannot be read"):
        read_split(root, "train", CLASSES)[0].image


def write_recording(root: Path) -> Path:
    """One recording of 304 x 240 pixels: an event each in the first and last 62.5 ms before the label at 300 ms."""
    events = np.array([(60_000, 5 | 7 << 14 | 1 << 28), (299_999, 9 | 3 << 14), (300_000, 1 | 1 << 14)], "<u4,<u4")
    boxes = np.array(
        [(300_000, -4, 10, 24, 30, 1, 1, 0), (300_000, 100, 50, 20, 10, 0, 1, 1)],
        [("ts", "<u8"), *((n, "<f4") for n in "xywh"), ("class_id", "u1"), ("confidence", "<f4"), ("track_id", "<u4")],
    )
    (root / "train").mkdir(parents=True)
    header = b"% Height 240\n% Width 304\n"
    (root / "train" / "a_td.dat").write_bytes(header + bytes([0, 8]) + events.tobytes())
    np.save(root / "train" / "a_bbox.npy", boxes)
    return root


def test_recordings_give_frames_latest_first(tmp_path: Path) -> None:
    (found,) = read_split(write_recording(tmp_path), "train", ("car", "pedestrian"))
    assert found.image.shape == (4, 240, 304, 3)
    assert found.image[3, 7, 5].tolist() == [255] * 3
    assert found.image[0, 3, 9].tolist() == [0] * 3
    assert (found.image != 127).any(-1).sum() == 2
    assert found.classes.tolist() == [1, 0]
    assert found.boxes.tolist() == [[0, 10, 20, 40], [100, 50, 120, 60]]
    (fitted,) = letterboxed([found], 320, 320)
    assert fitted.image.shape == (4, 320, 320, 3)
    assert collate([fitted, fitted]).inputs().shape == (2, 4, 3, 320, 320)
    with pytest.raises(DatasetError, match=r"a_bbox\.npy: box 0: class 1 .* is none of"):
        read_split(tmp_path, "train", ("car",))
    path = tmp_path / "train" / "a_td.dat"
    whole = path.read_bytes()
    path.write_bytes(whole[:-8] + whole[-16:-8].replace(whole[-16:-12], b"\0\0\0\0"))  # time runs backwards
    with pytest.raises(DatasetError, match=r"a_td\.dat: event 2: time runs backwards"):
        read_split(tmp_path, "train", ("car", "pedestrian"))[0].image
    path.write_bytes(whole[:-1])
    with pytest.raises(DatasetError, match=r"a_td\.dat: expected events of 8 bytes"):
        read_split(tmp_path, "train", ("car", "pedestrian"))
    (tmp_path / "train" / "a_bbox.npy").unlink()
    with pytest.raises(DatasetError, match=r"a_td\.dat: its annotations .*a_bbox\.npy are missing"):
        read_split(tmp_path, "train", ("car", "pedestrian"))


def test_samples_are_stored(tmp_path: Path) -> None:
    assert all(isinstance(s, Stored) for s in read_split(voc(tmp_path / "data"), "val", CLASSES))


def test_bigger_boxes_than_the_image_are_kept(tmp_path: Path) -> None:
    root = voc(tmp_path / "data")
    Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(root / "images" / "scene0.jpg")
    (root / "annotations" / "scene0.xml").write_text(
        "<a><object><name>bar</name><bndbox><xmin>-1</xmin><ymin>0</ymin><xmax>61</xmax><ymax>40</ymax></bndbox>"
        "</object></a>"
    )
    assert read_split(root, "train", CLASSES)[0].boxes.tolist() == [[-1, 0, 61, 40]]
