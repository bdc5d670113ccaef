"""Firmware images for tests: made by hand (`Builder`) and at random (`random_program`, `programs`)."""

from .builder import Builder, InputSpec, OutputSpec, PortSpec, StepSpec, TileSpec
from .programs import Program, programs, random_program

__all__ = [
    "Builder",
    "InputSpec",
    "OutputSpec",
    "PortSpec",
    "Program",
    "StepSpec",
    "TileSpec",
    "programs",
    "random_program",
]
