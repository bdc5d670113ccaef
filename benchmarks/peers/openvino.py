"""OpenVINO on the CPU. Options: model (an ONNX file or OpenVINO's own .xml), threads, precision ("f32" or "bf16")."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.peers.protocol import Run, serve


def load(options: dict[str, Any]) -> Run:
    """One compiled model, one stream, set for latency. Without `precision` f32 OpenVINO runs float models in bf16."""
    import openvino

    core = openvino.Core()
    settings = {
        "INFERENCE_NUM_THREADS": options["threads"],
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": options.get("precision", "f32"),
    }
    request = core.compile_model(options["model"], "CPU", settings).create_infer_request()

    def run(x: np.ndarray) -> list[np.ndarray]:
        return [np.asarray(value) for value in request.infer([x], share_inputs=True).values()]

    return run


if __name__ == "__main__":
    serve(load)
