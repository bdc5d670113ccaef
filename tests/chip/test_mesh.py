"""The mesh alone: zero-load latency to the cycle, and how much it carries."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.mesh import measure, zero_load
from pyspike import _simulator as simulator


@pytest.mark.parametrize("delay", [0, 1, 3])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (4, 3), (2, 5)])
def test_zero_load_latency_between_any_two_cores(width: int, height: int, delay: int) -> None:
    """Entered at c, it can leave the out FIFO at c + 1, and is in the axon FIFO 2 (hops + 2) and all delays later."""
    cores = width * height
    pairs = [(a, b) for a in range(cores) for b in range(cores)]
    gap = 200  # nothing else is on its way
    flits = np.array([(gap * i, a, b) for i, (a, b) in enumerate(pairs)], dtype=np.int64)
    found = simulator.traffic(width, height, flits, link_delay=delay)
    hops = np.array([abs(a % width - b % width) + abs(a // width - b // width) for a, b in pairs])
    assert (found["entered"] == flits[:, 0]).all()
    assert (found["popped"] - flits[:, 0] == 1 + 2 * (hops + 2) + delay * (hops + 2)).all()


def test_every_flit_arrives_once_and_is_counted_on_its_way() -> None:
    random = np.random.default_rng(5)
    flits = np.column_stack([np.arange(500) // 3, random.integers(0, 12, 500), random.integers(0, 12, 500)])
    found = simulator.traffic(4, 3, flits.astype(np.int64))
    assert (found["popped"] > found["entered"]).all()
    x, y = flits[:, 1:] % 4, flits[:, 1:] // 4
    links = found["links"].sum(axis=0)
    assert links[0] == 500
    assert links[2] + links[4] == np.abs(x[:, 0] - x[:, 1]).sum()
    assert links[1] + links[3] == np.abs(y[:, 0] - y[:, 1]).sum()


def test_light_traffic_has_the_mean_zero_load_latency() -> None:
    point = measure(4, 0.02, 20_000)
    assert point.mean == pytest.approx(zero_load(4), rel=0.02)
    assert point.accepted == pytest.approx(0.02, rel=0.05)


@pytest.mark.parametrize("k", [4, 8])
def test_it_carries_what_is_offered_and_saturates_below_the_bisection_bound(k: int) -> None:
    bound = 4 / k
    half = measure(k, 0.5 * bound, 3000)
    assert half.accepted == pytest.approx(half.offered, rel=0.03)
    assert half.mean < 1.3 * zero_load(k)
    full = measure(k, 1.1 * bound, 3000)
    assert 0.55 * bound < full.accepted < bound


def test_deeper_fifos_carry_more_and_a_depth_of_one_less() -> None:
    carried = [measure(4, 1.0, 2000, router_fifo=depth).accepted for depth in (1, 4, 16)]
    assert carried[0] < carried[1] < carried[2]
