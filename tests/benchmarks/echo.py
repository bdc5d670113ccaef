"""A peer for the tests of the protocol: returns its input times `factor`; refuses to load where that is 0."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.peers.protocol import Run, serve


def load(options: dict[str, Any]) -> Run:
    print("what a library prints")
    if not options["factor"]:
        raise ValueError("no factor")

    def run(x: np.ndarray) -> list[np.ndarray]:
        return [x * options["factor"]]

    return run


if __name__ == "__main__":
    serve(load)
