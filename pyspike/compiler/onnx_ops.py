"""What ONNX operators mean in a float program: synapses, arithmetic, neurons, pools. `onnx_shapes` has the rest."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx

from pyspike.compiler import onnx_shapes
from pyspike.compiler.onnx_reader import Node, Reader, Refused, dtype_name
from pyspike.compiler.program import Add, Affine, Conv, Dense, Fire, FloatOp, Floor, MaxPool, Mean, Reals, Upsample

Handler = Callable[[Reader, Node], None]

NO_ACTIVATION = "only spiking neurons carry information between synapses: use pyspike::IntegerLIF"


def conv(reader: Reader, node: Node) -> None:
    """Conv in two dimensions with constant weights."""
    weight = reader.constant(node.inputs[1])
    bias = reader.constant(node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] else None
    if weight is None or (bias is None and len(node.inputs) > 2 and node.inputs[2]):
        raise Refused("weights and biases must be constants")
    if weight.ndim != 4:
        raise Refused(f"only two-dimensional convolutions, found weights of shape {weight.shape}")
    stride, dilation = _pair(node, "strides"), _pair(node, "dilations")
    shape = reader.shapes[reader.value(node.inputs[0])]
    padding = _padding(node, shape, weight.shape[2:], stride, dilation)
    op = Conv(
        weight.astype(np.float64),
        None if bias is None else bias.astype(np.float64),
        stride,
        padding,
        dilation,
        int(node.get("group", 1)),
    )
    _unary(reader, node, op)


def gemm(reader: Reader, node: Node) -> None:
    """alpha * x @ W + beta * c with constant W and c."""
    weight = reader.constant(node.inputs[1])
    if weight is None or node.get("transA", 0):
        raise Refused("the second operand must be a constant and the first not transposed")
    rows = weight if node.get("transB", 0) else weight.T
    bias = None
    if len(node.inputs) > 2 and node.inputs[2]:
        given = reader.constant(node.inputs[2])
        if given is None:
            raise Refused("the bias must be a constant")
        flat = given.astype(np.float64).reshape(-1) * float(node.get("beta", 1.0))
        if flat.size not in (1, len(rows)):
            raise Refused(f"expected a bias for each of {len(rows)} outputs, found shape {given.shape}")
        bias = np.broadcast_to(flat, (len(rows),)).copy()
    _unary(reader, node, Dense(rows.astype(np.float64) * float(node.get("alpha", 1.0)), bias))


def matmul(reader: Reader, node: Node) -> None:
    """x @ W with a constant matrix W."""
    weight = reader.constant(node.inputs[1])
    if weight is None or weight.ndim != 2:
        raise Refused("only a product with a constant matrix on the right is understood, not one of two activations")
    _unary(reader, node, Dense(weight.T.astype(np.float64), None))


def batch_norm(reader: Reader, node: Node) -> None:
    """(x - mean) / sqrt(var + eps) * gamma + beta along axis 1, in evaluation."""
    if node.get("training_mode", 0):
        raise Refused("batch norm in training mode")
    parameters = [reader.constant(name) for name in node.inputs[1:5]]
    if any(p is None for p in parameters):
        raise Refused("parameters must be constants")
    gamma, beta, mean, variance = (np.asarray(p, dtype=np.float64) for p in parameters)
    with np.errstate(divide="ignore", invalid="ignore"):  # what is not finite is refused later, by name
        scale = gamma / np.sqrt(variance + float(node.get("epsilon", 1e-5)))
        shift = beta - mean * scale
    _affine(reader, node, scale, shift, axis=1)


def neuron(reader: Reader, node: Node) -> None:
    """pyspike::IntegerLIF, read from its attributes."""
    count = node.get("D", None)
    if count is None or not 1 <= count <= 255:
        raise Refused(f"D must be in 1..255, found {count}")
    op = Fire(
        count=int(count),
        half_even=bool(node.get("half_even", 0)),
        timesteps=int(node.get("T", 1)),
        decay=float(node.get("decay", 0.0)),
        gain=float(node.get("gain", 1.0)),
        theta=float(node.get("theta", 1.0)),
        hard_reset=bool(node.get("reset", 0)),
    )
    if op.timesteps < 1 or not op.theta > 0 or not op.gain > 0 or not np.isfinite([op.theta, op.gain, op.decay]).all():
        raise Refused(f"expected T >= 1 and positive gain and theta, found {op}")
    shape = reader.shapes[reader.value(node.inputs[0])]
    if op.timesteps > 1 and (not shape or shape[0] != op.timesteps):
        raise Refused(f"with T = {op.timesteps} axis 0 of the drive is time, found shape {shape}")
    _unary(reader, node, op)


def add(reader: Reader, node: Node) -> None:
    """A sum: of two values, or of a value and a constant."""
    _sum(reader, node, 1.0, 1.0)


def sub(reader: Reader, node: Node) -> None:
    """A difference; the subtracted value is negated where it is made."""
    _sum(reader, node, 1.0, -1.0)


def mul(reader: Reader, node: Node) -> None:
    """A product with a constant."""
    for x, factor in (node.inputs, node.inputs[::-1]):
        constant = reader.constant(factor)
        if constant is not None:
            _constant_affine(reader, node, x, scale=constant)
            return
    raise Refused("a product of two activations is not understood")


def div(reader: Reader, node: Node) -> None:
    """A quotient by a constant."""
    divisor = reader.constant(node.inputs[1])
    if divisor is None or (np.asarray(divisor) == 0).any():
        raise Refused("only a division by a constant other than 0 is understood")
    _constant_affine(reader, node, node.inputs[0], divisor=divisor)


def neg(reader: Reader, node: Node) -> None:
    """-x."""
    _constant_affine(reader, node, node.inputs[0], scale=np.array(-1.0))


def floor(reader: Reader, node: Node) -> None:
    """floor(x), understood where it is part of a rounding to a grid."""
    _unary(reader, node, Floor())


def max_pool(reader: Reader, node: Node) -> None:
    """MaxPool in two dimensions without dilation."""
    kernel = tuple(node.get("kernel_shape", ()))
    if len(kernel) != 2 or _pair(node, "dilations") != (1, 1) or node.get("storage_order", 0) or len(node.outputs) > 1:
        raise Refused("only two-dimensional max pools without dilation or indices")
    shape = reader.shapes[reader.value(node.inputs[0])]
    stride = _pair(node, "strides")
    padding = _padding(node, shape, kernel, stride, (1, 1))
    if node.get("ceil_mode", 0):
        padding = _ceil_padding(shape, kernel, stride, padding)
    if any(p >= kernel[i % 2] for i, p in enumerate(padding)):
        raise Refused(f"padding {padding} must be smaller than the kernel {kernel}")
    _unary(reader, node, MaxPool((kernel[0], kernel[1]), stride, padding))


def average_pool(reader: Reader, node: Node) -> None:
    """AveragePool without padding: a mean where one window covers the map, else a sum of windows and a factor."""
    kernel = tuple(node.get("kernel_shape", ()))
    shape = reader.shapes[reader.value(node.inputs[0])]
    if len(kernel) != 2 or len(shape) != 4 or _pair(node, "dilations") != (1, 1) or node.get("ceil_mode", 0):
        raise Refused("only two-dimensional average pools without dilation and rounding up")
    stride = _pair(node, "strides")
    if any(_padding(node, shape, kernel, stride, (1, 1))):
        raise Refused("average pools with padding are not understood")
    if kernel == shape[2:]:
        _unary(reader, node, Mean((2, 3), keepdims=True))
        return
    x, (_, channels, *_) = reader.value(node.inputs[0]), shape
    sums = Conv(np.ones((channels, 1, *kernel)), None, stride, groups=channels, fixed=True)
    total = reader.emit(sums, (x,), f"{node.outputs[0]}.sum", node.name)
    share = np.full((1, 1, 1, 1), 1.0 / (kernel[0] * kernel[1]))
    reader.rename(
        node.outputs[0], reader.emit(Affine(share, np.zeros_like(share)), (total,), node.outputs[0], node.name)
    )


def global_average_pool(reader: Reader, node: Node) -> None:
    """The mean over all axes from 2 on."""
    rank = len(reader.shapes[reader.value(node.inputs[0])])
    _unary(reader, node, Mean(tuple(range(2, rank)), keepdims=True))


def reduce_mean(reader: Reader, node: Node) -> None:
    """ReduceMean over constant axes."""
    rank = len(reader.shapes[reader.value(node.inputs[0])])
    axes = node.get("axes", None)
    if axes is None and len(node.inputs) > 1 and node.inputs[1]:
        axes = reader.constant(node.inputs[1])
        if axes is None:
            raise Refused("axes must be constants")
    if axes is None or len(axes) == 0:
        if node.get("noop_with_empty_axes", 0):
            reader.rename(node.outputs[0], reader.value(node.inputs[0]))
            return
        axes = range(rank)
    _unary(reader, node, Mean(tuple(sorted(int(a) % rank for a in axes)), keepdims=bool(node.get("keepdims", 1))))


def resize(reader: Reader, node: Node) -> None:
    """Nearest-neighbour upsampling of the last two axes by whole factors."""
    if node.get("mode", "nearest") != "nearest":
        raise Refused(f"only nearest-neighbour upsampling, found mode {node.get('mode', 'nearest')!r}")
    shape = reader.shapes[reader.value(node.inputs[0])]
    factors = _resize_factors(reader, node, shape)
    exact = all(float(f).is_integer() and f >= 1 for f in factors)
    if len(shape) != 4 or not exact or factors[0] != 1 or factors[1] != 1:
        raise Refused(f"only height and width, and by whole factors: found factors {tuple(map(float, factors))}")
    where = node.get("coordinate_transformation_mode", "half_pixel")
    rounding = node.get("nearest_mode", "round_prefer_floor")
    if not _repeats(where, rounding, [int(f) for f in factors]):
        raise Refused(f"nearest upsampling with {where}, {rounding} does not repeat each row and column")
    _unary(reader, node, Upsample((int(factors[2]), int(factors[3]))))


def identity(reader: Reader, node: Node) -> None:
    """The same value under another name; Dropout in evaluation too."""
    reader.rename(node.outputs[0], reader.value(node.inputs[0]))


def cast(reader: Reader, node: Node) -> None:
    """Cast to a float type: exact for counts and pixels."""
    target = node.get("to", 0)
    value = reader.value(node.inputs[0])
    exact = {onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE}
    if value in reader.integers:
        exact |= {onnx.TensorProto.FLOAT16}
    if target not in exact:
        wanted = dtype_name(target)
        raise Refused(
            f"a cast to {wanted} would round: only casts to float (of integers to float16 too) are understood"
        )
    if value in reader.integers:
        shape = reader.shapes[value]
        one = np.ones((1,) * len(shape))
        value = reader.emit(Affine(one, np.zeros_like(one)), (value,), node.outputs[0], node.name)
        reader.integers.discard(value)
    reader.rename(node.outputs[0], value)


def no_activation(reader: Reader, node: Node) -> None:
    """Activations of other networks."""
    raise Refused(NO_ACTIVATION)


def _unary(reader: Reader, node: Node, op: FloatOp) -> None:
    reader.rename(node.outputs[0], reader.emit(op, (reader.value(node.inputs[0]),), node.outputs[0], node.name))


def _sum(reader: Reader, node: Node, sign_a: float, sign_b: float) -> None:
    a, b = node.inputs
    constant_a, constant_b = reader.constant(a), reader.constant(b)
    if constant_b is not None and _fits(reader, a, constant_b):
        _constant_affine(reader, node, a, scale=np.array(sign_a), shift=sign_b * constant_b)
    elif constant_a is not None and _fits(reader, b, constant_a):
        _constant_affine(reader, node, b, scale=np.array(sign_b), shift=sign_a * constant_a)
    else:
        operands = []
        for name, sign in ((a, sign_a), (b, sign_b)):
            value = reader.value(name)
            if value in reader.integers:
                raise Refused("arithmetic on 8-bit integers wraps around: cast the input to float first")
            if sign < 0:
                minus = np.full((1,) * len(reader.shapes[value]), -1.0)
                value = reader.emit(Affine(minus, np.zeros_like(minus)), (value,), f"{value}.negated", node.name)
            operands.append(value)
        reader.rename(node.outputs[0], reader.emit(Add(), tuple(operands), node.outputs[0], node.name))


def _fits(reader: Reader, x: str, constant: np.ndarray) -> bool:
    shape = reader.shapes[reader.value(x)]
    return np.broadcast_shapes(shape, constant.shape) == shape and sum(n > 1 for n in constant.shape) <= 1


def _constant_affine(
    reader: Reader,
    node: Node,
    x: str,
    scale: np.ndarray | None = None,
    shift: np.ndarray | None = None,
    divisor: np.ndarray | None = None,
) -> None:
    value = reader.value(x)
    shape = reader.shapes[value]
    if value in reader.integers:
        raise Refused("arithmetic on 8-bit integers wraps around: cast the input to float first")
    factor = np.array(1.0) if scale is None else np.asarray(scale, dtype=np.float64)
    if divisor is not None:
        factor = 1.0 / np.asarray(divisor, dtype=np.float64)
    offset = np.array(0.0) if shift is None else np.asarray(shift, dtype=np.float64)
    for each in (factor, offset):
        if np.broadcast_shapes(shape, each.shape) != shape:
            raise Refused(f"a constant of shape {each.shape} enlarges a value of shape {shape}")
    op = Affine(_to_rank(factor, len(shape)), _to_rank(offset, len(shape)))
    reader.rename(node.outputs[0], reader.emit(op, (value,), node.outputs[0], node.name))


def _affine(reader: Reader, node: Node, scale: Reals, shift: Reals, axis: int) -> None:
    """An affine map per channel along `axis`."""
    value = reader.value(node.inputs[0])
    rank = len(reader.shapes[value])
    shape = tuple(-1 if i == axis else 1 for i in range(rank))
    op = Affine(scale.reshape(shape), shift.reshape(shape))
    reader.rename(node.outputs[0], reader.emit(op, (value,), node.outputs[0], node.name))


def _to_rank(constant: Reals, rank: int) -> Reals:
    return constant.reshape((1,) * (rank - constant.ndim) + constant.shape)


def _pair(node: Node, name: str) -> tuple[int, int]:
    values = tuple(int(v) for v in node.get(name, (1, 1)))
    if len(values) != 2:
        raise Refused(f"only two dimensions, found {name} {values}")
    return values[0], values[1]


def _padding(
    node: Node, shape: tuple[int, ...], kernel: tuple[int, ...], stride: tuple[int, int], dilation: tuple[int, int]
) -> tuple[int, int, int, int]:
    """(top, left, bottom, right), automatic padding worked out."""
    mode = node.get("auto_pad", "NOTSET")
    if len(shape) != 4:
        raise Refused(f"expected [N, C, H, W], found shape {shape}")
    if mode in ("NOTSET", ""):
        pads = tuple(int(p) for p in node.get("pads", (0, 0, 0, 0)))
        if len(pads) != 4 or min(pads) < 0:
            raise Refused(f"expected four pads that are not negative, found {pads}")
        return pads[0], pads[1], pads[2], pads[3]
    before, after = [], []
    for i in (0, 1):
        extent = dilation[i] * (kernel[i] - 1) + 1
        total = max((-(-shape[2 + i] // stride[i]) - 1) * stride[i] + extent - shape[2 + i], 0)
        total = 0 if mode == "VALID" else total
        smaller = total // 2
        before.append(total - smaller if mode == "SAME_LOWER" else smaller)
        after.append(smaller if mode == "SAME_LOWER" else total - smaller)
    return before[0], before[1], after[0], after[1]


def _ceil_padding(
    shape: tuple[int, ...], kernel: tuple[int, ...], stride: tuple[int, int], padding: tuple[int, int, int, int]
) -> tuple[int, int, int, int]:
    """Padding enlarged below and to the right so that the last, partial window counts; windows must start inside."""
    after = []
    for i in (0, 1):
        room = shape[2 + i] + padding[i] + padding[i + 2] - kernel[i]
        windows = -(-room // stride[i]) + 1
        if (windows - 1) * stride[i] >= shape[2 + i] + padding[i]:
            windows -= 1
        after.append(padding[i + 2] + (windows - 1) * stride[i] - room)
    return padding[0], padding[1], max(after[0], padding[2]), max(after[1], padding[3])


def _resize_factors(reader: Reader, node: Node, shape: tuple[int, ...]) -> Reals:
    names = (*node.inputs, "", "", "")
    scales_at, sizes_at = (1, -1) if node.op_type == "Upsample" or reader.opset < 11 else (2, 3)
    attribute = node.get("scales", None)
    scales = reader.constant(names[scales_at]) if attribute is None else np.asarray(attribute)
    sizes = reader.constant(names[sizes_at]) if sizes_at > 0 and names[sizes_at] else None
    axes = [int(a) % len(shape) for a in node.get("axes", range(len(shape)))]
    given = np.ones(len(shape))
    if scales is not None and scales.size:
        given[axes] = scales
    elif sizes is not None:
        given[axes] = np.asarray(sizes, dtype=np.float64) / np.asarray(shape, dtype=np.float64)[axes]
    else:
        raise Refused("scales or sizes must be constants")
    return given


def _repeats(where: str, rounding: str, factors: list[int]) -> bool:
    """Whether output position i reads input position i // factor, by the operator's definition."""
    for factor in factors:
        position = np.arange(8 * factor)
        if where in ("asymmetric", "tf_half_pixel_for_nn"):
            x = (position + (0.5 if where == "tf_half_pixel_for_nn" else 0.0)) / factor
        elif where in ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric"):
            x = (position + 0.5) / factor - 0.5
        else:
            return factor == 1
        down, up = np.ceil(x - 0.5), np.floor(x + 0.5)
        nearest = {"floor": np.floor(x), "ceil": np.ceil(x), "round_prefer_floor": down, "round_prefer_ceil": up}[
            rounding
        ]
        if not np.array_equal(np.clip(nearest, 0, 7), position // factor):
            return False
    return True


HANDLERS: dict[str, Handler] = {
    "Add": add, "AveragePool": average_pool, "BatchNormalization": batch_norm, "Cast": cast, "Conv": conv, "Div": div,
    "Dropout": identity, "Floor": floor, "Gemm": gemm, "GlobalAveragePool": global_average_pool, "Identity": identity,
    "IntegerLIF": neuron, "MatMul": matmul, "MaxPool": max_pool, "Mul": mul, "Neg": neg, "ReduceMean": reduce_mean,
    "Resize": resize, "Sub": sub, "Upsample": resize,
    **dict.fromkeys(("Elu", "Gelu", "HardSwish", "LeakyRelu", "PRelu", "Relu", "Sigmoid", "Tanh"), no_activation),
    **onnx_shapes.HANDLERS,
}  # fmt: skip
