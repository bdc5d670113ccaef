"""ncnn. Options: model (stem of .ncnn.param and .ncnn.bin, as pnnx writes them), threads."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.peers.protocol import Run, serve


def load(options: dict[str, Any]) -> Run:
    """One network; an extractor for each run."""
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = options["threads"]
    net.opt.use_vulkan_compute = False
    net.opt.use_bf16_storage = net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.load_param(options["model"] + ".ncnn.param")
    net.load_model(options["model"] + ".ncnn.bin")
    inputs, outputs = net.input_names(), net.output_names()

    def run(x: np.ndarray) -> list[np.ndarray]:
        extractor = net.create_extractor()
        extractor.input(inputs[0], ncnn.Mat(x[0].astype(np.float32)))
        found = []
        for name in outputs:
            code, value = extractor.extract(name)
            if code:
                raise RuntimeError(f"ncnn: extract({name!r}) gave {code}")
            found.append(np.array(value)[None])
        return found

    return run


if __name__ == "__main__":
    serve(load)
