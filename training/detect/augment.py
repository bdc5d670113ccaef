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


def augment(
    samples: Sequence[AnySample], index: int, rng: np.random.Generator, config: Config, mosaic: bool
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int64]]:
    """One augmented sample (image uint8 [H, W, 3], boxes [N, 4], classes [N]), a function of the generator's state."""
    size = (config.width, config.height)
    if not (config.mosaic or config.scale or config.translate or any(config.hsv) or any(config.flips)):
        return samples[index].image, samples[index].boxes, samples[index].classes
    if mosaic and rng.random() < config.mosaic:
        others = rng.integers(0, len(samples), 3)
        tiles = [samples[i] for i in (index, *others)]
        image, boxes, classes, zoom = *_tile(tiles, size, rng, config.mosaic_centre), 1.0
    else:
        s = samples[index]
        image, boxes, classes, zoom = _picture(s.image), s.boxes, s.classes, 1.0
    zoom *= 1 + rng.uniform(-config.scale, config.scale)
    shift = rng.uniform(-config.translate, config.translate, 2) * size
    image, boxes, classes = _zoom((image, boxes, classes), size, zoom, shift, config)
    for axis, flip in ((0, Image.Transpose.FLIP_LEFT_RIGHT), (1, Image.Transpose.FLIP_TOP_BOTTOM)):
        if rng.random() < config.flips[axis]:
            image = image.transpose(flip)
            low = size[axis] - boxes[:, axis + 2].copy()
            boxes[:, axis + 2], boxes[:, axis] = size[axis] - boxes[:, axis], low
    return np.asarray(_shift_colours(image, rng, config.hsv)), boxes, classes


def _picture(image: NDArray[np.uint8]) -> Image.Image:
    if image.ndim != 3:
        raise ValueError(
            "frames of events are not augmented: set mosaic, scale, translate, hsv and flips to 0 (configs/gen1.toml)"
        )
    return Image.fromarray(image)


def _tile(tiles: list[AnySample], size: tuple[int, int], rng: np.random.Generator, wander: float) -> Labelled:
    """Four images around a point of a canvas of twice the size: its centre, or up to `wander` of the size from it.

    Where the point wanders, the borders of letterboxed images are left away, so that the pictures meet.
    """
    w, h = size
    canvas = Image.new("RGB", (2 * w, 2 * h), FILL)
    cx, cy = w, h
    if wander:
        cx, cy = (round(side * (1 + rng.uniform(-wander, wander))) for side in size)
    boxes, classes = [], []
    for tile, (left, above) in zip(tiles, ((1, 1), (0, 1), (1, 0), (0, 0)), strict=True):
        x1, y1, x2, y2 = (tile.content if wander else None) or (0, 0, w, h)
        x, y = cx - left * (x2 - x1), cy - above * (y2 - y1)
        canvas.paste(_picture(tile.image).crop((x1, y1, x2, y2)), (x, y))
        moved = tile.boxes + np.array([x - x1, y - y1] * 2, np.float32)
        boxes.append(np.clip(moved, 0, np.array([2 * w, 2 * h] * 2, np.float32)) if wander else moved)
        classes.append(tile.classes)
    return canvas, np.concatenate(boxes), np.concatenate(classes)


def _zoom(
    labelled: Labelled, size: tuple[int, int], zoom: float, shift: NDArray[np.float64], config: Config
) -> Labelled:
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
    kept = (sides > config.smallest).all(1) & (sides.prod(1) > config.kept * before.prod(1))
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
