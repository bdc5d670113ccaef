"""Integer-exact quantisation-aware training: layers whose eval forward IS the integer network.

The weight grid, the exponents and the rounding of biases are those of `pyspike.quantise`, the rule that the compiler
follows. Weights are w * 2^-e and counts are small integers, so each product is exact in floating point, and each sum is
while it stays below 2^24 (float32) or 2^53 (float64) steps of its grid. Gradients pass straight through the rounding.
"""

from __future__ import annotations

import copy
import hashlib
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pyspike.errors import RangeError
from pyspike.nn.layers import FactoredConv, PixelConv, conv2d
from pyspike.nn.neuron import IntegerLIF
from pyspike.quantise import quantise_rows, round_bias, synapse_fraction

FINEST_FACTORED = 16
"""Fractional bits that the output of a `FactoredConv` has at most.

A product of two weights of 8 bits needs about 16. More would bring sums of residual streams near 32 bits, for the sake
of channels whose weights are next to nothing.
"""


class _OnGrid(torch.autograd.Function):
    """Forward: the value on its grid, exactly. Backward: straight through to the value itself."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, on_grid: Tensor) -> Tensor:
        return on_grid.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0], None


class QuantisedSynapse(nn.Module):
    """What `QuantConv2d` and `QuantLinear` share. A mixin over a layer with `weight` [O, ...] and `bias` [O] or None.

    `bits` 4..8: width of a weight; `input_hi`: the input lies in 0..input_hi; `input_fraction`: its fractional bits
    f_x; `refresh`: while training, exponents are searched anew every so many forward calls (in eval at every call at
    which weights have changed). `reads(source)` makes the layer one that reads the potentials of another.
    """

    weight: Any
    bias: Any

    def _set_up(self, bits: int, input_hi: int, input_fraction: int, refresh: int) -> None:
        if not 4 <= bits <= 8:
            raise RangeError(f"weights of 4 to 8 bits are possible, found bits={bits}")
        self.bits, self.input_hi, self.refresh = bits, input_hi, refresh
        self._input_fraction = input_fraction
        self._source: tuple[QuantisedSynapse, ...] = ()  # in a tuple, as it is no child of this module
        self._age, self._baked = 0, b""
        self.register_buffer("_exponents", torch.zeros(len(self.weight), dtype=torch.int64), persistent=False)
        self.register_buffer("_weight_grid", torch.zeros_like(self.weight), persistent=False)
        self.register_buffer("_bias_grid", None if self.bias is None else torch.zeros_like(self.bias), persistent=False)

    def reads(self, source: QuantisedSynapse) -> None:
        """Read the potentials of `source`: signed, and of as many fractional bits as its present exponents give.

        The output has at most `FINEST_FACTORED` fractional bits, unless those of the input are more.
        """
        self._source = (source,)

    @property
    def source(self) -> QuantisedSynapse | None:
        """The synapse whose potentials this one reads, None where it reads counts or pixels."""
        return self._source[0] if self._source else None

    @property
    def input_fraction(self) -> int:
        """Fractional bits f_x of the input."""
        return self._input_fraction if self.source is None else self.source.fraction

    @property
    def fraction(self) -> int:
        """Fractional bits f of the output, with the exponents in use."""
        return synapse_fraction(self._exponents.cpu().numpy(), self.input_fraction)

    @torch.no_grad()
    def integers(self) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, int]:
        """(w [O, ...] int64, e [O] int64, bias [O] int64 or None, f): the integer synapse of the present weights."""
        most = None if self.source is None else max(FINEST_FACTORED - self.input_fraction, 0)
        w, e = quantise_rows(self.weight.detach().cpu().double().numpy(), self.bits, self.input_hi, most)
        f = synapse_fraction(e, self.input_fraction)
        bias = None if self.bias is None else round_bias(self.bias.detach().cpu().double().numpy(), f)
        return w, e, bias, f

    @torch.no_grad()
    def bake(self) -> None:
        """Search the exponents and put weights and bias on their grids; no work where nothing has changed since."""
        digest = self._digest()
        if digest == self._baked:
            return
        w, e, bias, f = self.integers()
        e_column = e.reshape(-1, *[1] * (w.ndim - 1))
        self._exponents = torch.from_numpy(e).to(self.weight.device)
        self._weight_grid = torch.from_numpy(np.ldexp(w.astype(np.float64), -e_column)).to(self.weight)
        if bias is not None:
            self._bias_grid = torch.from_numpy(np.ldexp(bias.astype(np.float64), -f)).to(self.weight)
        self._baked = digest

    def _digest(self) -> bytes:
        """What the grids depend on."""
        numbers = (self.bits, self.input_hi, self.input_fraction, str(self.weight.dtype), str(self.weight.device))
        digest = hashlib.blake2b(repr(numbers).encode(), digest_size=16)
        for values in (self.weight, self.bias):
            if values is not None:
                digest.update(values.detach().cpu().flatten().view(torch.uint8).numpy())
        return digest.digest()

    def on_grid(self) -> tuple[Tensor, Tensor | None]:
        """Weight and bias on their grids; gradients go straight through to the parameters."""
        # an exporter traces fake tensors that hold no numbers: it gets what eval() or the last call baked
        exporting = torch.onnx.is_in_onnx_export() or torch.compiler.is_exporting()
        if not exporting:
            if not self.training or self._age % self.refresh == 0:
                self.bake()
            else:
                self._round_with_known_exponents()
            self._age += self.training
        if not (self.training and torch.is_grad_enabled()):
            return self._weight_grid, self._bias_grid
        bias = None if self.bias is None else _OnGrid.apply(self.bias, self._bias_grid)
        return _OnGrid.apply(self.weight, self._weight_grid), bias

    @torch.no_grad()
    def _round_with_known_exponents(self) -> None:
        self._baked = b""
        limit = 2 ** (self.bits - 1) - 1
        up = torch.exp2(self._exponents.to(self.weight.dtype)).reshape(-1, *[1] * (self.weight.ndim - 1))
        self._weight_grid = torch.round(self.weight * up).clamp_(-limit, limit) / up
        if self.bias is not None:
            step = 2.0**self.fraction
            self._bias_grid = (torch.floor(self.bias.double() * step + 0.5) / step).to(self.bias.dtype)

    def train(self, mode: bool = True) -> Any:
        super().train(mode)
        if not mode:
            self.bake()
        return self

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        if not self.training:  # resumed training goes on with the exponents it had, however old
            self.bake()

    def get_extra_state(self) -> dict[str, Any]:
        """The exponents in use and their age, so that interrupted training resumes bit for bit."""
        return {"age": self._age, "exponents": self._exponents.clone()}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self._age, self._exponents = state["age"], state["exponents"].to(self.weight.device, copy=True)
        self._baked = b""


class QuantConv2d(QuantisedSynapse, nn.Conv2d):
    """`nn.Conv2d` with weights of `bits` bits times 2^-e per output channel; see `QuantisedSynapse`.

    Counts or raw pixels (any dtype; cast to the weights' dtype) [N, I, H, W] -> potentials [N, O, H', W'].
    """

    def __init__(
        self,
        *args: Any,
        bits: int = 8,
        input_hi: int = 4,
        input_fraction: int = 0,
        refresh: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._set_up(bits, input_hi, input_fraction, refresh)

    def forward(self, input: Tensor) -> Tensor:
        weight, bias = self.on_grid()
        if input.dtype != weight.dtype:
            input = input.to(weight.dtype)
        return conv2d(input, weight, bias, self)


class QuantLinear(QuantisedSynapse, nn.Linear):
    """`nn.Linear` with weights of `bits` bits times 2^-e per output; counts [..., I] -> potentials [..., O]."""

    def __init__(
        self,
        *args: Any,
        bits: int = 8,
        input_hi: int = 4,
        input_fraction: int = 0,
        refresh: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._set_up(bits, input_hi, input_fraction, refresh)

    def forward(self, input: Tensor) -> Tensor:
        weight, bias = self.on_grid()
        return functional.linear(input.to(weight.dtype), weight, bias)


def quantise(folded: nn.Module, bits: int = 8, refresh: int = 1) -> nn.Module:
    """A deep copy of a folded model in which each `nn.Conv2d` and `nn.Linear` has weights of `bits` bits.

    Every synapse is taken to read counts of 0..D, D the largest of the model's neurons, but a `PixelConv`, which reads
    pixels 0..255 in uint8 or float, and the depthwise half of a `FactoredConv`, which reads potentials. Raises
    `RangeError` where batch norms are left (fold first).
    """
    model = copy.deepcopy(folded)
    left = [name for name, m in model.named_modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if left:
        raise RangeError(f"fold the model before quantising it: {len(left)} batch norms are left, first {left[0]!r}")
    counts = max((m.D for m in model.modules() if isinstance(m, IntegerLIF)), default=1)
    return _quantise_children(model, bits, counts, refresh)


def _quantise_children(module: nn.Module, bits: int, counts: int, refresh: int) -> nn.Module:
    for name, child in module.named_children():
        setattr(module, name, _quantise_children(child, bits, counts, refresh))
    if isinstance(module, FactoredConv):
        pointwise, depthwise = module.pointwise, module.depthwise
        assert isinstance(pointwise, QuantConv2d)
        assert isinstance(depthwise, QuantConv2d)
        depthwise.reads(pointwise)
        depthwise.bake()
    if isinstance(module, QuantisedSynapse) or not isinstance(module, nn.Conv2d | nn.Linear):
        return module
    common: dict[str, Any] = {"bits": bits, "refresh": refresh, "bias": module.bias is not None}
    common |= {"device": module.weight.device, "dtype": module.weight.dtype}
    quantised: QuantConv2d | QuantLinear
    if isinstance(module, nn.Conv2d):
        common["input_hi"] = 255 if isinstance(module, PixelConv) else counts
        geometry = {k: getattr(module, k) for k in ("kernel_size", "stride", "padding", "dilation", "groups")}
        quantised = QuantConv2d(module.in_channels, module.out_channels, **geometry, **common)
    else:
        quantised = QuantLinear(module.in_features, module.out_features, input_hi=counts, **common)
    quantised.load_state_dict({**module.state_dict(), "_extra_state": quantised.get_extra_state()})
    quantised.bake()
    return quantised.train(module.training)
