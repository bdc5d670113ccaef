"""Images with boxes, in memory or on disk, and batches that are a function of (seed, step) alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyspike.tasks.letterbox import Letterbox, letterbox
from training.detect.augment import augment
from training.detect.config import Config
from training.detect.formats import Stored


@dataclass(frozen=True)
class Sample:
    """One image and its boxes.

    name: unique within its split; image: uint8 [H, W, 3] RGB, or frames of events [T, H, W, 3]; boxes: float32 [N, 4],
    x1 y1 x2 y2 in pixels of `image`; classes: int64 [N]; content: x1 y1 x2 y2 of the picture where it is letterboxed.
    """

    name: str
    image: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]
    content: tuple[int, int, int, int] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the image."""
        height, width = self.image.shape[-3:-1]
        return height, width


AnySample = Sample | Stored


def letterboxed(samples: Sequence[AnySample], width: int, height: int, in_memory: bool = True) -> list[AnySample]:
    """The samples on the network's canvas of width x height pixels; read now, or else each time their image is."""
    out: list[AnySample] = []
    for s in samples:
        place = Letterbox.fit(s.size, (height, width))
        (h, w), (top, left) = place.resized, place.offset
        boxes = place.to_target(s.boxes.astype(np.float64)).astype(np.float32)
        fitted = Stored(
            s.name,
            partial(_fitted, s, (height, width)),
            (height, width),
            boxes,
            s.classes,
            (left, top, left + w, top + h),
        )
        out.append(Sample(s.name, fitted.image, boxes, s.classes, fitted.content) if in_memory else fitted)
    return out


def _fitted(sample: AnySample, size: tuple[int, int]) -> NDArray[np.uint8]:
    image = sample.image
    if image.ndim == 3:
        return letterbox(image, size)[0]
    return np.stack([letterbox(frame, size)[0] for frame in image])


@dataclass(frozen=True)
class Batch:
    """images: uint8 [B, H, W, 3] or [B, T, H, W, 3]; boxes: float32 [B, M, 4] x1 y1 x2 y2 in pixels; classes: int64
    [B, M], -1 = none.
    """

    images: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]

    def inputs(self, like: Tensor | None = None) -> Tensor:
        """The images channels first, [B, 3, H, W] or [B, T, 3, H, W]: uint8, or as `like` on its device, in 0..255."""
        images = torch.from_numpy(self.images).movedim(-1, -3)  # a view: memory stays channels last
        return images if like is None else images.to(like)


def collate(samples: Sequence[AnySample]) -> Batch:
    """Stack samples of one size, their boxes padded to the largest number."""
    most = max(1, max(len(s.classes) for s in samples))
    boxes = np.zeros((len(samples), most, 4), np.float32)
    classes = np.full((len(samples), most), -1, np.int64)
    for i, s in enumerate(samples):
        boxes[i, : len(s.boxes)], classes[i, : len(s.classes)] = s.boxes, s.classes
    return Batch(np.stack([s.image for s in samples]), boxes, classes)


def training_batch(
    samples: Sequence[AnySample], step: int, config: Config, mosaic: bool = True, rank: int = 0, ranks: int = 1
) -> Batch:
    """The batch of `step`: images in a fresh order every epoch, augmented: a function of (seed, step) alone.

    Of `ranks` processes, the one of number `rank` gets its share: shares put together are the batch of one process.
    """
    per_epoch = len(samples) // config.batch or 1
    epoch, position = divmod(step, per_epoch)
    order = np.random.default_rng([config.seed, epoch]).permutation(len(samples))
    picked = order[np.arange(position * config.batch, (position + 1) * config.batch) % len(samples)]
    out = []
    share = config.batch // ranks
    for slot, index in list(enumerate(picked))[rank * share : (rank + 1) * share]:
        rng = np.random.default_rng([config.seed, step, slot])
        image, boxes, classes = augment(samples, int(index), rng, config, mosaic)
        out.append(Sample(samples[index].name, image, boxes, classes))
    return collate(out)
