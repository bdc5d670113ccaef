"""The time axis is found, leaves the graph's tensors, and comes back in its ports; layouts cost the fewest nodes."""

from __future__ import annotations

import numpy as np
import pytest

from pyspike.compiler import compile, lower
from pyspike.errors import UnsupportedOpError
from pyspike.ops import Expand, Mean, Transpose
from tests.compiler.networks import Writer, onnxruntime_outputs, random_inputs, reals

T = 2


def agrees(model, tmp_path):
    """The compiled graph, after it was found to equal ONNX Runtime."""
    report = compile(model, tmp_path / "m.spk")
    inputs = random_inputs(report.graph, np.random.default_rng(3))
    found = reals(report.graph, inputs)
    for name, values in onnxruntime_outputs(model, inputs).items():
        assert found[name].shape == values.shape
        assert (found[name] == values).all()
    return report.graph


def kinds(graph):
    return [node.op.name for node in graph.nodes]


def weights(o, i, k=1):
    return np.random.default_rng(o * 100 + i).integers(-7, 8, (o, i, k, k)) / 256


def membrane(w: Writer, x: str) -> str:
    """[T * B, ...] -> counts of the same shape."""
    shape = w.shapes[x]
    steps = w.reshape(x, (T, shape[0] // T, *shape[1:]))
    return w.reshape(w.fire(steps, 4, T=T, decay=0.5), shape)


@pytest.mark.parametrize("batch", [1, 3])
def test_reshapes_between_steps_and_batches_drop_out(tmp_path, batch):
    w = Writer()
    x = w.cast(w.input("x", (T * batch, 2, 4, 5)))
    counts = membrane(w, w.conv(x, weights(3, 2)))
    y = w.conv(counts, weights(2, 3))
    graph = agrees(w.model([y]), tmp_path)
    assert kinds(graph) == ["transpose", "conv2d", "fire", "conv2d", "transpose"]
    for port in (*graph.inputs, *graph.outputs):
        assert (port.time_axis, port.merged, port.axes) == (0, True, "NCHW")
    assert graph.tensors["x"].shape == (batch, 2, 4, 5)
    assert graph.timesteps == graph.max_timesteps == T


def test_an_input_of_its_own_time_axis(tmp_path):
    """[B, T, C, H, W], transposed and merged on the way."""
    w = Writer()
    x = w.cast(w.input("x", (3, T, 2, 4, 5)))
    first = w.node("Transpose", [x], (T, 3, 2, 4, 5), perm=[1, 0, 2, 3, 4])
    y = membrane(w, w.conv(w.reshape(first, (T * 3, 2, 4, 5)), weights(3, 2)))
    out = w.node("Transpose", [w.reshape(y, (T, 3, 3, 4, 5))], (3, 3, T, 4, 5), perm=[1, 2, 0, 3, 4])
    graph = agrees(w.model([out]), tmp_path)
    (source,), (result,) = graph.inputs, graph.outputs
    assert (source.time_axis, source.merged, source.axes) == (1, False, "NTCHW")
    assert (result.time_axis, result.merged, result.axes) == (2, False, "NCTHW")
    assert graph.tensors["x"].shape == (3, 2, 4, 5)
    assert graph.tensors["x"].time
    assert kinds(graph) == ["transpose", "conv2d", "fire", "transpose"]


@pytest.mark.parametrize("how", ["tile", "expand", "tile of five axes", "stack", "join"])
def test_copies_over_time_are_one_expand_behind_what_does_not_vary(tmp_path, how):
    w = Writer()
    x = w.conv(w.cast(w.input("x", (3, 2, 4, 5))), weights(3, 2))
    if how == "join":
        x = w.node("Concat", [x] * T, (T * 3, 3, 4, 5), axis=0)
    elif how == "stack":
        apart = [w.node("Unsqueeze", [x, w.constant(np.array([0]))], (1, 3, 3, 4, 5)) for _ in range(T)]
        x = w.reshape(w.node("Concat", apart, (T, 3, 3, 4, 5), axis=0), (T * 3, 3, 4, 5))
    elif how == "tile":
        x = w.node("Tile", [x, w.constant(np.array([T, 1, 1, 1]))], (T * 3, 3, 4, 5))
    else:
        one = w.node("Unsqueeze", [x, w.constant(np.array([0]))], (1, 3, 3, 4, 5))
        operator, argument = ("Expand", [T, 3, 3, 4, 5]) if how == "expand" else ("Tile", [T, 1, 1, 1, 1])
        x = w.reshape(w.node(operator, [one, w.constant(np.array(argument))], (T, 3, 3, 4, 5)), (T * 3, 3, 4, 5))
    graph = agrees(w.model([membrane(w, x)]), tmp_path)
    assert kinds(graph) == ["transpose", "conv2d", "expand", "fire", "transpose"]
    (expand,) = (node for node in graph.nodes if isinstance(node.op, Expand))
    assert expand.op.time
    assert expand.op.target == (3, 4, 5, 3)
    assert not graph.tensors[expand.inputs[0]].time  # the convolution runs once
    assert graph.inputs[0].time_axis is None


def test_a_mean_over_time_sums_all_steps(tmp_path):
    w = Writer()
    counts = membrane(w, w.conv(w.cast(w.input("x", (T * 3, 2, 4, 5))), weights(3, 2)))
    steps = w.reshape(counts, (T, 3, 3, 4, 5))
    y = w.node("ReduceMean", [steps, w.constant(np.array([0]))], (3, 3, 4, 5), keepdims=0)
    graph = agrees(w.model([y]), tmp_path)
    (mean,) = (node.op for node in graph.nodes if isinstance(node.op, Mean))
    assert (mean.steps, mean.axes) == (T, ())
    assert graph.outputs[0].axes == "NCHW"
    assert graph.outputs[0].time_axis is None
    assert graph.tensors[graph.outputs[0].tensor].scale.f == 1


def test_a_mean_over_time_and_space_at_once(tmp_path):
    w = Writer()
    counts = membrane(w, w.conv(w.cast(w.input("x", (T * 3, 2, 4, 4))), weights(3, 2)))
    steps = w.reshape(counts, (T, 3, 3, 4, 4))
    y = w.node("ReduceMean", [steps, w.constant(np.array([0, 3, 4]))], (1, 3, 3, 1, 1), keepdims=1)
    graph = agrees(w.model([y]), tmp_path)
    (mean,) = (node.op for node in graph.nodes if isinstance(node.op, Mean))
    assert mean.steps == T
    assert mean.axes == (1, 2)  # height and width, channels last


def test_something_static_added_to_something_that_varies(tmp_path):
    w = Writer()
    image = w.conv(w.cast(w.input("image", (1, 2, 4, 5))), weights(3, 2))
    drive = w.conv(w.cast(w.input("events", (T, 2, 4, 5))), weights(3, 2))
    graph = agrees(w.model([membrane(w, w.node("Add", [image, drive], (T, 3, 4, 5)))]), tmp_path)
    assert [p.time_axis for p in graph.inputs] == [None, 0]


def test_neurons_without_membrane_may_stand_among_others(tmp_path):
    w = Writer()
    counts = membrane(w, w.conv(w.cast(w.input("x", (T * 3, 2, 4, 5))), weights(3, 2)))
    agrees(w.model([w.fire(w.conv(counts, weights(2, 3)), 2)]), tmp_path)


def test_a_convolution_net_has_the_transposes_of_its_ends_alone(tmp_path):
    w = Writer()
    a = w.conv(w.cast(w.input("x", (1, 2, 6, 6))), weights(4, 2))
    b = w.conv(w.fire(a, 4), weights(4, 4, 3), pads=[1, 1, 1, 1])
    total = w.node("Add", [b, a], w.shapes[a])
    pooled = w.node("MaxPool", [total], (1, 4, 3, 3), kernel_shape=[2, 2], strides=[2, 2])
    large = w.node("Resize", [pooled, "", w.constant(np.array([1.0, 1, 2, 2]))], (1, 4, 6, 6), mode="nearest",
                   coordinate_transformation_mode="asymmetric", nearest_mode="floor")  # fmt: skip
    joined = w.node("Concat", [w.fire(large, 4), w.fire(total, 4)], (1, 8, 6, 6), axis=1)
    part = w.node("Slice", [joined, *(w.constant(np.array([v])) for v in (1, 7, 1, 2))], (1, 3, 6, 6))
    y = w.conv(part, weights(2, 3))
    mean = w.node("GlobalAveragePool", [y], (1, 2, 1, 1))
    graph = agrees(w.model([y, w.reshape(w.fire(mean, 4), (1, 2))]), tmp_path)
    assert kinds(graph).count("transpose") == 2
    assert kinds(graph).count("reshape") == 0


def test_transposes_that_undo_each_other_vanish(tmp_path):
    w = Writer()
    a = w.conv(w.cast(w.input("x", (1, 2, 4, 6))), weights(3, 2))
    last = w.node("Transpose", [a], (1, 4, 6, 3), perm=[0, 2, 3, 1])
    y = w.node("MatMul", [w.fire(last, 4), w.constant(np.ones((3, 5)) / 8)], (1, 4, 6, 5))
    graph = agrees(w.model([y]), tmp_path)
    assert kinds(graph) == ["transpose", "conv2d", "fire", "linear"]


def test_a_tensor_is_laid_out_once_for_all_readers(tmp_path):
    w = Writer()
    x = w.cast(w.input("x", (1, 2, 4, 6)))
    y, z = w.conv(x, weights(3, 2)), w.conv(x, weights(5, 2))
    assert kinds(agrees(w.model([w.fire(y, 4), w.fire(z, 4)]), tmp_path)).count("transpose") == 3


def test_a_constant_is_laid_out_when_compiled(tmp_path):
    w = Writer()
    y = w.conv(w.cast(w.input("x", (1, 2, 4, 6))), weights(3, 2))
    table = np.arange(72).reshape(1, 3, 4, 6) / 16
    graph = agrees(w.model([w.node("Add", [y, w.constant(table)], (1, 3, 4, 6))]), tmp_path)
    transposed = [node for node in graph.nodes if isinstance(node.op, Transpose)]
    assert [node.inputs[0] for node in transposed] == ["x", "Add_" + graph.outputs[0].name[1:]]


def test_flattened_maps_are_in_the_files_order(tmp_path):
    w = Writer()
    counts = w.fire(w.conv(w.cast(w.input("x", (2, 2, 4, 3))), weights(3, 2)), 4)
    flat = w.node("Flatten", [counts], (2, 36))
    table = np.random.default_rng(0).integers(-7, 8, (5, 36)) / 8
    agrees(w.model([w.node("Gemm", [flat, w.constant(table)], (2, 5), transB=1)]), tmp_path)


def varying(w, shape=(T * 3, 2, 4, 4)):
    return membrane(w, w.cast(w.input("x", shape)))


@pytest.mark.parametrize(
    ("ending", "named"),
    [
        (lambda w: w.reshape(varying(w), (3, T * 2, 4, 4)), "Reshape"),
        (lambda w: w.node("Transpose", [varying(w)], (2, T * 3, 4, 4), perm=[1, 0, 2, 3]), ""),
        (lambda w: w.node("Concat", [a := varying(w), w.fire(a, 2)], (T * 6, 2, 4, 4), axis=0), "Concat"),
        (lambda w: w.node("Slice", [varying(w), *(w.constant(np.array([v])) for v in (0, 3, 0))], (3, 2, 4, 4)),
         "Slice"),
        (lambda w: w.node("Pad", [varying(w), w.constant(np.array([1] + [0] * 7))], (T * 3 + 1, 2, 4, 4)), "Pad"),
        (lambda w: w.node("Add", [w.reshape(varying(w), (T, 3, 32)), w.constant(np.ones((T, 3, 32)))], (T, 3, 32)),
         "a constant of shape"),
        (lambda w: w.fire(w.reshape(varying(w), (3, T * 32)), 4, T=3), "different numbers of timesteps"),
    ],
)  # fmt: skip
def test_what_mixes_time_with_other_axes_is_refused_by_name(ending, named):
    w = Writer()
    y = ending(w)
    if named == "":  # a transpose is no mixture: convolving along what is now time is
        y, named = w.conv(y, weights(2, T * 3)), "Conv"
    with pytest.raises(UnsupportedOpError, match=named):
        lower(w.model([y]))
