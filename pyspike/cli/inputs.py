"""What a command feeds a model with: arrays from files, photographs, or random integers of the declared range."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyspike.errors import Error, RangeError, ShapeError
from pyspike.runtime import Model

Arrays = dict[str, NDArray[Any]]


class InputFileError(Error, ValueError):
    """A file of arrays cannot be read, or holds other names than the model's inputs."""


def load_inputs(model: Model, path: Path | None, seed: int = 0) -> Arrays:
    """Arrays by input name. `path`: .npy (one input), .npz (arrays named as the inputs), a photograph (detection
    models), or None for random integers of the declared ranges drawn with `seed`.
    """
    if path is None:
        return random_inputs(model, seed)
    if path.suffix.lower() in (".npy", ".npz"):
        return _named(model, path, _read_arrays(path))
    from pyspike.io.images import read_image
    from pyspike.tasks.detect import Detector

    x, _ = Detector(model).preprocess(read_image(path))
    return {model.inputs[0].name: x}


def random_inputs(model: Model, seed: int = 0) -> Arrays:
    """Uniform integers of every input's range [lo, hi], in the declared shapes and dtypes."""
    if seed < 0:
        raise RangeError(f"seed: expected a whole number of at least 0, found {seed}")
    random = np.random.default_rng(seed)
    return {
        each.name: random.integers(each.lo, each.hi, each.shape, dtype=np.int64, endpoint=True).astype(each.dtype)
        for each in model.inputs
    }


def _read_arrays(path: Path) -> Arrays:
    try:
        loaded = np.load(path, allow_pickle=False)
        return {name: loaded[name] for name in loaded.files} if hasattr(loaded, "files") else {"": loaded}
    except FileNotFoundError:
        raise
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise InputFileError(f"{path}: expected arrays as NumPy saves them (.npy, .npz): {error}") from None


def _named(model: Model, path: Path, arrays: Arrays) -> Arrays:
    names = [each.name for each in model.inputs]
    if len(names) == 1 and len(arrays) == 1:
        return {names[0]: next(iter(arrays.values()))}
    if "" in arrays:
        raise ShapeError(f"{path}: the model has {len(names)} inputs ({', '.join(names)}): give them in one .npz file")
    if set(arrays) != set(names):
        raise InputFileError(f"{path}: expected arrays named {', '.join(names)}; found {', '.join(arrays) or 'none'}")
    return arrays
