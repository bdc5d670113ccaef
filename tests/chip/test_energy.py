"""Energy: figures against their derivations, counts against sums by hand, breakdowns against totals, the int8 twin."""

from __future__ import annotations

import math
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pyspike
from pyspike.chip import energy
from pyspike.chip.config import Chip
from pyspike.chip.energy import Counts, DenseLayer
from pyspike.errors import ChipError
from pyspike.report.activity import PICOJOULE_PER_ADDITION, PICOJOULE_PER_MAC, Activity, SynapseActivity

PRESETS = Path(energy.__file__).parent / "presets"
CHIP = Chip()
NAMES = [name for name, _ in Counts().items()]
PJ = 1_000_000  # attojoules

# Mean count and MACs of the first layer (pixels) and of the 88 others: the energy sheet published with SpikeYOLO's
# 23 M model at 640 x 640 (BICLab/SpikeYOLO, power_cal.xlsx).
FIRST_MACS = 240844800
SHEET = """
1.1872 209715200, 1.1496 160563200, 0.9281 1887436800, 1.4604 3774873600, 0.2468 3774873600, 1.0302 471859200,
0.742 209715200, 0.7202 80281600, 0.4002 1887436800, 0.8431 3774873600, 0.0976 3774873600, 0.7333 209715200,
0.4106 80281600, 0.2564 1887436800, 0.6367 3774873600, 0.0495 3774873600, 0.8545 471859200, 0.3 209715200,
0.3479 40140800, 0.2153 1887436800, 0.3108 2831155200, 0.1159 2831155200, 0.2372 209715200, 0.2255 40140800,
0.183 1887436800, 0.2488 2831155200, 0.1033 2831155200, 0.2242 209715200, 0.2233 40140800, 0.1901 1887436800,
0.2555 2831155200, 0.1512 2831155200, 0.3155 471859200, 0.1015 209715200, 0.2441 20070400, 0.2726 1887436800,
0.1591 1887436800, 0.335 1887436800, 0.1419 52428800, 1.6909 209715200, 0.2992 52428800, 0.2248 209715200,
0.3897 40140800, 0.2713 471859200, 0.3117 2831155200, 0.3054 2831155200, 0.3096 104857600, 0.4535 209715200,
0.4827 80281600, 0.2481 1887436800, 0.4912 3774873600, 0.0728 3774873600, 0.7579 209715200, 0.5353 209715200,
0.4246 80281600, 0.3166 1887436800, 0.6301 3774873600, 0.0611 3774873600, 0.819 235929600, 0.389 209715200,
0.2637 40140800, 0.2373 1887436800, 0.3466 1887436800, 0.1607 1887436800, 0.393 235929600, 0.2098 209715200,
0.2639 20070400, 0.2175 1887436800, 0.2035 943718400, 0.2818 943718400, 0.819 471859200, 0.762 235929600,
1.38 26214400, 0.819 943718400, 0.3376 943718400, 1.2316 65536000, 0.393 235929600, 0.7907 58982400,
1.6714 6553600, 0.393 471859200, 0.3375 235929600, 1.2069 16384000, 0.2563 117964800, 0.739 14745600,
1.8419 1638400, 0.2563 235929600, 0.3591 58982400, 1.188 4096000
"""


def test_the_papers_energy_of_the_published_sheet() -> None:
    rows = [(float(rate), int(macs)) for rate, macs in (row.split() for row in SHEET.split(","))]
    assert len(rows) == 88
    first = SynapseActivity("stem", "image", True, FIRST_MACS, FIRST_MACS, 0, 1, 1, 1.0)
    others = [SynapseActivity(str(i), str(i), False, m, m, 0, 1, 1, r) for i, (r, m) in enumerate(rows)]
    activity = Activity((first, *others))
    counts = Counts(multiplies=FIRST_MACS, sops=round(sum(rate * macs for rate, macs in rows)))
    found = energy.load("paper").energy(counts, CHIP)
    assert found.total == pytest.approx(activity.papers_energy, rel=1e-9)
    assert round(found.total * 1e3, 3) == 34.600
    figures = energy.load("paper").figures
    assert figures["multiply"].si * 10**12 == pytest.approx(PICOJOULE_PER_MAC)
    assert figures["synaptic_operation"].si * 10**12 == pytest.approx(PICOJOULE_PER_ADDITION)


def test_derived_figures_follow_from_their_formulas() -> None:
    figures = {name: float(figure.si * 10**12) for name, figure in energy.load("45nm").figures.items()}  # pJ
    wire = 310 / 256 / 10  # pJ a bit and mm
    pitch = math.sqrt(384 * 1024 * 8 * 0.346e-6 / 0.5 + 0.2)  # mm

    def small(size: int, bits: int) -> float:
        return bits / 64 * 10 * math.sqrt(size / 8192)

    derived = {
        "hop_x": 96 * pitch * wire,
        "hop_y": 96 * pitch * wire,
        "router": 96 * (2 * 5 * 96 * 0.28e-3) * wire,
        "fifo_write": 2 * small(16 * 12, 96),
        "event": small(64 * 16, 128),
        "spike": small(8192, 128),
        "edge_flit": (1300 + 2600) / 2 * 32 / 64,
        "neuron_update": 2 * figures["add"],
        "compare": figures["add"],
    }
    for name, value in derived.items():
        assert figures[name] == pytest.approx(value, rel=0.01), name
    powers = {name: float(figure.si * 10**6) for name, figure in energy.load("45nm").powers.items()}  # uW
    assert powers["sram_kib"] == pytest.approx(12 * 0.9 / 128, rel=0.01)
    assert powers["core"] == pytest.approx(384 * powers["sram_kib"], rel=0.02)


def test_memories_are_interpolated_log_log() -> None:
    preset = energy.load("45nm")
    for size, picojoules in ((8192, 10), (32768, 20), (2**20, 100)):
        assert preset.access(size, 64) == pytest.approx(picojoules * 1e-12, rel=1e-12)
    assert preset.access(16384, 64) == pytest.approx(math.sqrt(200) * 1e-12)
    assert preset.access(2048, 32) == pytest.approx(2.5e-12)  # beyond the smallest: the slope of the first two
    assert preset.access(2**18, 208) == pytest.approx(208 / 64 * 20e-12 * 8 ** (math.log(5) / math.log(32)))
    assert preset.access(2**21, 64) == pytest.approx(100e-12 * 2 ** (math.log(5) / math.log(32)))
    costs = preset.costs(CHIP, weight_bits=4)
    assert costs["weight memory"] == round(preset.access(2**18, 16 * (4 + 5)) * 1e18)
    assert costs["potential memory"] == round(preset.access(2**17, 16 * 32) * 1e18)
    assert costs["constant memory"] == round(preset.access(2**18, 16 * 8 * 32) * 1e18)


def test_one_event_by_hand() -> None:
    """The first worked number of docs/chip.md: a 1x1 convolution 16 -> 16, one event, sixteen spikes to the edge."""
    counts = Counts(
        adds=16, lane_adds=16, sops=16, events=1, weight_words=1, potential_reads=2, potential_writes=1,
        constant_words=1, fired_words=1, compares=1, fired=16, spikes=17, flits=20, routed=20, fifo_writes=58,
        edge_in=3, edge_out=17, core_cycles=37,
    )  # fmt: skip
    found = energy.load("45nm").energy(counts, CHIP)
    costs = energy.load("45nm").costs(CHIP)
    expected = {
        "synapse": 16 * PJ // 10,
        "decode": 71 * PJ // 10,
        "fire": 16 * 8 * PJ // 10 + 16 * PJ // 5,
        "messages": 17 * 20 * PJ,
        "links": 0,
        "routers": 20 * 31 * PJ // 10 + 58 * 46 * PJ // 10,
        "edge": 20 * 975 * PJ,
        "weight memory": costs["weight memory"],
        "potential memory": 3 * costs["potential memory"],
        "activation memory": 0,
        "constant memory": costs["constant memory"],
        "static": 37 * costs["static"],
    }
    assert found.attojoules == expected
    assert found.total_attojoules == sum(expected.values())
    watts = 32e-6 + 384 * 0.0844e-6
    assert costs["static"] == pytest.approx(watts / 200e6 * 1e18, rel=1e-6)

    loihi = energy.load("loihi").energy(replace(counts, hops_x=5, hops_y=7), CHIP)
    assert loihi.parts["synapse"] == 16 * 24.0e-12
    assert loihi.attojoules["links"] == 5 * 3 * PJ + 7 * 42 * PJ // 10
    assert loihi.attojoules["fire"] == 16 * (728 + 693) * PJ // 10
    assert loihi.attojoules["messages"] == 17 * 111 * PJ


def test_every_counter_costs_something_somewhere() -> None:
    """A counter that no preset prices would be a counter forgotten."""
    free = set(NAMES)
    for name in energy.PRESETS:
        preset = energy.load(name)
        for counter in NAMES:
            counts = Counts(**({counter: 1} | ({"lane_adds": 1} if counter == "adds" else {})))
            if preset.energy(counts, CHIP).total_attojoules:
                free.discard(counter)
    assert free == {"flits", "lane_adds"}  # a flit's parts and a dead lane's word are priced
    own = energy.load("45nm").with_figure("flit", 1, "pJ", "a test").with_figure("dead_lane", 0.5, "fJ", "a test")
    assert own.energy(Counts(flits=1), CHIP).attojoules["messages"] == PJ
    assert own.energy(Counts(adds=3, lane_adds=5), CHIP).attojoules["synapse"] == 3 * PJ // 10 + PJ // 1000


@st.composite
def breakdowns(draw: st.DrawFn) -> Counts:
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    most = draw(st.sampled_from([1, 1000, 10**6]))
    values = {name: rng.integers(0, most, shape, endpoint=True) for name in NAMES}
    return Counts(**values | {"lane_adds": values["adds"] + values["lane_adds"]})


@given(breakdowns(), st.sampled_from(energy.PRESETS))
def test_breakdowns_sum_to_the_total(counts: Counts, name: str) -> None:
    preset = energy.load(name)
    found = preset.energy(counts, CHIP)
    whole = preset.energy(counts.total(), CHIP)
    assert found.total_attojoules == whole.total_attojoules
    assert found.total == whole.total
    assert found.parts == whole.parts
    assert sum(whole.attojoules.values()) == whole.total_attojoules
    assert math.fsum(whole.parts.values()) == pytest.approx(whole.total, rel=1e-15)
    assert math.fsum(found.elements.ravel()) == pytest.approx(whole.total, rel=1e-14)
    for axis in range(counts.adds.ndim):  # summed over any axis first: cores, layers or windows
        partial = Counts(**{key: value.sum(axis) for key, value in counts.items()})
        assert preset.energy(partial, CHIP).total_attojoules == whole.total_attojoules
    twice = found + found
    assert twice.total_attojoules == 2 * whole.total_attojoules == preset.energy(counts + counts, CHIP).total_attojoules


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"adds": -1, "lane_adds": 0}, "adds: expected no negative number, found -1"),
        ({"sops": 1.5}, "sops: expected an integer"),
        ({"sops": True}, "sops: expected an integer"),
        ({"sops": np.ones(3)}, "sops: expected an integer or an array of integers, found an array of float64"),
        ({"adds": 2, "lane_adds": 1}, "lane_adds: expected at least adds"),
        ({"sops": np.ones(3, int), "events": np.ones(4, int)}, "expected arrays of one shape"),
    ],
)
def test_bad_counts(counts: dict[str, object], message: str) -> None:
    with pytest.raises(pyspike.Error, match=message):
        Counts(**counts)


def test_arrays_that_overflow_are_refused() -> None:
    with pytest.raises(pyspike.RangeError, match="edge_flit"):
        energy.load("45nm").energy(Counts(edge_in=np.array([3 * 10**9])), CHIP)
    assert energy.load("45nm").energy(Counts(edge_in=10**12), CHIP).total == 975.0


CHANGES = {
    "no such key": ("[figures.add]", "[figures.ad]", "figures: .*missing: add; unknown: ad"),
    "negative": ("value = 0.1", "value = -0.1", r"figures.add.value: expected a finite number >= 0, found"),
    "infinite": ("value = 0.1", "value = inf", "figures.add.value: expected a finite number"),
    "not a number": ("value = 0.1", 'value = "0.1"', "figures.add.value: expected a finite number >= 0, found '0.1'"),
    "boolean": ("value = 0.1", "value = true", "figures.add.value: expected a finite number >= 0, found True"),
    "unit": ('unit = "pJ"', 'unit = "pj"', "figures.add.unit: expected one of J, mJ, .*found 'pj'"),
    "prefix": ('unit = "pJ"', 'unit = "kJ"', "figures.add.unit: expected one of J, mJ, .*found 'kJ'"),
    "dimension": ('unit = "uW"', 'unit = "uJ"', "powers.core.unit: expected one of W, .*found 'uJ'"),
    "source": ('source = "Horowitz', 'source = " "\nother = "', "figures.add: expected the keys value, unit, source"),
    "empty source": ('source = "Horowitz, ISSCC 2014, Fig. 1.1.9: 32-bit integer addition"', 'source = " "', "source"),
    "bytes": ("bytes = 8192", "bytes = 0", r"memory\[0\].bytes: expected a positive integer, found 0"),
    "same size": ("bytes = 8192", "bytes = 32768", "memory: expected each size once"),
    "zero memory": ("value = 10\n", "value = 0\n", r"memory\[0\].value: expected a positive number"),
    "text": ("[figures.add]", "figures.add]", "expected a TOML file"),
    "name": ('name = "45nm"', "name = 45", "name: expected a text, found 45"),
    "no table": ("[powers.core]", "[power.core]", "expected the keys name, description, figures"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_bad_presets_name_the_key(change: str, tmp_path: Path) -> None:
    old, new, message = CHANGES[change]
    text = (PRESETS / "45nm.toml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ChipError, match=f"mine.toml: {message}" if "source" not in change else message):
        energy.load(path)


def test_presets_by_name_and_path(tmp_path: Path) -> None:
    for name in energy.PRESETS:
        assert energy.load(name).name == name
        assert energy.load(PRESETS / f"{name}.toml") == energy.load(str(PRESETS / f"{name}.toml")) == energy.load(name)
        table = tomllib.loads((PRESETS / f"{name}.toml").read_text(encoding="utf-8"))
        assert len(table["figures"]) == len(energy.FIGURES)
    with pytest.raises(
        ChipError, match=r"expected one of 45nm, paper, loihi or a path that ends in .toml, found '46nm'"
    ):
        energy.load("46nm")
    with pytest.raises(FileNotFoundError):
        energy.load(tmp_path / "absent.toml")
    with pytest.raises(ChipError, match=r"figures: expected one of add, .*found 'ad'"):
        energy.load("45nm").with_figure("ad", 1, "pJ", "a test")
    with pytest.raises(ChipError, match=r"figures.add.unit"):
        energy.load("45nm").with_figure("add", 1, "eV", "a test")
    assert CHIP.energy in energy.PRESETS


LAYER = DenseLayer(  # 3x3, 8 -> 24 channels, 4x4, padding 1: 100 (ky, y) x (kx, x) pairs inside
    "conv", macs=100 * 8 * 24, weights=9 * 8 * 24, inputs=16 * 8, outputs=16 * 24, channels=24,
    destinations=2, hops_x=1.5, hops_y=0.25, edge=25, repeats=1.25,
)  # fmt: skip


def test_the_twin_by_hand() -> None:
    ((counts, found),) = energy.twin([LAYER], energy.load("45nm"), CHIP, utilisation=0.5)
    issues = 100 * 8 * 2  # two words of 16 lanes hold 24 channels
    flits = 2 * 16 * 8 // 4
    assert counts == Counts(
        adds=19200 + 384, lane_adds=issues * 16 + 384, multiplies=19200 + 4 * 384, maxes=2 * 384,
        weight_words=issues, activation_bits=8 * (2 * 128 + issues), edge_in=7, core_cycles=2 * issues,
        flits=flits, hops_x=96, hops_y=16, routed=flits + 112, fifo_writes=3 * flits + 112,
    )  # fmt: skip
    access = energy.load("45nm").access
    assert found.parts["weight memory"] == pytest.approx(issues * access(2**18, 16 * 8))
    assert found.parts["activation memory"] == pytest.approx(counts.activation_bits * access(2**17, 1), rel=1e-5)

    ((counts, _),) = energy.twin([replace(LAYER, destinations=1.25)], energy.load("45nm"), CHIP)
    assert (counts.flits, counts.activation_bits) == (16 * 8 * 5 // 16, 8 * (160 + issues))

    depthwise = replace(LAYER, macs=100 * 24, weights=9 * 24, inputs=16 * 24, depthwise=True)
    ((counts, _),) = energy.twin([depthwise], energy.load("45nm"), CHIP)
    assert counts.activation_bits == 8 * (2 * 384 + 200 * 16)


def test_the_spiking_estimate_by_hand() -> None:
    found = energy.spiking(replace(LAYER, thresholds=12), 0.5, CHIP, utilisation=0.5)
    words, issues, fired, flits = 800, 1000, 32, 2 * 64
    assert found == Counts(
        adds=12000, lane_adds=issues * 16, events=flits, weight_words=words, potential_reads=issues + fired,
        potential_writes=issues, constant_words=2 * fired, fired_words=fired, compares=2 * fired, fired=192,
        spikes=flits, edge_in=12, core_cycles=2 * (issues + fired), flits=flits, hops_x=192, hops_y=32,
        routed=flits + 224,
        fifo_writes=3 * flits + 224,
    )  # fmt: skip


def test_the_twin_takes_the_cheaper_loop_order() -> None:
    """Weights are held where they are far and potentials near; the spiking core has no such choice."""
    far = CHIP.replace(weight_sram=2**26, potential_sram=64)
    ((near, _),) = energy.twin([LAYER], energy.load("45nm"), CHIP)
    ((held, found),) = energy.twin([LAYER], energy.load("45nm"), far)
    assert (near.weight_words, near.potential_reads) == (1600, 0)
    assert (held.weight_words, held.potential_reads, held.potential_writes) == (9 * 8 * 2, 1600, 1600)
    other = energy.load("45nm").energy(near, far, weight_bits=8, shift_bits=0)
    assert found.total < other.total


@pytest.mark.parametrize("depthwise", [False, True])
def test_break_even_is_where_both_cost_the_same(depthwise: bool) -> None:
    big = replace(
        LAYER, macs=10**8 * 24, weights=9 * 8 * 24, inputs=10**6, outputs=10**5 * 24, depthwise=depthwise, edge=0
    )
    preset = energy.load("45nm")
    at = energy.break_even(big, preset, CHIP)
    ((_, dense),) = energy.twin([big], preset, CHIP)
    assert 0.05 < at < 0.5
    for density, sign in ((at * 0.9, -1), (at * 1.1, 1)):
        difference = preset.energy(energy.spiking(big, density, CHIP), CHIP).total - dense.total
        assert math.copysign(1, difference) == sign
    assert preset.energy(energy.spiking(big, at, CHIP), CHIP).total == pytest.approx(dense.total, rel=1e-5)


def test_utilisation_is_checked() -> None:
    with pytest.raises(pyspike.RangeError, match="utilisation"):
        energy.twin([LAYER], energy.load("45nm"), CHIP, utilisation=0)
