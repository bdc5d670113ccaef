"""Two processes with synchronised batch norms compute what one process computes on their batches put together."""

from __future__ import annotations

import copy
import datetime
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed, multiprocessing, nn

from pyspike.errors import ShapeError, UnsupportedOpError
from pyspike.nn.fold import fold
from pyspike.nn.layers import BNAndPad, ConvBN, RepConvBN, SepRepConvBN
from pyspike.nn.neuron import IntegerLIF
from pyspike.nn.sync_batch_norm import SyncBatchNorm2d, synchronised

SHARES = ((0, 3), (3, 8))  # rows of the global batch: uneven on purpose
STEPS = 5
BOUNDS = {torch.float64: 1e-12, torch.float32: 1e-4}  # measured: 1e-14, 6e-6


def network() -> nn.Sequential:
    """Every kind of batch norm that the repository has; real-valued, so that no rounding of counts can flip."""
    torch.manual_seed(1)
    return nn.Sequential(ConvBN(3, 6, 3), nn.SiLU(), RepConvBN(6, 6), nn.SiLU(), SepRepConvBN(6, 4), BNAndPad(4))


def batch(step: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A batch of 8 whose halves have other means and spreads, or unsynchronised statistics would do."""
    random = torch.Generator().manual_seed(step)
    x = torch.randn(8, 3, 6, 5, generator=random, dtype=torch.float64)
    x[3:] = 3 + 2 * x[3:]
    return x, torch.randn(8, 4, 8, 7, generator=random, dtype=torch.float64)


def train(model: nn.Module, dtype: torch.dtype, first: int, last: int, shared: bool) -> dict[str, Any]:
    """Five steps of SGD on rows first..last of the batches; outputs, losses, gradients and buffers of all steps."""
    model = model.to(dtype).train()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    history: dict[str, Any] = {}
    for step in range(STEPS):
        x, target = (t[first:last].to(dtype) for t in batch(step))
        x.requires_grad_(True)
        out = model(x)
        loss = (out - target).square().sum() / 8
        optimiser.zero_grad()
        loss.backward()
        loss = loss.detach()
        if shared:
            for tensor in (loss, *(p.grad for p in model.parameters())):
                distributed.all_reduce(tensor)
        optimiser.step()
        history[f"{step} rows-out x"], history[f"{step} rows-in x"] = out.detach(), x.grad
        history[f"{step} loss"] = loss
        history |= {f"{step} grad {n}": p.grad.clone() for n, p in model.named_parameters()}
        history |= {f"{step} {n}": t.detach().clone() for n, t in model.state_dict().items()}
    return history


def connect(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2, timeout=datetime.timedelta(seconds=60)
    )


def worker(rank: int, folder: str) -> None:
    connect(rank, folder)
    found = {}
    for dtype in BOUNDS:
        found[dtype] = train(synchronised(network()), dtype, *SHARES[rank], shared=True)
    empty = SyncBatchNorm2d(2).double()
    x = torch.arange(rank * 24.0, dtype=torch.float64).reshape(rank * 3, 2, 2, 2).requires_grad_(True)
    empty(x).square().sum().backward()
    found["empty"] = empty.running_mean
    single = SyncBatchNorm2d(2)
    try:
        single(torch.zeros(rank, 2, 1, 1))
        found["error"] = None
    except ShapeError as error:
        found["error"] = str(error)
    cumulative = SyncBatchNorm2d(2, momentum=None).double()
    for step in range(3):
        cumulative(batch(step)[0][slice(*SHARES[rank]), :2])
    found["cumulative"] = cumulative.state_dict()
    half = SyncBatchNorm2d(3)
    out = half(batch(0)[0][slice(*SHARES[rank])].to(torch.bfloat16))
    found["half"] = (out.dtype, half.running_var)
    torch.save(found, Path(folder) / f"{rank}.pt")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> list[dict[Any, Any]]:
    folder = tmp_path_factory.mktemp("processes")
    multiprocessing.spawn(worker, (str(folder),), nprocs=2)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


def distance(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Largest difference relative to the largest value."""
    return float((found - expected).abs().max() / expected.abs().max())


def kind(key: str) -> str:
    """Step and kind of tensor: what is measured together. A batch norm in front of another one has gradients and means
    that are zero but for rounding; only all of a kind have a scale."""
    step, *what = key.split()
    return f"{step} {what[0] if len(what) > 1 else what[0].rpartition('.')[2]}"


@pytest.mark.parametrize("dtype", list(BOUNDS), ids=str)
def test_two_processes_equal_one(processes: list[dict[Any, Any]], dtype: torch.dtype) -> None:
    one = train(network(), dtype, 0, 8, shared=False)
    first, second = (p[dtype] for p in processes)
    assert set(first) == set(one)
    pairs: dict[str, list[tuple[torch.Tensor, torch.Tensor]]] = {}
    for key, expected in one.items():
        if "rows" in key:
            found = torch.cat([first[key], second[key]])
        else:
            assert torch.equal(first[key], second[key]), key  # the same bits on all ranks
            found = first[key]
        assert found.dtype == expected.dtype
        assert found.shape == expected.shape
        if expected.is_floating_point():
            pairs.setdefault(kind(key), []).append((found.flatten(), expected.flatten()))
        else:
            assert torch.equal(found, expected), key
    measured = {k: distance(*(torch.cat(side) for side in zip(*v, strict=True))) for k, v in pairs.items()}
    assert max(measured.values()) < BOUNDS[dtype], measured


def test_unsynchronised_statistics_would_be_seen(processes: list[dict[Any, Any]]) -> None:
    alone = train(network(), torch.float64, *SHARES[0], shared=False)
    assert distance(alone["0 rows-out x"], processes[0][torch.float64]["0 rows-out x"]) > 0.1


def test_a_process_may_have_no_images(processes: list[dict[Any, Any]]) -> None:
    expected = nn.BatchNorm2d(2).double()
    expected(torch.arange(24.0, dtype=torch.float64).reshape(3, 2, 2, 2))
    for found in processes:
        torch.testing.assert_close(found["empty"], expected.running_mean)


def test_one_value_per_channel_is_refused_on_all_ranks(processes: list[dict[Any, Any]]) -> None:
    for rank, found in enumerate(processes):
        assert "two values per channel" in (found["error"] or "")
        assert f"found 1, here an input of shape ({rank}, 2, 1, 1)" in found["error"]


def test_without_momentum_statistics_are_plain_means(processes: list[dict[Any, Any]]) -> None:
    expected = nn.BatchNorm2d(2, momentum=None).double()
    for step in range(3):
        expected(batch(step)[0][:, :2])
    for found in processes:
        for name, value in expected.state_dict().items():
            torch.testing.assert_close(found["cumulative"][name], value)


def test_half_precision_has_statistics_in_float32(processes: list[dict[Any, Any]]) -> None:
    expected = batch(0)[0].to(torch.bfloat16).double().var((0, 2, 3)) * 0.1 + 0.9
    for found in processes:
        dtype, variance = found["half"]
        assert dtype == torch.bfloat16
        torch.testing.assert_close(variance, expected.float(), rtol=1e-5, atol=0)


def test_alone_it_is_the_plain_one(tmp_path: Path) -> None:
    expected = train(network(), torch.float32, 0, 8, shared=False)
    found = train(synchronised(network()), torch.float32, 0, 8, shared=False)
    assert all(torch.equal(found[k], v) for k, v in expected.items())
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
    try:
        found = train(synchronised(network()), torch.float32, 0, 8, shared=False)
    finally:
        distributed.destroy_process_group()
    assert all(torch.equal(found[k], v) for k, v in expected.items())


def test_conversion_keeps_state_and_still_folds() -> None:
    model = network().double()
    model(batch(0)[0])
    model[0].bn.weight.requires_grad_(False)
    model.eval()
    before = copy.deepcopy(model.state_dict())
    twin = synchronised(model)
    norms = [m for m in twin.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == 7
    assert all(type(m) is SyncBatchNorm2d and not m.training and m.eps == 1e-3 and m.momentum == 0.03 for m in norms)
    assert not twin[0].bn.weight.requires_grad
    assert {type(m) for m in model.modules() if isinstance(m, nn.BatchNorm2d)} == {nn.BatchNorm2d}
    assert list(twin.state_dict()) == list(before)
    assert all(torch.equal(v, before[k]) for k, v in twin.state_dict().items())
    for a, b in zip(fold(twin).parameters(), fold(model).parameters(), strict=True):
        assert torch.equal(a, b)
    with torch.no_grad():
        twin[0].bn.running_mean.add_(1)
    assert torch.equal(model[0].bn.running_mean, before["0.bn.running_mean"])  # a copy, nothing shared


def test_other_batch_norms_are_refused_by_name() -> None:
    model = nn.Sequential(nn.BatchNorm2d(2), IntegerLIF(), nn.Sequential(nn.BatchNorm1d(2)))
    with pytest.raises(UnsupportedOpError, match=r"2\.0 \(BatchNorm1d\)"):
        synchronised(model)
