"""The integer leaky integrate-and-fire neuron (I-LIF), one class for every model family.

Per timestep t, with membrane potential m = 0 before the first step and drive u (real valued):

    m = decay * m + gain * u[t]
    n = round(clip(m / theta, 0, D))            the integer spike count, emitted
    m = m - n * theta   (soft reset)      or      m = 0 where n > 0   (hard reset)

From "Integer-Valued Training and Spike-Driven Inference Spiking Neural Network for High-performance and
Energy-efficient Object Detection" (SpikeYOLO, ECCV 2024). Its COCO models use decay 1/4 and gain 1, its Gen1 models
decay 1/2 and gain 1/2.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

import torch
from torch import Tensor, nn

from pyspike.errors import RangeError, ShapeError

Rounding = Literal["half_even", "half_up"]
Reset = Literal["soft", "hard"]


class _RoundClip(torch.autograd.Function):
    """n = round(clip(x, 0, D)) with a rectangular straight-through gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, levels: int, half_even: bool) -> Tensor:
        ctx.save_for_backward(x)
        ctx.levels, ctx.half_even = levels, half_even
        clipped = x.clamp(0, levels)
        return torch.round(clipped) if half_even else torch.floor(clipped + 0.5)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        low, high = 0.0, float(ctx.levels)
        if ctx.half_even:
            low, high = _next_outside(high, x.dtype)
        # passes gradients strictly between its bounds, in one pass over memory
        return torch.ops.aten.hardtanh_backward(grads[0], x, low, high), None, None


@lru_cache
def _next_outside(high: float, dtype: torch.dtype) -> tuple[float, float]:
    """The largest number below 0 and the smallest above `high`; half precisions are compared as float32."""
    ends = torch.tensor([0.0, high], dtype=torch.float64 if dtype == torch.float64 else torch.float32)
    low, above = torch.nextafter(ends, torch.tensor([-1.0, torch.inf], dtype=ends.dtype)).tolist()
    return low, above


class IntegerLIF(nn.Module):
    """Integer LIF neuron: real-valued drive in, integer spike counts 0..D (as floats) out. Holds no tensors.

    Input and output have one shape: `[T * B, ...]`, time-major merged with the batch on axis 0 (timestep outer); with
    T = 1 any tensor. State never survives a call.

    `rounding` decides ties and, following the models that use each, the ends of the surrogate gradient, which is a
    rectangle: `half_even` (torch.round) passes gradients where 0 <= m / theta <= D, `half_up` (floor(x + 1/2)) where
    0 < m / theta < D. With `detach_reset` no gradient flows through the counts in the reset.

    Raises `RangeError` for impossible parameters and `ShapeError` where axis 0 is no multiple of T.
    """

    def __init__(
        self,
        D: int = 4,
        T: int = 1,
        decay: float = 0.25,
        gain: float = 1.0,
        theta: float = 1.0,
        detach_reset: bool = True,
        rounding: Rounding = "half_even",
        reset: Reset = "soft",
    ) -> None:
        super().__init__()
        if D < 1 or T < 1 or not theta > 0:
            raise RangeError(f"IntegerLIF needs D >= 1, T >= 1 and theta > 0: found D={D}, T={T}, theta={theta}")
        if rounding not in ("half_even", "half_up") or reset not in ("soft", "hard"):
            raise RangeError(f"IntegerLIF: unknown rounding {rounding!r} or reset {reset!r}")
        self.D, self.T = int(D), int(T)
        self.decay, self.gain, self.theta = float(decay), float(gain), float(theta)
        self.detach_reset, self.rounding, self.reset = detach_reset, rounding, reset

    def forward(self, u: Tensor) -> Tensor:
        if self.T > 1 and (u.ndim == 0 or u.shape[0] % self.T):
            raise ShapeError(f"IntegerLIF with T={self.T} expects axis 0 = T * B, found shape {tuple(u.shape)}")
        if torch.onnx.is_in_onnx_export():
            return self._exported(u)
        if self.T == 1:
            return self._fire(self._drive(u))
        steps = u.reshape(self.T, -1, *u.shape[1:])
        return torch.cat(self._run(steps)).reshape(u.shape)

    def _run(self, steps: Tensor) -> list[Tensor]:
        counts: list[Tensor] = []
        membrane: Tensor | None = None
        for drive in steps:
            driven = self._drive(drive)
            membrane = driven if membrane is None else self.decay * membrane + driven
            n = self._fire(membrane)
            counts.append(n)
            emitted = n.detach() if self.detach_reset else n
            if self.reset == "soft":
                membrane = membrane - (emitted if self.theta == 1 else emitted * self.theta)
            else:
                membrane = membrane.masked_fill(emitted > 0, 0.0)
        return counts

    def _drive(self, u: Tensor) -> Tensor:
        return u if self.gain == 1 else self.gain * u

    def _fire(self, membrane: Tensor) -> Tensor:
        x = membrane if self.theta == 1 else membrane / self.theta
        counts: Tensor = _RoundClip.apply(x, self.D, self.rounding == "half_even")
        return counts

    def _exported(self, u: Tensor) -> Tensor:
        """One `pyspike::IntegerLIF` node; with T > 1 its axis 0 is exactly time, hence the reshapes around it."""
        drive = u if self.T == 1 else u.reshape(self.T, -1, *u.shape[1:])
        attributes: dict[str, Any] = {
            "D": self.D,
            "half_even": int(self.rounding == "half_even"),
            "T": self.T,
            "decay": self.decay,
            "gain": self.gain,
            "theta": self.theta,
            "reset": int(self.reset == "hard"),
        }
        counts = torch.onnx.ops.symbolic(
            "pyspike::IntegerLIF", (drive,), attributes, dtype=drive.dtype, shape=drive.shape, version=1
        )
        return counts if self.T == 1 else counts.reshape(u.shape)

    def extra_repr(self) -> str:
        return (
            f"D={self.D}, T={self.T}, decay={self.decay}, gain={self.gain}, theta={self.theta}, "
            f"rounding={self.rounding}, reset={self.reset}"
        )
