"""Images whose digest is right and whose meaning may be wrong: both readers judge alike, and what they accept runs."""

from __future__ import annotations

import struct
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyspike import image, reference
from pyspike.errors import ModelFormatError
from pyspike.runtime import Model
from tests.bad_input.images import IMAGE, sections, signed, verdict
from tests.exact.graphs import graphs

NUMBERS = [0, 1, 2, 5, 64, 255, 2**15, 2**31 - 1, 2**31, 2**32 - 1]
RECORDS = {
    "tensors": image.TENSOR, "ops": image.OP, "ports": image.PORT, "blobs": image.BLOB, "model": image.MODEL,
}  # fmt: skip
SMALL = 2**16


def offsets(code: str) -> list[tuple[int, str]]:
    """Byte and type of every field of a record."""
    found = []
    for i, letter in enumerate(code):
        at = struct.calcsize("<" + code[:i])
        found.append((at, letter))
    return found


def spelled_out(record: struct.Struct) -> str:
    text, count = "", ""
    for letter in record.format.lstrip("<"):
        if letter.isdigit():
            count += letter
        else:
            text += letter * int(count or 1)
            count = ""
    return text


def assert_same_verdict(data: bytes) -> None:
    """Both readers accept or both refuse; what they accept computes the same, if it is small enough to try."""
    python, native = verdict(data)
    assert (python is None) == (native is None), f"Python: {python}; C++: {native}"
    if native is None:
        run(data)


def run(data: bytes) -> None:
    graph, model = image.from_bytes(data), Model.load(data)
    sizes = [tensor.size for tensor in graph.tensors.values()]
    if max(sizes) > SMALL or sum(model.memory().__dict__.values()) > 2**24 or graph.timesteps > 8:
        return
    rng = np.random.default_rng(0)
    case = {
        port.name: rng.integers(
            graph.tensors[port.tensor].lo,
            graph.tensors[port.tensor].hi,
            port.declared_shape(graph.tensors[port.tensor], graph.timesteps),
            endpoint=True,
        ).astype(port.dtype)
        for port in graph.inputs
    }
    expected = reference.run(graph, case)
    found = model.runtime().run(case, raw=True)
    assert all(np.array_equal(found[name], values) for name, values in expected.items())


@pytest.mark.parametrize("section", RECORDS)
def test_every_field_of_every_record(section) -> None:
    record = RECORDS[section]
    start, end = sections()[section]
    for base in range(start, end, record.size):
        for at, letter in offsets(spelled_out(record)):
            (value,) = struct.unpack_from("<" + letter, IMAGE, base + at)
            size = struct.calcsize(letter)
            for new in {*NUMBERS, value + 1, value - 1, value ^ 1, value + 64}:
                data = bytearray(IMAGE)
                data[base + at : base + at + size] = (new % 256**size).to_bytes(size, "little")
                if data != IMAGE:
                    assert_same_verdict(signed(data))


@pytest.mark.parametrize("section", ["words", "strings", "metadata", "data"])
def test_every_value_of_the_other_sections(section) -> None:
    start, end = sections()[section]
    size = 4 if section == "words" else 1
    for at in range(start, end, size):
        value = int.from_bytes(IMAGE[at : at + size], "little")
        for new in {*NUMBERS, value + 1, value - 1} if size == 4 else {value ^ 1, value ^ 128}:
            data = bytearray(IMAGE)
            data[at : at + size] = (new % 256**size).to_bytes(size, "little")
            if data != IMAGE:
                assert_same_verdict(signed(data))


def test_gaps_are_zero() -> None:
    spans = list(sections().values())
    for (_, end), (start, _) in pairwise(spans):
        for at in range(end, start):
            data = bytearray(IMAGE)
            data[at] = 1
            assert all(verdict(signed(data)))


@st.composite
def mutants(draw) -> bytes:
    """A random graph's image with one or two random changes, signed again."""
    data = bytearray(image.to_bytes(draw(graphs())))
    for _ in range(draw(st.integers(1, 2))):
        size = draw(st.sampled_from([1, 1, 2, 4, 8]))
        at = draw(st.integers(64 // size, len(data) // size - 1)) * size
        value = int.from_bytes(data[at : at + size], "little")
        change = draw(st.sampled_from([1, -1, 2, 64, -64]))
        new = draw(st.sampled_from([value + change, value ^ 1 << draw(st.integers(0, 8 * size - 1)), *NUMBERS]))
        data[at : at + size] = (new % 256**size).to_bytes(size, "little")
    return signed(data)


@given(st.lists(mutants(), min_size=10, max_size=10))
def test_mutants(images) -> None:
    for data in images:
        assert_same_verdict(data)


def splice(data: bytes, counts: dict[int, int], pieces: dict[str, bytes]) -> bytes:
    """An image from sections and the counts of its model record."""
    model = list(image.MODEL.unpack_from(data, 64))
    for index, count in counts.items():
        model[index] = count
    spans = sections(data)
    parts = [image.MODEL.pack(*model)]
    for name in ("tensors", "ops", "ports", "blobs", "words", "strings", "data"):
        part = pieces.get(name, data[slice(*spans[name])])
        parts.append(part + bytes(-len(part) % 64))
    return signed(data[:64] + b"".join(parts) + data[slice(*spans["metadata"])])


def test_counts_that_promise_more_than_the_file_holds() -> None:
    assert splice(IMAGE, {}, {}) == IMAGE
    for index in range(2, 11):
        for count in (2**16, 2**31, 2**32 - 1, 2**61, 2**64 - 1):
            if index < 10 and count >= 2**32:
                continue
            assert all(verdict(splice(IMAGE, {index: count}, {})))


def test_unused_bytes_are_refused() -> None:
    spans = sections()
    for name, index, unit in (("words", 7, 4), ("strings", 8, 1), ("data", 10, 64), ("blobs", 6, 32)):
        start, end = spans[name]
        longer = IMAGE[start:end] + bytes(unit)
        count = (len(longer)) // (unit if name in ("words", "blobs") else 1)
        assert all(verdict(splice(IMAGE, {index: count}, {name: longer})))


def test_an_operator_twice_or_never_is_refused() -> None:
    start, end = sections()["ops"]
    last = IMAGE[end - 32 : end]
    count = (end - start) // 32
    assert all(verdict(splice(IMAGE, {3: count + 1}, {"ops": IMAGE[start:end] + last})))
    assert all(verdict(splice(IMAGE, {3: count - 1}, {"ops": IMAGE[start : end - 32]})))
    assert all(verdict(splice(IMAGE, {3: 0}, {"ops": b""})))


def test_swapped_operators_are_refused() -> None:
    start, end = sections()["ops"]
    for at in range(start, end - 32, 32):
        data = bytearray(IMAGE)
        data[at : at + 32], data[at + 32 : at + 64] = IMAGE[at + 32 : at + 64], IMAGE[at : at + 32]
        assert all(verdict(signed(data)))


def test_deeply_nested_metadata_is_refused() -> None:
    for text in (b"[" * 200_000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000):
        model = list(image.MODEL.unpack_from(IMAGE, 64))
        model[9] = len(text)
        at = sections()["metadata"][0]
        data = signed(IMAGE[:64] + image.MODEL.pack(*model) + IMAGE[128:at] + text)
        with pytest.raises(ModelFormatError):
            image.from_bytes(data)
        with pytest.raises(ModelFormatError):
            Model.load(data)
