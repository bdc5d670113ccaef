"""A tiny data set in Pascal VOC form: bright squares and dark bars on noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("square", "bar")


def write_scenes(root: Path, train: int = 6, val: int = 3, size: tuple[int, int] = (128, 96)) -> Path:
    """Write train.txt, val.txt, images/, annotations/ below `root`; images of `size` (width, height)."""
    (root / "images").mkdir(parents=True)
    (root / "annotations").mkdir()
    rng = np.random.default_rng(5)
    names = [f"scene{i}" for i in range(train + val)]
    for name in names:
        pixels = rng.integers(90, 130, (size[1], size[0], 3), dtype=np.uint8)
        objects = []
        for label, (w, h), colour in (("square", (32, 32), 240), ("bar", (48, 16), 10)):
            x, y = rng.integers(0, size[0] - w), rng.integers(0, size[1] - h)
            pixels[y : y + h, x : x + w] = colour
            objects.append((label, x, y, x + w, y + h))
        objects += [("bar", 5, 5, 5, 9), ("bar", 5, 5, 9, 5)]  # zero size, as the real annotations hold some
        Image.fromarray(pixels).save(root / "images" / f"{name}.jpg", quality=95)
        items = "".join(
            f"<object><name>{label}</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax>"
            "</bndbox></object>"
            for label, a, b, c, d in objects
        )
        (root / "annotations" / f"{name}.xml").write_text(f"<annotation>{items}</annotation>")
    (root / "train.txt").write_text("\n".join(names[:train]) + "\n")
    (root / "val.txt").write_text("\n".join(names[train:]) + "\n")
    return root
