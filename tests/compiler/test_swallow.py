"""Thresholds that carry bias and exponent: the ladder against the definition, in exact rational arithmetic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyspike import reference
from pyspike.compiler import lower
from pyspike.compiler.fold import fold
from pyspike.compiler.lowering import Options
from pyspike.compiler.lowering import lower as lower_program
from pyspike.compiler.onnx_reader import read
from pyspike.compiler.timing import find_time
from pyspike.ops import Concat, Conv2d, Fire, Linear, MaxPool, Slice, Upsample
from tests.compiler.networks import Writer, random_inputs, random_model


def fired(value: Fraction, count: int, half_even: bool) -> int:
    """round(clip(value, 0, count)): the definition."""
    clipped = min(max(value, Fraction(0)), Fraction(count))
    if half_even:
        return round(clipped)  # Python rounds Fractions half to even
    return (2 * clipped.numerator + clipped.denominator) // (2 * clipped.denominator)


def linear_and_fire(weight, bias, count, **attributes):
    writer = Writer()
    x = writer.cast(writer.input("x", (1, weight.shape[1])))
    inputs = [x, writer.constant(weight), writer.constant(bias)]
    y = writer.fire(writer.node("Gemm", inputs, (1, len(weight)), transB=1), count, **attributes)
    return lower(writer.model([y]), calibration={"x": (0, 8, 0)})


@settings(max_examples=200)
@given(st.data())
def test_ladders_per_channel_equal_the_definition(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    channels, count = data.draw(st.integers(1, 4)), data.draw(st.sampled_from([1, 2, 3, 4, 8]))
    half_even = data.draw(st.booleans())
    theta, gain = data.draw(st.sampled_from([1.0, 0.5, 0.75, 3.0])), data.draw(st.sampled_from([1.0, 0.5, 0.3]))
    exponents = rng.integers(0, 4, (channels, 1))
    weight = np.ldexp(rng.integers(-9, 10, (channels, 1)).astype(float), -exponents)
    bias = np.ldexp(rng.integers(-20, 21, channels).astype(float), -data.draw(st.sampled_from([1, 3, 14])))
    graph = linear_and_fire(weight, bias, count, half_even=int(half_even), theta=theta, gain=gain)
    synapse, fire = (node.op for node in graph.nodes)
    assert synapse.bias is None
    assert not synapse.shift.any()
    stored = Fraction(float(np.float32(theta))) / Fraction(float(np.float32(gain)))
    for x in range(9):
        counts = fire.reference(synapse.reference(np.array([[x]])))[0]
        for c in range(channels):
            rounded = Fraction(int(np.floor(bias[c] * 2**12 + 0.5)), 2**12)
            drive = x * Fraction(float(weight[c, 0])) + rounded
            assert counts[c] == fired(drive / stored, count, half_even), (x, c)


def test_ties_go_down_for_odd_k_only_with_half_even():
    """x in counts, weight 1/2, bias 0: the ties 0.5, 1.5, 2.5 are at x = 1, 3, 5."""
    even = linear_and_fire(np.array([[0.5]]), np.array([0.0]), 3, half_even=1).nodes[-1].op
    up = linear_and_fire(np.array([[0.5]]), np.array([0.0]), 3, half_even=0).nodes[-1].op
    assert even.thresholds.tolist() == [[2, 3, 6]]
    assert up.thresholds.tolist() == [[1, 3, 5]]


def test_thresholds_are_clamped_to_the_range_of_the_drive():
    """Drives of -8..0 reach no count, those of 100..108 all of them: the latter ladder is clamped to lo."""
    fire = linear_and_fire(np.array([[-1.0], [1.0]]), np.array([0.0, 100.0]), 2).nodes[-1].op
    assert fire.thresholds.tolist() == [[1, 2], [-8, -8]]


def test_a_bias_is_rounded_to_its_grid_before_it_is_swallowed():
    """0.5 - 2**-14 + bias of 2**-14 would be a tie; on the grid of 2**-12 the bias is 0."""
    fire = linear_and_fire(np.array([[1.0]]), np.array([0.5 - 2.0**-14]), 1, half_even=0).nodes[-1].op
    # the bias rounds to 1/2: x >= 0 is a tie, which rounds up
    assert fire.thresholds.tolist() == [[0]]


def built(ending):
    """The graph of a convolution of pixels and what `ending` makes of it."""
    writer = Writer()
    rng = np.random.default_rng(0)
    x = writer.cast(writer.input("x", (1, 2, 6, 6)))
    weight = np.ldexp(rng.integers(-9, 10, (3, 2, 3, 3)).astype(float), -np.array([4, 5, 6]).reshape(3, 1, 1, 1))
    y = writer.conv(x, weight, rng.integers(-900, 900, 3) / 4096)
    return lower(writer.model(ending(writer, y)))


def is_bare(graph):
    (synapse,) = (node.op for node in graph.nodes if isinstance(node.op, Conv2d))
    return synapse.bias is None and not synapse.shift.any()


def through_moves(w, y):
    pooled = w.node("MaxPool", [y], (1, 3, 5, 5), kernel_shape=[2, 2])
    large = w.node("Resize", [pooled, "", w.constant(np.array([1.0, 1, 2, 2]))], (1, 3, 10, 10), mode="nearest",
                   coordinate_transformation_mode="asymmetric", nearest_mode="floor")  # fmt: skip
    w.node("Split", [large, w.constant(np.array([1, 2]))], (1, 1, 10, 10), axis=1)
    w.nodes[-1].output.append("rest")  # channels 1 and 2
    joined = w.node("Concat", ["rest", large], (1, 5, 10, 10), axis=1)
    return [w.fire(joined, 4)]


def test_max_pool_upsample_slice_and_concat_let_it_pass():
    graph = built(through_moves)
    assert {MaxPool, Upsample, Slice, Concat} <= {type(node.op) for node in graph.nodes}
    assert is_bare(graph)
    (fire,) = (node.op for node in graph.nodes if isinstance(node.op, Fire))
    assert len(fire.thresholds) == 5
    ladders = fire.thresholds.tolist()
    assert ladders[:2] == ladders[3:]  # channels 1 and 2, sliced and whole
    assert ladders[2] != ladders[3] != ladders[4]


def into_a_membrane(w, y):
    twice = w.node("Tile", [y, w.constant(np.array([2, 1, 1, 1]))], (2, *w.shapes[y][1:]))
    return [w.fire(twice, 4, T=2, decay=0.5)]


@pytest.mark.parametrize(
    "ending",
    [
        lambda w, y: [y, w.fire(y, 4)],
        lambda w, y: [w.fire(y, 4), w.fire(w.node("Add", [y, y], w.shapes[y]), 4)],
        into_a_membrane,
        lambda w, y: [w.fire(w.node("Concat", [y, y], (1, 3, 8, 4), axis=2), 4)],
        lambda w, y: [w.fire(w.node("GlobalAveragePool", [y], (1, 3, 1, 1)), 4)],
    ],
    ids=["output", "read by an add", "membrane", "joined in space", "mean"],
)
def test_other_readers_keep_bias_and_shift(ending):
    assert not is_bare(built(ending))


def test_a_linear_output_keeps_bias_and_shift():
    """No transpose stands between it and the port."""
    writer = Writer()
    x = writer.cast(writer.input("x", (1, 2)))
    inputs = [x, writer.constant(np.array([[0.5, 1.0]])), writer.constant(np.array([0.25]))]
    y = writer.node("Gemm", inputs, (1, 1), transB=1)
    graph = lower(writer.model([y, writer.fire(y, 4)]))
    (synapse,) = (node.op for node in graph.nodes if isinstance(node.op, Linear))
    assert synapse.bias.tolist() == [1024]
    assert graph.tensors[graph.outputs[0].tensor].scale.f == 12


def test_a_synapse_read_by_several_fires_is_swallowed_by_each():
    graph = built(lambda w, y: [w.fire(y, 4, half_even=1), w.fire(y, 2, theta=0.5)])
    assert is_bare(graph)
    assert sorted(node.op.count for node in graph.nodes if isinstance(node.op, Fire)) == [2, 4]


@pytest.mark.parametrize("half_even", [0, 1])
def test_a_map_in_front_of_one_of_two_fires_scales_the_swallowed_bias_too(half_even):
    """y = 1.5 (w x + b) - 0.25 for one neuron, w x + b for the other: the map cannot go into the synapse."""
    writer = Writer()
    x = writer.cast(writer.input("x", (1, 1)))
    rows, biases = np.array([[0.25], [0.5]]), np.array([0.75, -1.25])
    drive = writer.node("Gemm", [x, writer.constant(rows), writer.constant(biases)], (1, 2), transB=1)
    scaled = writer.node("Mul", [drive, writer.constant(np.array(1.5))], (1, 2))
    mapped = writer.node("Sub", [scaled, writer.constant(np.array([0.25, 0.5]))], (1, 2))
    outputs = [writer.fire(mapped, 4, half_even=half_even), writer.fire(drive, 4, half_even=half_even)]
    graph = lower(writer.model(outputs), calibration={"x": (0, 20, 0)})
    (synapse,) = (node.op for node in graph.nodes if isinstance(node.op, Linear))
    assert synapse.bias is None
    for n in range(21):
        found = reference.run(graph, {"x": np.array([[n]], dtype=np.uint8)})
        for c, offset in enumerate((Fraction(1, 4), Fraction(1, 2))):
            value = n * Fraction(rows[c, 0]) + Fraction(biases[c])
            assert found[outputs[0]][0, c] == fired(Fraction(3, 2) * value - offset, 4, bool(half_even))
            assert found[outputs[1]][0, c] == fired(value, 4, bool(half_even))


def test_equal_ladders_are_stored_once():
    fire = linear_and_fire(np.array([[1.0], [1.0]]), np.array([0.25, 0.25]), 2).nodes[-1].op
    assert fire.thresholds.shape == (1, 2)


@settings(max_examples=60)
@given(st.data())
def test_swallowing_changes_no_value(data):
    model = random_model(data.draw)
    final = lower(model)
    program = fold(read(model))
    plain = lower_program(program, find_time(program), Options()).graph
    inputs = random_inputs(final, np.random.default_rng(data.draw(st.integers(0, 2**32 - 1))))
    for name, values in reference.run(plain, inputs).items():
        assert (values == reference.run(final, inputs)[name]).all()


def test_linear_layers_are_synapses_too():
    graph = linear_and_fire(np.array([[0.5]]), np.array([0.25]), 1)
    (op,) = (node.op for node in graph.nodes if isinstance(node.op, Linear))
    assert op.bias is None
