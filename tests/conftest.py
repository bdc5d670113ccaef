"""What every test shares: which native module is tested, and how hard Hypothesis tries.

PYSPIKE_TEST_NATIVE   path of a `_native*.so`: it and the `_simulator*.so` beside it are tested in place of the
                      installed ones (a debug or sanitizer build)
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


def _preload(name: str, path: Path) -> None:
    """Load the module at `path` as `pyspike.<name>`, before anything else can import the installed one."""
    dotted = f"pyspike.{name}"
    if dotted in sys.modules:
        raise pytest.UsageError(f"{dotted} is loaded already: PYSPIKE_TEST_NATIVE comes too late")
    if not path.is_file():
        raise pytest.UsageError(f"PYSPIKE_TEST_NATIVE names no file: {path}")
    loader = importlib.machinery.ExtensionFileLoader(dotted, str(path))
    spec = importlib.util.spec_from_file_location(dotted, path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[dotted] = module
    loader.exec_module(module)


if os.environ.get("PYSPIKE_TEST_NATIVE"):
    _native = Path(os.environ["PYSPIKE_TEST_NATIVE"]).resolve()
    _preload("_native", _native)
    _preload("_simulator", _native.with_name(_native.name.replace("_native", "_simulator")))

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
    return f"native modules: {module.__file__ if module else 'the installed ones'}"
