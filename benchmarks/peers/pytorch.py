"""PyTorch on the CPU. Options: model (a pickled module), form, threads.

Forms: "eager" and "compiled" run the network as it is; "published" runs it as its authors say that it is deployed: a
count of n is n binary spikes in D sub-steps, every synapse works on each sub-step, and sums are compared when all have
come. The last is a batch of D in each convolution, since sub-steps of one timestep do not depend on each other.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.peers.protocol import Run, serve


def load(options: dict[str, Any]) -> Run:
    """The module in inference mode, its convolutions in the channels-last layout."""
    import torch

    torch.set_num_threads(options["threads"])
    model = torch.load(options["model"], weights_only=False).eval().to(memory_format=torch.channels_last)
    if options["form"] == "published":
        _split(model)
    elif options["form"] == "compiled":
        model = torch.compile(model, dynamic=False)

    def run(x: np.ndarray) -> list[np.ndarray]:
        with torch.inference_mode():
            images = torch.from_numpy(x).float().contiguous(memory_format=torch.channels_last)
            return [each.numpy() for each in model(images if options.get("raw_pixels") else images / 255)]

    return run


def _split(model: Any) -> None:
    """Make every synapse that reads counts read binary sub-steps instead."""
    import torch
    from torch import nn

    from pyspike.nn.neuron import IntegerLIF

    def sub_steps(neuron: IntegerLIF, args: Any, counts: torch.Tensor) -> torch.Tensor:
        spikes = torch.stack([(counts > d).to(counts.dtype) for d in range(neuron.D)])
        counts.spikes = spikes.flatten(0, 1).contiguous(memory_format=torch.channels_last)  # type: ignore[attr-defined]
        return counts

    def forward(conv: nn.Conv2d) -> Any:
        plain, bias = conv._conv_forward, conv.bias

        def summed(counts: torch.Tensor) -> torch.Tensor:
            spikes = getattr(counts, "spikes", None)
            if spikes is None:
                return plain(counts, conv.weight, bias)
            sums = plain(spikes, conv.weight, None).unflatten(0, (-1, len(counts))).sum(0)
            return sums if bias is None else sums + bias[:, None, None]

        return summed

    for module in model.modules():
        if isinstance(module, IntegerLIF):
            module.register_forward_hook(sub_steps)
        elif isinstance(module, nn.Conv2d):
            module.forward = forward(module)  # type: ignore[method-assign]


if __name__ == "__main__":
    serve(load)
