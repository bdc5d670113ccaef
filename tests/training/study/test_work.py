"""Jobs: each done once by two workers, resumed to the same bits, begun where the parent ended, kept and read back."""

from __future__ import annotations

import multiprocessing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

from pyspike.models.spikeyolo import SpikeYOLOConfig
from training.detect import checkpoint
from training.detect.config import Config
from training.detect.evaluate import Evaluation
from training.detect.run import Trainer, empty_model, open_run
from training.detect.study import result, work
from training.detect.study.gather import changed_counts, settings, transfer
from training.detect.study.plan import Job
from training.detect.study.tiles import OTHERS, cut_others
from training.detect.study.timing import step_seconds

from ..scenes import CLASSES, write_scenes

CONFIG = replace(
    Config(),
    model=SpikeYOLOConfig(0.1, 0.0625, num_classes=2, reg_max=4, box_channels=8, class_channels=8),
    classes=CLASSES, width=64, height=64, batch=3, steps=(3, 0, 0), warmup=2, ema_warmup=4, plain_steps=2,
    checkpoint_every=2, evaluate_every=3, select_every=2, log_every=1,
)  # fmt: skip
PARENT = Job("neurons", "D=4", 0, "scenes", CONFIG)
CHILDREN = (
    Job("integer", "8 bits", 0, "scenes", replace(CONFIG, steps=(3, 0, 3), densities=(1.0,)), PARENT.name),
    Job("rate", "0.1", 0, "scenes", replace(CONFIG, steps=(3, 3, 0), densities=(0.1,), penalty=0.25), PARENT.name),
    Job("converted", "4 bits", 0, "scenes", replace(CONFIG, bits=4), PARENT.name, converted=True),
)
QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_scenes(folder / "scenes", 3, 2)
    return folder


@pytest.fixture(scope="module")
def done(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study whose parent and children one worker did."""
    out = tmp_path_factory.mktemp("study")
    work.work([*CHILDREN, PARENT], data, out, QUIET)  # children first: they wait for it
    return out


def same_weights(one: Path, two: Path) -> bool:
    states = [torch.load(path / "state.pt", weights_only=True) for path in (one, two)]
    assert states[0]["step"] == states[1]["step"]
    return all(
        torch.equal(v, states[1][part][k])
        for part in ("model", "average")
        for k, v in states[0][part].items()
        if isinstance(v, torch.Tensor)
    )


def test_every_job_leaves_a_result_after_its_own_steps(done: Path) -> None:
    for job in (PARENT, *CHILDREN):
        evaluation, summary, neurons = result.load(done / job.name)
        assert len(evaluation.tables) == 2
        assert 0 < summary["density"] < 1
        assert neurons
        state = torch.load(done / job.name / "state.pt", weights_only=True)
        assert state["step"] == sum(job.config.steps)
    # what is judged is the network after the last step, not the best of stage (c)
    assert not list(done.glob("*/*/*/final.pt"))
    assert result.load(done / CHILDREN[2].name)[1] != result.load(done / PARENT.name)[1]


def test_a_branch_goes_on_from_its_parent(data: Path, done: Path, tmp_path: Path) -> None:
    job = CHILDREN[1]
    work.branch(done / PARENT.name, _made(tmp_path / "branch"), job)
    begun = open_run(job.config, data / job.data, tmp_path / "branch")
    assert (begun.step, begun.stage) == (3, 0)
    parent = torch.load(done / PARENT.name / "state.pt", weights_only=True)
    assert all(torch.equal(v, parent["average"][k]) for k, v in begun.average.state_dict().items())
    assert begun.controller.weight == job.config.penalty
    assert begun.config == job.config


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("job", CHILDREN[:2], ids=lambda job: job.what)
def test_a_killed_job_resumes_to_the_same_bits(
    job: Job, data: Path, done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / PARENT.name).parent.mkdir(parents=True)
    (tmp_path / PARENT.name).symlink_to(done / PARENT.name)
    train_step, steps = Trainer.train_step, []

    def dies(self: Trainer, *args: object) -> object:
        steps.append(self.step)
        if self.step == 5 and steps.count(5) == 1:  # the last checkpoint is of step 4
            raise KeyboardInterrupt
        return train_step(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Trainer, "train_step", dies)
    with pytest.raises(KeyboardInterrupt):
        work.work([job], data, tmp_path, QUIET)
    assert not (tmp_path / job.name / result.FILE).exists()
    work.work([job], data, tmp_path, QUIET)
    assert steps == [3, 4, 5, 4, 5]
    assert same_weights(tmp_path / job.name, done / job.name)
    values = [result.load(out / job.name) for out in (tmp_path, done)]
    assert values[0][1:] == values[1][1:]


def _tell(jobs: list[Job], data: Path, out: Path, log: Path) -> None:
    """A worker that writes down what it does in place of doing it."""
    torch.set_num_threads(1)

    def note(job: Job, _: Path, folder: Path) -> None:
        with log.open("a") as file:
            file.write(job.name + "\n")
        result.save(folder / job.name, Evaluation(0.0, 0.0, {}, None, []), {}, CONFIG)

    work._do = note  # type: ignore[assignment]
    work.work(jobs, data, out, QUIET)


def test_two_workers_do_each_job_once(tmp_path: Path) -> None:
    jobs = [replace(PARENT, replicate=seed) for seed in range(40)]
    jobs += [replace(CHILDREN[0], replicate=seed, parent=jobs[seed].name) for seed in range(40)]
    log = tmp_path / "log"
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_tell, args=(jobs, tmp_path, tmp_path / "out", log)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
        assert worker.exitcode == 0
    lines = log.read_text().splitlines()
    assert sorted(lines) == sorted(job.name for job in jobs)


def test_a_claim_ends_with_its_process(tmp_path: Path) -> None:
    with work.claimed(tmp_path / "job") as ours:
        assert ours
        with work.claimed(tmp_path / "job") as second:
            assert not second
    with work.claimed(tmp_path / "job") as again:
        assert again


def test_a_result_comes_back_as_it_was(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    tables = [[(rng.uniform(size=n), rng.uniform(size=(10, n)) < 0.5, n + 1) for n in (0, 3)] for _ in range(2)]
    saved = Evaluation(0.5, 0.25, {"a": (0.5, 0.25)}, None, tables)
    neurons = {"n": {"neurons": 4.0, "dead": 0.5}}
    result.save(tmp_path, saved, neurons, CONFIG, "some.pt")
    found, summary, layers = result.load(tmp_path, "some.pt")
    assert (found.map50, found.map50_95, found.per_class) == (0.5, 0.25, {"a": (0.5, 0.25)})
    assert summary == saved.summary()
    assert layers == neurons
    for one, two in zip(saved.tables, found.tables, strict=True):
        for (s1, h1, n1), (s2, h2, n2) in zip(one, two, strict=True):
            assert n1 == n2
            assert np.array_equal(s1, s2)
            assert np.array_equal(h1, h2)


def test_rounding_is_measured_on_the_networks_of_the_study(data: Path, done: Path, tmp_path: Path) -> None:
    if not (done / "data").exists():
        (done / "data").symlink_to(data)
    found = changed_counts(PARENT, done)
    assert sorted(found) == [4, 6, 7, 8]
    shares = {bits: [report.share for report in reports] for bits, reports in found.items()}
    assert 0 < shares[8][0] < shares[4][0] < 1
    assert [report.end_to_end for report in found[4]] == [False, True]
    # the batch of one is the stem's drive alone, so that its neuron says the same both ways
    assert found[4][0].neurons[0] == found[4][1].neurons[0]
    kept = done / PARENT.name / "counts.pt"
    before = kept.stat().st_mtime_ns
    assert changed_counts(PARENT, done) == found
    assert kept.stat().st_mtime_ns == before


def test_settings_gather_what_jobs_found(done: Path) -> None:
    found = settings([PARENT, *CHILDREN], done, draws=3)
    assert set(found) == {(job.what, job.setting) for job in (PARENT, *CHILDREN)}
    rate = found["rate", "0.1"]
    assert rate.replicates[0].draws.shape == (3, 2)
    assert rate.images == 2
    assert rate.mean("density") == rate.summaries[0]["density"]
    assert rate.mean("of no network") is None


def test_a_network_of_a_fold_is_judged_on_photographs_it_never_saw(tmp_path: Path) -> None:
    (tmp_path / "photographs").mkdir()
    for name in OTHERS:
        pixels = np.random.default_rng(0).integers(0, 256, (330, 320, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photographs" / f"{name}.png")
        table = "xmin,ymin,xmax,ymax,label\n20,30,60,90,Tree\n"
        (tmp_path / "photographs" / f"{name}.csv").write_text(table)
    cut_others(tmp_path / "photographs", tmp_path / "data" / "others")
    model = replace(CONFIG.model, num_classes=1)
    job = Job("crowns", "D=4", 2, "crowns/fold2", replace(CONFIG, model=model, classes=("Tree",)))
    assert transfer([job], tmp_path, draws=3) == {}  # not trained yet
    weights = {"config": job.config.to_dict(), "model": empty_model(job.config, 0).state_dict()}
    folder = _made(tmp_path / job.name)
    checkpoint.save(folder / "stage_a.pt", weights)
    result.save(folder, Evaluation(0.0, 0.0, {}, None, []), {}, job.config)
    found = transfer([job], tmp_path, draws=3)
    assert set(found) == {(name, "D=4") for name in OTHERS}
    for setting in found.values():
        assert setting.images == 2
        assert setting.summaries[2]["density"] > 0
        assert setting.replicates[2].draws.shape == (3, 2)
    (folder / "stage_a.pt").unlink()  # what was found is kept
    again = transfer([job], tmp_path, draws=3)
    assert all(again[key].summaries == found[key].summaries for key in found)


def test_steps_are_timed_once(data: Path, tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to(data)
    relu = replace(CONFIG, model=replace(CONFIG.model, neuron="relu"))
    jobs = [PARENT, replace(PARENT, setting="ANN", config=relu), CHILDREN[0]]
    found = step_seconds(jobs, tmp_path)
    assert set(found) == {"D=4", "ANN"}
    assert min(found.values()) > 0
    assert step_seconds([], tmp_path) == found
