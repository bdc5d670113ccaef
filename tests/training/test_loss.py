"""The detection loss, against the published trainer's numbers and against cases that can be worked out."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from pyspike.models.spikeyolo import SpikeYOLO
from pyspike.models.spikeyolo_import import names
from training.detect.loss import assign, complete_iou, detection_loss, distribution_loss

from ..nn.golden import golden, read_safetensors


def targets(rows: np.ndarray, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Published target rows (image, class, cx, cy, w, h in 0..1) as padded boxes in pixels and classes."""
    images = int(rows[:, 0].max()) + 1
    most = int(np.bincount(rows[:, 0].astype(int)).max())
    boxes, classes = torch.zeros(images, most, 4, dtype=torch.float64), torch.full((images, most), -1)
    filled = [0] * images
    for image, label, *box in rows:
        i = int(image)
        centre, side = np.array(box[:2]) * size, np.array(box[2:]) * size
        boxes[i, filled[i]] = torch.from_numpy(np.concatenate([centre - side / 2, centre + side / 2]))
        classes[i, filled[i]] = int(label)
        filled[i] += 1
    return boxes, classes


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("T", [1, 2])
def test_equals_the_published_trainer(T: int, mode: str) -> None:
    z = np.load(golden("a_train.npz"))
    norms = json.loads(golden("a_train_gradnorms.json").read_text())[f"T{T}_{mode}_gradnorm"]
    model = SpikeYOLO(depth=0.33, width=0.0625, num_classes=20, T=T).double()
    model.load_published(read_safetensors(golden("a_weights.safetensors"))).train(mode == "train")
    images = torch.from_numpy(np.load(golden("a_io.npz"))["img64_u8"]).double() / 255
    loss, items = detection_loss(model(images), *targets(z["targets_img_cls_cxcywh"], 64))
    published = loss * len(images)  # the published trainer multiplies by the batch size
    published.backward()
    assert float(published.detach()) == pytest.approx(float(z[f"T{T}_{mode}_loss"]), rel=1e-12)
    assert items.tolist() == pytest.approx(z[f"T{T}_{mode}_items_box_cls_dfl"].tolist(), rel=1e-9)
    ours = names(model.state_dict())
    tensors = dict(model.named_parameters()) | dict(model.named_buffers())
    for name, norm in norms.items():
        if name in ours:  # biases in front of batch norms have no gradient but noise
            assert float(tensors[ours[name]].grad.norm()) == pytest.approx(norm, rel=1e-9, abs=1e-9), name
    for key in z.files:
        what, _, name = key.partition(":")
        if what == f"T{T}_{mode}_grad":
            assert np.abs(tensors[ours[name]].grad.numpy() - z[key]).max() < 1e-9, name
        elif what == f"T{T}_{mode}_buf":
            assert np.abs(tensors[ours[name]].numpy() - z[key]).max() < 1e-12, name


def test_ciou_of_known_boxes() -> None:
    a = torch.tensor([0.0, 0.0, 2.0, 2.0], dtype=torch.float64)
    assert float(complete_iou(a, a)) == pytest.approx(1.0, abs=1e-6)
    # same shape, moved by one: IoU 1/3, centre distance 1, hull 3 x 2
    assert float(complete_iou(a, a + torch.tensor([1.0, 0, 1, 0]))) == pytest.approx(1 / 3 - 1 / 13, abs=1e-6)
    apart = complete_iou(a, a + 10)
    assert float(apart) == pytest.approx(-200 / 288, abs=1e-6)


def test_assignment_takes_the_ten_best_inside() -> None:
    y, x = torch.meshgrid(torch.arange(8.0) + 0.5, torch.arange(8.0) + 0.5, indexing="ij")
    centres = torch.stack([x, y], -1).reshape(-1, 2) * 8
    truth = torch.tensor([[[0.0, 0, 48, 48], [16, 16, 64, 64], [0, 0, 0, 0]]])
    classes = torch.tensor([[0, 1, -1]])
    near_first = (centres < 36).all(1)
    boxes = torch.where(near_first[:, None], truth[0, 0], truth[0, 1])[None]
    scores = torch.full((1, 64, 2), 0.5)
    found_boxes, found_scores, positive = assign(scores, boxes, centres, truth, classes)
    assert int(positive.sum()) == 20
    inside = ((centres > truth[0, :2, None, :2]) & (centres < truth[0, :2, None, 2:])).all(-1)
    for anchor in positive[0].nonzero().flatten():
        owner = 0 if torch.equal(found_boxes[0, anchor], truth[0, 0]) else 1
        assert torch.equal(found_boxes[0, anchor], truth[0, owner])
        assert inside[owner, anchor]
        assert torch.equal(boxes[0, anchor], truth[0, owner])  # the object it overlaps most
        assert found_scores[0, anchor].argmax() == owner
    assert float(found_scores.max()) == pytest.approx(1.0, abs=1e-5)
    assert float(found_scores[0][~positive[0]].abs().max()) == 0


def test_a_contested_anchor_goes_to_the_object_it_overlaps_most() -> None:
    truth = torch.tensor([[[0.0, 0, 40, 40], [8, 8, 40, 40]]])
    boxes = torch.tensor([[[8.0, 8, 40, 42], [0, 0, 40, 39]]])
    centres = torch.tensor([[20.0, 20.0], [28.0, 28.0]])
    found, scores, positive = assign(torch.full((1, 2, 3), 0.5), boxes, centres, truth, torch.tensor([[2, 0]]))
    assert positive.all()
    assert torch.equal(found[0], truth[0].flip(0))
    assert scores[0].argmax(-1).tolist() == [0, 2]


def test_distribution_loss_is_cross_entropy_with_two_bins() -> None:
    logits = torch.randn(1, 4, 6, dtype=torch.float64)
    distance = torch.tensor([[0.0, 1.25, 3.5, 4.99]], dtype=torch.float64)
    log = -logits.log_softmax(-1)[0]
    expected = (log[0, 0] + 0.75 * log[1, 1] + 0.25 * log[1, 2] + (log[2, 3] + log[2, 4]) / 2 + 0.01 * log[3, 4]
                + 0.99 * log[3, 5]) / 4  # fmt: skip
    assert float(distribution_loss(logits, distance)) == pytest.approx(float(expected), rel=1e-9)


def test_distances_beyond_the_last_bin_are_clamped_just_below_it() -> None:
    raw = []
    for side in (4, 2, 1):
        head = torch.zeros(1, 4 * 4 + 1, side, side, dtype=torch.float64)
        head[:, 3:16:4] = 20.0  # every side predicts the last of four bins
        raw.append(head)
    # from the anchor of stride 32 at (16, 16) each side lies 100 pixels away: 3.125 strides, the last bin is 3
    truth = torch.tensor([[[-84.0, -84, 116, 116]]], dtype=torch.float64)
    _, items = detection_loss(raw, truth, torch.zeros(1, 1, dtype=torch.long), reg_max=4)
    # 2.99: one per cent of the bin before, which costs 20 nats; the weight is the overlap, about 0.92
    assert float(items[2]) == pytest.approx(1.5 * 0.01 * 20 * 0.92, rel=0.05)


def test_images_without_objects_only_cost_classes() -> None:
    raw = [torch.zeros(2, 35, s, s, requires_grad=True) for s in (8, 4, 2)]
    loss, items = detection_loss(raw, torch.zeros(2, 1, 4), torch.full((2, 1), -1), reg_max=8)
    assert items[0] == items[2] == 0
    assert float(items[1]) == pytest.approx(0.5 * 2 * 84 * 3 * np.log(2), rel=1e-5)
    loss.backward()
