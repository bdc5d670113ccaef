"""pyspike's runtime. Options: model, threads, isa."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.peers.protocol import Run, serve


def load(options: dict[str, Any]) -> Run:
    """One runtime; it returns integers."""
    import pyspike

    runtime = pyspike.Runtime.load(options["model"], threads=options["threads"], isa=options.get("isa"))

    def run(x: np.ndarray) -> list[np.ndarray]:
        return list(runtime.run(x).values())

    return run


if __name__ == "__main__":
    serve(load)
