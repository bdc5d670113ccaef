"""Random ONNX files whose weights already lie on a grid, and stock ONNX Runtime to run them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from pyspike import reference
from pyspike.graph import Graph
from pyspike.nn.export import attach_functions

OPSET = 20


class Writer:
    """Writes an ONNX model node by node; knows the shape of every value by asking ONNX Runtime's shape rules itself."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.dtypes: dict[str, str] = {}
        self.count = 0

    def input(self, name: str, shape: Sequence[int], dtype: str = "uint8") -> str:
        kind = {"uint8": TensorProto.UINT8, "int8": TensorProto.INT8, "float32": TensorProto.FLOAT}[dtype]
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        self.shapes[name], self.dtypes[name] = tuple(shape), dtype
        return name

    def constant(self, array: Any) -> str:
        self.count += 1
        name = f"c{self.count}"
        array = np.asarray(array)
        self.initializers.append(
            numpy_helper.from_array(array.astype(np.float32) if array.dtype.kind == "f" else array, name)
        )
        return name

    def node(self, op: str, inputs: Sequence[str], shape: Sequence[int], domain: str = "", **attributes: Any) -> str:
        self.count += 1
        name = f"v{self.count}"
        self.nodes.append(helper.make_node(op, inputs, [name], name=f"{op}_{self.count}", domain=domain, **attributes))
        self.shapes[name] = tuple(int(n) for n in shape)
        return name

    def cast(self, x: str) -> str:
        return self.node("Cast", [x], self.shapes[x], to=TensorProto.FLOAT)

    def conv(self, x: str, weight: Any, bias: Any = None, **attributes: Any) -> str:
        n, _, h, w = self.shapes[x]
        o, _, kh, kw = weight.shape
        pads = attributes.get("pads", [0, 0, 0, 0])
        sy, sx = attributes.get("strides", [1, 1])
        dy, dx = attributes.get("dilations", [1, 1])
        height = (h + pads[0] + pads[2] - dy * (kh - 1) - 1) // sy + 1
        width = (w + pads[1] + pads[3] - dx * (kw - 1) - 1) // sx + 1
        inputs = [x, self.constant(np.asarray(weight, dtype=float))]
        if bias is not None:
            inputs.append(self.constant(np.asarray(bias, dtype=float)))
        return self.node("Conv", inputs, (n, o, height, width), **attributes)

    def reshape(self, x: str, shape: Sequence[int]) -> str:
        return self.node("Reshape", [x, self.constant(np.array(shape, dtype=np.int64))], shape)

    def fire(self, x: str, count: int, **attributes: Any) -> str:
        return self.node("IntegerLIF", [x], self.shapes[x], "pyspike", D=count, **attributes)

    def model(self, outputs: Sequence[str]) -> onnx.ModelProto:
        infos = [helper.make_tensor_value_info(o, TensorProto.FLOAT, self.shapes[o]) for o in outputs]
        graph = helper.make_graph(self.nodes, "network", self.inputs, infos, self.initializers)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid("pyspike", 1)], ir_version=10
        )
        attach_functions(model)
        return model


class Random(Writer):
    """A network drawn by Hypothesis: values are batches of maps [T * B, C, H, W], counts or potentials."""

    def __init__(self, draw: Callable[..., Any]) -> None:
        super().__init__()
        from hypothesis import strategies as st

        self.draw, self.st = draw, st
        self.rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        self.timesteps, self.batch = self.integer(1, 3), self.integer(1, 2)
        self.counts: list[str] = []
        self.potentials: list[str] = []

    def integer(self, lo: int, hi: int) -> int:
        return int(self.draw(self.st.integers(lo, hi)))

    def choice(self, options: Sequence[Any]) -> Any:
        return self.draw(self.st.sampled_from(list(options)))

    def rows(self, *shape: int) -> np.ndarray:
        """Weights on a grid: integers of 8 bits or fewer times a power of two for each row."""
        limit = self.choice([127, 31, 7, 1])
        integers = self.rng.integers(-limit, limit, shape, endpoint=True)
        exponents = self.rng.integers(3, 8, (shape[0], *[1] * (len(shape) - 1)))
        return np.ldexp(integers.astype(float), -exponents)

    def biases(self, n: int) -> np.ndarray | None:
        if self.choice([True, False]):
            return None
        return np.ldexp(self.rng.integers(-(2**13), 2**13, n).astype(float), -12)

    def start(self) -> None:
        """The input: maps of one timestep that are copied, or maps that carry time."""
        t, b = self.timesteps, self.batch
        channels, height, width = self.integer(1, 4), self.integer(3, 7), self.integer(3, 7)
        maps = (channels, height, width)
        how = self.choice(["once", "merged", "time first", "batch first"]) if t > 1 else "once"
        if how == "merged":
            x = self.cast(self.input("x", (t * b, *maps)))
        elif how == "time first":
            x = self.reshape(self.cast(self.input("x", (t, b, *maps))), (t * b, *maps))
        elif how == "batch first":
            x = self.cast(self.input("x", (b, t, *maps)))
            x = self.reshape(self.node("Transpose", [x], (t, b, *maps), perm=[1, 0, 2, 3, 4]), (t * b, *maps))
        else:
            x = self.cast(self.input("x", (b, *maps)))
            if self.choice([True, False]):
                x = self.convolved(x)
            if t > 1:
                x = self.copied(x)
        self.timed(self.convolved(x) if x not in self.potentials else x)

    def copied(self, x: str) -> str:
        """[B, ...] -> [T * B, ...], the ways exporters write it."""
        t, shape = self.timesteps, self.shapes[x]
        if self.choice([True, False]):
            repeats = self.constant(np.array([t, 1, 1, 1], dtype=np.int64))
            made = self.node("Tile", [x, repeats], (t * shape[0], *shape[1:]))
        else:
            axis = self.constant(np.array([0], dtype=np.int64))
            one = self.node("Unsqueeze", [x, axis], (1, *shape))
            all_steps = self.constant(np.array([t, *shape], dtype=np.int64))
            made = self.reshape(self.node("Expand", [one, all_steps], (t, *shape)), (t * shape[0], *shape[1:]))
        if x in self.potentials:
            self.potentials = [made]
        return made

    def timed(self, x: str) -> None:
        """The first neuron, with a membrane where T > 1: from it the compiler learns which axis is time."""
        self.potentials = [x]
        self.counts = [self.fired(x, self.timesteps)]

    def fired(self, x: str, timesteps: int) -> str:
        attributes: dict[str, Any] = {"half_even": self.integer(0, 1)}
        attributes["theta"] = self.choice([1.0, 1.0, 0.5, 2.0])
        attributes["gain"] = self.choice([1.0, 1.0, 0.5])
        count = self.choice([1, 2, 4, 8])
        if timesteps == 1:
            return self.fire(x, count, **attributes)
        attributes |= {"T": timesteps, "reset": self.integer(0, 1), "decay": self.choice([0.0, 0.25, 0.5, 0.75, 1.0])}
        shape = self.shapes[x]
        steps = self.reshape(x, (timesteps, shape[0] // timesteps, *shape[1:]))
        return self.reshape(self.fire(steps, count, **attributes), shape)

    def convolved(self, x: str) -> str:
        _, channels, height, width = self.shapes[x]
        kernel = (min(self.integer(1, 3), height), min(self.integer(1, 3), width))
        dilation = [self.integer(1, 2) if (k - 1) * 2 < s else 1 for k, s in zip(kernel, (height, width), strict=True)]
        pads = [self.integer(0, kernel[i % 2] - 1) for i in range(4)]
        groups = self.choice([1, 1, channels])
        out = groups * self.integer(1, 3)
        made = self.conv(
            x,
            self.rows(out, channels // groups, *kernel),
            self.biases(out),
            pads=pads,
            strides=[self.integer(1, 2), self.integer(1, 2)],
            dilations=dilation,
            group=groups,
        )
        self.potentials.append(made)
        return made

    def grow(self) -> None:
        """One more operation on values there are."""
        kind = self.choice(
            ["conv", "conv", "fire", "fire", "add", "concat", "pool", "upsample", "slice", "pad", "scale"]
        )
        getattr(self, f"_{kind}")()

    def _conv(self) -> None:
        self.convolved(self.choice(self.counts))

    def _fire(self) -> None:
        self.counts.append(self.fired(self.choice(self.potentials), self.choice([1, self.timesteps])))

    def _add(self) -> None:
        a = self.choice(self.potentials)
        b = self.choice([v for v in self.potentials + self.counts if self.shapes[v] == self.shapes[a]])
        self.potentials.append(self.node(self.choice(["Add", "Sub"]), [a, b], self.shapes[a]))

    def _concat(self) -> None:
        pool = self.choice([self.potentials, self.counts])
        a = self.choice(pool)
        alike = [v for v in pool if self.shapes[v][2:] == self.shapes[a][2:]]
        parts = [a, *(self.choice(alike) for _ in range(self.integer(1, 2)))]
        channels = sum(self.shapes[p][1] for p in parts)
        n, _, h, w = self.shapes[a]
        pool.append(self.node("Concat", parts, (n, channels, h, w), axis=self.choice([1, -3])))

    def _pool(self) -> None:
        pool = self.choice([self.potentials, self.counts])
        x = self.choice(pool)
        n, c, h, w = self.shapes[x]
        k = self.integer(1, min(3, h, w))
        stride, pad = self.integer(1, 2), self.integer(0, k - 1)
        size = [(s + 2 * pad - k) // stride + 1 for s in (h, w)]
        pool.append(self.node("MaxPool", [x], (n, c, *size), kernel_shape=[k, k], strides=[stride] * 2, pads=[pad] * 4))

    def _upsample(self) -> None:
        pool = self.choice([self.potentials, self.counts])
        x = self.choice(pool)
        n, c, h, w = self.shapes[x]
        if h * w > 100:
            return
        fy, fx = self.integer(1, 2), self.integer(1, 3)
        mode = self.choice([("asymmetric", "floor"), ("half_pixel", "round_prefer_floor")])
        scales = self.constant(np.array([1, 1, fy, fx], dtype=float))
        pool.append(
            self.node(
                "Resize",
                [x, "", scales],
                (n, c, fy * h, fx * w),
                mode="nearest",
                coordinate_transformation_mode=mode[0],
                nearest_mode=mode[1],
            )
        )

    def _slice(self) -> None:
        pool = self.choice([self.potentials, self.counts])
        x = self.choice(pool)
        shape = list(self.shapes[x])
        axis = self.integer(1, 3)
        start = self.integer(0, shape[axis] - 1)
        stop, step = self.integer(start + 1, shape[axis]), self.integer(1, 2)
        parts = [self.constant(np.array([v], dtype=np.int64)) for v in (start, stop, axis, step)]
        shape[axis] = -(-(stop - start) // step)
        pool.append(self.node("Slice", [x, *parts], shape))

    def _pad(self) -> None:
        x = self.choice(self.counts)
        before, after = [0, self.integer(0, 1), self.integer(0, 2), 0], [0, 0, 0, self.integer(0, 2)]
        pads = self.constant(np.array(before + after, dtype=np.int64))
        value = self.constant(np.array(float(self.integer(0, 2))))
        shape = [n + b + a for n, b, a in zip(self.shapes[x], before, after, strict=True)]
        self.counts.append(self.node("Pad", [x, pads, value], shape))

    def _scale(self) -> None:
        """A power of two, which goes into a neighbour; not below 1, where biases would leave their grid."""
        x = self.choice(self.potentials)
        op, factor = self.choice([("Mul", 2.0), ("Mul", 4.0), ("Div", 0.5)])
        self.potentials.append(self.node(op, [x, self.constant(np.array(factor))], self.shapes[x]))

    def ended(self) -> list[str]:
        """One to three outputs: values as they are, means, or what a linear layer makes of them."""
        return [self._ending(self.choice(self.counts + self.potentials)) for _ in range(self.integer(1, 3))]

    def _ending(self, x: str) -> str:
        t, shape = self.timesteps, self.shapes[x]
        how = self.choice(["plain", "linear", "time", "space", "channels last"])
        if how == "linear" and x in self.counts:
            features = int(np.prod(shape[1:]))
            flat = self.node("Flatten", [x], (shape[0], features))
            out = self.integer(1, 4)
            weight = self.constant(self.rows(out, features))
            return self.node("Gemm", [flat, weight], (shape[0], out), transB=1)
        if how == "time" and t == 2:
            steps = self.reshape(x, (t, shape[0] // t, *shape[1:]))
            axes = self.constant(np.array([0], dtype=np.int64))
            return self.node("ReduceMean", [steps, axes], (shape[0] // t, *shape[1:]), keepdims=0)
        if how == "space" and (shape[2] * shape[3]) & (shape[2] * shape[3] - 1) == 0:
            return self.node("GlobalAveragePool", [x], (*shape[:2], 1, 1))
        if how == "channels last":
            return self.node("Transpose", [x], [shape[i] for i in (0, 2, 3, 1)], perm=[0, 2, 3, 1])
        return self.node("Identity", [x], shape)


def random_model(draw: Callable[..., Any]) -> onnx.ModelProto:
    """A drawn network."""
    network = Random(draw)
    network.start()
    for _ in range(network.integer(1, 6)):
        network.grow()
    return network.model(list(dict.fromkeys(network.ended())))


def onnxruntime_outputs(model: onnx.ModelProto, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Outputs of stock ONNX Runtime by name."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def reals(graph: Graph, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Outputs of the reference executor in real units, exact in float64."""
    integers = reference.run(graph, inputs)
    units = {port.name: graph.tensors[port.tensor].scale.unit() for port in graph.outputs}
    return {name: values * float(units[name]) for name, values in integers.items()}


def random_inputs(graph: Graph, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Integers within the declared ranges: sparse, dense, or at the ends."""
    made = {}
    for port in graph.inputs:
        tensor = graph.tensors[port.tensor]
        shape = port.declared_shape(tensor, graph.timesteps)
        values = rng.integers(tensor.lo, tensor.hi, shape, endpoint=True)
        kind = rng.integers(4)
        if kind == 0:
            values = values * (rng.random(shape) < 0.2)
        elif kind == 1:
            values = np.where(rng.random(shape) < 0.5, tensor.lo, tensor.hi)
        made[port.name] = values.astype(port.dtype)
    return made
