"""Published checkpoints to safetensors and back: exact weights, the published outputs, metadata that say what it is."""

from __future__ import annotations

import hashlib
import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pyspike.errors import ModelFormatError, RangeError
from pyspike.models.published import read_checkpoint
from pyspike.models.spikeyolo import SCALES, SpikeYOLO
from pyspike.models.spikeyolo_checkpoint import import_checkpoint, load_imported, read_imported, recognise
from pyspike.models.spikeyolo_import import names
from pyspike.nn import IntegerLIF

from ..nn.golden import golden, read_safetensors


def published(model: SpikeYOLO) -> dict[str, torch.Tensor]:
    """Its weights under the published names, the constant of the head included."""
    own = model.state_dict()
    bins = torch.arange(model.config.reg_max, dtype=torch.float32).reshape(1, -1, 1, 1)
    return {name: own[ours] for name, ours in names(own).items()} | {"model.26.dfl.conv.weight": bins}


def small(**overrides: object) -> SpikeYOLO:
    torch.manual_seed(0)
    return SpikeYOLO(**{"width": 0.0625, "num_classes": 3, **overrides}).eval()


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """Classes under the names of the published code's, to pickle; their code is this file's own."""
    for name in ("ultralytics", "ultralytics.nn", "ultralytics.nn.modules", "ultralytics.nn.modules.yolo_spikformer"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    module = sys.modules["ultralytics.nn.modules.yolo_spikformer"]
    for name in ("MS_GetT", "MultiSpike2", "SpikeDetect", "DetectionModel"):
        setattr(module, name, type(name, (nn.Module,), {"__module__": module.__name__}))
    return module


def whole_module(upstream: types.ModuleType, tensors: dict[str, torch.Tensor], T: int) -> nn.Module:
    """A module tree with these tensors, as published files hold them, with attributes that say T and D."""
    root: nn.Module = upstream.DetectionModel()
    for name, value in tensors.items():
        module = root
        *path, last = name.split(".")
        for part in path:
            if part not in module._modules:
                module.add_module(part, nn.Sequential())
            module = module._modules[part]
        if value.is_floating_point() and "running" not in last:
            module.register_parameter(last, nn.Parameter(value.clone(), requires_grad=False))
        else:
            module.register_buffer(last, value.clone())
    root.model._modules["26"].register_buffer("anchors", torch.zeros(2), persistent=False)
    timesteps = upstream.MS_GetT()
    timesteps.T = T
    root.model.add_module("0", timesteps)
    root.model._modules["3"].add_module("encode_lif", upstream.MultiSpike2())
    root.names = {0: "red", 1: "white", 2: "platelet"}
    return root


def test_whole_pickled_modules(upstream: types.ModuleType, tmp_path: Path) -> None:
    expected = published(small())
    torch.save({"epoch": -1, "model": whole_module(upstream, expected, 2).half(), "ema": None}, tmp_path / "x.pt")
    with pytest.raises(Exception, match="Weights only"):
        torch.load(tmp_path / "x.pt", weights_only=True)
    seen = []
    found = import_checkpoint(tmp_path / "x.pt", tmp_path / "x.safetensors", progress=lambda *at: seen.append(at))
    assert seen == [(i + 1, len(expected)) for i in range(len(expected))]
    assert (found.config.T, found.config.D, found.config.neuron) == (2, 2, "coco")
    tensors, metadata = read_imported(tmp_path / "x.safetensors")
    assert metadata == {
        "family": "SpikeYOLO",
        "nc": "3",
        "D": "2",
        "T": "2",
        "neuron": "coco",
        "classes": '["red", "white", "platelet"]',
        "tensors": str(len(expected)),
        "source_sha256": hashlib.sha256((tmp_path / "x.pt").read_bytes()).hexdigest(),
        "format": "pt",
    }
    assert set(tensors) == set(expected)
    for name, value in tensors.items():
        assert value.dtype == (torch.float32 if expected[name].is_floating_point() else torch.int64)
        narrow = expected[name].half() if expected[name].is_floating_point() else expected[name]
        assert torch.equal(value, narrow.to(value.dtype)), name
    loaded = load_imported(tmp_path / "x.safetensors")
    assert (loaded.config.T, loaded.config.D, loaded.training) == (2, 2, False)


def test_neurons_of_the_event_network(
    upstream: types.ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("spikingjelly", "spikingjelly.clock_driven", "spikingjelly.clock_driven.neuron"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    neuron = type("MultiStepLIFNode", (nn.Module,), {"__module__": "spikingjelly.clock_driven.neuron"})
    sys.modules["spikingjelly.clock_driven.neuron"].MultiStepLIFNode = neuron
    module = whole_module(upstream, published(small()), 4)
    module.model._modules["3"].encode_lif = neuron()
    module.model._modules["3"].encode_lif.v = torch.zeros(5)  # a membrane potential that was left in it
    torch.save({"model": module}, tmp_path / "x.pt")
    found = import_checkpoint(tmp_path / "x.pt", tmp_path / "x.safetensors")
    assert (found.config.T, found.config.D, found.config.neuron) == (4, 4, "gen1")
    loaded = load_imported(tmp_path / "x.safetensors")
    assert {(m.decay, m.gain, m.D) for m in loaded.modules() if isinstance(m, IntegerLIF)} == {(0.5, 0.5, 4)}


def test_averaged_weights_come_first(upstream: types.ModuleType, tmp_path: Path) -> None:
    weights = published(small())
    averaged = {name: value + 1 for name, value in weights.items()}
    content = {"model": whole_module(upstream, weights, 1), "ema": whole_module(upstream, averaged, 1)}
    torch.save({**content, "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]}}, tmp_path / "x.pt")
    found = read_checkpoint(tmp_path / "x.pt")
    assert found.tensors.keys() == averaged.keys()
    assert all(torch.equal(value, averaged[name]) for name, value in found.tensors.items())
    assert found.modules["model.0"].kind == "ultralytics.nn.modules.yolo_spikformer.MS_GetT"


def test_every_half_is_widened_exactly(tmp_path: Path) -> None:
    halves = torch.from_numpy(np.arange(2**16, dtype=np.uint16).view(np.float16))
    weights = published(small())
    name = "model.9.cv1.conv.weight"
    wanted = torch.where(halves.isfinite(), halves, torch.zeros((), dtype=torch.float16))
    wanted = wanted.repeat(-(-weights[name].numel() // 2**16))[: weights[name].numel()].reshape(weights[name].shape)
    torch.save({**weights, name: wanted}, tmp_path / "x.pt")
    found = import_checkpoint(tmp_path / "x.pt", tmp_path / "x.safetensors")
    assert found.widened == 1
    value = read_imported(tmp_path / "x.safetensors")[0][name]
    assert value.numpy().tobytes() == wanted.numpy().astype(np.float32).tobytes()


def test_storages_that_are_shared_or_strided(tmp_path: Path) -> None:
    weights = published(small())
    first, second = "model.9.cv1.conv.weight", "model.9.cv2.conv.weight"
    both = torch.cat([weights[first].flatten(), weights[second].flatten()])
    shared = {
        first: both[: weights[first].numel()].reshape(weights[first].shape),
        second: both[weights[first].numel() :].reshape(weights[second].shape),
    }
    strided = weights["model.10.conv.weight"].transpose(0, 1).contiguous().transpose(0, 1)
    torch.save({**weights, **shared, "model.10.conv.weight": strided}, tmp_path / "x.pt")
    import_checkpoint(tmp_path / "x.pt", tmp_path / "x.safetensors")
    tensors, _ = read_imported(tmp_path / "x.safetensors")
    assert all(torch.equal(value, weights[name]) for name, value in tensors.items())


@pytest.mark.parametrize("scale", SCALES)
def test_scales_are_recognised(scale: str) -> None:
    with torch.device("meta"):
        model = SpikeYOLO.scale(scale, num_classes=20)
        assert SpikeYOLO(**recognise(published(model))).config == model.config


@pytest.mark.parametrize("overrides", [{"box_channels": 16, "class_channels": 8, "reg_max": 8}, {"p5_ratio": 2}, {}])
def test_free_shapes_are_recognised(overrides: dict[str, int], tmp_path: Path) -> None:
    model = small(**overrides, T=3, D=2, neuron="gen1")
    torch.save(published(model), tmp_path / "x.pt")
    import_checkpoint(tmp_path / "x.pt", tmp_path / "x.safetensors", T=3, D=2, neuron="gen1")
    loaded = load_imported(tmp_path / "x.safetensors")
    assert loaded.config == model.config
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in model.state_dict().items())


@torch.no_grad()
@pytest.mark.parametrize(("T", "D"), [(1, 4), (2, 4), (1, 8)])
def test_reads_back_to_the_published_outputs(T: int, D: int, tmp_path: Path) -> None:
    torch.save({"model": read_safetensors(golden("a_weights.safetensors"))}, tmp_path / "x.pt")
    import_checkpoint(tmp_path / "x.pt", tmp_path / "x.safetensors", T=T, D=D)
    model = load_imported(tmp_path / "x.safetensors").double()
    z = np.load(golden("a_io.npz"))
    raw = model(torch.from_numpy(z["img64_u8"]).double() / 255)
    for level, found in enumerate(raw):
        assert np.abs(found.numpy() - z[f"T{T}D{D}_raw{level}"]).max() < 1e-9
    assert np.abs(model.decode(raw).numpy() - z[f"T{T}D{D}_y"]).max() < 1e-9


def test_a_published_file(tmp_path: Path) -> None:
    found = import_checkpoint(golden("a_upstream_style_ckpt_fp16.pt"), tmp_path / "a.safetensors")
    assert (found.tensors, found.config.num_classes, found.config.T, found.config.D) == (755, 20, 1, 4)
    tensors, metadata = read_imported(tmp_path / "a.safetensors")
    assert len(json.loads(metadata["classes"])) == 20
    expected = read_safetensors(golden("a_weights.safetensors"))
    assert set(tensors) == set(expected)
    for name, value in tensors.items():
        narrow = expected[name].half() if expected[name].is_floating_point() else expected[name]
        assert torch.equal(value, narrow.to(value.dtype)), name


def test_refusals_leave_no_file(tmp_path: Path) -> None:
    weights = published(small())
    name = "model.9.cv1.conv.weight"
    for what, tensors in {
        "missing": {k: v for k, v in weights.items() if k != name},
        "unexpected": {**weights, "extra": torch.zeros(1)},
        "expected shape": {**weights, name: weights[name][:, :-1]},
        "no model": {k: v for k, v in weights.items() if ".26." not in k},
        "no depth": {**weights, "model.2.5.x": torch.zeros(1), "model.2.6.x": torch.zeros(1)},
        "found none": {**weights, "model.3.encode_conv.weight": torch.zeros(0, 3, 3, 3)},
        "too few channels": {**weights, "model.26.cv2.0.2.conv.bias": torch.zeros(3)},
    }.items():
        torch.save(tensors, tmp_path / "x.pt")
        with pytest.raises(ModelFormatError, match=rf"(?s)x\.pt.*{what}"):
            import_checkpoint(tmp_path / "x.pt", tmp_path / "x.safetensors")
    torch.save(weights, tmp_path / "x.pt")
    for options in ({"T": 0}, {"D": 256}, {"neuron": "lif"}):
        with pytest.raises(RangeError):
            import_checkpoint(tmp_path / "x.pt", tmp_path / "x.safetensors", **options)
    assert [path.name for path in tmp_path.iterdir()] == ["x.pt"]


def test_other_safetensors_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save

    path = tmp_path / "x.safetensors"
    weights = {name: value.contiguous() for name, value in published(small()).items()}
    for content, match in (
        (b"", "safetensors file"),
        (b"\xff" * 64, "safetensors file"),
        (save(weights)[:-1], "safetensors file"),
        (save({"a": torch.zeros(2)}), "weights of a SpikeYOLO"),
        (save(weights, {"T": "many"}), "whole numbers"),
        (save(weights, {"D": "0"}), "1 to 255"),
        (save(weights, {"neuron": "lif"}), "coco"),
        # Claims a network of 10^11 weights, of which one tensor is there.
        (save({**weights, "model.7.encode_conv.weight": torch.zeros(2**20, 1, 1, 1)}), "double|SpikeYOLO"),
    ):
        path.write_bytes(content)
        with pytest.raises(ModelFormatError, match=rf"(?s)x\.safetensors.*({match})"):
            load_imported(path)
    with pytest.raises(FileNotFoundError):
        load_imported(tmp_path / "absent.safetensors")
    path.write_bytes(save(weights))
    assert load_imported(path).config == small().config
