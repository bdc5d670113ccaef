"""Everything that decides a training run of a detector."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from pyspike.models.spikeyolo import SpikeYOLOConfig


def _model() -> SpikeYOLOConfig:
    return SpikeYOLOConfig(depth=0.33, width=0.0625, num_classes=3, box_channels=32, class_channels=16)


@dataclass(frozen=True)
class Config:
    """One run: (a) float training, (b) the same with a firing-rate penalty, (c) integer-exact 8-bit training.

    Learning rates are the peaks of the three stages; each stage warms up and decays to `final_rate` of its peak, by a
    cosine or with SGD by a line. A stage of no steps is left out: `steps = [n, 0, 0]` is plain training. In (c) rates
    are relative to the root mean square of each tensor. Densities are shares of non-zero counts (half by element, half
    by fan-out).
    """

    model: SpikeYOLOConfig = field(default_factory=_model)
    classes: tuple[str, ...] = ("RBC", "WBC", "Platelets")
    width: int = 320  # pixels, multiples of 32
    height: int = 256
    batch: int = 16  # images per step, of all processes together
    seed: int = 0
    threads: int = 1
    in_memory: bool = True  # hold all images; False reads each when it is needed, for data sets that do not fit
    workers: int = 1  # threads that read and augment batches ahead
    device: str = "cpu"  # or "cuda": one GPU per process
    # whether batch norms and the loss's normaliser are over the batches of all processes, so that their number does not
    # matter; the published detectors were trained without
    synchronised: bool = True
    epochs: bool = False  # steps, warmup, plain_steps, checkpoint_every, evaluate_every, select_every count epochs
    steps: tuple[int, int, int] = (2600, 1400, 2000)
    optimiser: Literal["adamw", "sgd"] = "adamw"
    momentum: float = 0.937  # of SGD
    warmup_momentum: float = 0.8
    warmup_bias_rate: float = 0.1
    nominal_batch: int = 0  # gradients of several batches are summed to about so many images; 0: an update per batch
    loss_scale: float = 1.0  # times the loss; the published trainer multiplies by the batch size
    amp: bool = False  # float16 where it is safe, on GPUs alone
    rates: tuple[float, float, float] = (2e-3, 1.5e-3, 2e-4)
    final_rate: float = 0.05
    warmup: int = 100
    weight_decay: float = 0.02
    clip: float = 10.0  # largest gradient norm
    ema_decay: float = 0.98
    ema_warmup: int = 100
    # gains of the loss, as published
    box_gain: float = 7.5
    class_gain: float = 0.5
    dfl_gain: float = 1.5
    # firing-rate penalty: targets that follow each other in stage (b), the last one kept in (c)
    densities: tuple[float, ...] = (0.15, 0.10)
    density_margin: float = 0.93  # the controller aims at this share of the target
    penalty: float = 0.5  # first weight
    penalty_rate: float = 0.02  # per step and unit of relative excess
    bits: int = 8
    refresh: int = 20  # steps between searches of the exponents in stage (c)
    recalibrate: bool = True  # batch norms of averaged float models over one epoch, before they are used
    # augmentation
    mosaic: float = 0.0
    scale: float = 0.2
    translate: float = 0.1
    flips: tuple[float, float] = (0.5, 0.5)  # chances, left to right and upside down
    mosaic_centre: float = 0.0  # how far the centre of a mosaic wanders, as a share of the size
    smallest: float = 3.0  # pixels: narrower boxes are dropped
    kept: float = 0.25  # and so are boxes of which less than this share of the area is left
    hsv: tuple[float, float, float] = (0.015, 0.4, 0.3)
    plain_steps: int = 300  # last steps of stages (a) and (c) without mosaic
    # bookkeeping, steps
    checkpoint_every: int = 100
    evaluate_every: int = 300
    select_every: int = 200  # in stage (c): the best of these validations is the result
    log_every: int = 20
    # evaluation
    nms_iou: float = 0.7
    confidence: float = 0.001
    bootstrap: int = 1000

    def __post_init__(self) -> None:
        for name, known in (("device", ("cpu", "cuda")), ("optimiser", ("adamw", "sgd"))):
            if getattr(self, name) not in known:
                raise ValueError(f"{name}: expected one of {known}, found {getattr(self, name)!r}")

    def in_steps(self, images: int) -> Config:
        """The same with epochs of `images` turned into steps."""
        if not self.epochs:
            return self
        counted = ("warmup", "plain_steps", "checkpoint_every", "evaluate_every", "select_every")
        each = max(1, images // self.batch)
        first, second, third = (n * each for n in self.steps)
        turned: dict[str, Any] = {name: getattr(self, name) * each for name in counted}
        return replace(self, epochs=False, steps=(first, second, third), **turned)

    @property
    def total_steps(self) -> int:
        """Steps of all stages."""
        return sum(self.steps)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON and checkpoints."""
        return asdict(self)

    @staticmethod
    def from_dict(values: dict[str, Any]) -> Config:
        """The inverse of `to_dict`; raises `ValueError` for an unknown field."""
        known = {f.name for f in fields(Config)}
        unknown = set(values) - known
        if unknown:
            raise ValueError(f"unknown settings {sorted(unknown)}; known are {sorted(known)}")
        fixed = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        if isinstance(fixed.get("model"), dict):
            fixed["model"] = SpikeYOLOConfig(**{**asdict(_model()), **fixed["model"]})
        return Config(**fixed)

    @staticmethod
    def from_toml(path: Path) -> Config:
        """Read a TOML file of fields, with a table [model]."""
        return Config.from_dict(tomllib.loads(path.read_text()))
