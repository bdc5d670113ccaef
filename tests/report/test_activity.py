"""Activity against the NumPy reference, energy against the formula written out."""

from __future__ import annotations

import numpy as np
import pytest

from pyspike import reference
from pyspike.report.activity import measure
from tests.cli.conftest import detection_graph


def test_activity_is_what_the_reference_sees() -> None:
    graph = detection_graph()
    x = np.random.default_rng(3).integers(0, 256, (1, 3, 32, 48), dtype=np.uint8)
    activity = measure(graph, {"images": x})
    by_name = {each.name: each for each in activity.synapses}
    assert list(by_name) == ["drive8", "drive16", "logits8", "logits16"]

    nodes = {node.output: node for node in graph.nodes}
    pixels = x.transpose(0, 2, 3, 1).astype(np.int64)
    spikes8 = nodes["spikes8"].op.reference(nodes["drive8"].op.reference(pixels))
    spikes16 = nodes["spikes16"].op.reference(nodes["drive16"].op.reference(spikes8))
    for name, seen in {"drive8": pixels, "drive16": spikes8, "logits8": spikes8, "logits16": spikes16}.items():
        each = by_name[name]
        assert (each.elements, each.nonzero) == (seen.size, np.count_nonzero(seen))
        assert each.mean == seen.mean()
        assert each.sops == nodes[name].op.sops(seen)
        assert each.first == (name == "drive8")
    assert by_name["drive8"].padded_macs == 8 * 4 * 6 * 8 * 8 * 3
    assert activity.macs == sum(each.macs for each in activity.synapses)
    assert by_name["logits8"].macs == by_name["logits8"].padded_macs == 18 * 4 * 6 * 8
    assert by_name["drive16"].macs < by_name["drive16"].padded_macs

    expected = 4.6 * by_name["drive8"].padded_macs
    for name in ("drive16", "logits8", "logits16"):
        expected += 0.9 * by_name[name].mean * by_name[name].padded_macs
    assert activity.papers_energy == pytest.approx(expected * 1e-12, rel=1e-12)
    both = np.count_nonzero(spikes8) + np.count_nonzero(spikes16)
    assert activity.element_density == both / (spikes8.size + spikes16.size)
    assert reference.run(graph, {"images": x})  # the graph itself is sound
