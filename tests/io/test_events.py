"""Event recordings and annotations: what a writer of the format's description wrote is read, all else is refused.

Frames are compared with a loop over events that is written out here.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyspike.errors import RangeError, ShapeError
from pyspike.io.events import (
    BOX,
    CORRECTED,
    EVENT,
    PUBLISHED,
    Encoding,
    EventFileError,
    fit,
    open_recording,
    read_annotations,
    samples,
    slices,
)
from pyspike.tasks.letterbox import letterbox

Event = tuple[int, int, int, int]
SIZE = (24, 30)
HEADER = b"% Data file containing Event2D events.\n% Version 2\n% Date 2019-1-1 0:0:0\n% Height 24\n% Width 30\n"
TYPE = b"\x00\x08"


def packed(events: Sequence[Event]) -> bytes:
    return b"".join(t.to_bytes(4, "little") + (x | y << 14 | p << 28).to_bytes(4, "little") for t, x, y, p in events)


def written(path: Path, events: Sequence[Event], header: bytes = HEADER + TYPE) -> Path:
    path.write_bytes(header + packed(events))
    return path


EVENTS: list[Event] = [(0, 0, 0, 1), (5, 29, 23, 0), (5, 1, 2, 1), (70_000, 3, 4, 0), (4_000_000_000, 7, 8, 1)]
some_events = st.lists(
    st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 29), st.integers(0, 23), st.integers(0, 1)), max_size=40
).map(sorted)


@pytest.mark.parametrize(
    "header",
    [
        HEADER + TYPE,
        HEADER + b"\x0c\x08",  # contrast detection events
        HEADER.replace(b"% Version 2\n", b"") + TYPE,
        b"% Height 24\n% Width 30\n% Note \xe9\xff % 7\n% \n" + TYPE,
    ],
)
def test_both_forms_of_header(header: bytes, tmp_path: Path) -> None:
    with_header = open_recording(written(tmp_path / "a_td.dat", EVENTS, header))
    without = open_recording(written(tmp_path / "b_td.dat", EVENTS, b""), SIZE)
    for recording in (with_header, without):
        assert (len(recording), recording.size) == (5, SIZE)
        (events,) = recording.chunks()
        assert events.dtype == EVENT
        assert events.tolist() == EVENTS
    for empty in (written(tmp_path / "c_td.dat", [], header), written(tmp_path / "d_td.dat", [], b"")):
        recording = open_recording(empty, SIZE)
        assert (len(recording), list(recording.chunks()), len(recording.between(0, 9))) == (0, [], 0)
    assert with_header.header["Height"] == "24"
    assert without.header == {}


@given(events=some_events, length=st.integers(1, 50), start=st.integers(-5, 2**32 + 5), stop=st.integers(-5, 2**32 + 5))
def test_chunks_and_times(
    events: list[Event], length: int, start: int, stop: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    recording = open_recording(written(tmp_path_factory.getbasetemp() / "chunks.dat", events))
    chunks = list(recording.chunks(length))
    assert [len(chunk) for chunk in chunks[:-1]] == [length] * (len(chunks) - 1)
    assert [event for chunk in chunks for event in chunk.tolist()] == events
    assert recording.between(start, stop).tolist() == [event for event in events if start <= event[0] < stop]
    for t in {event[0] for event in events}:
        assert recording.between(t, t + 1).tolist() == [event for event in events if event[0] == t]


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (HEADER + TYPE + packed(EVENTS)[:-1], "events of 8 bytes after byte 98, found 39"),
        (HEADER + TYPE + packed(EVENTS)[:-7], "events of 8 bytes"),
        (HEADER, "end of the file"),
        (HEADER + b"\x00", "end of the file"),
        (HEADER + b"\x00\x10", "type 0 and 16 bytes"),
        (HEADER + b"\x0e\x08", "type 14"),
        (HEADER + b"\x00\x00", "type 0 and 0 bytes"),
        (HEADER[:-1], "no end of it"),
        (b"% " + b"x" * 70_000 + b"\n" + HEADER + TYPE, "no end of it"),
        (HEADER.replace(b"Version 2", b"Version 1") + TYPE, "version 2 .*'1'"),
        (HEADER.replace(b"Height 24", b"Height many") + TYPE, "in pixels"),
        (HEADER.replace(b"% Height 24\n", b"") + TYPE, "in pixels"),
        (HEADER.replace(b"Height 24", b"Height 0") + TYPE, "1 to 16384"),
        (HEADER.replace(b"Height 24", b"Height 99999") + TYPE, "1 to 16384"),
        (HEADER.replace(b"Height 24", b"Height -24") + TYPE, "in pixels"),
        (HEADER.replace(b"% Height 24\n% Width 30\n", b"") + TYPE, "give it"),
        (packed(EVENTS), "give it"),
        (b"", "give it"),
    ],
)
def test_recordings_that_are_none(content: bytes, match: str, tmp_path: Path) -> None:
    (tmp_path / "x.dat").write_bytes(content)
    with pytest.raises(EventFileError, match=rf"x\.dat.*{match}"):
        open_recording(tmp_path / "x.dat")


def test_sizes_that_are_given(tmp_path: Path) -> None:
    path = written(tmp_path / "x.dat", EVENTS)
    assert open_recording(path, SIZE).size == SIZE
    with pytest.raises(EventFileError, match="the header says"):
        open_recording(path, (240, 304))
    with pytest.raises(EventFileError, match="1 to 16384"):
        open_recording(written(path, EVENTS, b""), (0, 3))
    with pytest.raises(EventFileError, match="8 bytes"):
        open_recording(written(path, [], b"1234567"), SIZE)
    with pytest.raises(FileNotFoundError):
        open_recording(tmp_path / "absent.dat")
    with pytest.raises(RangeError, match="length"):
        next(open_recording(written(path, EVENTS)).chunks(0))


@pytest.mark.parametrize(("axis", "value"), [(1, 30), (1, 16383), (2, 24), (2, 16383), (3, 2), (3, 15)])
@pytest.mark.parametrize("at", [0, 2, 4])
def test_events_outside_the_sensor(axis: int, value: int, at: int, tmp_path: Path) -> None:
    events = [list(event) for event in EVENTS]
    events[at][axis] = value
    recording = open_recording(written(tmp_path / "x.dat", [tuple(event) for event in events]))
    for length in (1, 2, 5):
        with pytest.raises(EventFileError, match=rf"x\.dat: event {at}: .*x below 30, y below 24.*found .*{value}"):
            list(recording.chunks(length))
    with pytest.raises(EventFileError, match=f"event {at}"):
        recording.between(events[at][0], events[at][0] + 1)


def test_time_that_runs_backwards(tmp_path: Path) -> None:
    events = [(10, 0, 0, 1), (20, 0, 0, 1), (19, 0, 0, 0), (30, 0, 0, 1)]
    recording = open_recording(written(tmp_path / "x.dat", events))
    for length in (1, 2, 3, 4):  # within a chunk, and from one to the next
        with pytest.raises(EventFileError, match="event 2: time runs backwards, to 19 us"):
            list(recording.chunks(length))
    with pytest.raises(EventFileError, match="event 2"):
        recording.between(15, 40)
    folded = open_recording(written(tmp_path / "y.dat", [(50, 0, 0, 1), (60, 0, 0, 1), (5, 0, 0, 1), (6, 0, 0, 1)]))
    for start, stop in ((0, 10), (0, 55), (55, 100), (200, 300)):  # bisection alone would find nothing in the last two
        with pytest.raises(EventFileError, match="event 2: time"):
            folded.between(start, stop)


def by_hand(events: Sequence[Event], t: int, encoding: Encoding) -> np.ndarray:
    """The published frames, one event after the other."""
    frames = np.full((encoding.T, *SIZE), 127, np.uint8)
    start = t - encoding.window
    if start < 0 and not encoding.past_only:
        start = 0
    for when, x, y, p in events:
        number = (when - start) // (encoding.window // encoding.T)
        if 0 <= number < encoding.T:
            frames[number, y, x] = 255 * p
    return frames


near = st.lists(
    st.tuples(st.integers(0, 400), st.integers(0, 3), st.integers(0, 2), st.integers(0, 1)), max_size=60
).map(lambda events: sorted(events, key=lambda event: event[0]))  # a stable sort: the order within a time is drawn


@given(events=near, t=st.integers(0, 420), T=st.integers(1, 5), window=st.integers(5, 200), past=st.booleans())
def test_slices(
    events: list[Event], t: int, T: int, window: int, past: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    encoding = Encoding(T=T, window=window, past_only=past)
    recording = open_recording(written(tmp_path_factory.getbasetemp() / "slices.dat", events))
    found = slices(recording, t, encoding)
    assert np.array_equal(found, by_hand(events, t, encoding))
    if past:  # nothing from the label's time on is seen
        earlier = [event for event in events if event[0] < t]
        again = open_recording(written(tmp_path_factory.getbasetemp() / "earlier.dat", earlier))
        assert np.array_equal(found, slices(again, t, encoding))


def test_the_published_choices(tmp_path: Path) -> None:
    """Four slices of 62.5 ms, half-open, up to the label; the last event of a pixel stays; grey is 127."""
    events = [
        (749_999, 0, 0, 1),  # before the window
        (750_000, 1, 0, 1), (812_499, 2, 0, 0),  # both ends of the first slice
        (812_500, 3, 0, 1),
        (900_000, 4, 0, 1), (900_000, 4, 0, 0), (900_001, 5, 0, 0), (900_002, 5, 0, 1),
        (999_999, 6, 0, 0), (1_000_000, 7, 0, 1),  # the label's own time is not seen
    ]  # fmt: skip
    recording = open_recording(written(tmp_path / "x.dat", events))
    found = slices(recording, 1_000_000)
    assert found.shape == (4, *SIZE)
    assert found[:, 0, :8].tolist() == [
        [127, 255, 0, 127, 127, 127, 127, 127],
        [127, 127, 127, 255, 127, 127, 127, 127],
        [127, 127, 127, 127, 0, 255, 127, 127],
        [127, 127, 127, 127, 127, 127, 0, 127],
    ]
    assert (found[:, 1:] == 127).all()


def test_the_beginning_of_a_recording(tmp_path: Path) -> None:
    """The published window starts at 0 at the earliest, and so sees what comes after an early label."""
    recording = open_recording(written(tmp_path / "x.dat", [(0, 0, 0, 1), (200_000, 9, 0, 1)]))
    published, corrected = (slices(recording, 100_000, encoding) for encoding in (PUBLISHED, CORRECTED))
    assert [frame[0, 0] for frame in published] == [255, 127, 127, 127]
    assert [frame[0, 9] for frame in published] == [127, 127, 127, 255]
    assert [frame[0, 0] for frame in corrected] == [127, 127, 255, 127]
    assert (corrected[:, 0, 9] == 127).all()


@pytest.mark.parametrize(("encoding", "order", "fill"), [(PUBLISHED, -1, 114), (CORRECTED, 1, 127)])
def test_network_input(encoding: Encoding, order: int, fill: int) -> None:
    frames = np.random.default_rng(0).choice(np.array([0, 127, 255], np.uint8), (4, 240, 304))
    found = fit(frames, encoding)
    assert (found.shape, found.dtype, found.flags.c_contiguous) == ((4, 3, 320, 320), np.uint8, True)
    assert (found == found[:, :1]).all()
    for frame, image in zip(frames[::order], found[:, 0], strict=True):
        expected, place = letterbox(np.repeat(frame[:, :, None], 3, 2), (320, 320), fill)
        assert np.array_equal(image, expected[:, :, 0])
    assert place.resized == (253, 320)
    assert (found[:, :, :33] == fill).all()
    assert (found[:, :, -34:] == fill).all()
    for wrong in (frames[:3], frames[0], frames.astype(np.int64)):
        with pytest.raises(ShapeError, match="frames"):
            fit(wrong, encoding)


@pytest.mark.parametrize("encoding", [{"T": 0}, {"T": 4, "window": 3}, {"T": 1, "window": 0}])
def test_encodings_that_cannot_be(encoding: dict[str, int]) -> None:
    with pytest.raises(RangeError, match="encoding"):
        Encoding(**encoding)


GEN1 = [
    ("ts", "<u8"),
    *((axis, "<f4") for axis in "xywh"),
    ("class_id", "u1"),
    ("confidence", "<f4"),
    ("track_id", "<u4"),
]
MEGAPIXEL = [
    ("t", "<i8"),
    *((axis, "<f4") for axis in "xywh"),
    ("class_id", "<u4"),
    ("track_id", "<u4"),
    ("class_confidence", "<f4"),
]
BOXES = [(1_000_000, 1.5, 2, 10, 8, 0, 1, 7), (1_000_000, 4, 4, 4, 4, 1, 0.5, 8), (2_000_000, 1, 2, 10, 8, 0, 1, 7)]


def annotated(dtype: list = GEN1, rows: list = BOXES) -> np.ndarray:
    boxes = np.zeros(len(rows), BOX)
    boxes[:] = rows
    found = np.zeros(len(rows), dtype)
    for name in found.dtype.names:
        found[name] = boxes[{"ts": "t", "class_confidence": "confidence"}.get(name, name)]
    return found


@pytest.mark.parametrize("dtype", [GEN1, MEGAPIXEL])
def test_annotations_of_both_kinds(dtype: list, tmp_path: Path) -> None:
    np.save(tmp_path / "x_bbox.npy", annotated(dtype))
    found = read_annotations(tmp_path / "x_bbox.npy")
    assert found.dtype == BOX
    assert found.tolist() == BOXES
    np.save(tmp_path / "x_bbox.npy", annotated(dtype, []))
    assert len(read_annotations(tmp_path / "x_bbox.npy")) == 0


def test_samples_of_a_recording(tmp_path: Path) -> None:
    recording = open_recording(written(tmp_path / "x.dat", [(900_000, 5, 6, 1), (1_999_999, 7, 8, 0)]))
    np.save(tmp_path / "x.npy", annotated())
    boxes = read_annotations(tmp_path / "x.npy")
    found = list(samples(recording, boxes, CORRECTED))
    assert [(t, boxes["track_id"].tolist()) for t, boxes, _ in found] == [(1_000_000, [7, 8]), (2_000_000, [7])]
    for t, _, frames in found:
        assert np.array_equal(frames, fit(slices(recording, t, CORRECTED), CORRECTED))
    assert list(samples(recording, np.empty(0, BOX))) == []


def saved(array: np.ndarray, **options: bool) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def changed(**columns: object) -> np.ndarray:
    found = annotated([(name, columns.get(f"{name}_type", kind)) for name, kind in GEN1])
    for name, value in columns.items():
        if not name.endswith("_type"):
            found[name] = value
    return found


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "as NumPy saves"),
        (b"garbage", "as NumPy saves"),
        (b"PK\x03\x04garbage", "as NumPy saves"),
        (saved(annotated())[:-1], "as NumPy saves"),
        (saved(np.array([{"x": 1}]), allow_pickle=True), "as NumPy saves"),
        (saved(annotated()).replace(b"(3,)", b"(9" + b"9" * 11 + b",)").replace(b" " * 11, b"", 1), "as NumPy saves"),
        (saved(np.zeros((3, 8))), "named fields"),
        (saved(np.zeros(3)), "named fields"),
        (saved(annotated().reshape(3, 1)), "named fields"),
        (saved(annotated([*GEN1[:-1]])), "missing .*track_id"),
        (saved(changed(x=np.nan)), "finite"),
        (saved(changed(h=np.inf)), "finite"),
        (saved(changed(w=-1)), "zero or more"),
        (saved(changed(ts=[3, 2, 1])), "backwards"),
        (saved(changed(class_id_type="<i4", class_id=256)), "whole numbers"),
        (saved(changed(track_id_type="<f4", track_id=0.5)), "whole numbers"),
        (saved(changed(ts_type="<i8", ts=-1)), "whole numbers"),
        (saved(changed(x_type="<U3", x="one")), "a number for each"),
        (saved(changed(x_type="<M8[s]")), "a number for each"),
        (saved(np.zeros(3, [(name, kind, (2,)) if name == "x" else (name, kind) for name, kind in GEN1])), "for each"),
    ],
)
def test_annotations_that_are_none(content: bytes, match: str, tmp_path: Path) -> None:
    (tmp_path / "x_bbox.npy").write_bytes(content)
    with pytest.raises(EventFileError, match=rf"(?s)x_bbox\.npy.*{match}"):
        read_annotations(tmp_path / "x_bbox.npy")


def test_archives_and_absent_files(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=annotated())
    with pytest.raises(EventFileError, match="named fields"):
        read_annotations(tmp_path / "x.npz")
    with pytest.raises(FileNotFoundError):
        read_annotations(tmp_path / "absent.npy")


@given(changes=st.lists(st.tuples(st.integers(0, 2**12), st.integers(0, 255)), min_size=1, max_size=6))
def test_changed_files_are_read_or_refused(changes: list, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp()
    for name, content in (("c.npy", saved(annotated())), ("c.dat", HEADER + TYPE + packed(EVENTS))):
        data = bytearray(content)
        for at, value in changes:
            data[at % len(data)] = value
        (folder / name).write_bytes(data)
    with contextlib.suppress(EventFileError):
        assert read_annotations(folder / "c.npy").dtype == BOX
    with contextlib.suppress(EventFileError):
        recording = open_recording(folder / "c.dat")
        events = [event for chunk in recording.chunks(2) for event in chunk.tolist()]
        assert all(x < recording.size[1] and y < recording.size[0] and p < 2 for _, x, y, p in events)
        assert events == sorted(events, key=lambda event: event[0])
