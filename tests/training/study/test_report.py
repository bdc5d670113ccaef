"""The report: its numbers against direct computations, its sentences against the numbers, unfinished studies too."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from training.detect.study import page as pages
from training.detect.study.findings import in_all, mean_neurons
from training.detect.study.intervals import Estimate, Replicate, difference, estimate, replicate
from training.detect.study.plan import FOLDS, plan
from training.detect.study.report import collect, write

from . import made_up
from .made_up import evaluation

DRAWS = 60
QUALITY = {"D=4": 0.7, "ANN": 0.7, "D=1": 0.3, "D=8": 0.95, "converted/4 bits": 0.1, "0.05": 0.2, "crowns/D=4": 0.2}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders "study" and "docs" of a study whose jobs are all done."""
    root = tmp_path_factory.mktemp("whole")
    made_up.write(root / "study", plan(), QUALITY)
    write(collect(plan(), root / "study", DRAWS), root / "docs")
    return root


def numbers(root: Path) -> dict:
    return json.loads((root / "docs" / "learning.json").read_text())


def rounded(low: float, mean: float, high: float, sign: str = "") -> str:
    return f"{mean:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"


def test_a_mean_and_its_interval_are_those_of_a_direct_computation(whole: Path) -> None:
    """Draw by draw: images and seeds are picked in plain loops, and pycocotools judges the picked images."""
    job = next(job for job in plan() if job.what == "neurons")
    singles = [evaluation(QUALITY["D=4"], seed * 100 + sum(b"D=4"), job.config.classes) for seed in range(3)]
    images, seeds = np.random.default_rng(0), np.random.default_rng(0)
    chosen = seeds.integers(0, 3, (DRAWS, 3))
    values = []
    for draw in range(DRAWS):
        picked = images.integers(0, made_up.IMAGES, made_up.IMAGES)
        each = [resampled_by_hand(e, picked) for e in singles]
        values.append(np.mean([each[s] for s in chosen[draw]]))
    found = numbers(whole)["settings"]["neurons/D=4"]
    assert found["map50"]["single"] == {str(s): pytest.approx(e.map50, rel=1e-5) for s, e in enumerate(singles)}
    assert found["map50"]["mean"] == pytest.approx(np.mean([e.map50 for e in singles]), rel=1e-5)
    assert found["map50"]["interval"] == pytest.approx(np.quantile(values, [0.025, 0.975]), rel=1e-5)
    text = (whole / "docs" / "learning.md").read_text()
    low, high = np.quantile(values, [0.025, 0.975])
    assert f"| D=4 | {rounded(low, found['map50']['mean'], high)} |" in text


def resampled_by_hand(e, picked: np.ndarray) -> float:
    """mAP50 over the picked images: hits and scores put together, precision by precision."""
    values = []
    for rows in e.tables:
        scores = np.concatenate([rows[i][0] for i in picked])
        hits = np.concatenate([rows[i][1][0] for i in picked])[np.argsort(-scores, kind="stable")]
        true, total = np.cumsum(hits), sum(rows[i][2] for i in picked)
        precision, recall = true / np.arange(1, len(hits) + 1), true / total
        values.append(np.mean([max(precision[recall >= r], default=0.0) for r in np.linspace(0, 1, 101)]))
    return float(np.mean(values))


def test_differences_are_paired_in_images_and_trainings() -> None:
    first = {k: replicate(evaluation(0.5, k, ("a", "b")), DRAWS) for k in range(3)}
    better = {k: Replicate(r.values + 0.01, r.draws + 0.01) for k, r in first.items()}
    gap = difference(better, first)
    assert gap is not None
    # a constant difference has no spread, however wide each one's interval is
    assert gap.low == pytest.approx(0.01)
    assert gap.high == pytest.approx(0.01)
    assert gap.sign == 1
    apart = estimate(first)
    assert apart.high[0] - apart.low[0] > 0.05
    part = difference({k: better[k] for k in (0, 2)}, {k: first[k] for k in (1, 2)})
    assert part is not None
    assert list(part.single) == [2]
    assert difference({0: first[0]}, {1: first[1]}) is None


def test_one_training_claims_no_order() -> None:
    one = {0: replicate(evaluation(0.5, 0, ("a",)), DRAWS)}
    gap = difference({0: Replicate(one[0].values + 1, one[0].draws + 1)}, one)
    assert gap is not None
    assert gap.low[0] > 0
    assert gap.sign == 0
    assert "one training alone" in pages.order("the other", {"this": gap})


def test_folds_that_are_drawn_twice_bring_other_images() -> None:
    """Of two folds, whose draws say which draw they are, half of the draws take one fold twice."""
    steps = np.repeat(np.arange(1000.0)[:, None], 2, 1)
    found = {k: Replicate(np.zeros(2), steps) for k in range(2)}
    same = estimate(found)
    own = estimate(found, own_images=True)
    assert same.low[0] == pytest.approx(np.quantile(steps[:, 0], 0.025))
    assert own.low[0] == pytest.approx(np.quantile((steps[:, 0] + np.roll(steps[:, 0], -1)) / 2, 0.025))


def test_sentences_say_what_intervals_say(whole: Path) -> None:
    differences = numbers(whole)["differences"]
    text = (whole / "docs" / "learning.md").read_text()
    sentence = re.search(r"Against D=4, in mAP50: (.*)\.\n", text)
    assert sentence is not None
    said = {part.split(": ")[0]: part.split(": ")[1].split(", ") for part in sentence[1].split("; ")}
    expected: dict[str, list[str]] = {}
    for name in ("D=1", "D=2", "D=3", "D=8", "T=2 D=2", "T=4 D=1", "ANN"):
        low, high = differences[f"neurons/{name} - neurons/D=4"]["map50"]["interval"]
        verdict = "above it" if low > 0 else "below it" if high < 0 else "cannot be told"
        expected.setdefault(verdict, []).append(name)
    assert said == expected
    assert "D=8" in said["above it"]
    assert "D=1" in said["below it"]
    assert "ANN" in said["cannot be told"]
    assert "Against the ANN, in mAP50: below it: D=4." in text  # of crowns
    assert "**Unfinished.**" not in text


def test_every_experiment_is_on_the_page(whole: Path) -> None:
    text = (whole / "docs" / "learning.md").read_text()
    found = numbers(whole)
    assert found["open"] == []
    tables = {line.split(" |")[0].strip("| "): line for line in text.splitlines() if line.startswith("| ")}
    for row in ("8 bits, rounded after training", "7 bits, rounded after training", "4 bits, trained on"):
        assert row in tables
    assert tables["0.05"].startswith("| 0.05 | 5.00% | 0.100 | ")
    # 30 neurons of which half are dead, 10 of which a tenth are
    assert "| neurons D=4 | 40.00% | stem 50.0% | 5.00% | last 20.0% | 15.00% |" in text
    # 8 bits: 2 and 4, 5, 6 of 1000 counts
    assert "| 8 | 0.35% | 0.60% (last) | 16.67% | 1 | 0.35% |" in text
    assert "at most 0.5% of the counts of any one layer does not hold" in text
    assert "| layer | 8 bits | 7 bits | 6 bits | 4 bits |" in text
    assert text.index("| `last` | 0.50% | 0.90% | 1.30% | 2.10% |") < text.index("| `stem` | 0.20% | 0.40% |")
    assert found["counts_changed"]["2"]["8"]["neurons"] == {"stem": 0.002, "last": 0.006}
    assert {p.name for p in (whole / "docs" / "images").iterdir()} == {
        f"learning-{n}.png" for n in ("neurons", "bits", "rates", "extremes", "counts")
    }
    for name in re.findall(r"!\[\]\((.*?)\)", text):
        assert (whole / "docs" / name).stat().st_size > 5000
    assert "<" not in re.sub(r"`[^`]*`", "", text)


def test_transfer_and_folds(whole: Path) -> None:
    found = numbers(whole)
    assert len(found["settings"]["crowns/D=4"]["map50"]["single"]) == len(FOLDS)
    gap = found["differences"]["crowns/D=4 - crowns/ANN"]["map50"]
    singles = [found["settings"][f"crowns/{n}"]["map50"]["single"] for n in ("D=4", "ANN")]
    assert gap["single"] == {k: pytest.approx(v - singles[1][k], abs=1e-5) for k, v in singles[0].items()}
    assert gap["mean"] == pytest.approx(np.mean(list(gap["single"].values())), abs=1e-5)
    assert len(found["transfer"]) == 4
    away = found["transfer_differences"]["OSBS_029"]["map50"]
    assert len(away["single"]) == len(FOLDS)


@pytest.mark.parametrize("done", [0, 1, 8, 22])
def test_an_unfinished_study_says_what_is_open(tmp_path: Path, done: int) -> None:
    made_up.write(tmp_path / "study", plan()[:done], QUALITY)
    write(collect(plan(), tmp_path / "study", 20), tmp_path / "docs")
    text = (tmp_path / "docs" / "learning.md").read_text()
    found = numbers(tmp_path)
    assert found["open"] == [job.name for job in plan()[done:]]
    assert f"{done} of {len(plan())} jobs are done." in text
    assert "**Unfinished.**" in text
    kinds = {line.split(":")[0].strip("- ") for line in text.splitlines() if re.match(r"- \w+: ", line)}
    assert kinds == {name.split("/")[0] for name in found["open"]}
    orders = re.findall(r"(above it|below it|cannot be told): ", text)
    assert bool(orders) == (done > 6)  # one seed orders nothing
    for name in re.findall(r"!\[\]\((.*?)\)", text):
        assert (tmp_path / "docs" / name).exists()


def test_the_same_study_gives_the_same_page(whole: Path, tmp_path: Path) -> None:
    write(collect(plan(), whole / "study", DRAWS), tmp_path)
    for path in (whole / "docs").rglob("*.*"):
        assert (tmp_path / path.relative_to(whole / "docs")).read_bytes() == path.read_bytes(), path.name


def test_means_over_trainings_and_layers() -> None:
    one = {"a": {"neurons": 1.0, "dead": 0.0}, "b": {"neurons": 3.0, "dead": 1.0}}
    two = {"a": {"neurons": 1.0, "dead": 1.0}, "b": {"neurons": 3.0, "dead": 1.0}}
    mean = mean_neurons([one, {}, two])
    assert mean["a"]["dead"] == 0.5
    assert in_all(mean, "dead") == pytest.approx((0.5 + 3) / 4)
    assert mean_neurons([{}]) == {}


def test_estimates_have_signs() -> None:
    single = {0: np.zeros(2), 1: np.zeros(2)}
    signs = [Estimate(np.zeros(2), np.full(2, a), np.full(2, b), single).sign for a, b in ((1, 2), (-2, -1), (-1, 1))]
    assert signs == [1, -1, 0]
