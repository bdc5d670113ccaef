"""Another distribution installs an import package of our name: the spike-train analysis package `pyspike`.

pip puts both into one folder, where files of one silently replace those of the other; and where the folders differ, the
order of the search path decides which of the two is meant. What fails then points anywhere but here, so the first
import says what happened.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pyspike.errors import Error

# Files of that distribution which this one will never have.
FOREIGN_FILES = (
    "SpikeTrain.py",
    "DiscreteFunc.py",
    "PieceWiseConstFunc.py",
    "PieceWiseLinFunc.py",
    "isi_distance.py",
    "spike_distance.py",
    "spike_sync.py",
    "spikes.py",
    "cython/python_backend.py",
)


class ForeignPackageError(Error, ImportError):
    """The spike-train analysis package `pyspike` is installed in the same environment."""


def refuse_foreign_package(folder: Path, search_path: Iterable[str]) -> None:
    """Raise `ForeignPackageError` where the other distribution is there.

    Looks into `folder`, where this package lies, and into a folder `pyspike` below every entry of `search_path`.
    """
    for place in dict.fromkeys([folder, *(Path(entry, "pyspike").absolute() for entry in search_path)]):
        found = [name for name in FOREIGN_FILES if (place / name).is_file()] if place.is_dir() else []
        if found:
            raise ForeignPackageError(
                f"{place} holds files of another distribution, 'pyspike' (spike-train analysis): {', '.join(found)}. "
                "The two share an import name and cannot share an environment. Remove both and install this one again: "
                "pip uninstall pyspike pyspike-runtime; pip install pyspike-runtime"
            )
