"""SpikeYOLO computes what it computed when it agreed with the published code."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pyspike.models.spikeyolo import SpikeYOLO

from .agreed import CASES, CONFIG, FILE, computed, seeded


@pytest.mark.parametrize("case", CASES)
def test_heads_and_drives_are_what_was_agreed(case: str) -> None:
    kept = np.load(FILE)
    for name, values in computed(case).items():
        assert np.abs(values - kept[name]).max() < 1e-9, name


def test_what_is_kept_is_worth_comparing() -> None:
    """Not constant, not infinite, and sensitive to one weight."""
    assert FILE.stat().st_size <= 300_000
    kept = np.load(FILE)
    parts = ("drives", "raw0", "raw1", "raw2")
    assert sorted(kept) == sorted(f"{case}_{part}" for case in CASES for part in parts)
    for name in kept:
        assert np.isfinite(kept[name]).all(), name
        assert np.unique(kept[name]).size > 0.5 * kept[name].size, name
    model = seeded(SpikeYOLO(**CONFIG, T=1, D=4).double()).eval()
    with torch.no_grad():
        parameter = next(model.parameters())
        parameter.view(-1)[0] += 0.1
        image = np.random.Generator(np.random.PCG64(1)).integers(0, 256, (1, 3, 64, 64)) / 255
        changed = model(torch.from_numpy(image))
    assert max(np.abs(t.numpy() - kept[f"T1D4_raw{i}"]).max() for i, t in enumerate(changed)) > 1e-9
