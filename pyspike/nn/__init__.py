"""Spiking layers in PyTorch: the integer neuron, folding, integer-exact quantisation, recording. Needs torch."""

from __future__ import annotations

from pyspike.nn.neuron import IntegerLIF

__all__ = ["IntegerLIF"]
