"""Training of detectors: python -m training.detect --data <folder> --out runs/<name> (docs/training.md)."""

from __future__ import annotations

from typing import Any

__all__ = ["load_final"]


def __getattr__(name: str) -> Any:
    if name == "load_final":  # imports torch, pycocotools
        from training.detect.final import load_final

        return load_final
    raise AttributeError(f"module 'training.detect' has no attribute {name!r}")
