"""The firing-rate penalty and the controller of its weight.

A fixed small weight does nothing and a fixed large one destroys the detector, because the right weight changes while
the network thins out. So the weight is driven: it grows while the measured density is above a falling target, and
shrinks below it.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from training.detect.config import Config

SMALLEST, LARGEST = 1e-3, 1e3
SMOOTHING = 0.9


@dataclass
class Controller:
    """weight: of the penalty now; density: running mean of measured densities; start: density when the stage began;
    calibration: measured training density over density of the validated model, since the two differ systematically.
    """

    weight: float
    density: float | None = None
    start: float | None = None
    calibration: float = 1.0

    def target(self, config: Config, progress: float) -> float:
        """Target density at `progress` 0..1 of stage (b), 1 afterwards: geometric between the levels, then held."""
        levels = [self.start if self.start is not None else 1.0, *config.densities]
        position = min(progress / 0.7, 1.0) * (len(levels) - 1)
        index = min(int(position), len(levels) - 2)
        low, high, share = levels[index], levels[index + 1], position - index
        if low <= high:
            return high
        return math.exp(math.log(low) * (1 - share) + math.log(high) * share)

    def update(self, measured: float, config: Config, progress: float) -> None:
        """Take the density of one training step and adjust the weight."""
        self.density = measured if self.density is None else SMOOTHING * self.density + (1 - SMOOTHING) * measured
        if self.start is None:
            self.start = measured
        goal = self.target(config, progress) * config.density_margin * self.calibration
        excess = max(-1.0, min(1.0, self.density / goal - 1))
        self.weight = min(LARGEST, max(SMALLEST, self.weight * math.exp(config.penalty_rate * excess)))

    def calibrate(self, validated: float) -> None:
        """Take the density of the validated model."""
        if self.density is not None and validated > 0:
            ratio = max(0.8, min(1.25, self.density / validated))
            self.calibration += 0.5 * (ratio - self.calibration)

    def to_dict(self) -> dict[str, Any]:
        """For checkpoints."""
        return asdict(self)
