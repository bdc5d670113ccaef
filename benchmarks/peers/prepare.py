"""Int8 models of a network for its peers, by the peers' own tools: written beside the network, once.

    python -m benchmarks.peers.prepare KIND SOURCE TARGET X

KIND is `qdq` or `qoperator` (ONNX Runtime's static quantisation), with `-conv` where convolutions alone are quantised,
so that residual sums and neurons stay in float32; `nncf` (OpenVINO's post-training quantisation) or `pnnx` (conversion
for ncnn). SOURCE is an ONNX file, X the input. Activations are unsigned, weights signed and scaled by output channel;
calibrated on the input, as it is, mirrored, upside down and darkened.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from benchmarks.peers.protocol import ROOT, PeerError

KINDS = ("qdq", "qdq-conv", "qoperator", "qoperator-conv", "nncf")


def prepared(kind: str, source: Path, target: Path, x: Path) -> Path:
    """`target`, made in a process of its own unless it is there. Raises `PeerError` with what the tool said."""
    if not target.exists():
        command = [sys.executable, "-m", "benchmarks.peers.prepare", kind, source, target, x]
        done = subprocess.run([str(each) for each in command], cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode or not target.exists():
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            raise PeerError(f"{kind}: {lines[-1] if lines else 'nothing was written'}")
    return target


def images(x: np.ndarray) -> list[np.ndarray]:
    """What is calibrated on."""
    return [x, x[..., ::-1].copy(), x[..., ::-1, :].copy(), (x // 2).astype(x.dtype)]


def by_onnxruntime(kind: str, source: Path, target: Path, x: np.ndarray) -> None:
    """Static quantisation, after the optimisations that ONNX Runtime's documentation asks for (batch norms merged)."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Images(CalibrationDataReader):
        def __init__(self, name: str) -> None:
            self.feeds = iter([{name: image} for image in images(x)])

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.feeds, None)

    name = onnx.load(source).graph.input[0].name
    with tempfile.TemporaryDirectory() as folder:
        merged, written = Path(folder) / "merged.onnx", Path(folder) / "int8.onnx"
        quant_pre_process(source, merged, skip_symbolic_shape=True)
        quantize_static(
            merged, written, Images(name), per_channel=True,
            quant_format=QuantFormat.QDQ if kind.startswith("qdq") else QuantFormat.QOperator,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
            op_types_to_quantize=["Conv"] if kind.endswith("-conv") else None,
        )  # fmt: skip
        target.write_bytes(written.read_bytes())


def by_nncf(source: Path, target: Path, x: np.ndarray) -> None:
    """OpenVINO's post-training quantisation, activations not symmetric."""
    import nncf
    import openvino

    model: Any = nncf.quantize(
        openvino.Core().read_model(source), nncf.Dataset(images(x)), preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(images(x)),
    )  # fmt: skip
    openvino.save_model(model, target, compress_to_fp16=False)


def by_pnnx(source: Path, target: Path, x: np.ndarray) -> None:
    """ONNX to ncnn; `target` is the .ncnn.param file, and the .ncnn.bin file lies beside it."""
    import pnnx

    shape = "[" + ",".join(map(str, x.shape)) + "]f32"
    tool = Path(pnnx.EXEC_PATH)
    with tempfile.TemporaryDirectory() as folder:
        copied = Path(folder) / "network.onnx"
        onnx.save(_with_float_input(onnx.load(source)), copied)
        done = subprocess.run(
            [tool, copied, f"inputshape={shape}", "fp16=0"], cwd=folder, capture_output=True, text=True, check=False
        )
        found = Path(folder) / "network.ncnn.param"
        if not found.exists():
            raise PeerError(f"pnnx ended with code {done.returncode}: {(done.stderr or done.stdout).strip()[-300:]}")
        target.with_suffix(".bin").write_bytes(found.with_suffix(".bin").read_bytes())
        target.write_bytes(found.read_bytes())


def _with_float_input(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without the cast of its uint8 input: ncnn has no such layer."""
    entry = model.graph.input[0]
    cast = next(node for node in model.graph.node if entry.name in node.input)
    if cast.op_type == "Cast":
        entry.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
        for node in model.graph.node:
            node.input[:] = [entry.name if name == cast.output[0] else name for name in node.input]
        model.graph.node.remove(cast)
    return model


def main() -> None:
    """Make one file."""
    kind, source, target, x = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), np.load(sys.argv[4])
    if kind == "nncf":
        by_nncf(source, target, x)
    elif kind == "pnnx":
        by_pnnx(source, target, x)
    else:
        by_onnxruntime(kind, source, target, x)


if __name__ == "__main__":
    main()
