"""The image format: one graph, one image, and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyspike import image, memory, packing
from pyspike.errors import ModelFormatError
from pyspike.graph import Graph, Phase
from tests.exact.graphs import graphs


def same(a: Graph, b: Graph) -> bool:
    ordered = [node for phase in Phase for node in a.nodes_in(phase)]
    return (
        a.tensors == b.tensors
        and a.inputs == b.inputs
        and a.outputs == b.outputs
        and [(n.inputs, n.output, type(n.op)) for n in ordered] == [(n.inputs, n.output, type(n.op)) for n in b.nodes]
    )


@settings(max_examples=60)
@given(graphs())
def test_what_is_written_is_read_back(graph) -> None:
    data = image.to_bytes(graph)
    again = image.from_bytes(data)
    assert same(graph, again)
    assert image.to_bytes(again) == data


@settings(max_examples=30)
@given(graphs(), st.data())
def test_every_flipped_bit_is_seen(graph, data) -> None:
    good = image.to_bytes(graph)
    position = data.draw(st.integers(0, len(good) * 8 - 1))
    bad = bytearray(good)
    bad[position // 8] ^= 1 << position % 8
    if position // 8 in (10, 11):  # the minor version: a reader takes any of its major
        return
    with pytest.raises(ModelFormatError):
        image.from_bytes(bytes(bad))


@settings(max_examples=60)
@given(graphs())
def test_tensors_that_live_together_never_share_a_byte(graph) -> None:
    plan, spans = memory.plan(graph), memory.lifetimes(graph)
    names = list(graph.tensors)
    for i, a in enumerate(names):
        assert plan.offsets[a] % 64 == 0
        assert plan.offsets[a] + graph.tensors[a].nbytes <= plan.arena_bytes
        for b in names[:i]:
            if spans[a][0] <= spans[b][1] and spans[b][0] <= spans[a][1]:
                first, second = sorted([(plan.offsets[n], graph.tensors[n].nbytes) for n in (a, b)])
                assert first[0] + first[1] <= second[0], f"{a} and {b} overlap"


@given(st.integers(1, 3), st.integers(1, 150), st.integers(1, 3), st.integers(1, 3), st.integers(1, 4))
def test_packing_is_invertible_and_its_size_is_known(groups, outputs, kh, kw, inputs) -> None:
    dims = (groups, outputs, kh, kw, inputs)
    weights = np.random.default_rng(0).integers(-127, 128, (groups * outputs, kh, kw, inputs)).astype(np.int8)
    data = packing.pack(weights, packing.ROWS, dims)
    assert len(data) == packing.packed_size(packing.ROWS, dims, 1)
    np.testing.assert_array_equal(packing.unpack(data, packing.ROWS, dims, np.dtype(np.int8)), weights)


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch) -> None:
    target = tmp_path / "m.spk"
    target.write_bytes(b"old")
    monkeypatch.setattr(image.Path, "replace", lambda *names: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        image.write(Graph(), target)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_missing_file_and_a_directory(tmp_path) -> None:
    with pytest.raises(FileNotFoundError):
        image.read(tmp_path / "no.spk")
    with pytest.raises(ModelFormatError, match="directory"):
        image.read(tmp_path)
