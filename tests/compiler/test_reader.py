"""What cannot be compiled is named, all at once and with the nodes' names."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from pyspike.compiler import compile, lower
from pyspike.errors import Error, ModelFormatError, RangeError, ShapeError, UnsupportedOpError
from tests.compiler.networks import Writer


def test_three_unsupported_operators_are_named_at_once(tmp_path):
    writer = Writer()
    x = writer.cast(writer.input("x", (1, 2, 4, 4)))
    y = writer.conv(x, np.ones((2, 2, 1, 1)))
    a = writer.node("Relu", [y], writer.shapes[y])
    b = writer.node("Erf", [writer.conv(a, np.ones((2, 2, 1, 1)))], writer.shapes[y])
    c = writer.node("Mul", [y, y], writer.shapes[y])
    target = tmp_path / "m.spk"
    with pytest.raises(UnsupportedOpError) as caught:
        compile(writer.model([b, c]), target)
    message = str(caught.value)
    assert message.startswith("3 nodes cannot be compiled")
    for named in ("Relu 'Relu_4'", "Erf 'Erf_7'", "Mul 'Mul_8' (a product of two activations"):
        assert named in message
    assert "IntegerLIF" in message  # what to use in place of an activation
    assert not target.exists()


def one_node(op, shape=(1, 2, 4, 4), extra=(), domain="", out_shape=None, **attributes):
    writer = Writer()
    x = writer.cast(writer.input("x", shape))
    inputs = [x, *(writer.constant(e) if e is not None else "" for e in extra)]
    return writer.model([writer.node(op, inputs, out_shape or shape, domain, **attributes)])


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (one_node("Relu"), "IntegerLIF"),
        (one_node("IntegerLIF", domain="pyspike", D=0), "D must be in 1..255"),
        (one_node("IntegerLIF", domain="pyspike", D=2, T=3), "axis 0 of the drive is time"),
        (one_node("Conv", domain="pyspike"), "pyspike::Conv"),
        (one_node("FusedConv", domain="com.microsoft"), "com.microsoft::FusedConv"),
        (one_node("Resize", extra=(None, np.array([1.0, 1, 1.5, 1.5])), mode="nearest"), "whole factors"),
        (one_node("Resize", extra=(None, np.array([1.0, 1, 2, 2])), mode="linear"), "nearest-neighbour"),
        (
            one_node("Resize", extra=(None, np.array([1.0, 1, 2, 2])), nearest_mode="ceil",
                     coordinate_transformation_mode="asymmetric"), "does not repeat",
        ),
        (one_node("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1]), "padding"),
        (one_node("MaxPool", kernel_shape=[2, 2], dilations=[2, 2]), "dilation"),
        (one_node("Cast", to=TensorProto.INT32), "would round"),
        (one_node("Floor"), "Mul 2^f, Add 1/2, Floor, Mul 2^-f"),
        (one_node("Div", extra=(np.array(0.0),)), "other than 0"),
        (one_node("Slice", extra=tuple(np.array([v]) for v in (3, 0, 2, -1))), "steps"),
        (one_node("Pad", extra=(np.zeros(8, dtype=np.int64),), mode="reflect"), "reflect"),
        (one_node("Gather", extra=(np.array([2, 0]),), axis=2), "evenly spaced"),
        (one_node("MatMul", extra=(np.ones((3, 4, 4)),)), "constant matrix"),
    ],
)  # fmt: skip
def test_refusals_say_why(model, reason):
    with pytest.raises(UnsupportedOpError) as caught:
        lower(model)
    assert reason in str(caught.value)


def test_float_inputs_need_a_grid():
    writer = Writer()
    x = writer.input("signal", (1, 2), "float32")
    model = writer.model([writer.fire(x, 4)])
    with pytest.raises(UnsupportedOpError, match=r"'signal' is float32.*calibration=\{'signal': \(lo, hi, f\)\}"):
        lower(model)
    graph = lower(model, calibration={"signal": (-300, 300, 5)})
    assert graph.inputs[0].dtype == "int16"
    tensor = graph.tensors["signal"]
    assert (tensor.lo, tensor.hi, tensor.scale.f) == (-300, 300, 5)


@pytest.mark.parametrize(
    ("grid", "dtype"), [((0, 200, 0), "uint8"), ((-5, 5, 0), "int8"), ((0, 256, 0), "int16"), ((0, 2**20, 3), "int32")]
)
def test_the_narrowest_dtype_holds_a_calibrated_input(grid, dtype):
    writer = Writer()
    model = writer.model([writer.fire(writer.input("x", (1, 2), "float32"), 4)])
    assert lower(model, calibration={"x": grid}).inputs[0].dtype == dtype


@pytest.mark.parametrize(("dtype", "lo", "hi"), [("uint8", 0, 255), ("int8", -128, 127)])
def test_inputs_of_8_bits_are_graded(dtype, lo, hi):
    writer = Writer()
    model = writer.model([writer.fire(writer.cast(writer.input("x", (1, 2), dtype)), 4)])
    graph = lower(model)
    assert graph.inputs[0].dtype == dtype
    assert (graph.tensors["x"].lo, graph.tensors["x"].hi) == (lo, hi)
    narrowed = lower(model, calibration={"x": (0, 4, 0)})
    assert (narrowed.inputs[0].dtype, narrowed.tensors["x"].hi) == (dtype, 4)


@pytest.mark.parametrize(
    ("calibration", "message"),
    [({"y": (0, 1, 0)}, "'y', which is no input"), ({"x": (3, 1, 0)}, "lo <= hi"), ({"x": (0, 1.5, 0)}, "whole"),
     ({"x": (0, 1)}, "lo, hi, f"), ({"x": (0, 256, 0)}, "uint8"), ({"x": (0, 255, 3)}, "f = 0")],
)  # fmt: skip
def test_impossible_calibrations_are_refused(calibration, message):
    writer = Writer()
    model = writer.model([writer.fire(writer.cast(writer.input("x", (1, 2))), 4)])
    with pytest.raises(RangeError, match=message):
        lower(model, calibration=calibration)


def test_arithmetic_on_8_bit_integers_would_wrap():
    writer = Writer()
    x = writer.input("x", (1, 2))
    y = writer.node("Add", [x, writer.constant(np.array([3], dtype=np.uint8))], (1, 2))
    with pytest.raises(UnsupportedOpError, match="wraps around"):
        lower(writer.model([y]))


def test_axes_of_unknown_size_need_an_example():
    writer = Writer()
    x = writer.cast(writer.input("x", (1, 2)))
    model = writer.model([writer.fire(x, 4)])
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    with pytest.raises(ShapeError, match=r"'x'.*batch.*example"):
        lower(model)
    for example in (np.zeros((5, 2)), {"x": np.zeros((5, 2))}):
        assert lower(model, example=example).tensors["x"].shape == (5, 2)


def test_shape_arithmetic_is_folded():
    writer = Writer()
    x = writer.cast(writer.input("x", (2, 3, 4)))
    shape = writer.node("Shape", [x], (3,))
    first = writer.node("Gather", [shape, writer.constant(np.array([0]))], (1,), axis=0)
    wanted = writer.node("Concat", [first, writer.constant(np.array([-1]))], (2,), axis=0)
    y = writer.node("Reshape", [writer.fire(x, 4), wanted], (2, 12))
    graph = lower(writer.model([y]))
    assert graph.tensors[graph.outputs[0].tensor].shape == (2, 12)


@pytest.mark.parametrize("where", ["weight", "bias", "norm", "offset"])
def test_constants_that_are_not_finite_are_refused_by_name(where):
    writer = Writer()
    x = writer.cast(writer.input("x", (1, 2, 3, 3)))
    bad = np.array([np.nan, 1.0])
    weight = np.ones((2, 2, 1, 1)) * (bad.reshape(2, 1, 1, 1) if where == "weight" else 1)
    y = writer.conv(x, weight, bad if where == "bias" else np.zeros(2))
    if where == "norm":
        ones, zeros = writer.constant(np.ones(2)), writer.constant(np.zeros(2))
        y = writer.node("BatchNormalization", [y, ones, ones, ones, zeros], writer.shapes[y], epsilon=0.0)
    if where == "offset":
        y = writer.node("Add", [y, writer.constant(bad.reshape(2, 1, 1))], writer.shapes[y])
    with pytest.raises(RangeError, match=r"finite.*(Conv|Affine) .\w+_\d+"):
        lower(writer.model([writer.fire(y, 4)]))


def test_other_functions_of_the_file_are_inlined():
    writer = Writer()
    x = writer.cast(writer.input("x", (1, 2)))
    y = writer.node("Twice", [x], (1, 2), "custom")
    model = writer.model([writer.fire(y, 4)])
    body = [helper.make_node("Add", ["a", "a"], ["b"])]
    model.functions.append(helper.make_function("custom", "Twice", ["a"], ["b"], body, [helper.make_opsetid("", 20)]))
    model.opset_import.append(helper.make_opsetid("custom", 1))
    assert [node.op.name for node in lower(model).nodes] == ["add", "fire"]


def test_attributes_of_a_neuron_have_their_defaults():
    """Ties up, threshold and gain 1, T = 1: the ladder of 1/2, 3/2 on whole numbers."""
    writer = Writer()
    x = writer.input("x", (1, 2), "float32")
    (node,) = lower(writer.model([writer.fire(x, 2)]), calibration={"x": (-9, 9, 1)}).nodes
    assert node.op.thresholds.tolist() == [[1, 3]]
    assert not node.op.stateful


def test_a_damaged_file_is_a_typed_error(tmp_path):
    """Bytes changed anywhere: the network is another one, or the error is one of ours."""
    writer = Writer()
    rng = np.random.default_rng(0)
    x = writer.cast(writer.input("x", (2, 3, 6, 6)))
    x = writer.fire(
        writer.conv(x, rng.integers(-9, 9, (4, 3, 3, 3)) / 64, rng.integers(-9, 9, 4) / 64), 4, T=2, decay=0.25
    )
    part = writer.node("Slice", [x, *(writer.constant(np.array([v])) for v in (0, 2, 1))], (2, 2, 4, 4))
    flat = writer.node("Flatten", [part], (2, 32))
    y = writer.node("Gemm", [flat, writer.constant(rng.integers(-9, 9, (3, 32)) / 64)], (2, 3), transB=1)
    intact = writer.model([y, part]).SerializeToString()
    path = tmp_path / "damaged.onnx"
    refused = 0
    for _ in range(200):
        data = bytearray(intact)
        for at in rng.integers(0, len(data), rng.choice([1, 1, 2, 4])):
            data[at] = rng.choice([data[at] ^ (1 << rng.integers(8)), rng.integers(256)])
        path.write_bytes(bytes(data))
        try:
            lower(path)
        except Error:
            refused += 1
    assert 20 < refused < 180


@pytest.mark.parametrize("inputs", [["x"], ["x", "nothing"], []])
def test_a_node_that_breaks_the_rules_of_its_operator_is_named(inputs):
    writer = Writer()
    writer.cast(writer.input("x", (1, 2, 3, 3)))
    with pytest.raises(UnsupportedOpError, match=r"Conv 'Conv_\d'"):
        lower(writer.model([writer.node("Conv", inputs, (1, 2, 3, 3))]))


def test_outputs_that_nothing_makes_are_named():
    writer = Writer()
    model = writer.model([writer.fire(writer.cast(writer.input("x", (1, 2))), 4)])
    model.graph.output[0].name = "nothing"
    with pytest.raises(ModelFormatError, match="nothing"):
        lower(model)


def test_a_bias_beyond_32_bits_is_refused_by_name():
    writer = Writer()
    y = writer.conv(writer.cast(writer.input("x", (1, 1, 2, 2))), np.ones((1, 1, 1, 1)), np.array([1e30]))
    with pytest.raises(RangeError, match=r"Conv_\d.*1e\+30.*int32"):
        lower(writer.model([y]))


def test_the_body_of_a_neuron_may_be_absent():
    writer = Writer()
    model = writer.model([writer.fire(writer.cast(writer.input("x", (1, 2))), 4)])
    del model.functions[:]
    assert [node.op.name for node in lower(model).nodes] == ["fire"]


def test_files_that_are_no_models(tmp_path):
    text = tmp_path / "text.onnx"
    text.write_text("this is not a model")
    empty = tmp_path / "empty.onnx"
    empty.write_bytes(b"")
    for path in (text, empty, tmp_path):
        with pytest.raises(ModelFormatError):
            lower(path)
    with pytest.raises(FileNotFoundError):
        lower(tmp_path / "absent.onnx")


def test_nir_files_are_refused_with_the_way_out(tmp_path):
    with pytest.raises(UnsupportedOpError, match="ONNX"):
        lower(tmp_path / "network.nir")


def test_other_objects_are_refused():
    with pytest.raises(UnsupportedOpError, match="cannot compile a dict"):
        lower({})


def test_opsets_before_13_keep_axes_in_attributes():
    writer = Writer()
    x = writer.cast(writer.input("x", (1, 2, 4, 4)))
    mean = writer.node("ReduceMean", [writer.fire(x, 4)], (1, 2), axes=[2, 3], keepdims=0)
    padded = writer.node("Pad", [mean], (1, 4), pads=[0, 1, 0, 1], value=0.0)
    parts = writer.node("Slice", [padded], (1, 2), starts=[1], ends=[3], axes=[1])
    model = writer.model(
        [writer.node("Squeeze", [writer.node("Unsqueeze", [parts], (1, 1, 2), axes=[1])], (1, 2), axes=[1])]
    )
    model.opset_import[0].version = 9
    graph = lower(onnx.ModelProto.FromString(model.SerializeToString()))
    assert [node.op.name for node in graph.nodes if node.op.name not in ("transpose", "reshape")] == [
        "fire", "mean", "pad", "slice"
    ]  # fmt: skip
