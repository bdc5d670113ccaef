"""The demo's network on its photograph against ONNX Runtime, float32 and int8, in one run.

The float32 peer is exact (verify says so); the int8 peer is ONNX Runtime's static quantisation of the same file, which
re-quantises the residual stream and so computes another function: its time is what is compared, not its result. Rounds
are interleaved, so that a machine that slows down slows all; the median and the minimum are printed, and ratios of
them.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx.inliner
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

import pyspike
from pyspike.io.images import read_image
from pyspike.tasks.detect import Detector

DATA = Path(pyspike.__file__).parent / "data"
ROUNDS = 30


class _Photograph(CalibrationDataReader):
    """Calibration on the photograph itself, as it is and mirrored."""

    def __init__(self, name: str, x: np.ndarray) -> None:
        self.feeds = iter([{name: x}, {name: x[..., ::-1].copy()}, {name: x[..., ::-1, :].copy()}])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.feeds, None)


def session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    """A session on the CPU with a fixed number of threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def int8_peer(folder: Path, name: str, x: np.ndarray) -> Path:
    """The ONNX file with its neurons inlined, statically quantised to int8 (one scale for each output channel)."""
    plain, target = folder / "inlined.onnx", folder / "int8.onnx"
    onnx.save(onnx.inliner.inline_local_functions(onnx.load(DATA / "demo.onnx")), plain)
    quantize_static(
        plain, target, _Photograph(name, x), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
    )  # fmt: skip
    return target


def contestants(x: np.ndarray, threads: int, int8: Path) -> dict[str, Callable[[], object]]:
    """What is timed, by name; each is called with nothing and does one whole inference."""
    model = pyspike.Model.load(DATA / "demo.spk")
    name = model.inputs[0].name
    runtime = model.runtime(threads=threads)
    float32, quantised = session(DATA / "demo.onnx", threads), session(int8, threads)
    return {
        "pyspike": lambda: runtime.run(x),
        "onnxruntime float32": lambda: float32.run(None, {name: x}),
        "onnxruntime int8": lambda: quantised.run(None, {name: x}),
    }


def race(entrants: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Seconds of each entrant in each of the interleaved rounds, after three that do not count."""
    times: dict[str, list[float]] = {name: [] for name in entrants}
    for number in range(ROUNDS + 3):
        for name, run in entrants.items():
            began = time.perf_counter()
            run()
            if number >= 3:
                times[name].append(time.perf_counter() - began)
    return times


def main() -> int:
    """Print medians and minima in ms, and each peer's median over ours."""
    model = pyspike.Model.load(DATA / "demo.spk")
    x, _ = Detector(model).preprocess(read_image(DATA / "demo.jpg"))
    with tempfile.TemporaryDirectory() as folder:
        int8 = int8_peer(Path(folder), model.inputs[0].name, x)
        for threads in (1, 2):
            times = race(contestants(x, threads, int8))
            ours = statistics.median(times["pyspike"])
            for name, seconds in times.items():
                median, least = statistics.median(seconds), min(seconds)
                print(
                    f"{threads} thread{'s' * (threads > 1)}  {name:20}  median {median * 1e3:7.2f} ms  "
                    f"minimum {least * 1e3:7.2f} ms  median / ours {median / ours:5.2f}"
                )
    return 0


if __name__ == "__main__":
    sys.exit(main())
