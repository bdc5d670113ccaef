"""The detection loss of SpikeYOLO: task-aligned assignment, complete-IoU, distribution focal and cross-entropy losses.

TAL: "TOOD: Task-aligned One-stage Object Detection" (ICCV 2021). CIoU: "Distance-IoU Loss" (AAAI 2020). DFL:
"Generalized Focal Loss" (NeurIPS 2020).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from pyspike.models.spikeyolo import anchor_points
from training.detect.processes import Group

TOP_K, ALPHA, BETA = 10, 0.5, 6.0
ASSIGN_EPS, IOU_EPS = 1e-9, 1e-7


@dataclass(frozen=True)
class Gains:
    """Weights of the three terms."""

    box: float = 7.5
    classes: float = 0.5
    dfl: float = 1.5


def complete_iou(a: Tensor, b: Tensor) -> Tensor:
    """CIoU of boxes `a`, `b` [..., 4] (x1 y1 x2 y2, broadcast) -> [...]; the trade-off weight carries no gradient."""
    size_a, size_b = a[..., 2:] - a[..., :2], b[..., 2:] - b[..., :2]
    # only heights are kept from zero: the published code does the same
    wa, ha, wb, hb = size_a[..., 0], size_a[..., 1] + IOU_EPS, size_b[..., 0], size_b[..., 1] + IOU_EPS
    common = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(0)
    inter = common.prod(-1)
    iou = inter / (wa * ha + wb * hb - inter + IOU_EPS)
    hull = torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])
    diagonal = hull.square().sum(-1) + IOU_EPS
    distance = ((b[..., :2] + b[..., 2:] - a[..., :2] - a[..., 2:]) / 2).square().sum(-1)
    aspect = (4 / math.pi**2) * (torch.atan(wb / hb) - torch.atan(wa / ha)).square()
    with torch.no_grad():
        trade = aspect / (aspect - iou + (1 + IOU_EPS))
    return iou - (distance / diagonal + aspect * trade)


@torch.no_grad()
def assign(
    scores: Tensor, boxes: Tensor, centres: Tensor, true_boxes: Tensor, true_classes: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Task-aligned assignment of anchors to objects.

    scores [B, A, C] probabilities; boxes [B, A, 4] and centres [A, 2] in pixels; true_boxes [B, M, 4]; true_classes
    [B, M], -1 where there is none. Returns target boxes [B, A, 4], soft target scores [B, A, C], and which
    anchors are positive [B, A] bool.
    """
    valid = (true_classes >= 0)[..., None]  # [B, M, 1]
    offsets = torch.cat([centres - true_boxes[:, :, None, :2], true_boxes[:, :, None, 2:] - centres], -1)
    allowed = (offsets.amin(-1) > ASSIGN_EPS) & valid  # [B, M, A]: the centre lies inside the object
    labels = true_classes.clamp(0)
    of_class = scores.transpose(1, 2).gather(1, labels[..., None].expand(-1, -1, scores.shape[1]))
    overlap = complete_iou(true_boxes[:, :, None], boxes[:, None]).clamp(0) * allowed
    metric = of_class.pow(ALPHA) * overlap.pow(BETA) * allowed
    best = metric.topk(min(TOP_K, metric.shape[-1]), dim=-1).indices
    chosen = torch.zeros_like(allowed).scatter_(-1, best, True) & allowed
    # an anchor chosen by several objects goes to the one it overlaps most
    contested = chosen.sum(1, keepdim=True) > 1
    winner = functional.one_hot(overlap.argmax(1), overlap.shape[1]).transpose(1, 2).bool()
    chosen = torch.where(contested, winner, chosen)
    positive, owner = chosen.any(1), chosen.int().argmax(1)
    metric = metric * chosen
    strongest = metric.amax(-1, keepdim=True)
    reach = (overlap * chosen).amax(-1, keepdim=True)
    weight = (metric * reach / (strongest + ASSIGN_EPS)).amax(1)  # [B, A]
    target_boxes = true_boxes.gather(1, owner[..., None].expand(-1, -1, 4))
    target_scores = functional.one_hot(labels.gather(1, owner), scores.shape[-1]) * (weight * positive)[..., None]
    return target_boxes, target_scores, positive


def distribution_loss(logits: Tensor, distance: Tensor) -> Tensor:
    """Cross-entropy with the two bins around each true distance. logits [N, 4, bins], distance [N, 4] -> [N]."""
    low = distance.floor().long()
    share = distance - low
    losses = -functional.log_softmax(logits, -1)
    at_low, at_high = (losses.gather(-1, k[..., None])[..., 0] for k in (low, low + 1))
    return (at_low * (1 - share) + at_high * share).mean(-1)


def detection_loss(
    raw: list[Tensor],
    true_boxes: Tensor,
    true_classes: Tensor,
    reg_max: int = 16,
    gains: Gains | None = None,
    group: Group | None = None,
) -> tuple[Tensor, Tensor]:
    """(loss, items): the sum of the three weighted terms, and the terms [box, classes, dfl] detached.

    raw: head tensors [B, 4 * reg_max + C, H / s, W / s]; true_boxes [B, M, 4] x1 y1 x2 y2 in pixels; true_classes
    [B, M] with -1 for none. (The published trainer multiplies this loss by the batch size.) The terms are divided by
    the sum of the target scores of these images or, with `group`, by its mean over processes: then the mean of their
    losses is the loss of the images of all.
    """
    gains = gains or Gains()
    centres, strides = anchor_points(raw)
    flat = torch.cat([r.flatten(2) for r in raw], 2).transpose(1, 2)
    box_logits, class_logits = flat.split([4 * reg_max, flat.shape[-1] - 4 * reg_max], -1)
    box_logits = box_logits.reshape(*box_logits.shape[:2], 4, reg_max)
    bins = torch.arange(reg_max, dtype=flat.dtype, device=flat.device)
    sides = (box_logits.softmax(-1) * bins).sum(-1)
    boxes = torch.cat([centres - sides[..., :2], centres + sides[..., 2:]], -1)  # in units of the stride
    target_boxes, target_scores, positive = assign(
        class_logits.detach().sigmoid(),
        boxes.detach() * strides[:, None],
        centres * strides[:, None],
        true_boxes,
        true_classes,
    )
    total = target_scores.sum()
    total = total.clamp(min=1) if group is None else group.sum(total).clamp(min=1) / group.size
    class_loss = functional.binary_cross_entropy_with_logits(class_logits, target_scores, reduction="sum") / total
    targets = (target_boxes / strides[:, None])[positive]
    weight = target_scores.sum(-1)[positive]
    box_loss = ((1 - complete_iou(boxes[positive], targets)) * weight).sum() / total
    anchors = centres.expand(len(flat), -1, -1)[positive]
    distance = torch.cat([anchors - targets[:, :2], targets[:, 2:] - anchors], -1).clamp(0, reg_max - 1 - 0.01)
    dfl_loss = (distribution_loss(box_logits[positive], distance) * weight).sum() / total
    items = torch.stack([gains.box * box_loss, gains.classes * class_loss, gains.dfl * dfl_loss])
    return items.sum(), items.detach()
