"""Reading annotations, letterboxing, augmentation, and batches that follow from (seed, step)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from training.detect.config import Config
from training.detect.data import Sample, collate, letterboxed, training_batch
from training.detect.formats import read_split

from .scenes import CLASSES, write_scenes

CONFIG = Config(classes=CLASSES, width=64, height=64, batch=3)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    root = write_scenes(tmp_path_factory.mktemp("data") / "scenes")
    return letterboxed(read_split(root, "train", CLASSES), 64, 64)


def test_letterboxed_boxes_stay_on_their_objects(samples: list[Sample]) -> None:
    for s in samples:
        assert s.image.shape == (64, 64, 3)
        assert (s.image[:8] == 114).all()  # 128 x 96 becomes 64 x 48 between grey bars
        assert (s.image[56:] == 114).all()
        bar = s.boxes[1].round().astype(int)
        assert s.image[bar[1] + 1 : bar[3] - 1, bar[0] + 1 : bar[2] - 1].mean() < 40


def test_batches_follow_from_seed_and_step(samples: list[Sample]) -> None:
    first, again = training_batch(samples, 7, CONFIG), training_batch(samples, 7, CONFIG)
    assert (first.images == again.images).all()
    assert (first.boxes == again.boxes).all()
    assert (first.images != training_batch(samples, 8, CONFIG).images).any()
    alone = samples[:1]  # the same images in the same order, augmented afresh at every step
    assert (training_batch(alone, 7, CONFIG).images != training_batch(alone, 8, CONFIG).images).any()
    assert (first.images != training_batch(samples, 7, replace(CONFIG, seed=1)).images).any()


def test_an_epoch_shows_every_image_once(samples: list[Sample]) -> None:
    still = replace(CONFIG, mosaic=0.0, scale=0.0, translate=0.0, hsv=(0.0, 0.0, 0.0))
    sums = {int(s.image.astype(np.int64).sum()) for s in samples}
    # flips keep the sum of the pixels; only the colour space costs a level here and there
    shown = [int(i.astype(np.int64).sum()) for step in (4, 5) for i in training_batch(samples, step, still).images]
    nearest = {min(sums, key=lambda s: abs(s - value)) for value in shown}
    assert nearest == sums


def test_augmented_boxes_still_hold_their_objects(samples: list[Sample]) -> None:
    config = replace(CONFIG, hsv=(0.0, 0.0, 0.0), mosaic=0.5)
    seen = 0
    for step in range(30):
        batch = training_batch(samples, step, config)
        for image, boxes, classes in zip(batch.images, batch.boxes, batch.classes, strict=True):
            for (x1, y1, x2, y2), label in zip(boxes, classes, strict=True):
                if label < 0:
                    continue
                assert 0 <= x1 < x2 <= 64
                assert 0 <= y1 < y2 <= 64
                centre = image[int((y1 + y2) / 2), int((x1 + x2) / 2)].mean()
                seen += 1
                # a few squares lie under a bar
                assert (centre < 60 if label else centre > 200) or label == 0
    assert seen > 100


def test_flips_go_both_ways(samples: list[Sample]) -> None:
    still = replace(CONFIG, mosaic=0.0, scale=0.0, translate=0.0, hsv=(0.0, 0.0, 0.0), batch=6)
    first = {round(float(s.boxes[1, 0])): s for s in samples}
    places = set()
    for step in range(20):
        batch = training_batch(samples, step, still)
        for boxes, classes in zip(batch.boxes, batch.classes, strict=True):
            places.add(tuple(np.round(boxes[classes == 1][0][:2]).tolist()))
    assert len(places) > 2 * len(first)


def test_collate_pads_with_class_minus_one() -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    one = Sample("a", image, np.ones((2, 4), np.float32), np.array([0, 1]))
    none = Sample("b", image, np.zeros((0, 4), np.float32), np.zeros(0, np.int64))
    assert collate([one, none]).classes.tolist() == [[0, 1], [-1, -1]]
    assert collate([none]).classes.tolist() == [[-1]]
