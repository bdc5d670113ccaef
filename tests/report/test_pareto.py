"""The picture of a design space: the right points are optimal, marks are where they belong, bad data is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyspike import MissingExtraError, RangeError, ShapeError
from pyspike.report.pareto import INK, LINE, LISTED, Design, DesignSpace, draw, front
from tests.report.test_chip_map import pixels

SMALL = st.integers(0, 4).map(float)  # so few values that many are equal
POINTS = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.tuples(*[st.one_of(SMALL, st.floats(0, 4))] * width), min_size=1, max_size=30)
)


def dominates(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return all(x <= y for x, y in zip(a, b, strict=True)) and any(x < y for x, y in zip(a, b, strict=True))


@given(POINTS)
def test_the_front_is_what_nothing_dominates(points: list[tuple[float, ...]]) -> None:
    found = front(np.array(points))
    assert found.tolist() == [not any(dominates(other, each) for other in points) for each in points]
    assert found.any()


def space(count: int, title: str = "chips", seed: int = 0) -> DesignSpace:
    random = np.random.default_rng(seed)
    values = random.uniform(1e-3, 9e-3, (count, 3))
    values[::2, 2] = 1e-8 / values[::2, :2].prod(axis=1)  # of these, none beats another
    return DesignSpace(title, ("mesh", "axon_fifo"), [Design((f"{k}x8", "$x_"), *row) for k, row in enumerate(values)])


def test_optimal_designs_come_fastest_first() -> None:
    rows = [(3, 1, 1), (1, 9, 9), (3, 1, 2), (1, 9, 9), (2, 2, 2), (2, 2, 3)]
    found = DesignSpace("", ("k",), [Design((str(k),), *row) for k, row in enumerate(rows)]).optimal()
    assert found == [1, 3, 4, 0]


def test_marks_are_drawn_for_what_they_mean(tmp_path: Path) -> None:
    """One more optimal point is one more ring; one more dominated point is none."""
    pytest.importorskip("matplotlib")

    def drawn(*rows: tuple[float, float, float]) -> tuple[int, int]:
        designs = [Design(("8",), 1e-3 * x, 1e-3 * y, z) for x, y, z in rows]
        path = draw(DesignSpace("", ("lanes",), designs), tmp_path / "pareto.png")
        return pixels(path, INK), pixels(path, LINE)

    corners = ((1.0, 4.0, 1.0), (4.0, 1.0, 1.0))
    two, dominated, three = drawn(*corners), drawn(*corners, (4.0, 4.0, 1.0)), drawn(*corners, (2.0, 2.0, 1.0))
    assert abs(dominated[0] - two[0]) < 25, "no ring"
    assert three[0] - two[0] > 100, "a ring, a number and a line of the list"
    assert abs(dominated[1] - two[1]) < 25


@pytest.mark.parametrize("count", [1, 2, 40, 400])
def test_any_number_of_points_is_drawn(tmp_path: Path, count: int) -> None:
    pytest.importorskip("matplotlib")
    drawn = space(count, "$x^$ <&")
    if count == 400:
        assert len(drawn.optimal()) > LISTED
    assert draw(drawn, tmp_path / "pareto.png", dpi=40).stat().st_size > 1000


def test_values_may_lie_far_apart_or_together(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for rows in ([(1e-9, 1e3, 1e-6), (1e3, 1e-9, 1e6)], [(1e-3, 1e-3, 1.0)] * 3):
        designs = [Design((), *row) for row in rows]
        assert draw(DesignSpace("", (), designs), tmp_path / "pareto.png", dpi=40).stat().st_size > 1000


@pytest.mark.parametrize(
    ("designs", "error", "message"),
    [
        ([], ShapeError, "expected at least one point, found none"),
        ([Design((), 1.0, 1.0, 1.0)], ShapeError, r"expected a value for each of \['lanes'\], found \(\)"),
        (
            [Design(("8",), 0.0, 1.0, 1.0)],
            RangeError,
            r"expected objectives above 0 and finite, found \(0.0, 1.0, 1.0\)",
        ),
        ([Design(("8",), 1.0, float("inf"), 1.0)], RangeError, "above 0 and finite"),
        ([Design(("8",), 1.0, 1.0, float("nan"))], RangeError, "above 0 and finite"),
    ],
)
def test_bad_designs_are_refused(designs: list[Design], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        DesignSpace("", ("lanes",), designs)


def test_a_missing_package_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    with pytest.raises(MissingExtraError, match=r"pyspike-runtime\[report\]"):
        draw(space(3), tmp_path / "pareto.png")
