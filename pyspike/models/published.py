"""Published training checkpoints (.pt) without running their code.

The detectors' trainers save whole pickled modules, which `torch.load(weights_only=True)` refuses and plain unpickling
would execute. Here the pickle is read with stand-ins: modules become empty objects that only hold their attributes,
tensors are rebuilt by PyTorch, and every other global is refused by name.
"""

from __future__ import annotations

import os
import pickle
import types
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pyspike.errors import ModelFormatError

_ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("builtins", "set"): set,
    ("__builtin__", "set"): set,
    ("torch", "Size"): torch.Size,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
}
_STORAGES = {
    "DoubleStorage",
    "FloatStorage",
    "HalfStorage",
    "BFloat16Storage",
    "LongStorage",
    "IntStorage",
    "BoolStorage",
}
_STAND_IN_PACKAGES = ("ultralytics.", "torch.nn.modules.", "spikingjelly.", "models.")


class _StandIn:
    """Takes the place of a pickled object: keeps its attributes, has no behaviour."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.__dict__.update(kwargs)

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):
            self.__dict__.update(state)


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _ALLOWED:
            return _ALLOWED[module, name]
        if module == "torch" and name in _STORAGES:
            return getattr(torch, name)
        if module.startswith(_STAND_IN_PACKAGES):
            return type(name, (_StandIn,), {})
        raise ModelFormatError(
            f"the checkpoint asks for {module}.{name}, which weights do not need; nothing was loaded"
        )


def read_published(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The tensors of a published detector's .pt file, under the names of its state dict, in their own dtypes.

    Takes the averaged model (`ema`) where there is one, else `model`; a plain state dict is taken as it is.
    No code of the file runs. Raises `ModelFormatError` for a file that is none of these or that asks for anything but
    modules and tensors, FileNotFoundError where there is none.
    """
    with Path(path).open("rb") as file:
        reader = types.SimpleNamespace(Unpickler=_Unpickler, __name__="pyspike.models.published")
        try:
            content = torch.load(file, map_location="cpu", weights_only=False, pickle_module=reader)
        except ModelFormatError:
            raise
        except Exception as error:  # a broken zip or pickle fails in many ways
            raise ModelFormatError(f"{path} is no PyTorch checkpoint: {error}") from error
    if not isinstance(content, dict):
        raise ModelFormatError(f"{path}: expected a dict of a trainer or of tensors, found {type(content).__name__}")
    source = content.get("ema") or content.get("model") or content
    tensors = dict(_tensors(source)) if isinstance(source, _StandIn) else dict(source)
    if not tensors or not all(isinstance(v, Tensor) for v in tensors.values()):
        raise ModelFormatError(f"{path}: expected tensors under 'ema' or 'model', or a plain state dict; found neither")
    return {name: value.detach() for name, value in tensors.items()}


def _tensors(module: Any, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """Parameters, buffers that are saved, and those of submodules, as `nn.Module.state_dict` names them."""
    state = vars(module)
    left_out = state.get("_non_persistent_buffers_set") or set()
    for name, value in (*(state.get("_parameters") or {}).items(), *(state.get("_buffers") or {}).items()):
        if isinstance(value, Tensor) and name not in left_out:
            yield prefix + name, value
    for name, child in (state.get("_modules") or {}).items():
        if isinstance(child, _StandIn):
            yield from _tensors(child, f"{prefix}{name}.")
