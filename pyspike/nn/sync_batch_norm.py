"""Batch normalisation whose statistics are those of the global batch, on any device and backend.

`torch.nn.SyncBatchNorm` refuses CPU tensors. This one needs nothing but `all_reduce`, so gloo and nccl both carry it:
N processes compute what one process would on their batches put together.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pyspike.errors import ShapeError, UnsupportedOpError


def _per_channel(values: Tensor, like: Tensor) -> Tensor:
    """[C] -> [1, C, 1, ...], to be broadcast over `like`."""
    return values.reshape(1, -1, *[1] * (like.ndim - 2))


class _Normalise(torch.autograd.Function):
    """(x, weight, bias) -> (y, mean, biased variance, count of values per channel), over all processes.

    Ioffe and Szegedy, "Batch Normalization" (2015). With x^ = (x - mean) / sqrt(var + eps) and sums over the global
    batch of N values per channel:

        dL/dx = weight / sqrt(var + eps) * (dL/dy - sum(dL/dy) / N - x^ * sum(dL/dy * x^) / N)

    where L is the sum of all processes' losses. Gradients of weight and bias are this process's share of theirs:
    whoever averages the gradients of parameters over processes averages these too.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> tuple[Tensor, ...]:
        dims = [d for d in range(x.ndim) if d != 1]
        # half-precision activations (autocast) have statistics in float32
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        channels = x.shape[1]
        total = torch.cat([wide.sum(dims), wide.new_tensor([x.numel() / max(channels, 1)])])
        distributed.all_reduce(total)
        count = total[-1]
        mean = total[:-1] / count
        centred = wide - _per_channel(mean, x)
        # a second pass about the global mean: a sum of squares would cancel where the mean is large
        squares = centred.square().sum(dims)
        distributed.all_reduce(squares)
        variance = squares / count
        inverse = torch.rsqrt(variance + eps)
        y = centred * _per_channel(inverse, x)
        if weight is not None:
            y = y * _per_channel(weight, x)
        if bias is not None:
            y = y + _per_channel(bias, x)
        ctx.save_for_backward(x, weight, mean, inverse, count)
        ctx.mark_non_differentiable(mean, variance, count)
        return y.to(x.dtype), mean, variance, count

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None, None]:
        x, weight, mean, inverse, count = ctx.saved_tensors
        dims = [d for d in range(x.ndim) if d != 1]
        up = grads[0].to(mean.dtype)
        normed = (x.to(mean.dtype) - _per_channel(mean, x)) * _per_channel(inverse, x)
        ours = torch.cat([up.sum(dims), (up * normed).sum(dims)])
        total = ours.clone()
        distributed.all_reduce(total)
        mean_up, mean_product = (_per_channel(part, x) for part in (total / count).chunk(2))
        scale = inverse if weight is None else inverse * weight
        inward = (up - mean_up - normed * mean_product) * _per_channel(scale, x)
        for_bias, for_weight = ours.chunk(2)
        needed = ctx.needs_input_grad
        return inward.to(x.dtype), for_weight if needed[1] else None, for_bias if needed[2] else None, None


class SyncBatchNorm2d(nn.BatchNorm2d):
    """`nn.BatchNorm2d` over the batches of all processes of the default group. [N, C, H, W] -> [N, C, H, W].

    In training each process gives its own N, which may differ and may be 0; running statistics end up the same on all
    of them. All processes have to call it, and run the backward pass, equally often. In evaluation, without
    `torch.distributed`, and in a group of one it is `nn.BatchNorm2d`, bit for bit.

    Raises `ShapeError` where the global batch has less than two values per channel, on every process.
    """

    def forward(self, input: Tensor) -> Tensor:
        by_batch = self.training or self.running_mean is None
        alone = not (distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1)
        if alone or not by_batch:
            return super().forward(input)
        self._check_input_dim(input)
        y, mean, variance, count = _Normalise.apply(input, self.weight, self.bias, self.eps)
        if not count > 1:
            raise ShapeError(
                "SyncBatchNorm2d needs two values per channel in the global batch to train: "
                f"found {int(count)}, here an input of shape {tuple(input.shape)}"
            )
        if self.training:
            self._follow(mean, variance * (count / (count - 1)))
        return y

    @torch.no_grad()
    def _follow(self, mean: Tensor, unbiased: Tensor) -> None:
        """Move the running statistics; without momentum they are plain means over calls."""
        if self.running_mean is None or self.running_var is None:
            return
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        share: Any = self.momentum
        if share is None:
            assert self.num_batches_tracked is not None
            share = 1 / float(self.num_batches_tracked)
        self.running_mean.mul_(1 - share).add_(mean, alpha=share)
        self.running_var.mul_(1 - share).add_(unbiased, alpha=share)


def synchronised(model: nn.Module) -> nn.Module:
    """A deep copy of `model` in which every `nn.BatchNorm2d`, at any depth, is a `SyncBatchNorm2d` of the same state.

    Names in the state dict stay as they are. Raises `UnsupportedOpError` naming batch norms of other kinds.
    """
    strange = [f"{n} ({type(m).__name__})" for n, m in model.named_modules() if isinstance(m, _BatchNorm)
               and type(m) not in (nn.BatchNorm2d, SyncBatchNorm2d)]  # fmt: skip
    if strange:
        raise UnsupportedOpError(f"only nn.BatchNorm2d can be synchronised, found {', '.join(strange)}")
    return _synchronise(copy.deepcopy(model))


def _synchronise(module: nn.Module) -> nn.Module:
    if type(module) is nn.BatchNorm2d:
        twin = SyncBatchNorm2d(
            module.num_features, module.eps, module.momentum, module.affine, module.track_running_stats
        )
        # the very tensors: device, dtype and requires_grad come along
        twin._parameters, twin._buffers = module._parameters, module._buffers
        return twin.train(module.training)
    for name, child in module.named_children():
        setattr(module, name, _synchronise(child))
    return module
