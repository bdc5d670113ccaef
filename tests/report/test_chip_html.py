"""The report of a chip: what its file holds."""

from __future__ import annotations

import base64
import html
import json
import re
import zlib
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyspike.report.chip_data import StepTimes
from pyspike.report.chip_html import SCRIPTS, firing, to_html, write_html
from tests.report.chip_example import HOSTILE, example, renamed, small

ASSETS = Path(__file__).parents[2] / "pyspike" / "report" / "assets"


def _figures(page: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The JSON and the arrays that a page carries."""
    found = re.findall(r'<script type="application/json" id="run">([^<]*)</script>', page)
    block = re.findall(r'<script type="text/plain" id="arrays">([A-Za-z0-9+/=]*)</script>', page)
    assert len(found) == len(block) == 1
    figures, content = json.loads(found[0]), zlib.decompress(base64.b64decode(block[0]))
    arrays = {}
    for name, place in figures["arrays"].items():
        kind = np.dtype(place["type"]).newbyteorder("<")
        assert place["offset"] % 8 == 0
        arrays[name] = np.frombuffer(content, kind, place["length"], place["offset"])
    return figures, arrays


def test_the_page_carries_every_number() -> None:
    run = example()
    figures, arrays = _figures(to_html(run))
    assert figures["totals"]["cycles"] == run.cycles
    assert figures["energyParts"] == [[kind, joules] for kind, joules in run.energy_parts.items()]
    assert [layer["name"] for layer in figures["layers"]] == [layer.name for layer in run.layers]
    assert run.raster is not None
    for name, expected in {
        "classes": run.classes,
        "links": run.links,
        "edges": run.edges,
        "windowClasses": run.window_classes,
        "windowLinks": run.window_links,
        "rasterCycle": run.raster.cycle,
        "rasterLayer": run.raster.layer,
        "rasterNeuron": run.raster.neuron,
    }.items():
        np.testing.assert_array_equal(arrays[name], expected.ravel(), name)
    np.testing.assert_allclose(arrays["windowEnergy"], run.window_energy.ravel(), rtol=1e-6)


def test_numbers_of_numpy_and_beyond_32_bits_travel() -> None:
    run = small()
    long = 2**33 + 1
    run = replace(
        run,
        cycles=long,
        sops=np.int64(16),
        window=np.array([0, long]),
        classes=np.array([[long, 0, 0, 0]]),
        window_classes=np.array([[[long, 0, 0, 0]]]),
    )
    figures, arrays = _figures(to_html(run))
    assert figures["totals"]["sops"] == 16
    assert figures["arrays"]["edges"]["type"] == "float64"
    assert arrays["classes"][0] == arrays["edges"][1] == long


def test_the_share_of_firing_cores_is_that_of_every_cycle() -> None:
    """Against counting cycle by cycle; the layer lies in part of the first and of the last window."""
    random = np.random.default_rng(7)
    run, n = small(), 40
    core = random.integers(0, 3, n)
    first = random.integers(5, 80, n)
    last = np.minimum(first + random.integers(0, 20, n), 90)
    zero = np.zeros(n, dtype=np.int64)
    classes = np.tile(np.array([100, 0, 0, 0]), (4, 1))
    edges = np.array([0, 16, 17, 50, 100])
    windows = np.zeros((4, 4, 4), dtype=np.int64)
    windows[:, :, 0] = np.diff(edges)[:, None]
    layer = replace(run.layers[0], cores=[0, 1, 2], first_cycle=5, last_cycle=90)
    run = replace(
        run,
        chip=replace(run.chip, mesh=(2, 2)),
        cycles=100,
        classes=classes,
        links=np.zeros((4, 5), dtype=np.int64),
        window=edges,
        window_classes=windows,
        window_links=np.zeros((4, 4, 5), dtype=np.int64),
        window_energy=np.zeros((4, 1)),
        layers=[replace(layer, kind="input", cores=[]), layer],
        steps=StepTimes(core, zero, ["s"] * n, zero + 1, first, last, zero, zero),
    )
    under_way = np.zeros(100)
    for begin, end in zip(first, last, strict=True):
        under_way[begin : end + 1] += 1
    expected = [under_way[a:b][max(0, 5 - a) : max(0, 91 - a)].mean() / 3 for a, b in pairwise(edges)]
    np.testing.assert_allclose(firing(run), [np.zeros(4), expected], rtol=1e-12)


def test_nothing_is_fetched() -> None:
    page = to_html(example())
    assert "default-src 'none'" in page
    without_namespace = page.replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|\bsrc=|\bhref=|@import|url\(", without_namespace)


def test_the_scripts_write_text_not_markup() -> None:
    assert {path.name for path in ASSETS.glob("*.js")} == {f"chip-{name}.js" for name in SCRIPTS}
    for path in ASSETS.glob("*.js"):
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", path.read_text()), path


@pytest.mark.parametrize("name", HOSTILE)
def test_names_stay_names(name: str) -> None:
    run = renamed(example(), name)
    page = to_html(run)
    assert page.count("<script") == 3
    assert page.count("</script") == 3
    assert f"<title>{html.escape(name)}</title>" in page
    figures, _ = _figures(page)
    assert {layer["name"] for layer in figures["layers"]} == {figures["title"], figures["agreement"]} == {name}


def test_256_cores_and_windows_of_noise_stay_small() -> None:
    """Noise does not compress: no run of this size has a larger page."""
    run, random = example(), np.random.default_rng(2)
    classes, links = np.zeros((256, 256, 4), dtype=np.int64), random.integers(0, 2000, (256, 256, 5))
    classes[:, :, :3] = random.integers(0, 1000, (256, 256, 3))
    edges = np.append(np.arange(256) * (run.cycles // 256), run.cycles)
    classes[:, :, 3] = np.diff(edges)[:, None] - classes.sum(2)
    energy = random.random((256, len(run.energy_parts)))
    series = {"window": edges, "window_classes": classes, "window_links": links, "window_energy": energy}
    run = replace(run, classes=classes.sum(0), links=links.sum(0), passes=(), **series)
    assert 800_000 < len(to_html(run)) < 3_000_000


def test_a_report_is_written_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.html"
    write_html(small(), path)
    before = path.read_bytes()
    assert before.startswith(b"<!DOCTYPE html>")

    def full(self: Path, target: Path) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no space"):
        write_html(example(), path)
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]
    assert path.read_bytes() == before
    with pytest.raises(FileNotFoundError):
        write_html(small(), tmp_path / "absent" / "report.html")
