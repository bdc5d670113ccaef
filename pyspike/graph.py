"""The integer graph: the one data structure that compiler, image, executors and tools meet in.

A graph describes **one timestep**. A tensor is an array of integers with a proven range and a scale
(real value = integer * scale); its `shape` has no time axis. A tensor with `time` set takes a new value at each of
`Graph.timesteps` steps, any other is computed once. Whole inference is therefore

    run the nodes of phase BEFORE once; for each timestep run those of phase LOOP; run those of phase AFTER once

and one step of a stream is one pass over all of them. Only `fire` (its membrane) and `mean` over time keep state
between steps. Convolutions and everything per channel work channels-last: [N, H, W, C].
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from fractions import Fraction
from typing import TYPE_CHECKING

from pyspike.errors import RangeError, ShapeError

if TYPE_CHECKING:
    from pyspike.ops.base import Op

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
MAX_RANK = 5
MAX_ELEMENTS = 2**31 - 1
MAX_FRACTION = 1000
MAX_TIMESTEPS = 2**20
PORT_RANGES = {
    "uint8": (0, 255),
    "int8": (-128, 127),
    "int16": (-(2**15), 2**15 - 1),
    "int32": (INT32_MIN, INT32_MAX),
}
"""The integer types of graph inputs and outputs, and what they hold."""


@dataclass(frozen=True)
class Scale:
    """Real value = integer * 2**-f / divisor.

    `f` is one number of fractional bits, or one per channel (last axis) for accumulators that only fires read.
    `divisor` is odd: a mean over N sites or steps divides by relabelling, and the powers of two in N go to `f`.
    """

    f: int | tuple[int, ...] = 0
    divisor: int = 1

    def __post_init__(self) -> None:
        fractions = (self.f,) if isinstance(self.f, int) else self.f
        if any(abs(f) > MAX_FRACTION for f in fractions):
            raise RangeError(f"expected fractional bits within +-{MAX_FRACTION}, found {self.f}")
        if self.divisor % 2 != 1 or not 1 <= self.divisor < 2**32:
            raise RangeError(f"expected an odd divisor of 32 bits, found {self.divisor}")

    def over(self, count: int) -> Scale:
        """The scale of a sum over `count` terms that stands for their mean."""
        twos = (count & -count).bit_length() - 1
        f = self.f + twos if isinstance(self.f, int) else tuple(each + twos for each in self.f)
        return Scale(f, self.divisor * (count >> twos))

    def unit(self, channel: int = 0) -> Fraction:
        """The exact real value of the integer 1 in `channel`."""
        f = self.f if isinstance(self.f, int) else self.f[channel]
        return Fraction(1, self.divisor) * (Fraction(1, 2**f) if f >= 0 else Fraction(2**-f))

    @property
    def is_dyadic(self) -> bool:
        """Whether every channel shares one power of two, as the operands of most operators must."""
        return isinstance(self.f, int) and self.divisor == 1


@dataclass(frozen=True)
class Tensor:
    """What is known of a tensor before anything runs: shape of one timestep, proven range, scale, and whether it
    varies in time.
    """

    shape: tuple[int, ...]
    lo: int
    hi: int
    scale: Scale = Scale()
    time: bool = False

    def __post_init__(self) -> None:
        if len(self.shape) > MAX_RANK or any(size < 1 for size in self.shape):
            raise ShapeError(f"expected at most {MAX_RANK} axes of positive size, found shape {self.shape}")
        if self.size > MAX_ELEMENTS:
            raise ShapeError(f"expected at most {MAX_ELEMENTS} elements, found shape {self.shape}")
        if self.lo > self.hi:
            raise RangeError(f"empty range [{self.lo}, {self.hi}]")

    @property
    def size(self) -> int:
        """Number of elements."""
        size = 1
        for each in self.shape:
            size *= each
        return size

    @property
    def dtype(self) -> str:
        """The storage type that the range allows: 'uint8' for 0..255, else 'int32'."""
        return "uint8" if self.lo >= 0 and self.hi <= 255 else "int32"

    @property
    def nbytes(self) -> int:
        """Bytes of one timestep in storage."""
        return self.size * (1 if self.dtype == "uint8" else 4)


@dataclass(frozen=True)
class Port:
    """A graph input or output as users see it.

    `name` and `axes` (one letter an axis, such as 'NCHW') are those of the source file. Its declared shape is that of
    `tensor` with the timesteps in front of axis `time_axis`: as an axis of their own, or, where `merged`, multiplied
    into that axis (time-major). `dtype` is the integer type that users pass (inputs) or get (outputs, raw).
    """

    name: str
    tensor: str
    dtype: str
    axes: str = ""
    time_axis: int | None = None
    merged: bool = False

    def declared_shape(self, tensor: Tensor, timesteps: int) -> tuple[int, ...]:
        """The shape with the time axis as users pass it."""
        if self.time_axis is None:
            return tensor.shape
        before, after = tensor.shape[: self.time_axis], tensor.shape[self.time_axis :]
        if self.merged:
            return (*before, timesteps * after[0], *after[1:])
        return (*before, timesteps, *after)

    def check(self, tensor: Tensor, timesteps: int) -> None:
        """Raise `ShapeError` or `RangeError` where this port cannot be one of `tensor`."""
        if (self.time_axis is not None) != tensor.time:
            raise ShapeError(f"port {self.name!r}: a time axis is declared exactly where the tensor varies in time")
        if self.time_axis is None:
            good = not self.merged
        else:
            good = 0 <= self.time_axis <= len(tensor.shape) - self.merged
        if not self.name or not good or tensor.size * (timesteps if tensor.time else 1) > MAX_ELEMENTS:
            raise ShapeError(f"port {self.name!r}: no name, or an impossible time axis ({self.time_axis}) or size")
        lo, hi = PORT_RANGES[self.dtype]
        if tensor.lo < lo or tensor.hi > hi:
            raise RangeError(f"port {self.name!r}: {self.dtype} does not hold [{tensor.lo}, {tensor.hi}]")


@dataclass(frozen=True)
class Node:
    """One operator applied to tensors; `output` names the tensor it makes, and the node."""

    op: Op
    inputs: tuple[str, ...]
    output: str


class Phase(IntEnum):
    """When a node runs: once before the timesteps, at each of them, or once after the last."""

    BEFORE = 0
    LOOP = 1
    AFTER = 2


@dataclass
class Graph:
    """Nodes in execution order over named tensors; built with `add_input`, `add` and `add_output`, which check as they
    go.

    `max_timesteps` bounds a stream: the number of steps for which ranges are proven (None: no bound is needed).
    """

    timesteps: int = 1
    max_timesteps: int | None = None
    tensors: dict[str, Tensor] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    inputs: list[Port] = field(default_factory=list)
    outputs: list[Port] = field(default_factory=list)
    metadata: dict[str, object] = field(default_factory=dict)
    _phases: dict[str, Phase] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for steps in (self.timesteps, self.max_timesteps or 1):
            if not 1 <= steps <= MAX_TIMESTEPS:
                raise RangeError(f"expected 1 to {MAX_TIMESTEPS} timesteps, found {steps}")

    def add_input(self, port: Port, tensor: Tensor) -> str:
        """Declare a graph input; returns the name of its tensor."""
        self._name(port.tensor)
        self._check_port(port, tensor, self.inputs)
        self.tensors[port.tensor] = tensor
        self._phases[port.tensor] = Phase.LOOP if tensor.time else Phase.BEFORE
        self.inputs.append(port)
        return port.tensor

    def add(self, op: Op, inputs: Sequence[str], output: str) -> str:
        """Append a node; infers and checks its output tensor, and returns that tensor's name.

        Raises `ShapeError` or `RangeError`, naming the node, where the operator's rules do not hold.
        """
        self._name(output)
        try:
            tensor = op.infer(*(self.tensors[name] for name in inputs))
            op.check_time(self.timesteps, self.max_timesteps)
        except (ShapeError, RangeError) as error:
            raise type(error)(f"{op.name} {output!r}: {error}") from error
        phase = self._phase_of(tensor, op, inputs, output)
        self.tensors[output] = tensor
        self._phases[output] = phase
        self.nodes.append(Node(op, tuple(inputs), output))
        return output

    def add_output(self, port: Port) -> None:
        """Declare a graph output; its tensor exists already."""
        if port.tensor not in self.tensors:
            raise ShapeError(f"output {port.name!r} names the unknown tensor {port.tensor!r}")
        self._check_port(port, self.tensors[port.tensor], self.outputs)
        self.outputs.append(port)

    def phase(self, name: str) -> Phase:
        """The phase in which tensor `name` is computed; its consumers run no earlier."""
        return self._phases[name]

    def nodes_in(self, phase: Phase) -> list[Node]:
        """The nodes of one phase, in execution order."""
        return [node for node in self.nodes if self.run_phase(node) == phase]

    def run_phase(self, node: Node) -> Phase:
        """The phase in which `node` itself runs: a mean over time runs in LOOP though its result exists only AFTER."""
        return Phase.LOOP if node.op.over_time else self._phases[node.output]

    def readers(self, name: str) -> list[Node]:
        """All nodes that read tensor `name`."""
        return [node for node in self.nodes if name in node.inputs]

    def _check_port(self, port: Port, tensor: Tensor, others: Iterable[Port]) -> None:
        if any(port.name == other.name for other in others):
            raise ShapeError(f"port names must be unique: {port.name!r}")
        port.check(tensor, self.timesteps)

    def _name(self, name: str) -> None:
        if not name or name in self.tensors:
            raise ShapeError(f"tensor names must be unique and not empty: {name!r}")

    def _phase_of(self, tensor: Tensor, op: Op, inputs: Iterable[str], output: str) -> Phase:
        latest = max((self._phases[name] for name in inputs), default=Phase.BEFORE)
        if tensor.time and latest == Phase.AFTER:
            raise ShapeError(
                f"{op.name} {output!r} runs at every timestep but reads a tensor that is known only after the last"
            )
        if op.over_time and not tensor.time:
            return Phase.AFTER
        return Phase.LOOP if tensor.time else latest
