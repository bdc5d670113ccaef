"""What every reader gives, and the checks that they share."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from pyspike.errors import Error

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


class DatasetError(Error, ValueError):
    """A data set lacks a file, or a file holds what cannot be: where, what was expected, what was found."""


@dataclass(frozen=True)
class Stored:
    """A labelled image on disk.

    name: unique within its split; read: gives the image, uint8 [H, W, 3] RGB or frames of events [T, H, W, 3]; size:
    its (H, W); boxes: float32 [N, 4], x1 y1 x2 y2 in pixels, N without those of zero size; classes: int64 [N];
    content: x1 y1 x2 y2 of the picture inside a letterboxed image.
    """

    name: str
    read: Callable[[], NDArray[np.uint8]]
    size: tuple[int, int]
    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]
    content: tuple[int, int, int, int] | None = None

    @property
    def image(self) -> NDArray[np.uint8]:
        """The image, read anew each time."""
        return self.read()


class Boxes:
    """Collects the boxes of one image of `size` (H, W), checking each."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        self.corners: list[Sequence[float]] = []
        self.classes: list[int] = []

    def add(self, corners: Sequence[float], label: int, where: str) -> None:
        """Take x1 y1 x2 y2 in pixels; boxes of zero size are dropped, as real annotations hold some.

        Raises `DatasetError` for coordinates that are not finite, a negative size, and boxes outside the image.
        """
        x1, y1, x2, y2 = corners
        shown = ", ".join(f"{v:g}" for v in corners)
        if not all(math.isfinite(v) for v in corners):
            raise DatasetError(f"{where}: expected a box of four finite numbers, found {shown}")
        if x2 < x1 or y2 < y1:
            raise DatasetError(f"{where}: expected a box with x1 <= x2 and y1 <= y2, found {shown}")
        if x2 == x1 or y2 == y1:
            return
        height, width = self.size
        if x2 <= 0 or y2 <= 0 or x1 >= width or y1 >= height:
            raise DatasetError(f"{where}: box {shown} lies outside its image of {width} x {height} pixels")
        self.corners.append(corners)
        self.classes.append(label)

    def stored(self, name: str, read: Callable[[], NDArray[np.uint8]]) -> Stored:
        """The sample with the boxes taken so far."""
        corners = np.array(self.corners, np.float32).reshape(-1, 4)
        return Stored(name, read, self.size, corners, np.array(self.classes, np.int64))


def photograph(path: Path, where: str) -> tuple[Callable[[], NDArray[np.uint8]], tuple[int, int]]:
    """How to read the image at `path`, and its (H, W), which is all that is read now.

    Raises `DatasetError` where it is missing (`where` says who names it) or no image.
    """
    if not path.is_file():
        raise DatasetError(f"{where}: the image {path} is missing")
    try:
        with Image.open(path) as picture:
            width, height = picture.size
    except (UnidentifiedImageError, OSError) as error:
        raise DatasetError(f"{path}: expected an image, found none that can be read: {error}") from None
    return partial(_pixels, path), (height, width)


def _pixels(path: Path) -> NDArray[np.uint8]:
    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("RGB"))
    except OSError as error:  # truncated files show here
        raise DatasetError(f"{path}: the image cannot be read: {error}") from None


def number(text: str, where: str) -> float:
    """`text` as a number; raises `DatasetError`."""
    try:
        return float(text)
    except ValueError:
        raise DatasetError(f"{where}: expected a number, found {text!r:.40}") from None
