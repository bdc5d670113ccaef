"""ONNX Runtime on the CPU. Options: model (an ONNX file, float or int8), threads."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.peers.protocol import Run, serve


def load(options: dict[str, Any]) -> Run:
    """One session, all graph optimisations on."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads, settings.inter_op_num_threads = options["threads"], 1
    settings.log_severity_level = 3
    session = onnxruntime.InferenceSession(options["model"], settings, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(x: np.ndarray) -> list[np.ndarray]:
        return session.run(None, {name: x})  # type: ignore[no-any-return]

    return run


if __name__ == "__main__":
    serve(load)
