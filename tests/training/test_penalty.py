"""The controller of the firing-rate penalty on a toy network whose density answers to the weight."""

from __future__ import annotations

import math

import pytest

from training.detect.config import Config
from training.detect.penalty import Controller

CONFIG = Config(densities=(0.15, 0.10), density_margin=1.0, penalty_rate=0.02)


def test_target_falls_through_the_levels_and_is_held() -> None:
    c = Controller(0.5, start=0.3)
    assert c.target(CONFIG, 0.0) == pytest.approx(0.3)
    assert c.target(CONFIG, 0.35) == pytest.approx(0.15)
    assert c.target(CONFIG, 0.525) == pytest.approx(math.sqrt(0.15 * 0.10))
    assert c.target(CONFIG, 0.7) == c.target(CONFIG, 1.0) == pytest.approx(0.10)
    # a network that is sparser than a level already is not asked to fire more on the way
    assert Controller(0.5, start=0.12).target(CONFIG, 0.1) == pytest.approx(0.15)


def test_drives_a_density_to_its_target() -> None:
    c = Controller(CONFIG.penalty)
    density = 0.33
    for step in range(1500):
        c.update(density, CONFIG, step / 1500)
        wanted = 0.33 / (1 + 0.8 * c.weight)  # a network that thins out under the penalty, slowly
        density += 0.02 * (wanted - density)
    assert density == pytest.approx(0.10, rel=0.03)
    assert c.weight > 1.5


def test_weight_moves_both_ways_within_bounds() -> None:
    c = Controller(0.5, density=0.05, start=0.3)
    before = c.weight
    c.update(0.05, CONFIG, 1.0)
    assert c.weight < before
    c = Controller(999.9, density=0.5, start=0.3)
    for _ in range(10):
        c.update(0.5, CONFIG, 1.0)
    assert c.weight == 1000


def test_calibration_follows_the_validated_model() -> None:
    c = Controller(0.5, density=0.10, start=0.3)
    c.calibrate(0.11)  # the validated model fires more: training must aim lower
    assert c.calibration == pytest.approx(1 + 0.5 * (0.10 / 0.11 - 1))
    again = Controller(**c.to_dict())
    assert again == c
