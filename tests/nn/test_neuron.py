"""The neuron: equations, surrogate gradients, reference data, one ONNX node."""

from __future__ import annotations

import io
import warnings

import numpy as np
import onnx
import pytest
import torch

from pyspike.errors import RangeError, ShapeError
from pyspike.nn import IntegerLIF

from .golden import golden


def run(neuron: IntegerLIF, x: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    u = torch.from_numpy(x).reshape(-1, *x.shape[2:]).requires_grad_()
    s = neuron(u)
    (s * torch.from_numpy(w).reshape(s.shape)).sum().backward()
    return s.detach().numpy().reshape(x.shape), u.grad.numpy().reshape(x.shape)


@pytest.mark.parametrize("levels", [1, 2, 4, 8])
def test_equals_the_published_coco_neuron(levels: int) -> None:
    z = np.load(golden("neuron_coco.npz"))
    out, grad = run(IntegerLIF(D=levels, T=6), z["x"], z["w"])
    assert np.abs(out - z[f"coco_D{levels}_out"]).max() == 0.0
    assert np.abs(grad - z[f"coco_D{levels}_grad"]).max() == 0.0


def test_equals_the_published_gen1_neuron() -> None:
    z = np.load(golden("neuron_gen1.npz"))
    out, grad = run(IntegerLIF(D=4, T=6, decay=0.5, gain=0.5), z["x"], z["w"])
    assert np.abs(out - z["D4_out"]).max() == 0.0
    assert np.abs(grad - z["D4_grad"]).max() == 0.0


def reference(u: np.ndarray, n: IntegerLIF) -> np.ndarray:
    m, out = np.zeros_like(u[0]), []
    for x in u:
        m = n.decay * m + n.gain * x
        clipped = np.clip(m / n.theta, 0, n.D)
        s = np.rint(clipped) if n.rounding == "half_even" else np.floor(clipped + 0.5)
        m = m - s * n.theta if n.reset == "soft" else np.where(s > 0, 0.0, m)
        out.append(s)
    return np.stack(out)


@pytest.mark.parametrize("rounding", ["half_even", "half_up"])
@pytest.mark.parametrize("reset", ["soft", "hard"])
@pytest.mark.parametrize("theta", [1.0, 0.5])
def test_follows_the_equation(rounding: str, reset: str, theta: float) -> None:
    # multiples of 1/8 make ties frequent and every sum exact
    u = np.random.default_rng(3).integers(-24, 48, (3, 2, 40)) / 8.0
    neuron = IntegerLIF(D=3, T=3, decay=0.5, gain=2.0, theta=theta, rounding=rounding, reset=reset)  # type: ignore[arg-type]
    out = neuron(torch.from_numpy(u).reshape(6, 40)).numpy().reshape(u.shape)
    assert (out == reference(u, neuron)).all()
    assert set(np.unique(out)) == {0.0, 1.0, 2.0, 3.0}


def test_ties_and_surrogate_ends_follow_the_rounding() -> None:
    x = torch.tensor([-1.0, 0.0, 0.5, 1.5, 2.5, 4.0, 4.5], dtype=torch.float64, requires_grad=True)
    even = IntegerLIF()(x)
    assert even.tolist() == [0, 0, 0, 2, 2, 4, 4]
    assert torch.autograd.grad(even.sum(), x)[0].tolist() == [0, 1, 1, 1, 1, 1, 0]
    up = IntegerLIF(rounding="half_up")(x)
    assert up.tolist() == [0, 0, 1, 2, 3, 4, 4]
    assert torch.autograd.grad(up.sum(), x)[0].tolist() == [0, 0, 1, 1, 1, 0, 0]


def test_undetached_reset_changes_the_gradient_only() -> None:
    u = torch.tensor([[1.2], [0.7]], dtype=torch.float64, requires_grad=True)
    detached, attached = IntegerLIF(T=2)(u), IntegerLIF(T=2, detach_reset=False)(u)
    assert detached.tolist() == attached.tolist()
    # dL/du0 of the second count: decay through the membrane, minus decay through the reset
    assert torch.autograd.grad(detached[1, 0], u)[0].tolist() == [[0.25], [1.0]]
    assert torch.autograd.grad(attached[1, 0], u)[0].tolist() == [[0.0], [1.0]]


@pytest.mark.parametrize("steps", [1, 2])
def test_exports_one_node(steps: int) -> None:
    neuron = IntegerLIF(D=3, T=steps, gain=0.5, rounding="half_up", reset="hard")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside the exporter
        program = torch.onnx.export(neuron.eval(), (torch.zeros(4, 5, 4),), dynamo=True, verbose=False)
    buffer = io.BytesIO()
    program.save(buffer)
    nodes = list(onnx.load_from_string(buffer.getvalue()).graph.node)
    (node,) = [n for n in nodes if n.op_type == "IntegerLIF"]
    # with several timesteps the node's axis 0 is time alone
    assert [n.op_type for n in nodes] == (["IntegerLIF"] if steps == 1 else ["Reshape", "IntegerLIF", "Reshape"])
    found = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute if a.name in NODE_ATTRIBUTES}
    assert node.domain == "pyspike"
    assert found == {"D": 3, "half_even": 0, "T": steps, "decay": 0.25, "gain": 0.5, "theta": 1.0, "reset": 1}


NODE_ATTRIBUTES = {"D", "half_even", "T", "decay", "gain", "theta", "reset"}


def test_refuses_bad_parameters_and_shapes() -> None:
    with pytest.raises(RangeError, match="theta"):
        IntegerLIF(theta=0.0)
    with pytest.raises(RangeError, match="rounding"):
        IntegerLIF(rounding="nearest")  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="T=3"):
        IntegerLIF(T=3)(torch.zeros(4, 2))
