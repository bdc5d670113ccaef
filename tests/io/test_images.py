"""Photographs: what is read, what is refused, what is written."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pyspike.errors import MissingExtraError, ShapeError
from pyspike.io.images import ImageError, draw_detections, read_image, save_image
from pyspike.tasks.detect import Detection

RANDOM = np.random.default_rng(5).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def test_png_comes_back_as_it_was(tmp_path: Path) -> None:
    save_image(RANDOM, tmp_path / "new" / "folder" / "a.png")
    assert np.array_equal(read_image(tmp_path / "new" / "folder" / "a.png"), RANDOM)
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == ["a.png"]


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "1", "LA", "I"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    suffix = {"CMYK": "jpg", "I": "tif"}.get(mode, "png")
    Image.fromarray(RANDOM).convert(mode).save(tmp_path / f"a.{suffix}")
    image = read_image(str(tmp_path / f"a.{suffix}"))
    assert image.shape == (20, 30, 3)
    assert image.dtype == np.uint8


def test_sixteen_bits_keep_their_upper_eight(tmp_path: Path) -> None:
    grey = np.arange(0, 65536, 256, dtype=np.uint16).reshape(16, 16) + 255
    Image.fromarray(grey).save(tmp_path / "a.png")
    assert np.array_equal(read_image(tmp_path / "a.png")[..., 0], grey >> 8)


def test_transparency_lies_on_white(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (200, 0, 0, 0)).save(tmp_path / "a.png")
    assert (read_image(tmp_path / "a.png") == 255).all()


def test_exif_orientation_is_followed(tmp_path: Path) -> None:
    image = Image.fromarray(RANDOM)
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(read_image(tmp_path / "a.png"), np.rot90(RANDOM, -1))


def test_a_missing_file_stays_file_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_image(tmp_path / "absent.jpg")


def test_what_is_no_image_is_an_image_error(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="found a directory"):
        read_image(tmp_path)
    (tmp_path / "text.jpg").write_text("no image at all")
    with pytest.raises(ImageError, match=r"text\.jpg: expected an image"):
        read_image(tmp_path / "text.jpg")
    (tmp_path / "empty.png").touch()
    with pytest.raises(ImageError, match=r"empty\.png: expected an image"):
        read_image(tmp_path / "empty.png")


@pytest.mark.filterwarnings("ignore")  # Pillow warns about what it repairs
@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp", "tif"])
def test_truncated_and_flipped_files_are_image_errors_or_images(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(RANDOM).save(path)
    whole = path.read_bytes()
    random = np.random.default_rng(6)
    for length in range(0, len(whole) - 1, max(1, len(whole) // 20)):
        _read_or_refuse(path, whole[:length])
    for _ in range(60):
        flipped = bytearray(whole)
        flipped[int(random.integers(len(whole)))] ^= 1 << int(random.integers(8))
        _read_or_refuse(path, bytes(flipped))


def _read_or_refuse(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    try:
        image = read_image(path)
    except ImageError:
        return
    assert image.dtype == np.uint8
    assert image.ndim == 3


def test_images_beyond_reason_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_image(RANDOM, tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(ImageError, match="pixels"):
        read_image(tmp_path / "a.png")


def test_saving_refuses_by_type(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"expected a suffix such as \.png"):
        save_image(RANDOM, tmp_path / "a.nothing")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(ImageError, match="found a directory"):
        save_image(RANDOM, tmp_path / "folder.png")
    with pytest.raises(ShapeError, match=r"found float64 \[2, 2, 3\]"):
        save_image(np.zeros((2, 2, 3)), tmp_path / "a.png")  # type: ignore[arg-type]


def test_a_failing_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_image(RANDOM, tmp_path / "a.png")

    def full_disk(self: Any, file: Any, **_: Any) -> None:
        file.write(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(Image.Image, "save", full_disk)
    with pytest.raises(OSError, match="no space left"):
        save_image(255 - RANDOM, tmp_path / "a.png")
    monkeypatch.undo()
    assert np.array_equal(read_image(tmp_path / "a.png"), RANDOM)
    assert len(list(tmp_path.iterdir())) == 1


def test_without_pillow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_pillow(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.split(".")[0] == "PIL":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_pillow)
    with pytest.raises(MissingExtraError, match=r"pip install 'pyspike-runtime\[cli\]'"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("size", [(480, 640), (64, 64), (1200, 1600), (1, 1)])
def test_drawing_marks_boxes_and_keeps_the_rest(size: tuple[int, int]) -> None:
    image = np.full((*size, 3), 200, dtype=np.uint8)
    found = [
        Detection((0.3 * size[1], 0.4 * size[0], 0.5 * size[1], 0.6 * size[0]), 0.9, 0, "RBC"),
        Detection((0.0, 0.0, float(size[1]), float(size[0])), 0.4, 1, "WBC"),
    ]
    drawn = draw_detections(image, found, ["RBC", "WBC"])
    assert drawn.shape == image.shape
    assert (image == 200).all()
    assert (drawn != image).any()
    if size == (480, 640):
        assert drawn[240, 192].tolist() == [0xE4, 0x57, 0x2E]
        assert drawn[240, 250].tolist() == [200, 200, 200]
    many = found[:1] * 100
    assert draw_detections(image, many, ["RBC"]).shape == image.shape
    assert draw_detections(image, [], ["RBC"]).shape == image.shape
