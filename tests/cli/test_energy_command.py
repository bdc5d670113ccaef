"""`pyspike energy`: the papers' formula on a sheet by hand and on the published one, on a model, and on a chip."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyspike import image
from pyspike.chip.energy import PRESETS
from pyspike.errors import RangeError
from pyspike.report.activity import measure
from pyspike.report.papers import CORRECTIONS, SheetError, corrected, layer_energy, read_sheet, sheet_totals
from tests.cli.conftest import Cli, detection_graph

SHEET = Path(__file__).resolve().parents[3] / "shared" / "golden" / "spikeyolo" / "power_sheet_23M.json"

# Three layers whose energies are worked out by hand below.
ROWS: list[dict[str, Any]] = [
    {"layer": "image", "rate": 4.6, "cin": 3, "cout": 10, "k": 5, "s": 2, "hin": 20, "groups": 1, "mac": 75000.0},
    {"layer": "a.lif", "rate": 0.5, "cin": 10, "cout": 10, "k": 3, "s": 1, "hin": 10, "groups": 10},
    {"layer": "b.lif", "rate": 2, "cin": 10, "cout": 4, "k": 1, "s": 1, "hin": 10, "groups": 1},
]


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    (tmp_path / "rates.json").write_text(json.dumps(ROWS))
    return tmp_path / "rates.json"


@pytest.fixture
def published() -> Path:
    if not SHEET.exists():
        pytest.skip(f"reference data not found: {SHEET}")
    return SHEET


def test_a_sheet_by_hand(sheet: Path) -> None:
    """image: 3 x 10 x 25 x 10 x 10; a: 10 x 10 x 9 x 100 / 10; b: 40 x 100."""
    rows = read_sheet(sheet)
    assert [row.macs for row in rows] == [75_000, 9_000, 4_000]
    found = sheet_totals(rows)
    # 4.6 x 75000 + 0.9 x (0.5 x 9000 + 2 x 4000) = 345000 + 11250 pJ; all at 4.6: 4.6 x 88000 = 404800 pJ
    assert found.spiking == pytest.approx(356_250e-12, rel=1e-12)
    assert (found.dense, found.macs) == (pytest.approx(404_800e-12, rel=1e-12), 88_000)
    # the first layer as in the published sheet: 0.9 x 4.6 x 75000 = 310500 pJ
    assert sheet_totals(rows, first_as_spikes=True).spiking == pytest.approx(321_750e-12, rel=1e-12)
    # pixels are multiplied once; spikes come in every timestep
    assert sheet_totals(rows, timesteps=4).spiking == pytest.approx((345_000 + 4 * 11_250) * 1e-12, rel=1e-12)
    assert corrected(rows) == (rows, ())
    with pytest.raises(RangeError, match="timesteps"):
        sheet_totals(rows, timesteps=0)


def test_the_command_prints_the_sheet(cli: Cli, sheet: Path) -> None:
    result = cli("energy", "--rates", sheet)
    assert result.code == 0, result.err
    assert re.search(r"as in the sheet +0\.00032175 mJ, dense 0\.00040480 mJ", result.out)
    assert re.search(r"first layer at 4\.6 pJ +0\.00035625 mJ", result.out)
    assert "corrected" not in result.out
    assert re.search(r"b\.lif +2 +0\.00 +7\.2000e-06 +1\.8400e-05", result.out)
    assert re.search(r"4\.6 pJ +0\.00039000 mJ", cli("energy", "--rates", sheet, "--timesteps", 4).out)


def test_the_published_figures(cli: Cli, published: Path) -> None:
    out = cli("energy", "--rates", published).out
    assert re.search(r"as in the sheet +34\.489 mJ, dense 465\.57 mJ, 101\.21 GMAC", out)
    assert re.search(r"first layer at 4\.6 pJ +34\.600 mJ, dense 465\.57 mJ, 101\.21 GMAC", out)
    assert re.search(r"shapes corrected too +35\.377 mJ, dense 480\.77 mJ, 104\.51 GMAC", out)
    for layer, _, _ in CORRECTIONS:
        assert f"{layer} *" in out
    assert out.count(" *\n") + out.count(" * ") >= 3


def test_the_published_rows_are_its_own(published: Path) -> None:
    stated = json.loads(published.read_text())
    rows = read_sheet(published)
    assert len(rows) == 89
    for row, own in zip(rows, stated, strict=True):
        assert row.dense == pytest.approx(own["ann_pj"] * 1e-12, rel=1e-12)
        assert row.spiking() == pytest.approx(own["snn_pj"] * 1e-12, rel=1e-9)


def test_the_corrected_shapes_are_the_networks(published: Path) -> None:
    torch = pytest.importorskip("torch")
    from pyspike.models.spikeyolo import SpikeYOLO
    from pyspike.models.spikeyolo_import import published_name
    from pyspike.nn import IntegerLIF, fold

    with torch.device("meta"):
        model = fold(SpikeYOLO.scale("s"))
    read, macs = {}, []

    def reads(name: str) -> Any:
        return lambda _, inputs, __: read.__setitem__(name, tuple(inputs[0].shape[-3:]))

    def synapse(module: Any, _: Any, output: Any) -> None:
        macs.append(module.weight[0].numel() * output[0].numel())

    for name, module in model.named_modules():
        if isinstance(module, IntegerLIF):
            repeated = name.startswith(("stage2.", "stage3."))
            module.register_forward_hook(reads(f"model.{published_name(name, repeated)}"))
        elif isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(synapse)
    with torch.no_grad():
        model(torch.zeros(1, 3, 640, 640, dtype=torch.uint8, device="meta"))
    rows, changed = corrected(read_sheet(published))
    assert {row.layer: (row.cin, row.hin, row.hin) for row in rows[1:]} == read
    assert sorted(macs) == sorted(row.macs for row in rows)
    assert changed == tuple(layer for layer, _, _ in CORRECTIONS)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"rate": -1}, "rate"), ({"rate": "much"}, "rate"), ({"rate": True}, "rate"), ({"rate": float("inf")}, "rate"),
        ({"rate": float("nan")}, "rate"), ({"cin": 0}, "cin"), ({"cout": 1.5}, "cout"), ({"k": True}, "k"),
        ({"hin": 2**40}, "hin"), ({"s": 3}, "stride that divides"), ({"groups": 3}, "groups that divide"),
        ({"mac": 1}, "75,000"), ({"mac": "many"}, "75,000"), ({"layer": 3}, "layer"),
    ],
)  # fmt: skip
def test_sheets_that_break_a_rule(change: dict[str, Any], match: str, tmp_path: Path, cli: Cli) -> None:
    path = tmp_path / "rates.json"
    path.write_text(json.dumps([{**ROWS[0], **change}]))
    with pytest.raises(SheetError, match=rf"rates\.json: row 0.*{match}"):
        read_sheet(path)
    assert cli("energy", "--rates", path).code == 2


@pytest.mark.parametrize("content", ["", "{}", "[]", "[1]", '[{"layer": "a"}]', "[" * 10**5, "\udcff"])
def test_files_that_are_no_sheets(content: str, tmp_path: Path) -> None:
    path = tmp_path / "rates.json"
    path.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(SheetError, match=r"rates\.json"):
        read_sheet(path)


def test_a_model_layer_by_layer(cli: Cli, model: Path, tmp_path: Path) -> None:
    x = np.random.default_rng(3).integers(0, 256, (1, 3, 32, 48), dtype=np.uint8)
    np.save(tmp_path / "x.npy", x)
    activity = measure(detection_graph(), {"images": x})
    layers = [layer_energy(each) for each in activity.synapses]
    assert sum(each.papers for each in layers) == pytest.approx(activity.papers_energy, rel=1e-12)
    assert sum(each.dense for each in layers) == pytest.approx(activity.papers_dense_energy, rel=1e-12)
    first, *others = zip(activity.synapses, layers, strict=True)
    assert first[1].counted == pytest.approx(4.6e-12 * first[0].macs, rel=1e-12)
    for seen, each in others:
        assert each.counted == pytest.approx(0.9e-12 * seen.sops, rel=1e-12)
    result = cli("energy", model, tmp_path / "x.npy")
    assert result.code == 0, result.err
    for seen, each in zip(activity.synapses, layers, strict=True):
        figures = " +".join(re.escape(f"{1e6 * value:.4g}") for value in (each.papers, each.counted, each.dense))
        assert re.search(rf"{seen.name} .* {figures}", result.out)
    assert re.search(rf"total .* {1e6 * activity.papers_energy:.4g} ", result.out)
    assert "On chip" not in result.out


def test_a_chip_by_every_preset(cli: Cli, model: Path, tmp_path: Path) -> None:
    import pyspike

    x = np.random.default_rng(3).integers(0, 256, (1, 3, 32, 48), dtype=np.uint8)
    np.save(tmp_path / "x.npy", x)
    result = cli("energy", model, tmp_path / "x.npy", "--chip", "default")
    assert result.code == 0, result.err
    assert "On chip default, by preset" in result.out
    total = result.out.splitlines()
    row = next(line for line in total[total.index("On chip default, by preset") :] if line.startswith("total"))
    found = [float(figure) for figure in row.split()[1:]]
    for preset, value in zip(PRESETS, found, strict=True):
        chip = pyspike.chip.config.Chip.load("default").replace(energy=preset)
        run = pyspike.simulate(image.read(model), x, chip, windows=0)
        assert value == pytest.approx(1e6 * run.energy.total, rel=1e-3)


def test_help_has_an_example(cli: Cli) -> None:
    result = cli("energy", "--help")
    assert result.code == 0
    assert "pyspike energy " in result.out.split("Example:")[1]


def test_one_of_the_two(cli: Cli, model: Path, sheet: Path) -> None:
    for arguments in (("--timesteps", 1), (model, "--rates", sheet)):
        result = cli("energy", *arguments)
        assert result.code == 2
        assert "one of the two" in result.err
    assert cli("energy", "--rates", "absent.json").err.endswith("absent.json: no such file\n")
