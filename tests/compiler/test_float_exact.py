"""When float32 is an exact witness: the bound itself, and each condition beside it."""

from __future__ import annotations

import numpy as np
import pytest

from pyspike.compiler import compile
from pyspike.ops import Fire
from tests.compiler.networks import Writer


def report_of(w, tmp_path, *outputs, **options):
    return compile(w.model(outputs), tmp_path / "m.spk", **options)


def linear(w, x, rows, bias=None):
    rows = np.asarray(rows, dtype=float)
    inputs = [x, w.constant(rows), *([] if bias is None else [w.constant(np.asarray(bias, dtype=float))])]
    return w.node("Gemm", inputs, (w.shapes[x][0], len(rows)), transB=1)


@pytest.mark.parametrize(
    ("row", "bias", "exact"),
    [
        # f = 12: M = 16 * (sum of weights of one sign) + bias of that sign, and 2**24 steps are 4096
        ([127, 127, 1], None, True),  # 4080
        ([127, 127, 2], None, False),  # 4096
        ([127, 127, -2], None, True),  # 4064 up, 32 down
        ([-127, -127, -2], None, False),
        ([127, 127, 1], 16 - 2**-12, True),
        ([127, 127, 1], 16, False),
        ([127, 127, 1], -4095, True),
        ([127, 127, 1], -4096, False),
    ],
)
def test_the_bound_on_sums(tmp_path, row, bias, exact):
    w = Writer()
    y = linear(w, w.cast(w.input("x", (1, 3))), [row], None if bias is None else [bias])
    report = report_of(w, tmp_path, w.fire(y, 4), calibration={"x": (0, 16, 0)})
    assert report.float_exact is exact
    assert (report.float_inexact_because is None) is exact
    assert report.graph.metadata["float_exact"] is exact
    if not exact:
        assert "linear 'Gemm" in report.float_inexact_because


def test_zero_belongs_to_every_input_range(tmp_path):
    """The range -200..-100 counts as -200..0."""
    w = Writer()
    y = linear(w, w.input("x", (1, 1), "float32"), [[21.0]])
    assert not report_of(w, tmp_path, y, calibration={"x": (-200, -100, 0)}).float_exact  # 4200
    assert report_of(w, tmp_path, y, calibration={"x": (-195, -100, 0)}).float_exact  # 4095


def test_sums_of_two_count_parts_of_each_sign(tmp_path):
    w = Writer()
    x = w.input("x", (1, 1), "float32")
    total = w.node("Add", [linear(w, x, [[21.0]]), linear(w, x, [[-21.0]])], (1, 1))
    assert report_of(w, tmp_path, total, calibration={"x": (0, 195, 0)}).float_exact
    both = w.node("Add", [total, linear(w, x, [[1.0]])], (1, 1))
    assert not report_of(w, tmp_path, both, calibration={"x": (0, 195, 0)}).float_exact


def timed(w, **neuron):
    return w.fire(w.cast(w.input("x", (2, 3))), 4, T=2, **neuron)


@pytest.mark.parametrize(
    ("neuron", "exact"),
    [
        ({"decay": 0.25}, True),
        ({"decay": 0.75}, True),
        ({"decay": 0.3}, False),
        ({"theta": 0.5, "gain": 2.0}, True),
        ({"theta": 0.75}, False),
        ({"gain": 0.3}, False),
    ],
)
def test_decay_threshold_and_gain(tmp_path, neuron, exact):
    w = Writer()
    assert report_of(w, tmp_path, timed(w, **neuron)).float_exact is exact


def test_a_decay_that_shifts_do_not_express_is_reported_with_its_error(tmp_path):
    w = Writer()
    report = report_of(w, tmp_path, timed(w, decay=0.3))
    (error,) = report.decay_errors.values()
    (fire,) = (node.op for node in report.graph.nodes if isinstance(node.op, Fire))
    value = sum(s * 2.0**-k for s, k in zip(fire.leak[::2], fire.leak[1::2], strict=True))
    assert error == pytest.approx(abs(value - np.float32(0.3)), rel=1e-9)
    assert error < 2**-8
    assert not report.source_exact


@pytest.mark.parametrize(("steps", "exact"), [(3, True), (10, False)])
def test_guard_bits_for_every_timestep(tmp_path, steps, exact):
    """Decay 1/4 needs two bits a step; there are at most eight."""
    w = Writer()
    report = report_of(w, tmp_path, w.fire(w.cast(w.input("x", (steps, 3))), 4, T=steps, decay=0.25))
    (fire,) = (node.op for node in report.graph.nodes if isinstance(node.op, Fire))
    assert fire.guard == min(2 * (steps - 1), 8)
    assert report.float_exact is exact


def test_fewer_guard_bits_where_int32_needs_it(tmp_path):
    w = Writer()
    x = w.input("x", (5, 3), "float32")
    report = report_of(w, tmp_path, w.fire(x, 4, T=5, decay=0.25), calibration={"x": (-(2**25), 2**25, 12)})
    (fire,) = (node.op for node in report.graph.nodes if isinstance(node.op, Fire))
    assert fire.guard == 5  # 2**25 * (1 + 1/4 + ...) << 5 < 2**31 <= ... << 6
    assert "guard" in report.float_inexact_because or "2**24" in report.float_inexact_because


def test_resets_are_tables_on_the_membranes_grid(tmp_path):
    w = Writer()
    report = report_of(w, tmp_path, timed(w, decay=0.5, theta=1.5, gain=0.5))
    (fire,) = (node.op for node in report.graph.nodes if isinstance(node.op, Fire))
    assert fire.guard == 1
    assert fire.reset.tolist() == [0, 6, 12, 18, 24]  # n * 1.5 / 0.5 on the grid of halves
    assert fire.thresholds.tolist() == [[3, 9, 15, 21]]  # (k - 1/2) * 3 * 2, ties round up
    hard = report_of(w2 := Writer(), tmp_path, timed(w2, decay=0.5, reset=1)).graph.nodes[-1].op
    assert hard.hard_reset


def test_a_reset_off_the_grid_is_rounded_and_reported(tmp_path):
    w = Writer()
    report = report_of(w, tmp_path, timed(w, decay=0.0, theta=0.75))
    (fire,) = (node.op for node in report.graph.nodes if isinstance(node.op, Fire))
    assert fire.reset.tolist() == [0, 1, 2, 2, 3]  # 0.75, 1.5, 2.25, 3 rounded, halves up
    assert any("reset" in change for change in report.changes)


def test_a_mean_over_three_is_no_power_of_two(tmp_path):
    w = Writer()
    counts = w.fire(w.cast(w.input("x", (3, 2))), 4, T=3)
    y = w.node("ReduceMean", [counts, w.constant(np.array([0]))], (1, 2), keepdims=1)
    report = report_of(w, tmp_path, y)
    assert "no power of two" in report.float_inexact_because
    assert report.source_exact


def test_membranes_without_decay_are_proven_for_max_timesteps(tmp_path):
    w = Writer()
    short = report_of(w, tmp_path, timed(w, decay=1.0))
    assert (short.timesteps, short.max_timesteps) == (2, 2)
    w = Writer()
    long = report_of(w, tmp_path, timed(w, decay=1.0), max_timesteps=1000)
    (fire,) = (node.op for node in long.graph.nodes if isinstance(node.op, Fire))
    assert (long.timesteps, long.max_timesteps, fire.steps) == (2, 1000, 1000)
