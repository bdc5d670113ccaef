"""Spiking layers in PyTorch: the integer neuron, folding, integer-exact quantisation, recording. Needs torch."""

from __future__ import annotations

from typing import Any

from pyspike.nn.compare import CountChange, CountReport, compare_counts
from pyspike.nn.correct import correct_biases
from pyspike.nn.fold import fold
from pyspike.nn.neuron import IntegerLIF
from pyspike.nn.qat import QuantConv2d, QuantLinear, quantise
from pyspike.nn.record import SpikeCounter, SpikeStatistics, fanouts, record_neurons
from pyspike.nn.sync_batch_norm import SyncBatchNorm2d, synchronised
from pyspike.nn.twin import float_exactness, integer_twin

__all__ = [
    "CountChange",
    "CountReport",
    "IntegerLIF",
    "QuantConv2d",
    "QuantLinear",
    "SpikeCounter",
    "SpikeStatistics",
    "SyncBatchNorm2d",
    "compare_counts",
    "correct_biases",
    "export_onnx",
    "fanouts",
    "float_exactness",
    "fold",
    "integer_twin",
    "quantise",
    "record_neurons",
    "synchronised",
]


def __getattr__(name: str) -> Any:
    if name == "export_onnx":  # needs onnx and onnxscript: imported when asked for
        from pyspike.nn.export import export_onnx

        return export_onnx
    raise AttributeError(f"module 'pyspike.nn' has no attribute {name!r}")
