"""What a finished run leaves: the quantised model, and metrics with intervals.

    python -m training.detect.final --data <folder> --out runs/<name> [--test]

evaluates again, with --test on the test split too. Do that once, when nothing will be changed any more.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from pyspike.models.spikeyolo import SpikeYOLO
from pyspike.nn import fanouts, float_exactness, fold, integer_twin, quantise
from training.detect import checkpoint
from training.detect.config import Config
from training.detect.data import letterboxed
from training.detect.evaluate import Evaluation, evaluate, interval, resampled
from training.detect.formats import read_split

if TYPE_CHECKING:
    from training.detect.run import Trainer

FORMAT = 1


def load_final(path: Path | str) -> nn.Module:
    """Rebuild the quantised detector of final.pt: float32, eval mode, ready for `pyspike.nn.export_onnx`.

    It takes uint8 images [B, 3, H, W] of raw pixels and returns the raw head tensors; `integer_twin` of it is exact in
    float64. Attribute `config` is the model's, `training_config` a `Config` with class names and image size.
    """
    content = checkpoint.load(Path(path))
    if content.get("format") != FORMAT:
        raise ValueError(f"{path}: expected format {FORMAT}, found {content.get('format')!r}")
    config = Config.from_dict(content["config"])
    model = quantise(fold(SpikeYOLO(**asdict(config.model))), config.bits).eval()
    model.load_state_dict(content["model"])
    model.training_config = config  # type: ignore[assignment]
    return model.eval().requires_grad_(False)


def load_stage(path: Path | str) -> nn.Module:
    """Rebuild the float detector that stage (a) or (b) left (stage_a.pt, stage_b.pt), in eval mode."""
    content = checkpoint.load(Path(path))
    model = SpikeYOLO(**asdict(Config.from_dict(content["config"]).model))
    model.load_state_dict(content["model"])
    return model.eval().requires_grad_(False)


def finish(trainer: Trainer, data: Path) -> None:
    """Write final.pt and metrics.json (validation split) of a run whose steps are all done.

    A run without stage (c) leaves its float model, stage_a.pt or stage_b.pt, and that one's metrics.
    """
    if not trainer.config.steps[2]:
        trainer.leave_stage()
        checkpoint.save_json(trainer.out / "metrics.json", {"val": {"float": trainer.validate().summary()}})
        return
    checkpoint.save(
        trainer.out / "final.pt",
        {
            "format": FORMAT,
            "config": trainer.config.to_dict(),
            "classes": list(trainer.config.classes),
            "model": _selected(trainer),
        },
    )
    report(data, trainer.out, test=False)


def _selected(trainer: Trainer) -> dict[str, Any]:
    """The best on val; the last, where none reached the density (which the metrics then say)."""
    best = trainer.out / checkpoint.BEST
    weights: dict[str, Any] = checkpoint.load(best)["model"] if best.exists() else trainer.average.state_dict()
    return weights


def report(data: Path, out: Path, test: bool) -> dict[str, Any]:
    """Evaluate float (stage a), sparse float (stage b) and integer models; write and return metrics.json."""
    integer = load_final(out / "final.pt")
    config: Config = integer.training_config  # type: ignore[assignment]
    torch.set_num_threads(config.threads)
    twin = integer_twin(integer)
    canvas = torch.zeros(1, 3, config.height, config.width, dtype=torch.float64)
    fanout = fanouts(twin, canvas)
    metrics: dict[str, Any] = {
        "classes": list(config.classes),
        "parameters": sum(p.numel() for p in load_stage(out / "stage_a.pt").parameters()),
        "folded_parameters": sum(p.numel() for p in integer.parameters()),
        "float_exactness": float_exactness(twin),
        "fanout": fanout,
    }
    for split in ("val", "test") if test else ("val",):
        samples = letterboxed(read_split(data, split, config.classes), config.width, config.height, config.in_memory)
        found = {
            "float": evaluate(load_stage(out / "stage_a.pt"), samples, config, fanout),
            "sparse_float": evaluate(load_stage(out / "stage_b.pt"), samples, config, fanout),
            "integer": evaluate(twin, samples, config, fanout, raw_pixels=True),
        }
        metrics[split] = _with_intervals(found, config)
        spikes = found["integer"].spikes
        assert spikes is not None
        metrics[split]["integer"]["neurons"] = {
            name: {"mean_count": spikes.mean_count[name], "density": spikes.density[name]} for name in spikes.density
        }
    checkpoint.save_json(out / "metrics.json", metrics)
    return metrics


def _with_intervals(found: dict[str, Evaluation], config: Config) -> dict[str, Any]:
    """Summaries, 95% bootstrap intervals over images, and paired differences integer - float on the same draws."""
    draws = resampled(list(found.values()), config.bootstrap, config.seed)
    out: dict[str, Any] = {}
    for j, (name, evaluation) in enumerate(found.items()):
        out[name] = evaluation.summary() | {
            "map50_interval": interval(draws[:, j, 0]),
            "map50_95_interval": interval(draws[:, j, 1]),
        }
    names = list(found)
    change = draws[:, names.index("integer")] - draws[:, names.index("float")]
    out["integer_minus_float"] = {
        "map50": found["integer"].map50 - found["float"].map50,
        "map50_interval": interval(change[:, 0]),
        "map50_95": found["integer"].map50_95 - found["float"].map50_95,
        "map50_95_interval": interval(change[:, 1]),
    }
    return out


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(prog="python -m training.detect.final")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--test", action="store_true", help="evaluate the test split too")
    args = parser.parse_args()
    metrics = report(args.data, args.out, args.test)
    for split in ("val", "test"):
        if split in metrics:
            print(split, json.dumps({k: metrics[split][k] for k in ("float", "integer_minus_float")}, indent=1))
            print({k: v for k, v in metrics[split]["integer"].items() if k != "neurons"})


if __name__ == "__main__":
    main()
