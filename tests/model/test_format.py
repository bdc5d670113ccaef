"""The C++ reader's description of the format against the Python one, which defines it."""

from __future__ import annotations

import hashlib
import re
import struct

import numpy as np
import pytest

from pyspike import _native, graph, image, packing
from pyspike.ops import OPS, conv2d
from tests.house.sources import ROOT

NUMBERS = _native.format_numbers()
RECORDS = ("HEADER", "MODEL", "TENSOR", "OP", "PORT", "BLOB")
SIZES = {"uint8_t": "B", "uint16_t": "H", "uint32_t": "I", "uint64_t": "Q", "int32_t": "i"}


def test_every_number_is_the_same() -> None:
    expected: dict[str, object] = {name: getattr(image, name).size for name in RECORDS}
    for module, names in (
        (image, "MAGIC MAJOR MINOR KIND_MODEL ALIGNMENT MAX_TENSORS TENSOR_TIME TENSOR_PER_CHANNEL"),
        (graph, "MAX_RANK MAX_ELEMENTS MAX_TIMESTEPS MAX_FRACTION"),
        (conv2d, "MAX_REACH"),
        (packing, "PLAIN ROWS DEPTHWISE MAX_PACKED_BYTES"),
    ):
        expected |= {name: getattr(module, name) for name in names.split()}
    expected |= {f"kind of {op.name}": op.kind for op in OPS}
    assert expected == NUMBERS


def fields_of(record: str) -> str:
    """The struct format of a record in csrc/model/format.hpp, from its source."""
    source = (ROOT / "csrc/model/format.hpp").read_text()
    found = re.search(rf"^struct {record} \{{\n(.*?)^\}};", source, re.MULTILINE | re.DOTALL)
    assert found, record
    text = re.sub(r"//.*", "", found[1])
    code = "<"
    for array, size, plain, names in re.findall(r"(?:std::array<std::(\w+), (\d+)>|std::(\w+)) ([\w, ]+);", text):
        for _ in names.split(","):
            code += SIZES[array] * int(size) if array else SIZES[plain]
    return code


@pytest.mark.parametrize("name", RECORDS)
def test_fields_lie_at_the_same_bytes(name: str) -> None:
    def spelled_out(code: str) -> str:
        plain = re.sub(r"(\d+)s", lambda match: "B" * int(match[1]), code)
        return re.sub(r"(\d+)(\w)", lambda match: match[2] * int(match[1]), plain)

    ours, theirs = spelled_out(getattr(image, name).format), fields_of(name.capitalize())
    assert ours == theirs
    assert struct.calcsize(theirs) == NUMBERS[name]


@pytest.mark.parametrize("portable", [False, True])
def test_digest_is_sha256(portable: bool) -> None:
    data = np.random.default_rng(0).bytes(100_003)
    for size in (*range(200), 4096, len(data)):
        assert _native.sha256(data[:size], portable) == hashlib.sha256(data[:size]).digest(), size


PAGE = (ROOT / "docs/format.md").read_text()
HEADINGS = {
    "HEADER": "Header", "MODEL": "Model record", "TENSOR": "Tensor record", "OP": "Operator record",
    "PORT": "Port record", "BLOB": "Array record",
}  # fmt: skip
TYPES = {"uint8": "B", "uint16": "H", "uint32": "I", "uint64": "Q", "int32": "i", "bytes": "B"}


def fields_on_page(heading: str) -> str:
    """The struct format that docs/format.md's table under `heading` describes; checks its column of offsets."""
    table = PAGE.split(f"### {heading}\n", 1)[1].split("\n#", 1)[0]
    code = "<"
    for at, count_before, kind, count_behind in re.findall(
        r"^\| (\d+) \| (?:(\d+) )?(\w+)(?: × (\d+))? \|", table, re.M
    ):
        assert struct.calcsize(code) == int(at), f"{heading}: {at}"
        code += TYPES[kind] * int(count_before or count_behind or 1)
    return code


@pytest.mark.parametrize("name", RECORDS)
def test_the_page_describes_every_record(name: str) -> None:
    assert fields_on_page(HEADINGS[name]) == fields_of(name.capitalize())


def test_the_page_lists_every_operator() -> None:
    rows = re.findall(r"^\| (\d+) \| (\w+) \|", PAGE.split("## Operators", 1)[1], re.M)
    assert [(int(kind), name) for kind, name in rows] == [(op.kind, op.name) for op in OPS]
