"""Writes small models to start fuzzing from: python -m tests.bad_input.corpus FOLDER"""

from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings

from pyspike import image
from tests.bad_input.images import everything
from tests.exact.graphs import graphs

COUNT = 200


def main(folder: Path) -> None:
    """One model with every operator, and `COUNT` random ones."""
    folder.mkdir(parents=True, exist_ok=True)
    image.write(everything(), folder / "everything.spk")

    @settings(max_examples=COUNT, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(graphs())
    def write(graph) -> None:
        data = image.to_bytes(graph)
        (folder / f"{data[32:40].hex()}.spk").write_bytes(data)

    write()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
