"""What every test shares: which native module is tested, and how hard Hypothesis tries.

PYSPIKE_TEST_NATIVE   path of a `_native*.so`, tested in place of the installed one (a debug or sanitizer build)
HYPOTHESIS_PROFILE    default, quick (sanitizer builds) or thorough
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings


def _preload_native(path: Path) -> None:
    """Load the module at `path` as `pyspike._native`, before anything else can import the installed one."""
    if "pyspike._native" in sys.modules:
        raise pytest.UsageError("pyspike._native is loaded already: PYSPIKE_TEST_NATIVE comes too late")
    if not path.is_file():
        raise pytest.UsageError(f"PYSPIKE_TEST_NATIVE names no file: {path}")
    loader = importlib.machinery.ExtensionFileLoader("pyspike._native", str(path))
    spec = importlib.util.spec_from_file_location("pyspike._native", path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["pyspike._native"] = module
    loader.exec_module(module)


if os.environ.get("PYSPIKE_TEST_NATIVE"):
    _preload_native(Path(os.environ["PYSPIKE_TEST_NATIVE"]).resolve())

# No deadline: the machines that run this are shared, and a slow example is not a wrong one.
# CI judges every change by the same examples; elsewhere each run looks for new ones.
settings.register_profile(
    "default",
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("quick", settings.get_profile("default"), max_examples=15)
settings.register_profile("thorough", settings.get_profile("default"), max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_report_header() -> str:
    module = sys.modules.get("pyspike._native")
    return f"native module: {module.__file__ if module else 'the installed one'}"
