"""Where the reference data lie, if they are there; tests that need them skip with a reason otherwise."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]


def golden(name: str) -> Path:
    """The path of a SpikeYOLO reference file, or a skip."""
    path = ROOT.parent / "shared" / "golden" / "spikeyolo" / name
    if not path.exists():
        pytest.skip(f"reference data not found: {path}")
    return path


def read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    """Every tensor of a safetensors file (a length, a JSON header, raw little-endian data)."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header.pop("__metadata__", None)
    dtypes = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "I64": "<i8"}
    out = {}
    for name, entry in header.items():
        start, stop = entry["data_offsets"]
        array = np.frombuffer(data[8 + size + start : 8 + size + stop], dtypes[entry["dtype"]])
        out[name] = torch.from_numpy(array.reshape(entry["shape"]).copy())
    return out
