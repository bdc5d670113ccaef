"""Command line: python -m training.detect --data <folder> --out runs/<name> [--config file.toml]"""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path

from training.detect.config import Config
from training.detect.formats import DatasetError
from training.detect.processes import joined
from training.detect.run import open_run


def main() -> None:
    """Train, or go on with a run that was interrupted, then write final.pt and metrics.json."""
    parser = argparse.ArgumentParser(prog="python -m training.detect", description=main.__doc__)
    parser.add_argument("--data", type=Path, default=Path("data/bccd"), help="folder of the data set (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("runs/bccd"), help="folder of the run (%(default)s)")
    parser.add_argument("--config", type=Path, help="TOML file of settings (training/detect/config.py)")
    parser.add_argument("--until", type=int, help="stop after this step (the run can be resumed)")
    args = parser.parse_args()
    if not args.data.is_dir():
        parser.error(f"no data set in {args.data}: docs/training.md says where it comes from and what it looks like")
    config = Config.from_toml(args.config) if args.config else Config()
    with joined(config.device) as group:
        try:
            trainer = open_run(config, args.data, args.out, group)
        except DatasetError as error:
            parser.exit(2, f"{error}\n")
        trainer.run(args.until)
    if group.first and trainer.step == trainer.config.total_steps:
        from training.detect.final import finish

        finish(trainer, args.data)
        if find_spec("matplotlib"):  # which training does not need
            from training.detect.plot import plot_log

            plot_log(args.out / "log.csv")


if __name__ == "__main__":
    main()
