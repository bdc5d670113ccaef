"""The mapping's picture: bars as high as cores are full, the heaviest flows, and bad descriptions refused."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyspike import MissingExtraError, ShapeError
from pyspike.report.chip_map import EDGE, POTENTIAL, WEIGHT, ChipMap, MappedTile, draw

MAP = ChipMap(
    title="four tiles",
    mesh=(3, 2),
    cores={0: [MappedTile("a", 0, 30, 10)], 4: [MappedTile("b", 1, 20, 50), MappedTile("c", 2, 70, 20)], 5: []},
    potential=100,
    weight=100,
    flows=[(EDGE, 0, 7), (0, 4, 30), (0, 4, 30), (4, 0, 50), (4, 4, 999), (4, EDGE, 0)],
    phases={0: "stem", 1: "a name that is far too long to stand beside its colour"},
)


def pixels(path: Path, colour: str) -> int:
    """How many pixels of the picture have exactly this colour."""
    image = pytest.importorskip("matplotlib.image")
    found = np.rint(image.imread(str(path))[..., :3] * 255).astype(int)
    wanted = [int(colour[k : k + 2], 16) for k in (1, 3, 5)]
    return int((found == wanted).all(axis=-1).sum())


def test_bars_are_as_high_as_cores_are_full(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")

    def bars(potential: int, weight: int) -> tuple[int, int]:
        core = [MappedTile("a", 0, potential, weight)] if potential + weight else []
        path = draw(replace(MAP, cores={1: core}, flows=()), tmp_path / "map.png")
        return pixels(path, POTENTIAL), pixels(path, WEIGHT)

    empty, full = np.array(bars(0, 0)), np.array(bars(100, 100))
    assert (empty > 0).all()  # those of the legend
    for share in (25, 60):
        heights = (np.array(bars(share, 100 - share)) - empty) / (full - empty)
        assert heights == pytest.approx([share / 100, 1 - share / 100], abs=0.03)


def test_flows_between_two_places_are_one_arrow() -> None:
    assert MAP.heaviest(9) == [(EDGE, 0, 7), (4, 0, 50), (0, 4, 60)]
    assert MAP.heaviest(2) == [(4, 0, 50), (0, 4, 60)]
    assert MAP.heaviest(0) == []


def test_arrows_are_drawn(tmp_path: Path) -> None:
    image = pytest.importorskip("matplotlib.image")
    none, one, all_ = (image.imread(str(draw(MAP, tmp_path / "map.png", arrows=n))) for n in (0, 1, 3))
    mesh = np.s_[150:, : none.shape[1] // 2]  # no title, no legend
    assert np.count_nonzero((none != one)[mesh].any(axis=-1)) > 500
    assert np.count_nonzero((one != all_)[mesh].any(axis=-1)) > 500


@pytest.mark.parametrize("mesh", [(1, 1), (64, 1), (5, 20)])
def test_any_mesh_is_drawn(tmp_path: Path, mesh: tuple[int, int]) -> None:
    pytest.importorskip("matplotlib")
    cores = {core: [MappedTile("x $y_2$ <&", core, 1, 0)] * (core % 6) for core in range(mesh[0] * mesh[1])}
    path = draw(
        replace(MAP, mesh=mesh, cores=cores, flows=(), title="$x^$", phases={0: "$_$"}), tmp_path / "map.png", dpi=40
    )
    assert path.stat().st_size > 1000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mesh": (0, 2)}, "expected a mesh and capacities of at least 1, found a mesh of 0 x 2"),
        ({"potential": 0}, "0 words and 100 bits a core"),
        ({"cores": {6: []}}, r"expected cores 0\.\.5, found 6"),
        ({"flows": [(0, 7, 1)]}, r"expected cores 0\.\.5, found 7"),
    ],
)
def test_impossible_maps_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        replace(MAP, **changes)


def test_without_matplotlib_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'pyspike-runtime\[report\]'"):
        draw(MAP, tmp_path / "map.png")
