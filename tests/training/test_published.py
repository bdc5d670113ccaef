"""The published recipes: their settings, their schedule, and tiny runs of them from end to end."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pyspike.models.spikeyolo import SpikeYOLO, SpikeYOLOConfig
from training.detect import optimise
from training.detect.__main__ import main
from training.detect.augment import FILL, augment
from training.detect.checkpoint import load
from training.detect.config import Config
from training.detect.data import AnySample, letterboxed
from training.detect.final import finish, load_stage
from training.detect.formats import read_split
from training.detect.run import Trainer, open_run

from .scenes import CLASSES, write_scenes
from .test_formats import coco, write_recording

CONFIGS = Path(optimise.__file__).parent / "configs"
COCO, GEN1 = (Config.from_toml(CONFIGS / f"{name}.toml") for name in ("coco640", "gen1"))
BOTH: dict[str, Any] = {
    "optimiser": "sgd", "momentum": 0.937, "weight_decay": 6.25e-4, "warmup": 10, "warmup_momentum": 0.8,
    "warmup_bias_rate": 0.1, "nominal_batch": 64, "clip": 10.0, "ema_decay": 0.9999, "ema_warmup": 2000,
    "box_gain": 7.5, "class_gain": 0.5, "dfl_gain": 1.5, "amp": True, "device": "cuda", "synchronised": False,
    "epochs": True, "seed": 0, "nms_iou": 0.7, "confidence": 0.001, "final_rate": 0.004, "recalibrate": False,
}  # fmt: skip
PUBLISHED: dict[str, tuple[Config, dict[str, Any]]] = {
    "coco640": (COCO, {
        "width": 640, "height": 640, "batch": 40, "loss_scale": 40.0, "steps": (300, 0, 0), "rates": (0.01, 0.0, 0.0),
        "plain_steps": 10, "mosaic": 1.0, "mosaic_centre": 0.5, "scale": 0.5, "translate": 0.1,
        "hsv": (0.015, 0.7, 0.4), "flips": (0.5, 0.0), "smallest": 2.0, "kept": 0.1,
    }),
    "gen1": (GEN1, {
        "width": 320, "height": 320, "batch": 80, "loss_scale": 80.0, "steps": (100, 0, 0), "rates": (0.02, 0.0, 0.0),
        "plain_steps": 0, "mosaic": 0.0, "scale": 0.0, "translate": 0.0, "hsv": (0.0, 0.0, 0.0), "flips": (0.0, 0.0),
        "classes": ("car", "pedestrian"),
    }),
}  # fmt: skip
SMALL = SpikeYOLOConfig(width=0.0625, num_classes=2, reg_max=4, box_channels=8, class_channels=8)
TINY: dict[str, Any] = {
    "device": "cpu", "classes": CLASSES, "width": 64, "height": 64, "batch": 2, "workers": 2, "warmup": 1,
    "nominal_batch": 4, "evaluate_every": 1, "plain_steps": 1, "bootstrap": 2, "log_every": 1, "loss_scale": 2.0,
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_settings_are_the_published_ones(name: str) -> None:
    config, own = PUBLISHED[name]
    assert {k: getattr(config, k) for k in {**BOTH, **own}} == {**BOTH, **own}
    images_per_update = config.batch * max(round(64 / config.batch), 1)
    assert config.weight_decay == pytest.approx(5e-4 * images_per_update / 64)
    with torch.device("meta"):
        model = SpikeYOLO(**vars(config.model))
        expected = SpikeYOLO.scale("s", num_classes=config.model.num_classes, T=config.model.T)
    shapes = [{n: p.shape for n, p in m.named_parameters()} for m in (model, expected)]
    assert shapes[0] == shapes[1]
    assert len(config.classes) == len(set(config.classes)) == config.model.num_classes
    assert (config.model.T, config.model.D, config.model.neuron) == {"coco640": (1, 4, "coco"), "gen1": (4, 4, "gen1")}[
        name
    ]
    if name == "coco640":
        assert sum(p.numel() for p in model.parameters()) == 23_153_024 - 16  # without the published fixed bins
        assert (config.classes[0], config.classes[56], config.classes[79]) == ("person", "chair", "toothbrush")


def test_epochs_become_steps() -> None:
    config = COCO.in_steps(118_287)
    assert config.steps == (300 * 2957, 0, 0)
    assert (config.warmup, config.plain_steps, config.evaluate_every) == (29_570, 29_570, 29_570)
    assert config.in_steps(7) == config  # once is enough
    with pytest.raises(ValueError, match=r"optimiser: expected one of .*'sgd'.*, found 'lion'"):
        replace(COCO, optimiser="lion")  # type: ignore[arg-type]


def schedule(config: Config, done: int) -> dict[str, Any]:
    """Rates of weights and biases, momentum and accumulated batches of the step after `done` steps."""
    groups = [{"scale": 1.0}, {"scale": 1.0, "bias": True}]
    rate = optimise.decayed(config, config.rates[0], done / config.steps[0])
    optimise.set_rates(groups, config, rate, done)
    weights, biases = groups
    return {"lr": weights["lr"], "bias": biases["lr"], "momentum": weights["momentum"],
            "batches": optimise.accumulated(config, done)}  # fmt: skip


def test_schedule_is_the_published_one() -> None:
    config = COCO.in_steps(118_287)
    first, warm, half, last = (schedule(config, n) for n in (0, 29_569, 443_550, 887_099))
    assert first == pytest.approx({"lr": 0, "bias": 0.1, "momentum": 0.8, "batches": 1}, abs=1e-5)
    at = 0.01 * (0.004 + 0.996 * (1 - 29_569 / 887_100))
    assert warm == pytest.approx({"lr": at, "bias": at, "momentum": 0.937, "batches": 2})
    assert half["lr"] == pytest.approx(0.01 * (1 + 0.004) / 2)
    assert last["lr"] == pytest.approx(0.01 * 0.004, rel=1e-3)
    middle = schedule(config, 14_784)
    assert middle["bias"] == pytest.approx((0.1 + 0.01 * (1 - 0.996 * 14_784 / 887_100)) / 2)
    assert middle["momentum"] == pytest.approx((0.8 + 0.937) / 2)
    # 1 to 1.6 batches: the second one joins at five sixths of the warm-up
    assert [schedule(config, n)["batches"] for n in (24_600, 24_700)] == [1, 2]
    assert schedule(GEN1.in_steps(800), 999)["batches"] == 1


def test_only_weights_decay_and_biases_stand_apart() -> None:
    groups = optimise.parameter_groups(SpikeYOLO(**vars(SMALL)), COCO, folded=False)
    assert [(g["weight_decay"], g.get("bias", False)) for g in groups] == [(6.25e-4, False), (0.0, False), (0.0, True)]
    assert {p.ndim for p in groups[0]["params"]} == {4}
    assert {p.ndim for g in groups[1:] for p in g["params"]} == {1}
    assert all((p == 1).all() for p in groups[1]["params"])  # batch norms' weights begin as ones
    optimiser = optimise.optimiser(SpikeYOLO(**vars(SMALL)), COCO, folded=False)
    assert isinstance(optimiser, torch.optim.SGD)
    assert optimiser.defaults["nesterov"]


def tiny(tmp_path: Path, out: str = "out", **changes: Any) -> Trainer:
    config = replace(COCO, model=SMALL, **{**TINY, "steps": (4, 0, 0), "mosaic": 0.0, **changes})
    return open_run(config, tmp_path / "data", tmp_path / out)


def gradients(run: Trainer, apart: bool) -> list[list[torch.Tensor]]:
    """Train three steps, an update at the last; gradients after each (unclipped), forgotten in between if `apart`."""
    found: list[list[torch.Tensor]] = []
    clip = torch.nn.utils.clip_grad_norm_

    def watched(parameters: Any, limit: float) -> Any:
        found.append([p.grad.clone() for p in run.model.parameters()])
        return clip(run.model.parameters(), limit)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.utils, "clip_grad_norm_", watched)
        for step in range(3):
            if apart:
                for p in run.model.parameters():
                    p.grad = None
            run.train_step(run.batch(step))
            run.step += 1
            if run.pending:
                found.append([p.grad.clone() for p in run.model.parameters()])
    return found


def test_gradients_of_batches_are_summed(tmp_path: Path) -> None:
    write_scenes(tmp_path / "data", 2, 1)
    run, other = (tiny(tmp_path, out=name, epochs=False, nominal_batch=6) for name in ("sum", "apart"))
    start = [p.detach().clone() for p in run.model.parameters()]
    summed, single = gradients(run, apart=False), gradients(other, apart=True)
    assert len(summed) == len(single) == 3
    assert (run.updates, run.pending) == (1, 0)
    assert not all(torch.equal(a, b) for a, b in zip(start, run.model.parameters(), strict=True))
    for total, *parts in zip(summed[2], *single, strict=True):
        assert torch.equal(total, parts[0] + parts[1] + parts[2])


def test_a_stop_between_two_updates_changes_nothing(tmp_path: Path) -> None:
    write_scenes(tmp_path / "data", 2, 1)
    run = tiny(tmp_path, epochs=False, nominal_batch=6)
    for step in range(4):
        run.train_step(run.batch(step))
        run.step += 1
    run.save()
    again = tiny(tmp_path, epochs=False, nominal_batch=6)
    assert (again.step, again.pending, again.updates) == (4, 1, 1)
    for trainer in (run, again):
        for _ in range(2):
            trainer.train_step(trainer.batch(4))
    assert (run.updates, again.updates) == (2, 2)
    assert all(torch.equal(a, b) for a, b in zip(run.model.parameters(), again.model.parameters(), strict=True))


def test_sum_of_gradients_is_scaled_by_the_batch(tmp_path: Path) -> None:
    write_scenes(tmp_path / "data", 2, 1)
    grads = []
    for scale in (1.0, 32.0):
        run = tiny(tmp_path, out=f"scale{scale}", loss_scale=scale, clip=1e9, nominal_batch=0)
        run.train_step(run.batch(0))
        grads.append(run.model.stem.conv.weight.grad)
    assert torch.equal(grads[1], 32 * grads[0])  # a power of two: exactly


def test_mixed_precision_is_for_gpus(tmp_path: Path) -> None:
    write_scenes(tmp_path / "data", 2, 1)
    run = tiny(tmp_path)
    assert run.config.amp
    assert not run.amp
    run.amp, run.scaler = True, torch.amp.GradScaler("cpu", init_scale=1024.0)
    expected, _, _ = tiny(tmp_path, out="plain").train_step(run.batch(0))
    seen = []
    run.model.stem.conv.register_forward_hook(lambda module, args, out: seen.append(out.dtype))
    loss, _, density = run.train_step(run.batch(0))
    assert seen == [torch.float16]
    assert float(loss) == pytest.approx(float(expected), rel=0.1)  # some counts round otherwise
    assert density is not None
    assert run.scaler.state_dict()["scale"] > 0
    run.save()
    assert load(run.out / "state.pt")["scaler"]["scale"] == run.scaler.get_scale()


def test_coco_recipe_runs_to_the_end(tmp_path: Path) -> None:
    root = coco(tmp_path / "coco")
    config = replace(COCO, model=SMALL, **TINY, steps=(3, 0, 0))
    run = open_run(config, root, tmp_path / "out")
    assert run.config.total_steps == 3
    run.run()
    finish(run, root)
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["val"]["float"]["map50"] >= 0
    left = load_stage(tmp_path / "out" / "stage_a.pt").state_dict()
    assert all(torch.equal(v, left[k]) for k, v in run.average.state_dict().items())


def test_gen1_recipe_runs_to_the_end(tmp_path: Path) -> None:
    root = write_recording(tmp_path / "gen1")
    (root / "val").symlink_to(root / "train")
    model = replace(SMALL, T=4, neuron="gen1")
    config = replace(GEN1, model=model, **{**TINY, "classes": GEN1.classes, "batch": 1}, steps=(2, 0, 0))
    run = open_run(config, root, tmp_path / "out")
    assert run.batch(0).inputs().shape == (1, 4, 3, 64, 64)
    run.run()
    finish(run, root)
    assert (tmp_path / "out" / "stage_a.pt").exists()
    with pytest.raises(ValueError, match="frames of events are not augmented"):
        open_run(replace(config, scale=0.1), root, tmp_path / "other").batch(0)


def test_a_broken_data_set_ends_the_command_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = coco(tmp_path / "coco")
    (root / "val2017" / "scene2.jpg").unlink()
    config = tmp_path / "config.toml"
    config.write_text('classes = ["square", "bar"]\n')
    arguments = ["--data", str(root), "--out", str(tmp_path / "out"), "--config", str(config)]
    monkeypatch.setattr("sys.argv", ["training.detect", *arguments])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "instances_val2017.json: image 3: the image" in capsys.readouterr().err


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[AnySample]:
    root = write_scenes(tmp_path_factory.mktemp("data") / "scenes")
    return letterboxed(read_split(root, "train", CLASSES), 64, 64)


def test_pictures_of_a_wandering_mosaic_meet(pictures: list[AnySample]) -> None:
    config = replace(
        COCO, classes=CLASSES, width=64, height=64, scale=0.0, translate=0.0, hsv=(0.0, 0.0, 0.0), flips=(0.0, 0.0)
    )
    centres, boxes = set(), 0
    for seed in range(30):
        image, corners, labels = augment(pictures, 0, np.random.default_rng(seed), config, True)
        grey = (np.abs(image.astype(int) - FILL[0]) <= 1).all(-1)
        columns, rows = np.flatnonzero(~grey.all(0)), np.flatnonzero(~grey.all(1))
        assert len(rows) == rows[-1] - rows[0] + 1  # no grey border between pictures
        assert len(columns) == columns[-1] - columns[0] + 1
        centres.add((rows[0], rows[-1], columns[0], columns[-1]))
        for (x1, y1, x2, y2), label in zip(corners, labels, strict=True):
            boxes += 1
            assert min(x2 - x1, y2 - y1) > 2
            centre = image[int((y1 + y2) / 2), int((x1 + x2) / 2)].mean()
            assert (centre < 60 if label else centre > 200) or label == 0  # a few squares lie under a bar
    assert len(centres) > 10
    assert boxes > 60


def test_flips_have_their_chances(pictures: list[AnySample]) -> None:
    still = replace(COCO, width=64, height=64, mosaic=0.0, scale=0.0, translate=0.0, hsv=(0.0, 0.0, 0.0))
    places = [augment(pictures, 0, np.random.default_rng(n), still, False)[1][1] for n in range(200)]
    x1, y1 = np.unique([p[0] for p in places], return_counts=True), {float(p[1]) for p in places}
    assert len(x1[0]) == 2
    assert 75 < x1[1][0] < 125
    assert len(y1) == 1  # never upside down
