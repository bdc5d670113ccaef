"""What the ONNX operators that move values around mean in a float program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from pyspike.compiler.onnx_reader import Node, Reader, Refused
from pyspike.compiler.program import Concat, Expand, FloatOp, Pad, Reshape, Slice, Transpose

INT64_MAX = np.iinfo(np.int64).max


def concat(reader: Reader, node: Node) -> None:
    """Concat along one axis."""
    values = tuple(reader.value(name) for name in node.inputs)
    axis = int(node.get("axis", 0)) % len(reader.shapes[values[0]])
    reader.rename(node.outputs[0], reader.emit(Concat(axis), values, node.outputs[0], node.name))


def reshape(reader: Reader, node: Node) -> None:
    """Reshape to a constant shape."""
    shape = reader.shapes[reader.value(node.inputs[0])]
    wanted = node.get("shape", None) if len(node.inputs) < 2 else reader.constant(node.inputs[1])
    if wanted is None:
        raise Refused("the shape must be a constant")
    target = [int(n) for n in wanted]
    if not node.get("allowzero", 0):
        target = [shape[i] if n == 0 else n for i, n in enumerate(target)]
    if -1 in target:
        rest = -int(np.prod(target, dtype=np.int64))
        target[target.index(-1)] = int(np.prod(shape, dtype=np.int64)) // max(rest, 1)
    _move(reader, node, Reshape(tuple(target)))


def flatten(reader: Reader, node: Node) -> None:
    """Flatten to two axes."""
    shape = reader.shapes[reader.value(node.inputs[0])]
    axis = int(node.get("axis", 1))
    axis = axis + len(shape) if axis < 0 else axis
    sizes = [int(np.prod(part, dtype=np.int64)) for part in (shape[:axis], shape[axis:])]
    _move(reader, node, Reshape((sizes[0], sizes[1])))


def squeeze(reader: Reader, node: Node) -> None:
    """Drop axes of size 1."""
    shape = reader.shapes[reader.value(node.inputs[0])]
    axes = _axes(reader, node, len(shape))
    drop = [i for i, n in enumerate(shape) if n == 1] if axes is None else axes
    if any(shape[i] != 1 for i in drop):
        raise Refused(f"axes {drop} of shape {shape} are not all of size 1")
    _move(reader, node, Reshape(tuple(n for i, n in enumerate(shape) if i not in drop)))


def unsqueeze(reader: Reader, node: Node) -> None:
    """Insert axes of size 1."""
    shape = list(reader.shapes[reader.value(node.inputs[0])])
    given = node.get("axes", None)
    constant = reader.constant(node.inputs[1]) if given is None and len(node.inputs) > 1 else given
    if constant is None:
        raise Refused("axes must be constants")
    flat = [int(a) for a in np.asarray(constant).reshape(-1)]
    for axis in sorted(a % (len(shape) + len(flat)) for a in flat):
        shape.insert(axis, 1)
    _move(reader, node, Reshape(tuple(shape)))


def transpose(reader: Reader, node: Node) -> None:
    """Permute axes."""
    rank = len(reader.shapes[reader.value(node.inputs[0])])
    _move(reader, node, Transpose(tuple(int(a) for a in node.get("perm", range(rank - 1, -1, -1)))))


def expand(reader: Reader, node: Node) -> None:
    """Broadcast to a constant shape."""
    wanted = reader.constant(node.inputs[1])
    if wanted is None:
        raise Refused("the shape must be a constant")
    shape = reader.shapes[reader.value(node.inputs[0])]
    _expand(reader, node, reader.value(node.inputs[0]), np.broadcast_shapes(shape, tuple(int(n) for n in wanted)))


def tile(reader: Reader, node: Node) -> None:
    """Repeat along axes: a new axis of copies in front of each repeated one, then merged with it."""
    repeats = reader.constant(node.inputs[1])
    if repeats is None:
        raise Refused("the repeats must be constants")
    value = reader.value(node.inputs[0])
    for axis, times in enumerate(int(r) for r in repeats):
        shape = reader.shapes[value]
        if times == 1:
            continue
        apart = (*shape[:axis], 1, *shape[axis:])
        copies = (*shape[:axis], times, *shape[axis:])
        merged = (*shape[:axis], times * shape[axis], *shape[axis + 1 :])
        for i, op in enumerate((Reshape(apart), Expand(copies), Reshape(merged))):
            value = reader.emit(op, (value,), f"{node.outputs[0]}.{axis}.{i}", node.name)
    reader.rename(node.outputs[0], value)


def slice_(reader: Reader, node: Node) -> None:
    """x[start:end:step] along some axes."""
    shape = reader.shapes[reader.value(node.inputs[0])]
    if "starts" in node.attributes:
        starts, ends = node.get("starts", ()), node.get("ends", ())
        axes, steps = node.get("axes", range(len(starts))), [1] * len(starts)
    else:
        given = [reader.constant(name) if name else None for name in (*node.inputs[1:], "", "")]
        if any(name and value is None for name, value in zip(node.inputs[1:], given, strict=False)):
            raise Refused("starts, ends, axes and steps must be constants")
        starts, ends = (np.asarray(v).reshape(-1).tolist() for v in given[:2])
        axes = range(len(starts)) if given[2] is None else np.asarray(given[2]).reshape(-1).tolist()
        steps = [1] * len(starts) if given[3] is None else np.asarray(given[3]).reshape(-1).tolist()
    begin, stop, stride = [0] * len(shape), list(shape), [1] * len(shape)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if step < 1:
            raise Refused(f"only steps of 1 and more, found {step}")
        at = int(axis) % len(shape)
        begin[at], stop[at], stride[at] = *slice(int(start), int(min(end, INT64_MAX))).indices(shape[at])[:2], int(step)
    _window(reader, node, node.outputs[0], begin, stop, stride)


def split(reader: Reader, node: Node) -> None:
    """Consecutive parts along one axis."""
    shape = reader.shapes[reader.value(node.inputs[0])]
    axis = int(node.get("axis", 0)) % len(shape)
    sizes = node.get("split", None)
    if sizes is None and len(node.inputs) > 1 and node.inputs[1]:
        constant = reader.constant(node.inputs[1])
        if constant is None:
            raise Refused("the sizes must be constants")
        sizes = constant.tolist()
    if sizes is None:
        parts = int(node.get("num_outputs", len(node.outputs)))
        size = -(-shape[axis] // parts)
        sizes = [size] * (parts - 1) + [shape[axis] - size * (parts - 1)]
    start = 0
    for output, size in zip(node.outputs, sizes, strict=True):
        begin, stop = [0] * len(shape), list(shape)
        begin[axis], stop[axis] = start, start + int(size)
        start += int(size)
        if output:
            _window(reader, node, output, begin, stop, [1] * len(shape))


def gather(reader: Reader, node: Node) -> None:
    """Gather of one index, or of evenly spaced ones, along one axis: a slice."""
    indices = reader.constant(node.inputs[1])
    shape = reader.shapes[reader.value(node.inputs[0])]
    axis = int(node.get("axis", 0)) % len(shape)
    if indices is None or indices.ndim > 1 or indices.size == 0:
        raise Refused("only constant indices along one axis")
    flat = [int(i) % shape[axis] for i in indices.reshape(-1)]
    step = flat[1] - flat[0] if len(flat) > 1 else 1
    if step < 1 or any(b - a != step for a, b in pairwise(flat)):
        raise Refused("only evenly spaced ascending indices")
    begin, stop, stride = [0] * len(shape), list(shape), [1] * len(shape)
    begin[axis], stop[axis], stride[axis] = flat[0], flat[-1] + 1, step
    value = _window(reader, node, node.outputs[0], begin, stop, stride)
    if indices.ndim == 0:
        rest = (*shape[:axis], *shape[axis + 1 :])
        reader.rename(node.outputs[0], reader.emit(Reshape(rest), (value,), node.outputs[0], node.name))


def pad(reader: Reader, node: Node) -> None:
    """A constant border."""
    shape = reader.shapes[reader.value(node.inputs[0])]
    if node.get("mode", "constant") != "constant":
        raise Refused(f"only constant padding, found mode {node.get('mode', 'constant')!r}")
    names = (*node.inputs, "", "", "")
    pads = node.get("pads", None) if names[1] == "" else reader.constant(names[1])
    value = node.get("value", 0.0) if names[2] == "" else reader.constant(names[2])
    axes = list(range(len(shape))) if names[3] == "" else reader.constant(names[3])
    if pads is None or value is None or axes is None or min(pads) < 0:
        raise Refused("pads, value and axes must be constants, and no pad negative")
    before, after = [0] * len(shape), [0] * len(shape)
    for i, axis in enumerate(axes):
        before[int(axis) % len(shape)], after[int(axis) % len(shape)] = int(pads[i]), int(pads[i + len(axes)])
    _move(reader, node, Pad(tuple(before), tuple(after), float(np.asarray(value))))


def _axes(reader: Reader, node: Node, rank: int) -> list[int] | None:
    given = node.get("axes", None)
    if given is None and len(node.inputs) > 1 and node.inputs[1]:
        given = reader.constant(node.inputs[1])
        if given is None:
            raise Refused("axes must be constants")
    return None if given is None else [int(a) % rank for a in np.asarray(given).reshape(-1)]


def _move(reader: Reader, node: Node, op: FloatOp) -> None:
    reader.rename(node.outputs[0], reader.emit(op, (reader.value(node.inputs[0]),), node.outputs[0], node.name))


def _expand(reader: Reader, node: Node, value: str, target: tuple[int, ...]) -> None:
    missing = len(target) - len(reader.shapes[value])
    if missing:
        framed = (1,) * missing + reader.shapes[value]
        value = reader.emit(Reshape(framed), (value,), f"{node.outputs[0]}.framed", node.name)
    if target != reader.shapes[value]:
        value = reader.emit(Expand(target), (value,), node.outputs[0], node.name)
    reader.rename(node.outputs[0], value)


def _window(
    reader: Reader, node: Node, output: str, begin: Sequence[int], stop: Sequence[int], stride: Sequence[int]
) -> str:
    value = reader.value(node.inputs[0])
    if any(a >= b for a, b in zip(begin, stop, strict=True)):
        raise Refused(f"the slice {tuple(begin)}:{tuple(stop)} is empty")
    if tuple(stop) != reader.shapes[value] or any(begin) or any(s != 1 for s in stride):
        value = reader.emit(Slice(tuple(begin), tuple(stop), tuple(stride)), (value,), output, node.name)
    reader.rename(output, value)
    return value


HANDLERS: dict[str, Callable[[Reader, Node], None]] = {
    "Concat": concat, "Expand": expand, "Flatten": flatten, "Gather": gather, "Pad": pad, "Reshape": reshape,
    "Slice": slice_, "Split": split, "Squeeze": squeeze, "Tile": tile, "Transpose": transpose, "Unsqueeze": unsqueeze,
}  # fmt: skip
