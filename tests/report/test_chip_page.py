"""The report of a chip in a browser: everything is drawn, and answers to whoever looks at it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pyspike.report.chip_data import ChipRun, LayerRecord
from pyspike.report.chip_html import write_html
from tests.report.chip_example import HOSTILE, example, renamed, small
from tests.report.screenshot import ask, chromium, screenshot

pytestmark = pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine: nobody looks at the page")

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


def test_time_plays_and_pauses(tour: dict[str, Any]) -> None:
    assert re.match(r"window \d+ of ", tour["played"])
    assert not tour["played"].startswith("window 1 of ")
    assert tour["paused"]


def test_another_class_can_be_shown(tour: dict[str, Any]) -> None:
    assert tour["waiting"] == [True, "share of each core's cycles that are waiting"]


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


def test_a_click_keeps_the_cores_of_a_layer_marked(run: ChipRun, tour: dict[str, Any]) -> None:
    marked, changed = tour["pinned"]
    assert set(marked) == {run.layers[2].name}  # its line among the layers, and among the spikes
    assert changed


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


def test_the_least_run_is_drawn(tmp_path: Path) -> None:
    write_html(small(), tmp_path / "report.html")
    found, console = ask(tmp_path / "report.html", TOUR.replace('picture("linkMap") !== whole.links', "true"))
    assert console == []
    assert found["marks"][".gantt .work"] == found["marks"]["#layers tbody tr"] == 1
    assert found["windows"][0]["now"].endswith("cycles 0 – 36")


def test_numbers_are_rounded_and_have_their_prefix(tmp_path: Path) -> None:
    parts = {"adds": 0.0123456}
    figures = {"seconds": 999.96e-6, "sops": 999_999, "adds": 10_000, "flits": 9_999, "energy": 0.0123456}
    write_html(replace(small(), energy_parts=parts, **figures), tmp_path / "report.html")
    found, _ = ask(tmp_path / "report.html", "return document.getElementById('figures').textContent;")
    for expected in ("Latency1.00 ms", "Energy12.3 mJ12.3 nJ per SOP", "Average power12.3 W", "SOPs1.00 M1.00 G/s"):
        assert expected in found
    for expected in ("Adds10.0 k", "Flits9\u2009999", "Cycles37", "of 1 cores in use"):
        assert expected in found


def test_a_layer_without_work_has_no_bar(tmp_path: Path) -> None:
    run = small()
    write_html(replace(run, layers=[*run.layers, LayerRecord("unused", "output", [0], 5, 4)]), tmp_path / "report.html")
    found, console = ask(tmp_path / "report.html", "return document.querySelectorAll('.gantt *').length;")
    assert (found, console) == (2, [])


def test_what_the_console_says_is_heard(tmp_path: Path) -> None:
    """A check that cannot fail proves nothing; and the page's own policy refuses the network."""
    write_html(small(), tmp_path / "report.html")
    script = "setTimeout(() => nothing_of_this_name(), 1); await fetch('http://127.0.0.1:9/').catch(() => 0); return 1;"
    _, console = ask(tmp_path / "report.html", script)
    assert any("Content Security Policy" in line for line in console), console
    assert any("nothing_of_this_name is not defined" in line for line in console), console


def test_a_picture_of_a_page(tmp_path: Path) -> None:
    write_html(small(), tmp_path / "report.html")
    screenshot(tmp_path / "report.html", tmp_path / "report.png", width=1300, height=600, window=0)
    with Image.open(tmp_path / "report.png") as image:
        assert image.size == (1300, 600)
        assert len(image.convert("RGB").getcolors(1 << 20) or []) > 50
