"""Augmentation of letterboxed images: mosaic, scale and translation, flips both ways, hue, saturation and value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.detect.config import Config

if TYPE_CHECKING:
    from training.detect.data import AnySample

Labelled = tuple[Image.Image, NDArray[np.float32], NDArray[np.int64]]
FILL = (114, 114, 114)
SMALLEST = 3.0  # pixels: narrower boxes are dropped
KEPT = 0.25  # and so are boxes of which less than this share of the area is left


def augment(
    samples: Sequence[AnySample], index: int, rng: np.random.Generator, config: Config, mosaic: bool
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int64]]:
    """One augmented sample (image uint8 [H, W, 3], boxes [N, 4], classes [N]), a function of the generator's state."""
    size = (config.width, config.height)
    if mosaic and rng.random() < config.mosaic:
        others = rng.integers(0, len(samples), 3)
        tiles = [samples[i] for i in (index, *others)]
        image, boxes, classes, zoom = *_tile(tiles, size), 1.0
    else:
        s = samples[index]
        image, boxes, classes, zoom = Image.fromarray(s.image), s.boxes, s.classes, 1.0
    zoom *= 1 + rng.uniform(-config.scale, config.scale)
    shift = rng.uniform(-config.translate, config.translate, 2) * size
    image, boxes, classes = _zoom((image, boxes, classes), size, zoom, shift)
    for axis, flip in ((0, Image.Transpose.FLIP_LEFT_RIGHT), (1, Image.Transpose.FLIP_TOP_BOTTOM)):
        if rng.random() < 0.5:
            image = image.transpose(flip)
            low = size[axis] - boxes[:, axis + 2].copy()
            boxes[:, axis + 2], boxes[:, axis] = size[axis] - boxes[:, axis], low
    return np.asarray(_shift_colours(image, rng, config.hsv)), boxes, classes


def _tile(tiles: Sequence[AnySample], size: tuple[int, int]) -> Labelled:
    """Four images edge to edge on a canvas of twice the size."""
    w, h = size
    canvas = Image.new("RGB", (2 * w, 2 * h), FILL)
    boxes, classes = [], []
    for tile, (x, y) in zip(tiles, ((0, 0), (w, 0), (0, h), (w, h)), strict=True):
        canvas.paste(Image.fromarray(tile.image), (x, y))
        boxes.append(tile.boxes + np.array([x, y, x, y], np.float32))
        classes.append(tile.classes)
    return canvas, np.concatenate(boxes), np.concatenate(classes)


def _zoom(labelled: Labelled, size: tuple[int, int], zoom: float, shift: NDArray[np.float64]) -> Labelled:
    """Scale about the centre by `zoom`, move by `shift` pixels, cut to `size`."""
    image, boxes, classes = labelled
    w, h = size
    # new = zoom * (old - old centre) + new centre + shift
    cx, cy = image.width / 2, image.height / 2
    ox, oy = w / 2 + shift[0] - zoom * cx, h / 2 + shift[1] - zoom * cy
    inverse = (1 / zoom, 0.0, -ox / zoom, 0.0, 1 / zoom, -oy / zoom)
    moved = image.transform(size, Image.Transform.AFFINE, inverse, Image.Resampling.BILINEAR, fillcolor=FILL)
    whole = boxes * np.float32(zoom) + np.array([ox, oy, ox, oy], np.float32)
    cut = np.clip(whole, 0, np.array([w, h, w, h], np.float32))
    sides, before = cut[:, 2:] - cut[:, :2], whole[:, 2:] - whole[:, :2]
    kept = (sides > SMALLEST).all(1) & (sides.prod(1) > KEPT * before.prod(1))
    return moved, cut[kept], classes[kept]


def _shift_colours(image: Image.Image, rng: np.random.Generator, ranges: tuple[float, float, float]) -> Image.Image:
    """Random gains of hue (cyclic), saturation and value."""
    hue, saturation, value = 1 + rng.uniform(-1, 1, 3) * ranges
    levels = np.arange(256)
    table = np.concatenate(
        [
            np.floor(levels + (hue - 1) * 256) % 256,
            np.clip(levels * saturation, 0, 255),
            np.clip(levels * value, 0, 255),
        ]
    )
    return image.convert("HSV").point(table.astype(np.uint8).tolist()).convert("RGB")
