"""pyspike runs spiking neural networks exactly, with integer additions only.

    report = pyspike.compile("network.onnx", "network.spk")     # integers from here on
    runtime = pyspike.Runtime.load("network.spk", threads=2)
    outputs = runtime.run(photograph)                            # name -> float64; raw=True gives the integers
    print(pyspike.simulate("network.spk", photograph))           # a neuromorphic chip, cycle by cycle
    print(pyspike.verify("network.spk", onnx="network.onnx"))    # every executor, compared with ==

Importing this package needs NumPy alone and loads next to nothing; each name brings its module at first use. What
needs an optional dependency raises `MissingExtraError`, which names the extra to install.
"""

from __future__ import annotations

import importlib
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyspike._foreign import ForeignPackageError, refuse_foreign_package
from pyspike.errors import (
    BudgetError,
    BusyError,
    ChipError,
    Error,
    MissingExtraError,
    ModelFormatError,
    RangeError,
    ShapeError,
    SimulationError,
    TuningError,
    UnsupportedOpError,
)

if TYPE_CHECKING:
    from pyspike.chip.simulate import SimulationReport, simulate
    from pyspike.compiler import CompileReport, compile
    from pyspike.latency import LatencyBound
    from pyspike.runtime import MemoryPlan, Model, Profile, Runtime, TensorInfo
    from pyspike.tuning import TuneReport, Tuning
    from pyspike.verify import VerifyReport, verify

refuse_foreign_package(Path(__file__).parent, sys.path)

__version__ = "0.1.0"

__all__ = [
    "BudgetError",
    "BusyError",
    "ChipError",
    "CompileReport",
    "Error",
    "ForeignPackageError",
    "LatencyBound",
    "MemoryPlan",
    "MissingExtraError",
    "Model",
    "ModelFormatError",
    "Profile",
    "RangeError",
    "Runtime",
    "ShapeError",
    "SimulationError",
    "SimulationReport",
    "TensorInfo",
    "TuneReport",
    "Tuning",
    "TuningError",
    "UnsupportedOpError",
    "VerifyReport",
    "compile",
    "simulate",
    "verify",
]

_HOMES = {
    "CompileReport": "compiler",
    "LatencyBound": "latency",
    "MemoryPlan": "runtime",
    "Model": "runtime",
    "Profile": "runtime",
    "Runtime": "runtime",
    "SimulationReport": "chip.simulate",
    "TensorInfo": "runtime",
    "TuneReport": "tuning",
    "Tuning": "tuning",
    "VerifyReport": "verify",
    "compile": "compiler",
    "simulate": "chip.simulate",
    "verify": "verify",
}
_ROOMS = (
    "chip",
    "compiler",
    "errors",
    "graph",
    "image",
    "io",
    "latency",
    "models",
    "nn",
    "ops",
    "report",
    "runtime",
    "tasks",
    "tuning",
)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
        setattr(sys.modules[__name__], name, value)
        return value
    if name in _ROOMS:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_ROOMS})


class _Package(types.ModuleType):
    """The import system sets a submodule as an attribute of its package, and `verify` is both a function and the module
    that holds it. The function wins whichever was imported first; the module stays importable by its name.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, types.ModuleType) and _HOMES.get(name) == name:
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
