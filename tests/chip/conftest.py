from __future__ import annotations

import pytest

from pyspike.chip.sweep_point import Job
from tests.chip.sweeping import make_job


@pytest.fixture(scope="session")
def job() -> Job:
    """A small network, its input and its output."""
    return make_job()
