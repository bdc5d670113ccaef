"""The processes of one run: torchrun starts them, each has a device, and the first one speaks and writes.

    torchrun --nproc-per-node 4 -m training.detect --data ... --out ... --config ...

A run in one process needs none of this: a `Group` of one does nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from pyspike.nn.sync_batch_norm import synchronised

PATIENCE = timedelta(hours=2)  # the others wait while the first process validates


@dataclass(frozen=True)
class Group:
    """rank: of this process, 0..size - 1; device: where it computes."""

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def first(self) -> bool:
        """Whether this process logs, validates, averages weights and writes files."""
        return self.rank == 0

    def sum(self, value: Tensor) -> Tensor:
        """The sum of all processes' `value`s, a new tensor without gradient; the same bits on every one."""
        total = value.detach().clone()
        if self.size > 1:
            distributed.all_reduce(total)
        return total

    def share(self, value: Any) -> Any:
        """The first process's `value`, which the others need not have: plain values and CPU tensors."""
        if self.size == 1:
            return value
        box = [value if self.first else None]
        distributed.broadcast_object_list(box, device=self.device)
        return box[0]

    def parallel(self, model: nn.Module) -> nn.Module:
        """`model` so wrapped that gradients are means over processes; batch norms as they are in `model`.

        Without synchronised batch norms each process normalises by its own images, and the first one's running
        statistics are everybody's.
        """
        if self.size == 1:
            return model
        own = any(type(m) is nn.BatchNorm2d for m in model.modules())
        devices = [self.device] if self.device.type == "cuda" else None
        return DistributedDataParallel(model, device_ids=devices, broadcast_buffers=own)

    def with_batch_norms(self, model: nn.Module, over_all: bool) -> nn.Module:
        """`model` with its batch norms synchronised, if there is somebody to synchronise with."""
        return synchronised(model) if over_all and self.size > 1 else model


@contextmanager
def joined(device: str) -> Iterator[Group]:
    """The group that torchrun's variables describe (nccl on GPUs, gloo elsewhere); of one without them.

    Raises `RuntimeError` where `device` is "cuda" and this process has none.
    """
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if device == "cuda":
        if local >= torch.cuda.device_count():
            raise RuntimeError(
                f'device = "cuda": process {local} of this machine needs a GPU of its own, found '
                f'{torch.cuda.device_count()}; start fewer processes or set device = "cpu"'
            )
        torch.cuda.set_device(local)
    place = torch.device(device, local) if device == "cuda" else torch.device(device)
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Group(device=place)
        return
    distributed.init_process_group("nccl" if device == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield Group(distributed.get_rank(), size, place)
    finally:
        distributed.destroy_process_group()
