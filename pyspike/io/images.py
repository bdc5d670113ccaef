"""Photographs: reading, writing without leaving halves behind, and drawing what was found in them.

Needs Pillow, which the extra `cli` brings.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pyspike._files import write_whole
from pyspike.errors import Error, ShapeError, missing_extra
from pyspike.tasks.detect import Detection, counts_per_class

if TYPE_CHECKING:
    from PIL.Image import Image

# Distinct on the pink and violet of stained smears as well as on everyday photographs.
PALETTE = ("#e4572e", "#1b998b", "#2e86de", "#f3a712", "#8e44ad", "#2d3047", "#76b041", "#d81159")


class ImageError(Error, ValueError):
    """A file is no image that can be read, or is too large to be one."""


def _pillow(name: str) -> ModuleType:
    try:
        return __import__(f"PIL.{name}", fromlist=[name])
    except ImportError:
        raise missing_extra("pillow", "cli") from None


def read_image(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """The photograph at `path` as uint8 [height, width, 3], RGB, upright as its EXIF orientation says.

    Grey, palette, 16-bit and CMYK images are converted, transparency is laid on white. Raises `ImageError` for a
    directory and for what is no complete image, `FileNotFoundError` for what is not there, `MissingExtraError`
    without Pillow.
    """
    images, ops = _pillow("Image"), _pillow("ImageOps")
    path = Path(path)
    if path.is_dir():
        raise ImageError(f"{path}: expected an image file, found a directory")
    with path.open("rb") as file:
        try:
            with images.open(file) as image:
                image.load()
                return np.array(_to_rgb(ops.exif_transpose(image)), dtype=np.uint8)
        except images.DecompressionBombError as error:
            raise ImageError(f"{path}: {error}") from None
        except (OSError, ValueError, SyntaxError, EOFError, MemoryError) as error:
            # Pillow reports broken files by whatever the decoder ran into.
            raise ImageError(f"{path}: expected an image such as JPEG or PNG; it cannot be read: {error}") from None


def _to_rgb(image: Image) -> Image:
    if image.mode.startswith("I;16") or image.mode == "I":
        grey = np.asarray(image).astype(np.int64)
        eight_bits = np.clip(grey >> 8, 0, 255).astype(np.uint8)
        return _pillow("Image").fromarray(eight_bits).convert("RGB")  # type: ignore[no-any-return]
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = _pillow("Image").new("RGBA", image.size, "white")
        white.alpha_composite(image)
        image = white
    return image.convert("RGB")


def save_image(image: NDArray[np.uint8], path: str | os.PathLike[str]) -> None:
    """Write uint8 [height, width, 3] to `path`, whose suffix chooses the format; folders are made.

    The file appears whole or not at all: it is written under another name beside its place and then moved there. Raises
    `ShapeError` for another dtype or shape, `ImageError` for an unknown suffix or a directory.
    """
    images = _pillow("Image")
    path = Path(path)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ShapeError(f"image: expected uint8 [height, width, 3], found {image.dtype} {list(image.shape)}")
    kind = images.registered_extensions().get(path.suffix.lower())
    if kind is None or kind not in images.SAVE:
        raise ImageError(f"{path}: expected a suffix such as .png or .jpg, found {path.suffix!r}")
    if path.is_dir():
        raise ImageError(f"{path}: expected the name of a file, found a directory")
    path.parent.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    images.fromarray(image).save(content, format=kind)
    write_whole(path, content.getvalue())


def draw_detections(
    image: NDArray[np.uint8], detections: Sequence[Detection], classes: Sequence[str]
) -> NDArray[np.uint8]:
    """`image` uint8 [h, w, 3] with a box, name and score per detection, and a legend of counts; a new array.

    The best detections are drawn last, on top. Labels are left away where more than 60 objects would hide the picture.
    """
    images, drawing = _pillow("Image"), _pillow("ImageDraw")
    canvas = images.fromarray(image).convert("RGB")
    unit = max(1.0, min(image.shape[:2]) / 480)
    font = _pillow("ImageFont").load_default(size=round(11 * unit))
    colours = {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(classes)}
    pen = drawing.Draw(canvas, "RGBA")
    for found in reversed(detections):
        pen.rectangle(found.box, outline=colours[found.name], width=max(2, round(2 * unit)))
    if len(detections) <= 60:
        for found in reversed(detections):
            _draw_label(pen, found, colours[found.name], font, image.shape[:2])
    _draw_legend(pen, detections, colours, unit)
    return np.array(canvas, dtype=np.uint8)


def _draw_label(pen: Any, found: Detection, colour: str, font: Any, size: tuple[int, ...]) -> None:
    text = f"{found.name} {found.score:.2f}"
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
    width, height = right - left + 5, bottom - top + 5
    x = min(max(found.box[0], 0), max(size[1] - width, 0))
    # Above the box where there is room, else just inside it.
    y = found.box[1] - height if found.box[1] >= height else found.box[1]
    pen.rectangle((x, y, x + width, y + height), fill=colour + "d8")
    pen.text((x + 2 - left, y + 2 - top), text, font=font, fill="white")


def _draw_legend(pen: Any, detections: Sequence[Detection], colours: dict[str, str], unit: float) -> None:
    """A panel in the corner where it hides least: a coloured square, the name and the number of every class."""
    counts = counts_per_class(detections, list(colours))
    font = _pillow("ImageFont").load_default(size=round(14 * unit))
    line, pad, square = 20 * unit, 8 * unit, 11 * unit
    names = max((pen.textlength(name, font=font) for name in counts), default=0)
    numbers = max((pen.textlength(str(number), font=font) for number in counts.values()), default=0)
    width, height = square + names + numbers + 5 * pad, line * len(counts) + pad
    left, top = _emptiest_corner(pen.im.size, (width, height), pad, detections)
    pen.rounded_rectangle((left, top, left + width, top + height), radius=5 * unit, fill="#101418c8")
    for row, (name, number) in enumerate(counts.items()):
        y = top + pad / 2 + line * row + line / 2
        x = left + pad
        pen.rectangle((x, y - square / 2, x + square, y + square / 2), fill=colours[name])
        pen.text((x + square + pad, y), name, font=font, fill="white", anchor="lm")
        pen.text((left + width - pad, y), str(number), font=font, fill="white", anchor="rm")


def _emptiest_corner(
    canvas: tuple[int, int], panel: tuple[float, float], pad: float, detections: Sequence[Detection]
) -> tuple[float, float]:
    """Left and top of a panel (width, height) in the corner that boxes cover least; the lower left one of equals."""
    right, bottom = canvas[0] - panel[0] - pad, canvas[1] - panel[1] - pad

    def covered(corner: tuple[float, float]) -> float:
        area = 0.0
        for x1, y1, x2, y2 in (found.box for found in detections):
            across = min(x2, corner[0] + panel[0]) - max(x1, corner[0])
            down = min(y2, corner[1] + panel[1]) - max(y1, corner[1])
            area += max(across, 0) * max(down, 0)
        return area

    return min(((pad, bottom), (right, bottom), (right, pad), (pad, pad)), key=covered)
