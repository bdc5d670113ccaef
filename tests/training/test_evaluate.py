"""Average precision, resampling, and the candidates that are scored."""

from __future__ import annotations

import numpy as np
import pytest

from training.detect.data import Sample
from training.detect.evaluate import (
    average_precision,
    candidates,
    drawn,
    interval,
    resample,
    resampled,
    score,
)

CLASSES = ("a", "b")


def sample(boxes: list[list[float]], classes: list[int]) -> Sample:
    return Sample("x", np.zeros((64, 64, 3), np.uint8), np.array(boxes, np.float32).reshape(-1, 4), np.array(classes))


def guesses(*rows: tuple[list[float], float, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return (
        np.array([r[0] for r in rows], float).reshape(-1, 4),
        np.array([r[1] for r in rows], float),
        np.array([r[2] for r in rows], int),
    )


def test_perfect_and_absent_detections() -> None:
    samples = [sample([[0, 0, 10, 10], [20, 20, 30, 40]], [0, 1]), sample([[5, 5, 25, 25]], [0])]
    perfect = score([guesses(*((b, 0.9, c) for b, c in zip(s.boxes.tolist(), s.classes.tolist(), strict=True)))
                     for s in samples], samples, CLASSES)  # fmt: skip
    assert perfect.map50 == pytest.approx(1.0)
    assert perfect.map50_95 == pytest.approx(1.0)
    nothing = score([guesses(), guesses()], samples, CLASSES)
    assert nothing.map50 == 0.0


def test_known_average_precision() -> None:
    # two true boxes; best guess right, next wrong, third right: precision 1 up to recall 1/2, then 2/3
    samples = [sample([[0, 0, 10, 10], [30, 30, 40, 40]], [0, 0])]
    found = [guesses(([0, 0, 10, 10], 0.9, 0), ([50, 0, 60, 10], 0.8, 0), ([30, 30, 40, 40], 0.7, 0))]
    e = score(found, samples, ("a",))
    assert e.per_class["a"][0] == pytest.approx((51 * 1 + 50 * 2 / 3) / 101)


def random_problem(seed: int, images: int = 20) -> tuple[list, list[Sample]]:
    rng = np.random.default_rng(seed)
    samples, found = [], []
    for _ in range(images):
        n = rng.integers(0, 6)
        corner = rng.uniform(0, 40, (n, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(6, 20, (n, 2))], 1)
        labels = rng.integers(0, 2, n)
        samples.append(sample(boxes.tolist(), labels.tolist()))
        shifted = np.concatenate([boxes + rng.normal(0, 1.5, boxes.shape), rng.uniform(0, 60, (3, 4))])
        shifted[:, 2:] = np.maximum(shifted[:, 2:], shifted[:, :2] + 1)
        found.append((shifted, rng.uniform(0, 1, n + 3), np.concatenate([labels, rng.integers(0, 2, 3)])))
    return found, samples


def test_own_average_precision_equals_pycocotools() -> None:
    e = score(*random_problem(3), CLASSES)
    for k, name in enumerate(CLASSES):
        (ap,) = average_precision(e.tables[k], np.ones((1, 20), np.int64))
        assert ap[0] == pytest.approx(e.per_class[name][0], rel=1e-9)
        assert ap.mean() == pytest.approx(e.per_class[name][1], rel=1e-9)
    assert 0.2 < e.map50 < 0.99


def test_resampling_equals_pycocotools_on_images_taken_several_times() -> None:
    found, samples = random_problem(5)
    e = score(found, samples, CLASSES)
    counts = drawn(20, 4, seed=2)
    assert counts.sum(1).tolist() == [20] * 4
    draws = resample(e, counts)
    for row, values in zip(counts, draws, strict=True):
        picked = np.repeat(np.arange(20), row)
        again = score([found[i] for i in picked], [samples[i] for i in picked], CLASSES)
        assert values == pytest.approx([again.map50, again.map50_95], rel=1e-9)
    assert (draws == resampled([e], 4, seed=2)[:, 0]).all()
    assert np.isnan(average_precision([(np.ones(1), np.ones((10, 1), bool), 0)], np.ones((1, 1), np.int64))).all()


def test_resampling_pairs_the_models() -> None:
    found, samples = random_problem(4)
    better = score(found, samples, CLASSES)
    worse = score([(b, s, 1 - c) for b, s, c in found], samples, CLASSES)
    draws = resampled([better, better, worse], 50)
    assert (draws[:, 0] == draws[:, 1]).all()
    assert (draws[:, 0, 0] > draws[:, 2, 0]).all()
    low, high = interval(draws[:, 0, 0])
    assert low < better.map50 < high
    assert (resampled([better], 5, seed=1) == resampled([better], 5, seed=1)).all()


def test_candidates_keep_the_best_of_a_class() -> None:
    decoded = np.zeros((6, 4))
    decoded[:4] = np.array([[10, 10, 8, 8], [11, 10, 8, 8], [40, 40, 8, 8], [10, 10, 8, 8]]).T
    decoded[4] = [0.9, 0.8, 0.3, 0.0005]
    decoded[5] = [0.2, 0.0, 0.0, 0.7]
    boxes, scores, classes = candidates(decoded, 0.001, 0.7)
    assert list(zip(scores.tolist(), classes.tolist(), strict=True)) == [(0.9, 0), (0.7, 1), (0.3, 0)]
    assert boxes[0].tolist() == [6, 6, 14, 14]
