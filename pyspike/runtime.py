"""Runs compiled models: `Model` is a verified image, `Runtime` computes with it, in C++ and by integer additions alone.

model = pyspike.Model.load("network.spk")
runtime = model.runtime(threads=2)
reals = runtime.run(x)                  # name -> float64
integers = runtime.run(x, raw=True)     # name -> integers, exact and the same on every machine

for frame in camera:                    # streams: one timestep at a time
    reals = runtime.step(frame)
"""

from __future__ import annotations

import contextlib
import json
import mmap as mapping
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyspike import _native
from pyspike._load import copy_of, image_in
from pyspike._ports import Arrays, Port, Results, TensorInfo
from pyspike.errors import BudgetError, BusyError, ModelFormatError, RangeError, ShapeError, TuningError
from pyspike.tuning.side_file import Choice, Tuning, beside

if TYPE_CHECKING:
    from pyspike.latency import LatencyBound
    from pyspike.tuning import TuneReport

__all__ = [
    "LayerProfile", "MemoryPlan", "Model", "Profile", "Runtime", "RuntimeState", "TensorInfo", "available_isas",
]  # fmt: skip

Source = str | os.PathLike[str] | bytes | bytearray | memoryview
Inputs = ArrayLike | Mapping[str, ArrayLike]

MAX_THREADS = 256


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes that a runtime needs: `weights` (the image), `arena` (tensors), `scratch` (event lists, accumulators) and
    `state` (membranes).
    """

    weights: int
    arena: int
    scratch: int
    state: int


@dataclass(frozen=True)
class LayerProfile:
    """What one operator did in a counted run, all timesteps together.

    `name` is the tensor that it makes, `op` what it is. sops: synaptic operations, the sum over events of |n| x targets
    inside the output. adds: additions of weights that were performed; lane_adds: the same with dead vector lanes.
    events: non-zero integers that a synapse read. bytes: read and written. elements, nonzero: the integers that a
    synapse read or that any other operator made, and how many of them are not zero.
    """

    name: str
    op: str
    sops: int
    adds: int
    lane_adds: int
    events: int
    bytes: int
    seconds: float
    elements: int
    nonzero: int

    @property
    def density(self) -> float:
        """Share of non-zero integers."""
        return self.nonzero / max(1, self.elements)


@dataclass(frozen=True)
class Profile:
    """A counted run: sums over all layers, and the layers in execution order."""

    sops: int
    adds: int
    lane_adds: int
    events: int
    bytes: int
    seconds: float
    layers: tuple[LayerProfile, ...]


@dataclass(frozen=True)
class RuntimeState:
    """Membranes and timestep of a stream, as `Runtime.state` gave them; of use to `Runtime.restore` alone."""

    digest: bytes = field(repr=False)
    data: bytes = field(repr=False)
    timestep: int


def available_isas() -> tuple[str, ...]:
    """Instruction sets that this build has and this CPU runs, the best first; 'portable' is the last."""
    return tuple(_native.isas())


class Model:
    """A verified model image. Immutable, and may be shared between threads; make one with `Model.load`."""

    def __init__(self, native: _native.Model, digest: bytes) -> None:
        self._native, self._digest = native, digest
        self.tuning: Tuning | None = None
        self._input_ports = tuple(Port(port) for port in native.inputs)
        self._output_ports = tuple(Port(port) for port in native.outputs)
        self.inputs: tuple[TensorInfo, ...] = tuple(port.info for port in self._input_ports)
        self.outputs: tuple[TensorInfo, ...] = tuple(port.info for port in self._output_ports)
        self.metadata: dict[str, Any] = _read_metadata(native.metadata)

    @classmethod
    def load(cls, source: Source, *, mmap: bool = False, tuned: bool = True) -> Model:
        """The model in the file `source`, or in its bytes; every byte is verified first.

        The image is copied into memory. `mmap` uses a file where it lies instead, without a copy; it must then not
        change while the model is in use. `tuned`: use what `pyspike tune` found for this image, where its side file
        `source`.tune is there. Raises `FileNotFoundError`, `ModelFormatError` for whatever is no sound model image, and
        `TuningError` for a side file that cannot be read.
        """
        if isinstance(source, (bytes, bytearray, memoryview)):
            return cls._open(copy_of(source))
        path = Path(source)
        image = image_in(path, mmap)
        try:
            model = cls._open(image)
        except ModelFormatError as error:
            raise ModelFormatError(f"{path}: {error}") from error
        model.tuning = beside(path, model.sha256) if tuned else None
        return model

    @classmethod
    def _open(cls, image: memoryview | mapping.mmap) -> Model:
        """Of bytes that nobody else changes, at an address that is a multiple of 64."""
        return cls(_native.Model.open(image), bytes(image[32:64]))

    @property
    def timesteps(self) -> int:
        """Timesteps of a whole run."""
        return self._native.timesteps

    @property
    def max_timesteps(self) -> int | None:
        """Longest stream for which no membrane can overflow; None where there is no bound."""
        return self._native.max_timesteps or None

    @property
    def sha256(self) -> str:
        """The digest of the image (of all its bytes from 64 on), in hexadecimal digits."""
        return self._digest.hex()

    def memory(
        self, threads: int = 1, isa: str | None = None, incremental: bool = False, tuning: Tuning | None = None
    ) -> MemoryPlan:
        """What a runtime of this model needs, in bytes; nothing is allocated."""
        return MemoryPlan(*self._native.memory(*self._options(threads, isa, incremental, tuning)))

    def runtime(
        self, threads: int = 1, isa: str | None = None, incremental: bool = False, tuning: Tuning | None = None
    ) -> Runtime:
        """A runtime of its own memory. `isa` names an instruction set of `available_isas`; without it the environment
        variable PYSPIKE_ISA does, or the best is taken. `incremental`: for frames that differ little, each run goes on
        from the one before it (see `Runtime`). `tuning`: choices of kernels in place of the model's own. Results depend
        on none of them.
        """
        return Runtime(self, threads, isa, incremental, tuning)

    def _options(
        self, threads: int, isa: str | None, incremental: bool, tuning: Tuning | None
    ) -> tuple[int, str, bool, list[Choice]]:
        threads, isa, tuning = _checked_threads(threads), _checked_isa(isa), tuning or self.tuning
        if tuning is None:
            return threads, isa, bool(incremental), []
        if tuning.sha256 != self.sha256:
            raise TuningError(f"tuning: expected one for the image {self.sha256}, found one for {tuning.sha256}")
        layers = [name for _, name in self._native.operators]
        return threads, isa, bool(incremental), tuning.choices(layers, isa or _native.isas()[0], threads)

    def tune(self, inputs: Sequence[Inputs], threads: int = 1, isa: str | None = None, **options: Any) -> TuneReport:
        """Measure every kernel on every layer, here and now: `pyspike.tuning.tune`."""
        from pyspike.tuning import tune

        return tune(self, inputs, threads, isa, **options)

    def latency_bound(self, threads: int = 1, isa: str | None = None, **options: Any) -> LatencyBound:
        """A bound on the time of a run, a + b x events, measured here and now: `pyspike.latency.latency_bound`."""
        from pyspike.latency import latency_bound

        return latency_bound(self, threads, isa, **options)

    def __repr__(self) -> str:
        ports = [f"{port.name}: {port.dtype} {list(port.shape)}" for port in (*self.inputs, *self.outputs)]
        return f"<pyspike.Model {', '.join(ports)}>"


class Runtime:
    """Runs a model in memory of its own. Belongs to one thread at a time: a second one gets `BusyError`.

    Inputs are an array (where the model has one input) or a dict of arrays, integers in the declared shape and range;
    another integer dtype than the declared one is taken where all values fit. Outputs are dicts in the model's order.
    A call that fails leaves the state as it was; a run that `max_events` stopped leaves the runtime at rest.

    `max_events` is a budget of events: non-zero integers that synapses read, over all layers and timesteps, as
    `Profile.events` counts them. Before a layer would exceed it `BudgetError` is raised, so the time spent is bounded
    (`Model.latency_bound`). Without a budget nothing is counted.

    An incremental runtime computes again only what changed since the run before, with the same results; profiles and
    budgets count what is done. It takes more memory (`Model.memory`), and models of one timestep without membranes
    alone: `UnsupportedOpError` for others. A run that `max_events` stopped, `step` and `reset` forget the run before.
    """

    def __init__(
        self,
        model: Model,
        threads: int = 1,
        isa: str | None = None,
        incremental: bool = False,
        tuning: Tuning | None = None,
    ) -> None:
        self.model = model
        self._native = _native.Runtime(model._native, *model._options(threads, isa, incremental, tuning))
        self._lock = threading.Lock()
        self._room: dict[bool, list[NDArray[np.int32]]] = {}

    @classmethod
    def load(cls, source: Source, threads: int = 1, isa: str | None = None, incremental: bool = False) -> Runtime:
        """The runtime of the model in `source`; see `Model.load` and `Model.runtime`."""
        return Model.load(source).runtime(threads, isa, incremental)

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """The model's inputs."""
        return self.model.inputs

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """The model's outputs."""
        return self.model.outputs

    @property
    def isa(self) -> str:
        """The instruction set in use."""
        return self._native.isa

    @property
    def threads(self) -> int:
        """The number of threads in use."""
        return self._native.threads

    @property
    def layers(self) -> tuple[str, ...]:
        """The tensors that operators make, in execution order."""
        return tuple(name for _, name in self.model._native.operators)

    @property
    def kernels(self) -> tuple[Choice, ...]:
        """For each of `layers`, how its weights are added (`csrc/kernels/README.md`) and how many rows of them share
        sums; ("", 0) for what gathers no weights.
        """
        return tuple(self._native.choices)

    def run(self, x: Inputs, out: Arrays | None = None, raw: bool = False, max_events: int | None = None) -> Arrays:
        """A whole inference, all timesteps, from rest; a stream that was under way ends.

        `x` has the declared shapes, or one more leading axis in all inputs: a stack of samples that are run one after
        another; outputs then have that axis too. Returns float64 values, integer * scale, or with `raw` the integers.
        `out` gives arrays of the right shape and dtype to write into, by name; it is returned. `max_events` holds for
        each sample. Raises `ShapeError` for a wrong name, shape or dtype, `RangeError` for integers outside the
        declared range, `BudgetError` for more than `max_events` events.
        """
        with self._alone():
            most = _checked_events(max_events)
            arrays, count = self._checked_inputs(x, [port.info.shape for port in self.model._input_ports])
            samples = [arrays] if count is None else [[each[i] for each in arrays] for i in range(count)]
            results = Results(self.model._output_ports, count, out, raw)
            for i, sample in enumerate(samples):
                integers = self._integers(step=False)
                self._call(self._native.run, sample, integers, most, "" if count is None else f"sample {i}: ")
                results.put(integers, i)
            return results.arrays

    def step(self, x_t: Inputs, out: Arrays | None = None, raw: bool = False, max_events: int | None = None) -> Arrays:
        """The next timestep of a stream; `x_t` and the results have the declared shapes without time (`step_shape`).

        A mean over time returns this step's term. `max_events` holds for this timestep; a step that it stops did not
        take place. Raises `RangeError` past the model's `max_timesteps`.
        """
        with self._alone():
            most = _checked_events(max_events)
            arrays, count = self._checked_inputs(x_t, [port.info.step_shape for port in self.model._input_ports])
            if count is not None:
                raise ShapeError("a timestep of a stream takes no stack of samples")
            results = Results(self.model._output_ports, None, out, raw, step=True)
            limit = self.model.max_timesteps
            if limit is not None and self._native.timestep >= limit:
                raise RangeError(f"this model is proven for streams of {limit} timesteps: reset() starts a new one")
            integers = self._integers(step=True)
            self._call(self._native.step, arrays, integers, most)
            results.put(integers, 0)
            return results.arrays

    def profile(self, x: Inputs, max_events: int | None = None) -> Profile:
        """One counted run of a single sample, from rest. With `max_events` the seconds contain the budget's cost."""
        with self._alone():
            most = _checked_events(max_events)
            arrays, count = self._checked_inputs(x, [port.info.shape for port in self.model._input_ports])
            if count is not None:
                raise ShapeError("profile counts one sample, not a stack of them")
            counted = self._call(self._native.profile, arrays, self._integers(step=False), most)
            names = self.model._native.operators
            layers = tuple(LayerProfile(name=n, op=op, **each) for (op, n), each in zip(names, counted, strict=True))
            totals = {
                key: sum(getattr(layer, key) for layer in layers)
                for key in ("sops", "adds", "lane_adds", "events", "bytes", "seconds")
            }
            return Profile(**totals, layers=layers)

    @property
    def timestep(self) -> int:
        """Timesteps of the current stream that have been taken."""
        return self._native.timestep

    def state(self) -> RuntimeState:
        """Where the current stream stands, to be restored later, here or in another runtime of the same model."""
        with self._alone():
            return RuntimeState(self.model._digest, self._native.get_state(), self._native.timestep)

    def restore(self, state: RuntimeState) -> None:
        """Go back to `state`. Raises `ShapeError` for what is no state of this model."""
        with self._alone():
            if not isinstance(state, RuntimeState) or state.digest != self.model._digest:
                raise ShapeError("expected a state that Runtime.state() gave for the same model")
            self._native.set_state(state.data)

    def reset(self) -> None:
        """Start a new stream: timestep 0, membranes 0."""
        with self._alone():
            self._native.reset()

    def _integers(self, step: bool) -> list[NDArray[np.int32]]:
        """Where the outputs of a timestep or a whole run go first; kept, since fresh memory costs page faults."""
        if step not in self._room:
            infos = [port.info for port in self.model._output_ports]
            self._room[step] = [np.empty(info.step_shape if step else info.shape, np.int32) for info in infos]
        return self._room[step]

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._lock.acquire(blocking=False):
            raise BusyError("this runtime is in use by another thread: give each thread a runtime of its own")
        try:
            yield
        finally:
            self._lock.release()

    def _checked_inputs(self, x: Inputs, shapes: Sequence[tuple[int, ...]]) -> tuple[list[NDArray[Any]], int | None]:
        """Arrays in the model's order, dtypes and layout, and the number of samples where they are stacks."""
        ports = self.model._input_ports
        names = [port.info.name for port in ports]
        if not isinstance(x, Mapping):
            if len(names) != 1:
                raise ShapeError(f"expected a dict with inputs {names}, found one array")
            x = {names[0]: x}
        if set(x) != set(names):
            raise ShapeError(f"expected inputs {names}, found {list(x)}")
        arrays = [port.array(x[port.info.name], shape) for port, shape in zip(ports, shapes, strict=True)]
        counts = {len(array) if array.ndim > len(shape) else None for array, shape in zip(arrays, shapes, strict=True)}
        if len(counts) > 1:
            raise ShapeError(f"inputs are stacks of different numbers of samples: {[a.shape for a in arrays]}")
        return arrays, counts.pop() if counts else None

    def _call(
        self,
        method: Any,
        arrays: list[NDArray[Any]],
        integers: list[NDArray[np.int32]],
        max_events: int | None,
        sample: str = "",
    ) -> Any:
        try:
            result = method(arrays, integers, max_events)
        except RangeError as error:
            for port, array in zip(self.model._input_ports, arrays, strict=True):
                port.require_range(array)
            raise error
        if isinstance(result, tuple):
            assert max_events is not None
            number, events, refused = result
            layer = self.model._native.operators[number][1]
            raise BudgetError(
                f"{sample}expected at most max_events={max_events:,} events, found {events + refused:,} with layer "
                f"{layer!r}, which reads {refused:,} and was not run: give a larger budget, or leave this input out",
                layer=layer, events=events, refused=refused, max_events=max_events,
            )  # fmt: skip
        return result

    def __repr__(self) -> str:
        return f"<pyspike.Runtime threads={self.threads} isa={self.isa!r} timestep={self.timestep} of {self.model!r}>"


def _checked_threads(threads: int) -> int:
    if isinstance(threads, bool) or not isinstance(threads, (int, np.integer)) or not 1 <= threads <= MAX_THREADS:
        raise RangeError(f"threads: expected 1 to {MAX_THREADS}, found {threads!r}")
    return int(threads)


def _checked_events(max_events: int | None) -> int | None:
    if max_events is None:
        return None
    if isinstance(max_events, bool) or not isinstance(max_events, (int, np.integer)) or max_events < 0:
        raise RangeError(f"max_events: expected a whole number of at least 0, or None, found {max_events!r}")
    return min(int(max_events), 2**64 - 1)


def _checked_isa(isa: str | None) -> str:
    name = isa or os.environ.get("PYSPIKE_ISA", "")
    if name and name not in _native.isas():
        raise RangeError(f"isa: expected one of {_native.isas()} on this machine, found {name!r}")
    return name


def _read_metadata(text: bytes) -> dict[str, Any]:
    """The metadata, which must be the one canonical JSON text of an object."""
    try:
        metadata = json.loads(text)
        canonical = json.dumps(metadata, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise ModelFormatError(f"broken metadata: {error}") from error
    if not isinstance(metadata, dict) or canonical != text:
        raise ModelFormatError("broken metadata: expected a JSON object with sorted keys and without spaces")
    return metadata
