"""Files that are no model images: each is a `ModelFormatError` that says so, from both readers."""

from __future__ import annotations

import pytest

from pyspike import ModelFormatError, image
from pyspike.runtime import Model, Runtime
from tests.bad_input.images import IMAGE, sections, signed, verdict


def assert_refused(data: bytes) -> None:
    assert all(complaint for complaint in verdict(data))


def test_the_image_itself_is_sound() -> None:
    assert verdict(IMAGE) == (None, None)
    assert signed(IMAGE) == IMAGE


@pytest.mark.parametrize("size", sorted({0, 1, 7, 63, 127, *(at for span in sections().values() for at in span)}))
def test_truncated(size) -> None:
    for end in (size, size + 1):
        if end < len(IMAGE):
            assert_refused(IMAGE[:end])
            if end >= 64:
                assert_refused(signed(IMAGE[:end]))


def test_extended() -> None:
    for tail in (b"\0", b"\0" * 64, IMAGE):
        assert_refused(IMAGE + tail)
        assert_refused(signed(IMAGE + tail))


def test_every_bit_matters() -> None:
    """A flipped bit anywhere is noticed. Of the header, the minor version alone may be any: later ones are taken."""
    minor = range(10, 12)
    for at in range(len(IMAGE)):
        data = bytearray(IMAGE)
        data[at] ^= 1 << (at % 8)
        if at in minor:
            assert verdict(bytes(data)) == (None, None)
        else:
            with pytest.raises(ModelFormatError):
                Model.load(bytes(data))


@pytest.mark.parametrize(
    ("at", "byte", "match"),
    [
        (0, 0x92, "magic"),
        (8, 2, "version"),
        (9, 1, "version"),
        (12, 2, "kind"),
        (16, IMAGE[16] ^ 1, "size|bytes"),
        (24, 1, "zero|kind"),
        (32, IMAGE[32] ^ 1, "SHA-256"),
        (len(IMAGE) - 2, ord("!"), "SHA-256"),
    ],
)
def test_messages_say_what_is_wrong(at, byte, match) -> None:
    data = bytearray(IMAGE)
    data[at] = byte
    for read in (image.from_bytes, Model.load):
        with pytest.raises(ModelFormatError, match=match):
            read(bytes(data))


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n" + bytes(500), b"PK\x03\x04" * 40, b"text\n" * 100])
@pytest.mark.parametrize("mmap", [False, True])
def test_other_files(tmp_path, content, mmap) -> None:
    path = tmp_path / "other.spk"
    path.write_bytes(content)
    with pytest.raises(ModelFormatError, match=r"other\.spk"):
        Model.load(path, mmap=mmap)
    with pytest.raises(ModelFormatError):
        image.read(path)


@pytest.mark.parametrize("mmap", [False, True])
def test_directories_and_missing_files(tmp_path, mmap) -> None:
    with pytest.raises(ModelFormatError, match="directory"):
        Model.load(tmp_path, mmap=mmap)
    with pytest.raises(FileNotFoundError):
        Model.load(tmp_path / "missing.spk", mmap=mmap)
    with pytest.raises(FileNotFoundError):
        Runtime.load(tmp_path / "missing.spk")


def test_sources_of_another_kind() -> None:
    for source in (None, 3, [1, 2]):
        with pytest.raises(TypeError):
            Model.load(source)
    with pytest.raises(ModelFormatError):
        Model.load(memoryview(IMAGE)[::2])
