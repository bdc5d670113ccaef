"""The report of a chip: what the file holds, and what a browser makes of it."""

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
from PIL import Image

from pyspike.errors import Error, RangeError, ShapeError
from pyspike.report.chip_data import ChipRun, LayerRecord, StepTimes, coarser
from pyspike.report.chip_html import SCRIPTS, firing, to_html, write_html
from tests.report.chip_example import example, renamed, small
from tests.report.screenshot import ask, chromium, screenshot

ASSETS = Path(__file__).parents[2] / "pyspike" / "report" / "assets"
HOSTILE = ["</script><b>", "{{arrays}}", "<!--<script>", "'\"&amp;\\\u2028\ud800", "<img src=x onerror=console.log(1)>"]
looked_at = pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine: nobody looks at the page")


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


# The file.


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


def test_utilisation_is_that_of_the_cores_in_use() -> None:
    """Two passes: two cores with steps in the first, one in the second."""
    classes = np.array([[[4, 0, 6, 0], [0, 1, 9, 0], [0, 0, 0, 10]], [[20, 0, 0, 0], [0, 0, 0, 20], [0, 0, 0, 20]]])
    none = np.zeros(0, dtype=np.int64)
    run = replace(
        small(), chip=replace(small().chip, mesh=(3, 1)), cycles=30, passes=[("a", 0), ("b", 10)], layers=[],
        classes=classes.sum(0), window=np.array([0, 10, 30]), window_classes=classes,
        links=np.zeros((3, 5), dtype=np.int64), window_links=np.zeros((2, 3, 5), dtype=np.int64),
        window_energy=np.zeros((2, 1)), steps=StepTimes(none, none, [], none, none, none, none, none),
    )  # fmt: skip
    assert run.cores_in_use.tolist() == [[True, True, False], [True, False, False]]
    assert run.utilisation == 24 / (2 * 10 + 20)
    single = replace(run, passes=())
    assert single.utilisation == 24 / (2 * 30)


def test_a_long_time_series_is_drawn_coarser() -> None:
    run = example()
    assert coarser(run, 190) is run
    for windows, second in ((1, 150), (7, 99), (50, 3), (189, 188)):
        run = replace(run, passes=[("a", 0), ("b", int(run.edges[second]))])
        fewer = coarser(run, windows)
        assert len(fewer.window_classes) <= windows + len(run.passes)
        assert len(fewer.window_classes) > windows / 3
        assert set(fewer.edges) <= set(run.edges)
        np.testing.assert_array_equal(fewer.classes, run.classes)
        np.testing.assert_allclose(fewer.window_energy.sum(0), run.window_energy.sum(0))
        assert fewer.utilisation == run.utilisation


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


CONTRADICTIONS: list[tuple[dict[str, Any], type[Error], str]] = [
    ({"cycles": 0}, RangeError, "at least one"),
    ({"cycles": 38}, RangeError, "classes of core 0 sum to 37 cycles, the run has 38"),
    ({"seconds": float("nan")}, RangeError, "latency"),
    ({"sops": -1}, RangeError, "sops must be a finite number"),
    ({"energy": 4e-12}, RangeError, "its parts sum to 3e-12"),
    ({"classes": np.array([[37.0, 0, 0, 0]])}, ShapeError, r"classes must be integers \[1, 4\], not float64"),
    ({"links": np.zeros((1, 4), dtype=np.int64)}, ShapeError, r"links must be integers \[1, 5\]"),
    ({"links": np.array([[2, 0, 0, 0, 17]])}, RangeError, "window_links does not sum to links"),
    ({"window": 8}, RangeError, "do not cut 37 cycles"),
    ({"window": np.array([0, 36])}, RangeError, "do not cut 37 cycles"),
    ({"window_classes": np.array([[[19, 0, 14, 4]]])}, RangeError, "window_classes does not sum to classes"),
    ({"window_energy": np.zeros((1, 2))}, ShapeError, r"window_energy must be \[1, 1\]"),
    ({"window_energy": np.array([[np.inf]])}, RangeError, "not finite"),
    ({"passes": [("a", 0), ("b", 0)]}, RangeError, r"start at \[0, 0\]"),
    ({"passes": [("a", 0), ("b", 9)]}, RangeError, "starts within a window"),
    ({"passes": [("a", 37)]}, RangeError, "outside the run"),
    ({"layers": []}, RangeError, "belongs to no layer"),
]


@pytest.mark.parametrize(("change", "error", "message"), CONTRADICTIONS, ids=lambda value: str(value)[:40])
def test_a_run_that_contradicts_itself_is_refused(change: dict[str, Any], error: type[Error], message: str) -> None:
    with pytest.raises(error, match=message):
        replace(small(), **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "conv"}, "kind 'conv'"),
        ({"cores": [1]}, "outside the mesh"),
        ({"last_cycle": 37}, r"14\.\.37 of 37 cycles"),
        ({"last_cycle": 12}, r"14\.\.12 of 37 cycles"),
        ({"spikes": -2}, "spikes of layer 'only'"),
        ({"energy": {"tea": 1e-12}}, "kind 'tea'"),
        ({"density": 1.5}, "density"),
    ],
)
def test_a_layer_that_contradicts_its_run_is_refused(change: dict[str, Any], message: str) -> None:
    run = small()
    with pytest.raises(RangeError, match=message):
        replace(run, layers=[replace(run.layers[0], **change)])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"core": np.array([1])}, "outside the mesh"),
        ({"core": np.array([-2])}, "below 0"),
        ({"last": np.array([37])}, "after the run"),
        ({"last": np.array([13])}, "before it begins"),
        ({"t": np.array([0, 1])}, r"t of steps must be integers \[1\]"),
    ],
)
def test_steps_that_contradict_their_run_are_refused(change: dict[str, Any], message: str) -> None:
    run = small()
    with pytest.raises(Error, match=message):
        replace(run, steps=replace(run.steps, **change))


# The page in a browser.

# Presses, moves and reads as somebody at the page would.
TOUR = """
const $ = (id) => document.getElementById(id);
const texts = (chosen) => [...document.querySelectorAll(chosen)].map((each) => each.textContent);
const colours = (id) => {
  const canvas = $(id);
  const pixels = new Uint32Array(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.buffer);
  return new Set(pixels).size;
};
const picture = (id) => $(id).toDataURL();
const column = (n) => texts(`#layers tbody td:nth-child(${n})`);
const point = (target, x, y, kind = "pointermove") => {
  const box = target.getBoundingClientRect();
  const place = { clientX: box.left + x, clientY: box.top + y, bubbles: true };
  target.dispatchEvent(new PointerEvent(kind, place));
};
const found = { title: $("title").textContent, figures: texts(".figure"), classes: texts("#classPicker button") };
found.colours = ["coreMap", "linkMap", "raster"].map((id) => $(id) ? colours(id) : 0);
found.marks = Object.fromEntries([".area polygon", ".gantt .span", ".gantt .work", ".bars rect", "#layers tbody tr",
  ".legend > div", ".passline"].map((chosen) => [chosen, document.querySelectorAll(chosen).length]));
found.width = document.documentElement.scrollWidth;

const whole = { cores: picture("coreMap"), links: picture("linkMap"), now: $("now").textContent };
found.windows = [0, Number($("slider").max) >> 1].map((window) => {
  $("slider").value = String(window);
  $("slider").dispatchEvent(new Event("input"));
  const changed = [picture("coreMap") !== whole.cores, picture("linkMap") !== whole.links];
  return { now: $("now").textContent, top: texts("#topCores .line"), links: texts("#topLinks .line"), changed,
    cursor: [$("cursor").hidden, parseFloat($("cursor").style.left)] };
});
$("whole").click();
found.again = [picture("coreMap") === whole.cores, $("now").textContent === whole.now, $("cursor").hidden];
document.querySelectorAll("#classPicker button")[2].click();
found.waiting = [picture("coreMap") !== whole.cores, $("coreUnit").textContent];
document.querySelectorAll("#classPicker button")[0].click();

$("play").click();
await new Promise((then) => setTimeout(then, 1000));
found.played = $("now").textContent;
$("play").click();
const paused = $("now").textContent;
await new Promise((then) => setTimeout(then, 500));
found.paused = $("now").textContent === paused;
$("whole").click();

found.order = { none: column(1) };
const head = (name) => [...document.querySelectorAll("#layers th button")].find((each) => each.textContent === name);
for (const name of ["Energy", "Layer"]) {
  head(name).click();
  found.order[name] = column(1);
  head(name).click();
  found.order[`${name} again`] = column(1);
}

const tip = () => ($("tip").hidden ? null : $("tip").textContent);
point($("coreMap"), 5, 5);
found.tips = [tip()];
point($("linkMap"), 5, 5);
found.tips.push(tip());
point(document.querySelector(".gantt"), 300, 25);
found.tips.push(tip());
found.marked = texts(".names .marked");
point(document.querySelector(".gantt"), 300, 25, "pointerleave");
found.tips.push(tip());
const before = picture("coreMap");
document.querySelectorAll(".names div")[2]?.dispatchEvent(new MouseEvent("click", { bubbles: true,
  clientY: document.querySelectorAll(".names div")[2]?.getBoundingClientRect().top + 5 }));
found.pinned = [texts(".names .marked"), picture("coreMap") !== before];
if ($("fold")) {
  found.fold = [$("fold").textContent, document.querySelectorAll(".names")[0].childElementCount];
  $("fold").click();
  found.fold.push($("fold").textContent);
  found.modules = [[...document.querySelectorAll(".names")[0].children].map((each) => each.textContent),
    [...document.querySelectorAll(".bars")[0].querySelectorAll("text")].map((each) => each.textContent),
    document.querySelectorAll(".gantt .span").length, colours("raster")];
  document.querySelectorAll("#layers tbody tr")[5]?.click();
  found.inTable = [texts("#layers .marked td:nth-child(2)"), texts(".names .marked")];
}
point($("rows"), 500, 120, "pointerdown");
found.pressed = $("now").textContent;
const light = getComputedStyle(document.body).backgroundColor;
$("theme").click();
found.dark = [light, getComputedStyle(document.body).backgroundColor];
return found;
"""


@pytest.fixture(scope="module")
def run() -> ChipRun:
    return example()


@pytest.fixture(scope="module")
def tour(run: ChipRun, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_html(run, path)
    found, console = ask(path, TOUR)
    assert console == []
    return dict(found)


@looked_at
def test_every_chart_is_drawn(run: ChipRun, tour: dict[str, Any]) -> None:
    assert all(number > 20 for number in tour["colours"]), tour["colours"]
    kinds, worked = len(run.energy_parts), [layer for layer in run.layers if layer.last_cycle >= layer.first_cycle]
    parts = sum(joules > 0 for layer in run.layers for joules in layer.energy.values())
    rest = 1  # static energy, which belongs to no layer; the off-chip link's is the output's
    firing_layers = len(np.unique(run.steps.layer))
    assert tour["marks"] == {
        ".area polygon": 4 + kinds,
        ".gantt .span": len(worked),
        ".gantt .work": len(worked),
        ".bars rect": parts + rest + firing_layers,
        "#layers tbody tr": len(run.layers),
        ".legend > div": 4 + kinds,
        ".passline": 1,
    }
    assert tour["width"] == 1280


@looked_at
def test_the_key_figures_are_those_of_the_run(run: ChipRun, tour: dict[str, Any]) -> None:
    assert tour["title"] == run.title
    figures = " | ".join(tour["figures"])
    for expected in (
        f"Latency{1e3 * run.seconds:.2f} ms",
        f"Energy{1e6 * run.energy:.0f} µJ",
        f"Average power{1e3 * run.energy / run.seconds:.1f} mW",
        f"SOPs{run.sops / 1e6:.0f} M",
        f"Adds{run.adds / 1e6:.0f} M",
        f"Cycles{run.cycles / 1e3:.1f} k",
        f"Utilisation{100 * run.utilisation:.2f} %",
    ):
        assert expected in figures
    shares = [100 * share for share in run.classes.sum(0) / run.classes.sum()]
    for text, name, share in zip(tour["classes"], ("busy", "stalled", "waiting", "idle"), shares, strict=True):
        assert text == f"{name}{share:.{1 if share >= 10 else 2}f} %"


@looked_at
def test_the_slider_shows_windows(run: ChipRun, tour: dict[str, Any]) -> None:
    edges, n = run.edges, len(run.window_classes)
    for window, found in zip((0, (n - 1) >> 1), tour["windows"], strict=True):
        cycles = f"cycles {edges[window]:,} – {edges[window + 1] - 1:,}".replace(",", "\u2009")
        assert found["now"].startswith(f"window {window + 1} of {n}: ")
        assert found["now"].endswith(cycles)
        busy = run.window_classes[window, :, 0] / (edges[window + 1] - edges[window])
        core = int(busy.argmax())
        assert found["top"][0].startswith(f"{core} at ({core % 16}, {core // 16})")
        assert found["changed"] == [True, True]
        hidden, left = found["cursor"]
        assert not hidden
        assert (left > 100) == (window > 0)
    load = run.window_links[(n - 1) >> 1, :, 1:].max() / (edges[1] - edges[0])
    assert tour["windows"][1]["links"][0].endswith(f"{load:.3f}")
    assert tour["again"] == [True, True, True]


@looked_at
def test_time_plays_and_pauses(tour: dict[str, Any]) -> None:
    assert re.match(r"window \d+ of ", tour["played"])
    assert not tour["played"].startswith("window 1 of ")
    assert tour["paused"]


@looked_at
def test_another_class_can_be_shown(tour: dict[str, Any]) -> None:
    assert tour["waiting"] == [True, "share of each core's cycles that are waiting"]


@looked_at
def test_the_table_sorts(run: ChipRun, tour: dict[str, Any]) -> None:
    numbers = range(len(run.layers))
    assert tour["order"]["none"] == [str(k + 1) for k in numbers]
    energy = [sum(layer.energy.values()) for layer in run.layers]
    falling = sorted(numbers, key=lambda k: (-energy[k], k))
    assert tour["order"]["Energy"] == [str(k + 1) for k in falling]
    assert tour["order"]["Energy again"] == [str(k + 1) for k in sorted(numbers, key=lambda k: (energy[k], k))]
    names = sorted(numbers, key=lambda k: run.layers[k].name)
    assert tour["order"]["Layer"] == [str(k + 1) for k in names]
    assert tour["order"]["Layer again"] == [str(k + 1) for k in reversed(names)]


@looked_at
def test_tooltips_say_what_lies_under_the_mouse(run: ChipRun, tour: dict[str, Any]) -> None:
    core, links, layer, left = tour["tips"]
    assert core.startswith("Core 0 at (0, 0)busy")
    assert run.layers[1].name in core
    assert links.startswith("Core 0 at (0, 0), flits per cycle")
    assert "W: 0 → host" in links
    assert layer.startswith(f"{run.layers[1].name}kindsynapse")
    assert left is None
    assert run.layers[1].name in tour["marked"]
    assert tour["pressed"].startswith("window ")
    assert len(set(tour["dark"])) == 2


@looked_at
def test_a_click_keeps_the_cores_of_a_layer_marked(run: ChipRun, tour: dict[str, Any]) -> None:
    marked, changed = tour["pinned"]
    assert set(marked) == {run.layers[2].name}  # its line among the layers, and among the spikes
    assert changed


@looked_at
def test_layers_fold_into_modules(run: ChipRun, tour: dict[str, Any]) -> None:
    energy: dict[str, float] = {}
    for layer in run.layers:
        path = layer.name.split(".")
        name = ".".join(path[:-1] or path)
        energy[name] = energy.get(name, 0.0) + sum(layer.energy.values())
    assert len(energy) == 13
    assert tour["fold"] == ["by module (13)", len(run.layers) + 1, f"every layer ({len(run.layers)})"]
    names, joules, spans, colours = tour["modules"]
    assert names == [*energy, "of no layer"]
    for text, expected in zip(joules, energy.values(), strict=False):
        assert text == ("0 J" if expected == 0 else f"{1e6 * expected:#.3g} µJ".replace(". ", " "))
    assert spans == tour["marks"][".gantt .span"]
    (layer,), marked = tour["inTable"]  # a layer marks its module
    assert marked
    assert {layer.rsplit(".", 1)[0]} == set(marked)
    assert colours > 20


@looked_at
def test_many_layers_begin_as_modules_at_the_window_of_the_address(tmp_path: Path) -> None:
    run = example()
    layers = [
        replace(layer, name=f"{part}.{layer.name}", energy={k: v / 3 for k, v in layer.energy.items()})
        for part in ("one", "two", "three")
        for layer in run.layers
    ]
    write_html(replace(run, layers=layers), tmp_path / "report.html")
    script = (
        "const lines = () => document.querySelectorAll('.names')[0].childElementCount; const found = [lines()];"
        "document.getElementById('fold').click();"
        "return [...found, lines(), document.getElementById('now').textContent.slice(0, 16)];"
    )
    found, console = ask(tmp_path / "report.html", script, fragment="#window=5")
    modules = {layer.name.rsplit(".", 1)[0] for layer in layers}
    assert (found, console) == ([len(modules) + 1, len(layers) + 1, "window 6 of 190:"], [])


@looked_at
def test_a_page_of_hostile_names_runs_nothing(tmp_path: Path) -> None:
    name = "".join(each for each in HOSTILE if "\ud800" not in each)
    write_html(renamed(example(), name), tmp_path / "report.html")
    script = (
        "for (const each of document.querySelectorAll('.gantt, .bars, canvas, .area')) each.dispatchEvent("
        "new PointerEvent('pointermove', { clientX: each.getBoundingClientRect().left + 99,"
        " clientY: each.getBoundingClientRect().top + 9 }));"
        "return [document.title, document.getElementById('title').textContent,"
        " document.querySelector('#layers td:nth-child(2)').textContent,"
        " document.querySelectorAll('script').length, document.querySelectorAll('img').length,"
        " document.querySelector('#tip strong').textContent.length];"
    )
    found, console = ask(tmp_path / "report.html", script)
    assert console == []
    assert found[:3] == [name, name, name]
    assert found[3:5] == [4, 0]  # the page's three and this one
    assert found[5] > 0


@looked_at
def test_the_least_run_is_drawn(tmp_path: Path) -> None:
    write_html(small(), tmp_path / "report.html")
    found, console = ask(tmp_path / "report.html", TOUR.replace('picture("linkMap") !== whole.links', "true"))
    assert console == []
    assert found["marks"][".gantt .work"] == found["marks"]["#layers tbody tr"] == 1
    assert found["windows"][0]["now"].endswith("cycles 0 – 36")


@looked_at
def test_numbers_are_rounded_and_have_their_prefix(tmp_path: Path) -> None:
    parts = {"adds": 0.0123456}
    figures = {"seconds": 999.96e-6, "sops": 999_999, "adds": 10_000, "flits": 9_999, "energy": 0.0123456}
    write_html(replace(small(), energy_parts=parts, **figures), tmp_path / "report.html")
    found, _ = ask(tmp_path / "report.html", "return document.getElementById('figures').textContent;")
    for expected in ("Latency1.00 ms", "Energy12.3 mJ12.3 nJ per SOP", "Average power12.3 W", "SOPs1.00 M1.00 G/s"):
        assert expected in found
    for expected in ("Adds10.0 k", "Flits9\u2009999", "Cycles37", "of 1 cores in use"):
        assert expected in found


@looked_at
def test_a_layer_without_work_has_no_bar(tmp_path: Path) -> None:
    run = small()
    write_html(replace(run, layers=[*run.layers, LayerRecord("unused", "output", [0], 5, 4)]), tmp_path / "report.html")
    found, console = ask(tmp_path / "report.html", "return document.querySelectorAll('.gantt *').length;")
    assert (found, console) == (2, [])


@looked_at
def test_what_the_console_says_is_heard(tmp_path: Path) -> None:
    """A check that cannot fail proves nothing; and the page's own policy refuses the network."""
    write_html(small(), tmp_path / "report.html")
    script = "setTimeout(() => nothing_of_this_name(), 1); await fetch('http://127.0.0.1:9/').catch(() => 0); return 1;"
    _, console = ask(tmp_path / "report.html", script)
    assert any("Content Security Policy" in line for line in console), console
    assert any("nothing_of_this_name is not defined" in line for line in console), console


@looked_at
def test_a_picture_of_a_page(tmp_path: Path) -> None:
    write_html(small(), tmp_path / "report.html")
    screenshot(tmp_path / "report.html", tmp_path / "report.png", width=1300, height=600, window=0)
    with Image.open(tmp_path / "report.png") as image:
        assert image.size == (1300, 600)
        assert len(image.convert("RGB").getcolors(1 << 20) or []) > 50
