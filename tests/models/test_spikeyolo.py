"""SpikeYOLO against the published code's own tensors, in float64: names, every neuron's drive, heads, boxes."""

from __future__ import annotations

import json
import zlib

import numpy as np
import pytest
import torch

from pyspike.errors import ModelFormatError, RangeError, ShapeError
from pyspike.models.spikeyolo import SpikeYOLO
from pyspike.models.spikeyolo_import import names, published_name
from pyspike.nn import IntegerLIF, fold, integer_twin, quantise, record_neurons

from ..nn.golden import golden, read_safetensors

SCALE_A = {"depth": 0.33, "width": 0.0625, "num_classes": 20}


def scale_a(**overrides: object) -> SpikeYOLO:
    model = SpikeYOLO(**{**SCALE_A, **overrides}).double()
    return model.load_published(read_safetensors(golden("a_weights.safetensors"))).eval()


@pytest.mark.parametrize(("scale", "parameters"), [("n", 13_271_632), ("s", 23_153_024)])
def test_published_scales_have_the_published_tensors(scale: str, parameters: int) -> None:
    keys = json.loads(golden(f"{scale}_state_dict_keys.json").read_text())
    model = SpikeYOLO.scale(scale)
    ours = names(model.state_dict())
    assert set(ours) | {"model.26.dfl.conv.weight"} == set(keys)
    # the published code holds the 16 bins of the box distribution as parameters
    assert sum(p.numel() for p in model.parameters()) + 16 == parameters


@pytest.mark.parametrize(("scale", "parameters"), [("m", 47_841_856), ("l", 68_478_400)])
def test_large_scales(scale: str, parameters: int) -> None:
    with torch.device("meta"):
        model = SpikeYOLO.scale(scale)
    assert sum(p.numel() for p in model.parameters()) + 16 == parameters


@torch.no_grad()
@pytest.mark.parametrize(("T", "D"), [(1, 1), (1, 2), (1, 4), (1, 8), (2, 4), (4, 1), (2, 2), (4, 2)])
def test_heads_and_boxes(T: int, D: int) -> None:
    z = np.load(golden("a_io.npz"))
    model = scale_a(T=T, D=D)
    raw = model(torch.from_numpy(z["img64_u8"]).double() / 255)
    for level, found in enumerate(raw):
        assert np.abs(found.numpy() - z[f"T{T}D{D}_raw{level}"]).max() < 1e-9
    assert np.abs(model.decode(raw).numpy() - z[f"T{T}D{D}_y"]).max() < 1e-9


def by_published_name(model: SpikeYOLO, recorded: dict) -> dict:
    repeated = any(n.startswith("stage3.1.") for n in recorded)
    assert repeated or model.config.repeats()[2] == 1
    counts = dict(zip(("stage1", "stage2", "stage3", "stage4"), model.config.repeats(), strict=True))
    return {published_name(n, counts.get(n.split(".")[0], 1) > 1): v for n, v in recorded.items()}


@torch.no_grad()
def test_every_neuron_is_driven_as_published() -> None:
    z = np.load(golden("a_lif_inputs_T1D4.npz"))
    spikes = np.load(golden("a_spikes_T1D4.npz"))
    model = scale_a()
    images = torch.from_numpy(np.load(golden("a_io.npz"))["img64_u8"][:1]).double() / 255
    with record_neurons(model) as recorded:
        model(images)
    found = by_published_name(model, recorded)
    assert set(found) == set(z.files)
    for name, (drive, counts) in found.items():
        assert np.abs(drive.numpy() - z[name][0]).max() < 1e-9, name
        assert (counts.numpy() == spikes[name][0]).all(), name


@torch.no_grad()
@pytest.mark.parametrize("T", [1, 2])
def test_probes_of_a_non_square_image(T: int) -> None:
    z = np.load(golden("a_160x128_probes.npz"))
    model = scale_a(T=T)
    with record_neurons(model) as recorded:
        raw = model(torch.from_numpy(z["img160x128_u8"]).double() / 255)
    found = by_published_name(model, recorded)
    assert len(found) == 88
    for name, tensors in found.items():
        for side, value in zip(("in", "out"), tensors, strict=True):
            flat = value.numpy().reshape(-1)
            projection = np.random.default_rng([20240729, zlib.crc32(f"probe:{name}".encode())]).normal(size=flat.shape)
            found_numbers = [flat.sum(), np.sqrt((flat**2).sum()), (flat * projection).sum()]
            assert found_numbers == pytest.approx(z[f"T{T}D4|{side}:{name}"], rel=1e-9, abs=1e-9), (side, name)
    for level, head in enumerate(raw):
        assert np.abs(head.numpy() - z[f"T{T}D4_raw{level}"]).max() < 1e-9
    assert np.abs(model.decode(raw).numpy() - z[f"T{T}D4_y"]).max() < 1e-9


@torch.no_grad()
def test_gen1_event_frames() -> None:
    z = np.load(golden("a_gen1_io.npz"))
    weights = read_safetensors(golden("a_weights.safetensors"))
    weights |= read_safetensors(golden("a_gen1_nc2_head_tensors.safetensors"))
    model = SpikeYOLO(depth=0.33, width=0.0625, num_classes=2, T=4, neuron="gen1").double()
    model.load_published({k: v for k, v in weights.items() if k in set(names(model.state_dict()))}).eval()
    events = torch.from_numpy(z["events_u8_BTHW"]).double() / 255
    frames = events[:, :, None].expand(-1, -1, 3, -1, -1)
    with record_neurons(model) as recorded:
        raw = model(frames)
    found = by_published_name(model, recorded)
    for key in (k for k in z.files if k.startswith("spk:")):
        counts = found[key.removeprefix("spk:")][1].reshape(z[key].shape)
        assert (counts.numpy() == z[key]).all(), key
    for level, head in enumerate(raw):
        assert np.abs(head.numpy() - z[f"raw{level}"]).max() < 1e-9
    assert np.abs(model.decode(raw).numpy() - z["y"]).max() < 1e-9


@torch.no_grad()
@pytest.mark.parametrize("T", [1, 2])
def test_folded_network_computes_the_same(T: int) -> None:
    model = scale_a(T=T)
    folded = fold(model)
    pixels = torch.from_numpy(np.load(golden("a_io.npz"))["img64_u8"])
    with record_neurons(model) as a:
        expected = model(pixels.double() / 255)
    with record_neurons(folded) as b:
        found = folded(pixels)
    assert list(a) == list(b)
    for name in a:
        torch.testing.assert_close(b[name][0], a[name][0], rtol=0, atol=1e-9)
        assert torch.equal(b[name][1], a[name][1]), name
    for x, y in zip(found, expected, strict=True):
        torch.testing.assert_close(x, y, rtol=0, atol=1e-9)
    kinds = {type(m).__name__ for m in folded.modules() if not list(m.children())}
    assert kinds == {"Conv2d", "PixelConv", "IntegerLIF"}


def demo() -> SpikeYOLO:
    torch.manual_seed(0)
    model = SpikeYOLO(depth=0.33, width=0.0625, num_classes=3, box_channels=16, class_channels=8, reg_max=8)
    model.train()
    for _ in range(3):
        model(torch.rand(2, 3, 64, 96))  # batch norms leave their first values
    return model.eval()


@torch.no_grad()
def test_quantised_network_is_exact_in_float32() -> None:
    model = quantise(fold(demo()))
    pixels = torch.randint(0, 256, (1, 3, 64, 96), dtype=torch.uint8)
    twin = integer_twin(model)
    with record_neurons(model) as a, record_neurons(twin) as b:
        single, double = model(pixels), twin(pixels)
    assert sum(int(c.count_nonzero()) for _, c in b.values()) > 100
    assert all(torch.equal(a[n][0].double(), b[n][0]) for n in b)
    assert all(torch.equal(x.double(), y) for x, y in zip(single, double, strict=True))
    assert [tuple(x.shape) for x in single] == [(1, 35, 8, 12), (1, 35, 4, 6), (1, 35, 2, 3)]


def test_free_sizes_and_refusals() -> None:
    assert SpikeYOLO(width=0.0625, D=3).stage1[0].sep.neuron1.D == 3
    assert {m.decay for m in SpikeYOLO(width=0.0625, neuron="gen1").modules() if isinstance(m, IntegerLIF)} == {0.5}
    with pytest.raises(RangeError, match="double"):
        SpikeYOLO(width=0.0625, max_channels=256)
    with pytest.raises(RangeError, match="scale"):
        SpikeYOLO.scale("x")
    with pytest.raises(RangeError, match="neuron"):
        SpikeYOLO(width=0.0625, neuron="lif")
    with pytest.raises(ShapeError, match="multiples of 32"):
        demo()(torch.zeros(1, 3, 48, 64))
    with pytest.raises(ShapeError, match="T=1"):
        demo()(torch.zeros(1, 2, 3, 64, 64))


def test_import_names_what_does_not_fit() -> None:
    model = SpikeYOLO(width=0.0625, num_classes=3)
    good = {published: model.state_dict()[own].half() for published, own in names(model.state_dict()).items()}
    before = {k: v.clone() for k, v in model.state_dict().items()}
    model.load_published(good)
    with pytest.raises(ModelFormatError, match=r"model\.1\.encode_conv\.bias"):
        model.load_published({k: v for k, v in good.items() if k != "model.1.encode_conv.bias"})
    with pytest.raises(ModelFormatError, match="extra"):
        model.load_published({**good, "extra": torch.zeros(1)})
    with pytest.raises(ModelFormatError, match="expected shape"):
        model.load_published({**good, "model.1.encode_conv.bias": torch.zeros(3)})
    with pytest.raises(ModelFormatError, match="dfl"):
        model.load_published({**good, "model.26.dfl.conv.weight": torch.ones(1, 16, 1, 1)})
    assert all(torch.equal(v, before[k].half().to(v.dtype)) for k, v in model.state_dict().items())
