"""One resumable run of three stages: (a) float, (b) firing-rate penalty, (c) integer-exact 8 bits.

A run is a pure function of its configuration and data: the batch of a step follows from (seed, step), and a checkpoint
holds weights, averages, optimiser and controller, so a run that was killed continues bit for bit (on the same machine,
with the same number of threads).

Of several processes each computes its share of the batch; the first one averages weights, validates and writes.
"""

from __future__ import annotations

import copy
import math
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from pyspike.models.spikeyolo import SpikeYOLO
from pyspike.nn import fanouts, fold, integer_twin, quantise, record_neurons
from pyspike.nn.record import density_and_penalty
from training.detect import checkpoint, optimise
from training.detect.average import recalibrated
from training.detect.config import Config
from training.detect.data import AnySample, Batch, letterboxed, training_batch
from training.detect.evaluate import Evaluation, evaluate
from training.detect.formats import read_split
from training.detect.loss import Gains, detection_loss
from training.detect.penalty import Controller
from training.detect.processes import Group

STATE = "state.pt"
STAGES = "abc"


def quantised_form(model: nn.Module, config: Config) -> nn.Module:
    """The folded integer-exact form of a float model; a folded one only changes its grid."""
    return quantise(fold(model), config.bits, config.refresh)


def empty_model(config: Config, stage: int) -> nn.Module:
    """A model of the form that `stage` (0, 1, 2) trains, with weights that follow from the seed."""
    torch.manual_seed(config.seed)
    model: nn.Module = SpikeYOLO(**asdict(config.model))
    if stage == 2:
        model = quantised_form(model, config)
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


class Trainer:
    """The state of a run: `step` counts finished steps; `stage` is 0, 1 or 2."""

    def __init__(
        self, config: Config, train: list[AnySample], val: list[AnySample], out: Path, group: Group | None = None
    ) -> None:
        self.config, self.train_set, self.val_set, self.out = config, train, val, out
        self.group = group or Group()
        if config.batch % self.group.size:
            raise ValueError(f"batch = {config.batch} must be a multiple of the {self.group.size} processes")
        out.mkdir(parents=True, exist_ok=True)
        torch.set_num_threads(config.threads)
        self.step, self.stage = 0, 0
        self.amp = config.amp and self.group.device.type == "cuda"
        self.scaler = torch.amp.GradScaler(self.group.device.type, enabled=self.amp)
        self.best = -1.0  # val mAP50 of the integer network in best.pt
        self.controller = Controller(config.penalty)
        canvas = torch.zeros(1, 3, config.height, config.width)
        self.fanout = fanouts(fold(empty_model(config, 0)), canvas)
        self._begin(empty_model(config, 0))
        state = self.group.share(checkpoint.load(out / STATE) if self.group.first and (out / STATE).exists() else None)
        if state is not None:
            self._restore(state)
        if self.group.first:
            self.log = checkpoint.Log(out / "log.csv", self.step)
        self.console = Console(quiet=not self.group.first)
        self._seconds: list[float] = []  # of the steps since the last row of the log

    def _begin(self, model: nn.Module) -> None:
        model = model.to(self.group.device)
        # never synchronised: the first process uses it alone
        self.average = copy.deepcopy(model).eval().requires_grad_(False)
        self.model = self.group.with_batch_norms(model, self.config.synchronised).train()
        self.parallel = self.group.parallel(self.model)
        self.optimiser = optimise.optimiser(self.model, self.config, folded=self.stage == 2)
        self.updates, self.pending = 0, 0  # of this stage; batches whose gradients wait for the next

    # ---- schedule

    def stage_start(self) -> int:
        """First step of the present stage."""
        return sum(self.config.steps[: self.stage])

    def progress(self) -> float:
        """Share of the present stage that is done."""
        return (self.step - self.stage_start()) / max(self.config.steps[self.stage], 1)

    def rate(self) -> float:
        """Learning rate of the next step: warm-up, then down to `final_rate` of the peak."""
        rate = optimise.decayed(self.config, self.config.rates[self.stage], self.progress())
        return rate * optimise.warm(self.config, self.step - self.stage_start())

    def mosaic_at(self, step: int) -> bool:
        """No mosaic in the last steps of stages (a) and (c)."""
        first, second, third = self.config.steps
        ends = ((first, first), (first + second + third, third))
        return not any(end - min(self.config.plain_steps, length // 3) <= step < end for end, length in ends)

    # ---- checkpoints

    def save(self) -> None:
        """Write the checkpoint of the finished steps (the first process does)."""
        if not self.group.first:
            return
        checkpoint.save(
            self.out / STATE,
            {
                "config": self.config.to_dict(),
                "step": self.step,
                "stage": self.stage,
                "best": self.best,
                "model": self.model.state_dict(),
                "average": self.average.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "controller": self.controller.to_dict(),
                "scaler": self.scaler.state_dict(),
                "updates": self.updates,
                "pending": self.pending,
                "gradients": [p.grad for p in self.model.parameters()] if self.pending else [],
                "rng": torch.get_rng_state(),
            },
        )

    def _restore(self, state: dict[str, Any]) -> None:
        if Config.from_dict(state["config"]) != self.config:
            raise ValueError(f"{self.out / STATE} belongs to another configuration; use its own or another --out")
        self.step, self.stage, self.best = state["step"], state["stage"], state["best"]
        self._begin(empty_model(self.config, self.stage))
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.controller = Controller(**state["controller"])
        self.updates = state.get("updates", self.step - self.stage_start())  # older runs: one each step
        self.pending = state.get("pending", 0)
        if self.pending:
            for p, grad in zip(self.model.parameters(), state["gradients"], strict=True):
                p.grad = grad if grad is None else grad.to(p)
        if state.get("scaler"):
            self.scaler.load_state_dict(state["scaler"])
        torch.set_rng_state(state["rng"])

    # ---- one step

    def train_step(self, batch: Batch) -> tuple[Tensor, Tensor, float | None]:
        """One optimiser step; returns loss, its three items, and the density if it was measured."""
        done, c = self.step - self.stage_start(), self.config
        rate = optimise.decayed(c, c.rates[self.stage], self.progress())
        optimise.set_rates(self.optimiser.param_groups, c, rate, done)
        loss, items, density, penalty = self._forward(batch)
        objective = loss
        if self.stage > 0:
            self.controller.update(density, self.config, self.progress() if self.stage == 1 else 1.0)
            objective = loss + self.controller.weight * penalty
        if not self.pending:
            self.optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(objective * c.loss_scale).backward()  # type: ignore[no-untyped-call]
        self.pending += 1
        if self.pending >= optimise.accumulated(c, done):
            self._update()
        return items.sum(), items, density

    def _update(self) -> None:
        """Move the weights by the gradients summed so far."""
        self.scaler.unscale_(self.optimiser)
        nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.updates, self.pending = self.updates + 1, 0
        self._average()

    def _forward(self, batch: Batch) -> tuple[Tensor, Tensor, float, Tensor]:
        """Loss, its items, density, penalty. Of several processes, means of these tensors are those of the batch."""
        first = next(self.model.parameters())
        inputs = batch.inputs(first) if self.stage == 2 else batch.inputs(first) / 255
        gains = Gains(self.config.box_gain, self.config.class_gain, self.config.dfl_gain)
        with record_neurons(self.model) as recorded, self._mixed():
            raw = [r.to(first.dtype) for r in self.parallel(inputs)]
            density, penalty = 0.0, first.new_zeros(())
            if recorded:
                density, penalty = density_and_penalty(recorded, self.fanout)
        boxes, classes = torch.from_numpy(batch.boxes).to(first), torch.from_numpy(batch.classes).to(first.device)
        together = self.group if self.config.synchronised else None
        loss, items = detection_loss(raw, boxes, classes, self.config.model.reg_max, gains, together)
        # the controllers of all processes see the same
        means = (
            self.group.sum(torch.cat([items.double(), items.new_tensor([density], dtype=torch.float64)]))
            / self.group.size
        )
        return loss, means[:3], float(means[3]), penalty

    def _mixed(self) -> torch.autocast:
        return torch.autocast(self.group.device.type, torch.float16, enabled=self.amp)

    @torch.no_grad()
    def _average(self) -> None:
        if not self.group.first:
            return
        decay = self.config.ema_decay * (1 - math.exp(-self.updates / self.config.ema_warmup))
        ours = dict(self.model.named_buffers()) | dict(self.model.named_parameters())
        for name, kept in (*self.average.named_parameters(), *self.average.named_buffers()):
            if name.rpartition(".")[2].startswith("_"):
                continue  # grids and exponents follow from the weights
            if kept.is_floating_point():
                kept.lerp_(ours[name].detach(), 1 - decay)
            else:
                kept.copy_(ours[name])

    # ---- stages

    def _next_stage(self) -> None:
        """Leave a stage: keep its averaged model, and prepare what the next one trains."""
        left = checkpoint.load(self.leave_stage())["model"] if self.group.first else None
        average = self.average
        average.load_state_dict(self.group.share(left))
        self.stage += 1
        if self.stage == 2:
            average = quantised_form(average, self.config)
        self.controller.calibration = 1.0
        self._begin(copy.deepcopy(average).requires_grad_(True).to(memory_format=torch.channels_last))  # type: ignore[call-overload]

    def averaged(self) -> nn.Module:
        """The averaged float model as it is used."""
        return recalibrated(self.average, self.train_set, self.config) if self.config.recalibrate else self.average

    def leave_stage(self) -> Path:
        """Write what a float stage leaves; returns the file."""
        path = self.out / f"stage_{STAGES[self.stage]}.pt"
        model = self.averaged().state_dict()
        checkpoint.save(path, {"config": self.config.to_dict(), "stage": self.stage, "model": model})
        return path

    def validate(self) -> Evaluation:
        """The averaged model on the validation split; in stage (c) the integer network itself."""
        if self.stage == 2:
            model = integer_twin(self.average)
        else:
            model = self.averaged()
        return evaluate(model, self.val_set, self.config, self.fanout, raw_pixels=self.stage == 2)

    def run(self, until: int | None = None) -> None:
        """Train up to step `until` (default: all stages), writing log and checkpoints."""
        end = min(until or self.config.total_steps, self.config.total_steps)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with ThreadPoolExecutor(self.config.workers) as pool, Progress(*columns, console=self.console) as bar:
            task = bar.add_task("training", total=end, completed=self.step)
            ahead: deque[Future[Batch]] = deque()  # of the next steps
            while self.step < end:
                while self.stage < 2 and self.step >= self.stage_start() + self.config.steps[self.stage]:
                    self._next_stage()
                began = time.perf_counter()
                while len(ahead) <= self.config.workers and self.step + len(ahead) < end:
                    ahead.append(pool.submit(self.batch, self.step + len(ahead)))
                rate = self.rate()
                loss, items, density = self.train_step(ahead.popleft().result())
                self.step += 1
                self._seconds.append(time.perf_counter() - began)
                self._report(rate, loss, items, density, end)
                if self.step % self.config.checkpoint_every == 0 or self.step == end:
                    self.save()
                bar.update(task, completed=self.step, description=f"stage {STAGES[self.stage]} loss {float(loss):.3f}")

    def batch(self, step: int) -> Batch:
        """This process's share of the batch of `step`."""
        place = self.group.rank, self.group.size
        return training_batch(self.train_set, step, self.config, self.mosaic_at(step), *place)

    def _select(self, map50: float, density: float) -> None:
        """Keep the averaged integer network if it is the best on val so far, of those that are sparse enough.

        Rounded counts make validation jump by a point or two between neighbouring steps, whatever the rate.
        """
        if self.stage == 2 and map50 > self.best and density <= self.config.densities[-1]:
            self.best = map50
            checkpoint.save(self.out / checkpoint.BEST, {"step": self.step, "model": self.average.state_dict()})

    def _report(self, rate: float, loss: Tensor, items: Tensor, density: float | None, end: int) -> None:
        c = self.config
        stage_end = self.stage_start() + c.steps[self.stage]
        every = c.select_every if self.stage == 2 else c.evaluate_every
        due = self.step % every == 0 or self.step in (end, stage_end)
        if self.step % c.log_every and not due:
            return
        if self.group.first:
            self._write_row(rate, loss, items, density, due)
        if due and self.stage:
            self.controller = Controller(**self.group.share(self.controller.to_dict()))

    def _write_row(self, rate: float, loss: Tensor, items: Tensor, density: float | None, due: bool) -> None:
        c = self.config
        goal = self.controller.target(c, self.progress() if self.stage == 1 else 1.0) if self.stage else 0.0
        box, classes, dfl = (float(v) for v in items)
        seconds = sum(self._seconds) / len(self._seconds)
        self._seconds.clear()
        row: dict[str, Any] = {
            "step": self.step, "stage": STAGES[self.stage], "seconds": seconds, "rate": rate, "loss": float(loss),
            "box": box, "class": classes, "dfl": dfl, "density": density, "target": goal,
            "penalty_weight": self.controller.weight,
        }  # fmt: skip
        if due:
            found = self.validate()
            sparse = found.spikes.network_density if found.spikes else math.nan  # without neurons, of ReLUs
            row |= {"val_map50": found.map50, "val_map50_95": found.map50_95, "val_density": sparse}
            if self.stage:
                self.controller.calibrate(sparse)
            self._select(found.map50, sparse)
        self.log.add(**row)
        shown = " ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items())
        self.console.print(shown, highlight=False, soft_wrap=True)


def open_run(config: Config, data: Path, out: Path, group: Group | None = None) -> Trainer:
    """A trainer over `data` (any of `training.detect.formats`), resumed if `out` holds a checkpoint."""
    splits = [read_split(data, name, config.classes) for name in ("train", "val")]
    train, val = (letterboxed(s, config.width, config.height, config.in_memory) for s in splits)
    return Trainer(config.in_steps(len(train)), train, val, out, group)
