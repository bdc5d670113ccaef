"""The host's part of a run: what it sends to the chip, and what it makes of what comes back. It only moves values."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pyspike import reference
from pyspike.chip.dataflow import HostInput, Piece, Step
from pyspike.chip.moves import Origin
from pyspike.chip.places import Network
from pyspike.errors import RangeError, ShapeError
from pyspike.graph import Graph
from pyspike.ops import Constant
from pyspike.ops.base import Ints

Arrays = Mapping[str, np.ndarray]


class Host:
    """One inference's inputs, in integers of the declared shapes; what the chip delivers is added to it pass by pass.

    Raises `ShapeError` and `RangeError` for inputs that are not as declared.
    """

    def __init__(self, graph: Graph, inputs: Arrays | np.ndarray) -> None:
        self.graph = graph
        self.origin = Origin(graph)
        if not isinstance(inputs, Mapping):
            if len(graph.inputs) != 1:
                raise ShapeError(f"expected inputs by name, {[port.name for port in graph.inputs]}, found one array")
            inputs = {graph.inputs[0].name: np.asarray(inputs)}
        self.arrays = {port.tensor: reference.checked(graph, port, inputs) for port in graph.inputs}
        for port in graph.inputs:
            self._check_range(port.tensor, port.name)
        self.ports = {port.tensor: port for port in graph.inputs}
        self.received: dict[int, NDArray[np.int32]] = {}
        self.known: dict[tuple[str, int], Ints] = {}

    def sent(self, source: HostInput) -> NDArray[np.int32]:
        """int32 [T or 1, H, W, C]: what an input of the chip is, at each timestep."""
        if source.origin is not None:
            return self.received[id(source.origin)]
        steps = range(self.graph.timesteps if source.varies else 1)
        values = [self.value(source.name, t).reshape(source.canvas) for t in steps]
        return np.ascontiguousarray(np.stack(values), dtype=np.int32)

    def receive(self, step: Step, values: NDArray[np.int32]) -> None:
        """Keep what a step delivered, int32 [T or 1, H, W, C]."""
        self.received[id(step.origin or step)] = values

    def outputs(self, network: Network) -> dict[str, Ints]:
        """Integers of all graph outputs in their declared shapes."""
        found = {}
        for port in self.graph.outputs:
            varies = self.graph.tensors[port.tensor].time
            steps = range(self.graph.timesteps) if varies else [self.graph.timesteps - 1]
            found[port.name] = reference.join_steps(port, [self._made(network, port.tensor, t) for t in steps])
        return found

    def value(self, name: str, t: int) -> Ints:
        """A tensor that the host knows without the chip."""
        if name in self.ports:
            return reference.at_step(self.ports[name], self.arrays[name], t, self.graph.timesteps)
        node = self.origin.makers[name]
        return node.op.reference(*(self.value(each, t) for each in node.inputs))

    def _made(self, network: Network, name: str, t: int) -> Ints:
        """A tensor from what the chip delivered."""
        if (name, t) not in self.known:
            self.known[name, t] = self._make(network, name, t)
        return self.known[name, t]

    def _make(self, network: Network, name: str, t: int) -> Ints:
        if self.origin.is_host(name):
            return self.value(name, t)
        node = self.origin.makers[name]
        if name in network.delivered:
            return self._assembled(network.delivered[name], name, t)
        if isinstance(node.op, Constant):
            return node.op.values.astype(np.int64)
        return node.op.reference(*(self._made(network, each, t) for each in node.inputs))

    def _assembled(self, pieces: list[Piece], name: str, t: int) -> Ints:
        shape = self.graph.tensors[name].shape
        rows, columns, channels = (1, 1, 1, *shape)[-3:]
        whole = np.zeros((rows, columns, channels), dtype=np.int64)
        for piece in pieces:
            values = self._of(piece, t)
            y0, y1, x0, x1 = piece.window
            part = values[y0 : y1 + 1, x0 : x1 + 1, piece.low : piece.high]
            part = part.repeat(piece.upsample[0], axis=0).repeat(piece.upsample[1], axis=1)
            y, x = y0 * piece.upsample[0] + piece.offset[0], x0 * piece.upsample[1] + piece.offset[1]
            end = piece.channel + part.shape[2]
            whole[y : y + part.shape[0], x : x + part.shape[1], piece.channel : end] = part
        return whole.reshape(shape)

    def _of(self, piece: Piece, t: int) -> Ints:
        if isinstance(piece.source, HostInput):
            return self.value(piece.source.name, t).reshape(piece.source.canvas)
        values = self.received[id(piece.source)]
        found: Ints = values[min(t, len(values) - 1)].astype(np.int64) >> piece.source.shift
        return found

    def _check_range(self, tensor: str, name: str) -> None:
        array, known = self.arrays[tensor], self.graph.tensors[tensor]
        if array.size and (array.min() < known.lo or array.max() > known.hi):
            raise RangeError(f"input {name!r}: expected {known.lo}..{known.hi}, found {array.min()}..{array.max()}")
