"""A run killed with -9 at any moment and resumed ends with the same bits as one that was never interrupted."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from pyspike.nn import integer_twin
from training.detect import load_final
from training.detect.checkpoint import Log, load, save, weights_hash
from training.detect.config import Config
from training.detect.run import Trainer, open_run

from .scenes import write_scenes

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = """
classes = ["square", "bar"]
width = 64
height = 64
batch = 3
steps = [5, 4, 7]
warmup = 2
refresh = 3
ema_warmup = 4
plain_steps = 2
checkpoint_every = 2
evaluate_every = 4
log_every = 1
bootstrap = 5
[model]
num_classes = 2
reg_max = 4
box_channels = 8
class_channels = 8
"""


def start(data: Path, out: Path, config: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "training.detect", "--data", data, "--out", out, "--config", config]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def log_rows(out: Path) -> list[dict[str, str]]:
    with (out / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def steps_logged(out: Path) -> int:
    return max((int(r["step"] or 0) for r in log_rows(out)), default=0) if (out / "log.csv").exists() else 0


def kill_at(step: int, data: Path, out: Path, config: Path) -> None:
    process = start(data, out, config)
    deadline = time.monotonic() + 300
    while steps_logged(out) < step:
        assert process.poll() is None, process.communicate()[1].decode()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.mark.slow
def test_killed_and_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    data = write_scenes(tmp_path / "data")
    config = tmp_path / "tiny.toml"
    config.write_text(SETTINGS)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    process = start(data, whole, config)
    # stage (a); inside (b); inside (c), where exponents are three steps old
    for step in (3, 7, 13):
        kill_at(step, data, broken, config)
        assert not (broken / "final.pt").exists()
    error = process.communicate(timeout=300)[1].decode()
    assert process.returncode == 0, error
    last = start(data, broken, config)
    error = last.communicate(timeout=300)[1].decode()
    assert last.returncode == 0, error
    assert weights_hash(load_final(broken / "final.pt")) == weights_hash(load_final(whole / "final.pt"))
    for name in ("model", "average"):
        one, two = load(whole / "state.pt")[name], load(broken / "state.pt")[name]
        assert all(torch.equal(v, two[k]) for k, v in one.items() if isinstance(v, torch.Tensor))
    assert load(whole / "state.pt")["controller"] == load(broken / "state.pt")["controller"]
    rows = [[{k: v for k, v in row.items() if k != "seconds"} for row in log_rows(out)] for out in (whole, broken)]
    assert rows[0] == rows[1]
    assert [r["stage"] for r in rows[0]] == ["a"] * 5 + ["b"] * 4 + ["c"] * 7
    check_results(whole)
    assert (whole / "log.png").exists()


def check_results(out: Path) -> None:
    metrics = json.loads((out / "metrics.json").read_text())
    assert set(metrics["val"]) == {"float", "sparse_float", "integer", "integer_minus_float"}
    assert "test" not in metrics
    model = load_final(out / "final.pt")
    assert model.training_config.classes == ("square", "bar")
    pixels = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    exact = integer_twin(model)(pixels)
    assert all(torch.equal(a.double(), b) for a, b in zip(model(pixels), exact, strict=True))


def test_another_configuration_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(SETTINGS)
    config = Config.from_toml(path)
    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    data = write_scenes(tmp_path / "data", 3, 1)
    run = open_run(config, data, tmp_path / "out")
    run.save()
    with pytest.raises(ValueError, match="another configuration"):
        Trainer(Config(), run.train_set, run.val_set, tmp_path / "out")
    with pytest.raises(ValueError, match="unknown settings"):
        Config.from_dict({"learning_rate": 1})


def test_a_checkpoint_is_whole_or_old(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    save(path, {"step": 1})

    class Unpicklable:
        def __reduce__(self) -> str:
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        save(path, {"step": 2, "bad": Unpicklable()})
    assert load(path) == {"step": 1}


def test_log_cuts_what_will_be_written_again(tmp_path: Path) -> None:
    log = Log(tmp_path / "log.csv", 0)
    for step in (1, 2, 3):
        log.add(step=step, loss=step / 3)
    with (tmp_path / "log.csv").open("a") as file:
        file.write("4,a,0.")  # a row that was being written when the machine died
    Log(tmp_path / "log.csv", 2)
    assert [row["step"] for row in log_rows(tmp_path)] == ["1", "2"]
