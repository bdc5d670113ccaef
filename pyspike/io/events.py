"""Recordings of Prophesee's event cameras (.dat), their annotations (.npy), and frames of events for SpikeYOLO.

A recording is some lines of text, `% key value`, then two bytes (event type, bytes an event) and 8 bytes an event:
microseconds as uint32, then 14 bits x, 14 bits y and 4 bits polarity, from the lowest, little-endian. Older recordings
have neither lines nor the two bytes. Sources: Prophesee, "DAT File Format"; Prophesee's automotive dataset toolbox.

    recording = open_recording("drive_td.dat")
    for t, boxes, frames in samples(recording, read_annotations("drive_bbox.npy")):
        ...                                            # uint8 [T, 3, 320, 320]: what SpikeYOLO(neuron="gen1") reads

What the published encoding does, and what `CORRECTED` changes: docs/events.md. Needs NumPy alone.
"""

from __future__ import annotations

import os
import re
import warnings
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pyspike.errors import Error, RangeError, ShapeError
from pyspike.tasks.letterbox import letterbox

# Decoded events: microseconds, pixel column and row, polarity (1: brighter, 0: darker).
EVENT = np.dtype([("t", "<u4"), ("x", "<u2"), ("y", "<u2"), ("p", "u1")])
# Annotated boxes: microseconds; left, top, width and height in pixels; class, confidence and track.
BOX = np.dtype([
    ("t", "<u8"), ("x", "<f4"), ("y", "<f4"), ("w", "<f4"), ("h", "<f4"),
    ("class_id", "u1"), ("confidence", "<f4"), ("track_id", "<u4"),
])  # fmt: skip
CLASSES = ("car", "pedestrian")  # of the Gen1 automotive data set
NO_EVENT, BRIGHTER, DARKER = 127, 255, 0  # pixels of a frame of events

_RAW = np.dtype([("t", "<u4"), ("xyp", "<u4")])
_OLDER_NAMES = {"ts": "t", "class_confidence": "confidence"}
_TYPES = (0, 12)  # a 2D event, a contrast detection event: laid out alike
_LONGEST_HEADER = 1 << 16


class EventFileError(Error, ValueError):
    """A file is no recording or no annotations, is truncated, or holds events that cannot be."""


@dataclass(frozen=True)
class Recording:
    """An open recording, mapped into memory: only what is asked for is read.

    size: rows and columns of the sensor. header: the values of the text lines by key.
    """

    path: Path
    size: tuple[int, int]
    header: dict[str, str]
    _raw: NDArray[np.void] = field(repr=False)

    def __len__(self) -> int:
        """Number of events."""
        return len(self._raw)

    def chunks(self, length: int = 1 << 20) -> Iterator[NDArray[np.void]]:
        """All events, `length` or fewer at a time, decoded to `EVENT`.

        Raises `EventFileError` for coordinates outside the sensor, a polarity beyond 1, and time that runs backwards;
        `RangeError` for a length below 1.
        """
        if length < 1:
            raise RangeError(f"length: expected 1 event or more, found {length}")
        for first in range(0, len(self), length):
            yield self._events(first, min(first + length, len(self)))

    def between(self, start: int, stop: int) -> NDArray[np.void]:
        """The events of `start` <= t < `stop` (microseconds), decoded to `EVENT`; found by bisection.

        The first call looks through all times once, since bisection would miss events that are not in their order.
        Raises `EventFileError` as `chunks` does, for the events found, and for time that runs backwards anywhere.
        """
        times = self._times
        first, last = (bisect_left(range(len(self)), at, key=lambda i: int(times[i])) for at in (start, stop))
        return self._events(first, max(first, last))

    @cached_property
    def _times(self) -> NDArray[np.uint32]:
        """The times of all events, once they have been found to be in order."""
        for first in range(0, len(self), 1 << 20):
            self._check_order(first, first + (1 << 20))
        times: NDArray[np.uint32] = self._raw["t"]
        return times

    def _check_order(self, first: int, last: int) -> None:
        """Time must not run backwards among these events, nor into the first of them."""
        before = max(first - 1, 0)
        times = self._raw["t"][before:last]
        backwards = np.flatnonzero(times[1:] < times[:-1])
        if len(backwards):
            at = before + int(backwards[0]) + 1
            raise EventFileError(f"{self.path}: event {at:,}: time runs backwards, to {int(self._raw['t'][at]):,} us")

    def _events(self, first: int, last: int) -> NDArray[np.void]:
        self._check_order(first, last)
        raw = self._raw[first:last]
        events = np.empty(len(raw), EVENT)
        events["t"], events["x"] = raw["t"], raw["xyp"] & 0x3FFF
        events["y"], events["p"] = raw["xyp"] >> 14 & 0x3FFF, raw["xyp"] >> 28
        height, width = self.size
        wrong = np.flatnonzero((events["x"] >= width) | (events["y"] >= height) | (events["p"] > 1))
        if len(wrong):
            x, y, p = (int(events[axis][wrong[0]]) for axis in "xyp")
            raise EventFileError(
                f"{self.path}: event {first + int(wrong[0]):,}: expected x below {width}, y below {height} and "
                f"polarity 0 or 1, found {x}, {y}, {p}"
            )
        return events


def open_recording(path: str | os.PathLike[str], size: tuple[int, int] | None = None) -> Recording:
    """Open a .dat recording. size: rows and columns of the sensor, where the header does not state them.

    Raises `EventFileError` for a file that is none or that is truncated, for other versions and kinds of events, and
    where the size is unknown or contradicts the header; FileNotFoundError where there is no file.
    """
    path = Path(path)
    with path.open("rb") as file:
        start = file.read(_LONGEST_HEADER)
        length = file.seek(0, os.SEEK_END)
    header, offset = _header(start, path)
    if (length - offset) % _RAW.itemsize:
        raise EventFileError(f"{path}: expected events of 8 bytes after byte {offset}, found {length - offset:,} bytes")
    size = _size(header, size, path)
    if length == offset:
        return Recording(path, size, header, np.empty(0, _RAW))
    return Recording(path, size, header, np.memmap(path, _RAW, "r", offset))


def _header(start: bytes, path: Path) -> tuple[dict[str, str], int]:
    """Text lines by key, and where the events begin."""
    header: dict[str, str] = {}
    at = 0
    while start.startswith(b"% ", at):
        end = start.find(b"\n", at)
        if end < 0:
            raise EventFileError(f"{path}: expected a header of at most {_LONGEST_HEADER:,} bytes, found no end of it")
        key, _, value = start[at + 2 : end].decode("latin-1").strip().partition(" ")
        header[key] = value.strip()
        at = end + 1
    if not header:  # the older form, which has nothing but events
        return header, 0
    if header.get("Version", "2") != "2":
        raise EventFileError(f"{path}: expected version 2 of the format, found {header['Version']!r:.20}")
    if len(start) < at + 2:
        raise EventFileError(f"{path}: expected the events' type and size after the header, found the end of the file")
    kind, size = start[at], start[at + 1]
    if kind not in _TYPES or size != _RAW.itemsize:
        raise EventFileError(f"{path}: expected events of type 0 or 12 and 8 bytes, found type {kind} and {size} bytes")
    return header, at + 2


def _size(header: dict[str, str], given: tuple[int, int] | None, path: Path) -> tuple[int, int]:
    stated = [header.get(key) for key in ("Height", "Width")]
    if stated == [None, None]:
        if given is None:
            raise EventFileError(f"{path}: its header does not state the sensor's size: give it, (240, 304) for Gen1")
        found = given
    else:
        if not all(side is not None and re.fullmatch(r"[0-9]{1,5}", side) for side in stated):
            raise EventFileError(f"{path}: expected Height and Width in pixels, found {stated!r:.80}")
        found = int(stated[0] or 0), int(stated[1] or 0)
        if given is not None and tuple(given) != found:
            raise EventFileError(f"{path}: expected a sensor of {given} pixels, the header says {found}")
    if not all(1 <= side <= 1 << 14 for side in found):
        raise EventFileError(f"{path}: expected a sensor of 1 to 16384 pixels a side, found {found}")
    return found


def read_annotations(path: str | os.PathLike[str]) -> NDArray[np.void]:
    """The boxes of a *_bbox.npy file as `BOX`, whichever of the two sets of field names it has.

    Raises `EventFileError` for a file that is none, for missing fields, coordinates that are not finite, sizes below
    zero and time that runs backwards; FileNotFoundError where there is no file.
    """
    with Path(path).open("rb") as file:
        try:
            with warnings.catch_warnings(action="ignore", category=UserWarning):  # of files written by Python 2
                loaded = np.load(file, allow_pickle=False)
        except Exception as error:  # NumPy's reader fails in many ways
            raise EventFileError(f"{path}: expected an array as NumPy saves it (.npy): {error}") from None
        if not isinstance(loaded, np.ndarray) or loaded.dtype.names is None or loaded.ndim != 1:
            raise EventFileError(f"{path}: expected one list of boxes with named fields, found something else")
    boxes = np.empty(len(loaded), BOX)
    fields = {_OLDER_NAMES.get(name, name): name for name in loaded.dtype.names}
    missing = [name for name in boxes.dtype.names or () if name not in fields]
    if missing:
        raise EventFileError(f"{path}: expected the fields {', '.join(boxes.dtype.names or ())}; missing {missing}")
    for name in boxes.dtype.names or ():
        column = loaded[fields[name]]
        if column.dtype.kind not in "uif" or column.ndim != 1:
            raise EventFileError(f"{path}: {name}: expected a number for each box, found {column.dtype}")
        with np.errstate(over="ignore", invalid="ignore"):
            boxes[name] = column
        if boxes[name].dtype.kind == "u" and not (boxes[name] == column).all():
            raise EventFileError(
                f"{path}: {name}: expected whole numbers of {boxes[name].itemsize} bytes, found others"
            )
    if not all(np.isfinite(boxes[name]).all() for name in "xywh"):
        raise EventFileError(f"{path}: expected finite coordinates, found others")
    if (boxes["w"] < 0).any() or (boxes["h"] < 0).any():
        raise EventFileError(f"{path}: expected widths and heights of zero or more, found less")
    if (boxes["t"][1:] < boxes["t"][:-1]).any():
        raise EventFileError(f"{path}: expected boxes in the order of time, found time running backwards")
    return boxes


@dataclass(frozen=True)
class Encoding:
    """How events become the frames that a network reads; the defaults are the published choices.

    T slices of `window` // T microseconds each; newest_first: the latest slice is timestep 0; past_only: events of the
    time of a label or later are never seen, not even near the beginning of a recording; side: of the square frames,
    into which the sensor's are fitted; fill: pixels around them.
    """

    T: int = 4
    window: int = 250_000
    newest_first: bool = True
    past_only: bool = False
    side: int = 320
    fill: int = 114

    def __post_init__(self) -> None:
        if self.T < 1 or self.window < self.T:
            raise RangeError(f"encoding: expected T of 1 or more and a window of T us or more, found {self}")


PUBLISHED = Encoding()
CORRECTED = Encoding(newest_first=False, past_only=True, fill=NO_EVENT)


def slices(recording: Recording, t: int, encoding: Encoding = PUBLISHED) -> NDArray[np.uint8]:
    """The frames of events before `t` (microseconds), uint8 [T, height, width], oldest first, as the sensor sees them.

    127 where a slice has no event, 255 or 0 where its last event of a pixel is brighter or darker.
    """
    step = encoding.window // encoding.T
    start = t - encoding.window
    if not encoding.past_only:
        start = max(start, 0)
    frames = np.full((encoding.T, *recording.size), NO_EVENT, np.uint8)
    for i, frame in enumerate(frames):
        events = recording.between(start + i * step, start + (i + 1) * step)
        frame[events["y"], events["x"]] = np.where(events["p"], BRIGHTER, DARKER)  # of several, the last stays
    return frames


def fit(frames: NDArray[np.uint8], encoding: Encoding = PUBLISHED) -> NDArray[np.uint8]:
    """`slices` [T, height, width] as a network's input: uint8 [T, 3, side, side], channels equal.

    Raises `ShapeError` for another rank, dtype or number of timesteps.
    """
    if frames.dtype != np.uint8 or frames.ndim != 3 or len(frames) != encoding.T:
        raise ShapeError(
            f"frames: expected uint8 [{encoding.T}, height, width], found {frames.dtype} {list(frames.shape)}"
        )
    ordered = frames[::-1] if encoding.newest_first else frames
    size = (encoding.side, encoding.side)
    fitted = [letterbox(np.repeat(frame[:, :, None], 3, axis=2), size, encoding.fill)[0] for frame in ordered]
    return np.ascontiguousarray(np.stack(fitted).transpose(0, 3, 1, 2))


def samples(
    recording: Recording, annotations: NDArray[np.void], encoding: Encoding = PUBLISHED
) -> Iterator[tuple[int, NDArray[np.void], NDArray[np.uint8]]]:
    """For every annotated time of a recording: microseconds, its boxes (`BOX`), its frames uint8 [T, 3, side, side]."""
    times, first = np.unique(annotations["t"], return_index=True)
    for t, start, stop in zip(times.tolist(), first, [*first[1:], len(annotations)], strict=False):
        yield t, annotations[start:stop], fit(slices(recording, t, encoding), encoding)
