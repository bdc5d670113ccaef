"""Two processes train as one does on the same batches: losses, gradients, weights and averages of all three stages."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import multiprocessing

from pyspike.models.spikeyolo import SpikeYOLOConfig
from training.detect.checkpoint import load
from training.detect.config import Config
from training.detect.data import letterboxed, training_batch
from training.detect.formats import read_split
from training.detect.processes import Group, joined
from training.detect.run import Trainer, open_run

from .scenes import CLASSES, write_scenes

CONFIG = replace(
    Config(),
    model=SpikeYOLOConfig(width=0.0625, num_classes=2, reg_max=4, box_channels=8, class_channels=8),
    classes=CLASSES,
    width=64,
    height=64,
    batch=4,
    steps=(5, 2, 2),
    rates=(2e-3, 1e-3, 1e-4),
    warmup=2,
    evaluate_every=2,
    select_every=1,
    ema_warmup=2,
)
# Relative, in float64. Measured: losses 5e-16, gradients 5e-12, weights 1e-10, since Adam divides gradients that are
# zero but for rounding by as little as 1e-8.
BOUND = 1e-9


def history(trainer: Trainer, until: int | None = None) -> list[dict[str, Any]]:
    """Train, and keep loss, density, gradients, weights and buffers of every step."""
    kept: list[dict[str, Any]] = []
    step = trainer.train_step

    def recorded(batch: Any) -> Any:
        result = step(batch)
        grads = {n: p.grad.clone() for n, p in trainer.model.named_parameters()}
        state = {n: t.clone() for n, t in trainer.model.state_dict().items() if isinstance(t, torch.Tensor)}
        loss = torch.stack([result[0], result[0].new_tensor(result[2])])
        kept.append({"loss": {"": loss}, "grad": grads, "state": state})
        return result

    trainer.train_step = recorded  # type: ignore[method-assign]
    trainer.run(until)
    return kept


def worker(rank: int, folder: str) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    os.environ["MASTER_PORT"] = (Path(folder) / "port").read_text()
    torch.set_default_dtype(torch.float64)
    root, found = Path(folder), {}
    with joined("cpu") as group:
        whole = open_run(CONFIG, root / "data", root / "two", group)
        found["whole"] = history(whole)
        found["controller"] = whole.controller.to_dict()
        broken = replace(CONFIG, checkpoint_every=3)
        history(open_run(broken, root / "data", root / "broken", group), until=6)  # inside stage (b)
        again = open_run(broken, root / "data", root / "broken", group)
        assert again.step == 6
        history(again)
        found["broken"] = again.model.state_dict()
        apart = replace(CONFIG, synchronised=False, steps=(2, 0, 0))
        found["apart"] = history(open_run(apart, root / "data", root / "apart", group))
        torch.set_default_dtype(torch.float32)
        found["float32"] = history(open_run(CONFIG, root / "data", root / "two32", group), until=1)
    torch.save(found, root / f"{rank}.pt")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("processes")
    write_scenes(folder / "data", 9, 2)
    store = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True)
    port = store.port
    del store
    (folder / "port").write_text(str(port))
    multiprocessing.spawn(worker, (str(folder),), nprocs=2)
    return folder


@pytest.fixture(scope="module")
def processes(folder: Path) -> list[dict[str, Any]]:
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.fixture(scope="module")
def one(folder: Path) -> list[dict[str, Any]]:
    torch.set_default_dtype(torch.float64)
    try:
        return history(open_run(CONFIG, folder / "data", folder / "one"))
    finally:
        torch.set_default_dtype(torch.float32)


def distance(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> float:
    """Largest difference relative to the largest value, over all tensors of real numbers."""
    assert set(found) == set(expected)
    real = [k for k, v in expected.items() if v.is_floating_point()]
    assert all(torch.equal(found[k], expected[k]) for k in set(expected) - set(real))
    worst = max(float((found[k] - expected[k]).abs().max()) for k in real)
    return worst / max(float(expected[k].abs().max()) for k in real)


@pytest.mark.slow
def test_two_processes_equal_one(processes: list[dict[str, Any]], one: list[dict[str, Any]]) -> None:
    assert len(one) == len(processes[0]["whole"]) == CONFIG.total_steps
    measured = {}
    for number, (expected, found) in enumerate(zip(one, processes[0]["whole"], strict=True)):
        for what, tensors in expected.items():
            measured[number, what] = distance(found[what], tensors)
    assert max(measured.values()) < BOUND, measured


@pytest.mark.slow
def test_two_processes_equal_one_in_float32_for_a_step(folder: Path, processes: list[dict[str, Any]]) -> None:
    """No further: the first count that rounds otherwise changes everything after it, in one process as well."""
    (expected,) = history(open_run(CONFIG, folder / "data", folder / "one32"), until=1)
    (found,) = processes[0]["float32"]
    assert {g.dtype for g in expected["grad"].values()} == {torch.float32}
    assert distance(found["loss"], expected["loss"]) < 1e-6  # measured: 5e-8
    assert distance(found["grad"], expected["grad"]) < 1e-4  # 4e-6


@pytest.mark.slow
def test_ranks_hold_the_same_bits(processes: list[dict[str, Any]]) -> None:
    first, second = (p["whole"] for p in processes)
    for a, b in zip(first, second, strict=True):
        for what in a:
            assert all(torch.equal(v, b[what][k]) for k, v in a[what].items())
    assert processes[0]["controller"] == processes[1]["controller"]


@pytest.mark.slow
def test_what_the_first_process_writes_equals_one(folder: Path, one: list[dict[str, Any]]) -> None:
    """Averages, stages left and validation: one process's files, from two."""
    ours, theirs = load(folder / "two" / "state.pt"), load(folder / "one" / "state.pt")
    assert ours["controller"] == pytest.approx(theirs["controller"], rel=1e-9)
    for name in ("stage_a.pt", "stage_b.pt"):
        assert distance(load(folder / "two" / name)["model"], load(folder / "one" / name)["model"]) < BOUND
    real = [{k: v for k, v in s["average"].items() if isinstance(v, torch.Tensor)} for s in (ours, theirs)]
    assert distance(*real) < BOUND
    logs = [(folder / n / "log.csv").read_text().splitlines() for n in ("two", "one")]
    assert len(logs[0]) == len(logs[1]) == 1 + len({2, 4, 5, 6, 7, 8, 9})
    assert not list((folder / "two").glob("*.tmp"))


@pytest.mark.slow
def test_resumed_by_all_ranks_equals_uninterrupted(folder: Path, processes: list[dict[str, Any]]) -> None:
    expected = processes[0]["whole"][-1]["state"]
    for found in processes:
        assert all(torch.equal(found["broken"][k], v) for k, v in expected.items())
    assert load(folder / "broken" / "state.pt")["controller"] == load(folder / "two" / "state.pt")["controller"]


@pytest.mark.slow
def test_unsynchronised_is_another_training(processes: list[dict[str, Any]], one: list[dict[str, Any]]) -> None:
    first, second = (p["apart"][0] for p in processes)
    assert all(torch.equal(v, second["grad"][k]) for k, v in first["grad"].items())  # still one model
    assert distance(first["grad"], one[0]["grad"]) > 1e-3
    means = [p["apart"][0]["state"]["stem.bn.running_mean"] for p in processes]
    assert not torch.equal(*means)  # each by its own images, until the first one's are sent


@pytest.mark.slow
def test_unsynchronised_statistics_are_the_first_ones(folder: Path, processes: list[dict[str, Any]]) -> None:
    before, after = processes[0]["apart"][0]["state"], processes[1]["apart"][1]["state"]
    samples = letterboxed(read_split(folder / "data", "train", CLASSES), 64, 64)
    own = training_batch(samples, 1, CONFIG, rank=1, ranks=2).inputs().double() / 255
    drive = torch.nn.functional.conv2d(own, before["stem.conv.weight"], before["stem.conv.bias"], 4, 2)
    expected = 0.97 * before["stem.bn.running_mean"] + 0.03 * drive.mean((0, 2, 3))
    torch.testing.assert_close(after["stem.bn.running_mean"], expected, rtol=1e-9, atol=1e-12)


def test_shares_put_together_are_the_batch(tmp_path: Path) -> None:
    samples = letterboxed(read_split(write_scenes(tmp_path / "data"), "train", CLASSES), 64, 64)
    for step in (0, 1, 5):
        whole = training_batch(samples, step, CONFIG)
        shares = [training_batch(samples, step, CONFIG, rank=rank, ranks=2) for rank in range(2)]
        assert [len(s.images) for s in shares] == [2, 2]
        images = torch.cat([torch.from_numpy(s.images) for s in shares])
        assert torch.equal(images, torch.from_numpy(whole.images))


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="batch = 4 must be a multiple of the 3 processes"):
        Trainer(CONFIG, [], [], tmp_path / "out", Group(0, 3))


def test_a_gpu_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(RuntimeError, match="process 1 of this machine needs a GPU of its own, found 1"), joined("cuda"):
        pass
