"""Checkpoints that survive kill -9 at any moment: written aside, synced, then renamed."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import torch
from torch import nn

BEST = "best.pt"  # of a run: the integer network that was best on val


def save(path: Path, content: Any) -> None:
    """Write `content` with torch so that `path` holds either the old file or the whole new one."""
    aside = path.with_name(path.name + ".tmp")
    with aside.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def load(path: Path) -> Any:
    """Read what `save` wrote; tensors and plain values only, nothing is executed."""
    return torch.load(path, map_location="cpu", weights_only=True)


def save_json(path: Path, content: Any) -> None:
    """As `save`, in JSON."""
    aside = path.with_name(path.name + ".tmp")
    aside.write_text(json.dumps(content, indent=2) + "\n")
    aside.replace(path)


def weights_hash(model: nn.Module) -> str:
    """SHA-256 over names and bytes of all parameters and buffers."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        if isinstance(value, torch.Tensor):
            digest.update(name.encode())
            digest.update(value.contiguous().numpy().tobytes())
    return digest.hexdigest()


class Log:
    """log.csv: one row every few steps. Rows that a resumed run will write again are cut off."""

    FIELDS = (
        "step", "stage", "seconds", "rate", "loss", "box", "class", "dfl", "density", "target", "penalty_weight",
        "val_map50", "val_map50_95", "val_density",
    )  # fmt: skip

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        rows = []
        if path.exists():
            with path.open(newline="") as file:
                rows = [r for r in csv.DictReader(file) if (r["step"] or "").isdigit() and int(r["step"]) <= step]
        aside = path.with_name(path.name + ".tmp")
        with aside.open("w", newline="") as file:
            writer = csv.DictWriter(file, self.FIELDS, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
        aside.replace(path)

    def add(self, **row: Any) -> None:
        """Append one row."""
        shown = {k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()}
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, self.FIELDS).writerow(shown)
