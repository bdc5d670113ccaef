"""Published SpikeYOLO checkpoints (.pt) to safetensors, and such files back to networks.

The file keeps the published tensor names. Its metadata say what the network is:

family, scale (where recognised), nc, D, T, neuron; classes: their names as JSON, where the checkpoint has them;
tensors: how many; source_sha256: of the checkpoint. All else is in the tensors' shapes.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pyspike._files import write_whole
from pyspike.errors import ModelFormatError, RangeError, missing_extra
from pyspike.models.published import Checkpoint, Progress, PublishedModule, read_checkpoint
from pyspike.models.spikeyolo import NEURONS, SCALES, SpikeYOLO, SpikeYOLOConfig
from pyspike.models.spikeyolo_import import to_own_names

FAMILY = "SpikeYOLO"
_DEPTHS = (*(scale["depth"] for scale in SCALES.values()), *(n / 18 for n in range(1, 37)))


@dataclass(frozen=True)
class Imported:
    """What became of a checkpoint. widened: tensors of 16-bit floats that are float32 now."""

    config: SpikeYOLOConfig
    metadata: dict[str, str]
    tensors: int
    numbers: int
    widened: int

    @property
    def scale(self) -> str:
        """The published scale, or an empty text."""
        return self.metadata.get("scale", "")


def import_checkpoint(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    T: int | None = None,
    D: int | None = None,
    neuron: str | None = None,
    progress: Progress | None = None,
) -> Imported:
    """Write the weights of the checkpoint `source` to the safetensors file `target`, which appears whole or not at all.

    Floats of 16 bits are widened to float32, which changes no value. T, D, neuron ("coco", "gen1"): what the file's own
    modules say, or the published 1, 4, "coco" where they say nothing; given here, they are taken instead.
    progress(done, of) counts tensors. Raises `ModelFormatError` where `source` is no SpikeYOLO (see `read_checkpoint`),
    `RangeError` for T, D or neuron out of range, MissingExtraError without safetensors, FileNotFoundError.
    """
    stored = _safetensors()
    given = _neurons(T, D, neuron)
    checkpoint = read_checkpoint(source, progress)
    with _naming(source):
        config = _config(checkpoint.tensors, {**_said(checkpoint.modules), **given})
    tensors = {name: _widened(value) for name, value in checkpoint.tensors.items()}
    metadata = _metadata(checkpoint, config)
    write_whole(target, stored.save(tensors, metadata))
    narrow = sum(value.dtype in (torch.float16, torch.bfloat16) for value in checkpoint.tensors.values())
    return Imported(config, metadata, len(tensors), sum(value.numel() for value in tensors.values()), narrow)


def read_imported(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file.

    Raises `ModelFormatError` for a file that is none, MissingExtraError without safetensors, FileNotFoundError.
    """
    _safetensors()
    from safetensors import SafetensorError, safe_open

    with Path(path).open("rb"):  # Python's own errors for what is absent or no file
        pass
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except SafetensorError as error:
        raise ModelFormatError(f"{path}: expected a safetensors file: {error}") from None


def load_imported(path: str | os.PathLike[str]) -> SpikeYOLO:
    """The network of a file that `import_checkpoint` wrote, in eval mode.

    Raises as `read_imported`, and `ModelFormatError` where the metadata or tensors are not those of a SpikeYOLO.
    """
    tensors, metadata = read_imported(path)
    with _naming(path):
        try:
            T, D = int(metadata.get("T", 1)), int(metadata.get("D", 4))
        except ValueError as error:
            raise ModelFormatError(f"T and D of the metadata: expected whole numbers: {error}") from None
        config = _config(tensors, _neurons(T, D, metadata.get("neuron", "coco")))
        return SpikeYOLO(**asdict(config)).load_published(tensors).eval()


def recognise(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """The fields of `SpikeYOLOConfig` that tensors of the published names decide: all but T, D and neuron.

    Raises `ModelFormatError` where they are no SpikeYOLO's.
    """

    def size(name: str) -> int:
        if name not in tensors or tensors[name].ndim < 1:
            raise ModelFormatError(f"expected the weights of a {FAMILY}: it has no {name}")
        if tensors[name].shape[0] < 1:
            raise ModelFormatError(f"{name}: expected channels, found none")
        return tensors[name].shape[0]

    c2, c4 = size("model.3.encode_conv.weight"), size("model.7.encode_conv.weight")
    repeats = tuple(_repeats(tensors, layer) for layer in (2, 4, 6, 8))
    depth = next((depth for depth in _DEPTHS if SpikeYOLOConfig(depth=depth).repeats() == repeats), None)
    if depth is None:
        raise ModelFormatError(
            f"expected the weights of a {FAMILY}: its stages have {repeats} blocks, which no depth gives"
        )
    box, classes = size("model.26.cv2.0.0.conv.weight"), size("model.26.cv3.0.0.conv.weight")
    reg_max, num_classes = size("model.26.cv2.0.2.conv.bias") // 4, size("model.26.cv3.0.2.conv.bias")
    p5_ratio = size("model.25.conv1.body.2.1.weight") // c4
    if reg_max < 1 or p5_ratio < 1:
        raise ModelFormatError(f"expected the weights of a {FAMILY}: its head or last block has too few channels")
    return {
        "depth": depth,
        "width": c4 / 1024,
        "num_classes": num_classes,
        "reg_max": reg_max,
        "p5_ratio": p5_ratio,
        "box_channels": None if box == max(64, c2 // 4) else box,
        "class_channels": None if classes == max(c2, min(num_classes, 100)) else classes,
    }


def _repeats(tensors: Mapping[str, Tensor], layer: int) -> int:
    found = {match[1] for name in tensors if (match := re.match(rf"model\.{layer}\.(\d+)\.", name))}
    return max(1, len(found))


def _config(tensors: Mapping[str, Tensor], neurons: Mapping[str, Any]) -> SpikeYOLOConfig:
    """The network that `tensors` are complete weights of; it is built without memory first, whatever they claim."""
    config = SpikeYOLOConfig(**recognise(tensors), **neurons)
    with torch.device("meta"):
        model = SpikeYOLO(**asdict(config))
    to_own_names(tensors, model.state_dict(), config.reg_max)
    return config


def _said(modules: Mapping[str, PublishedModule]) -> dict[str, Any]:
    """T, D and neuron, as far as the modules of the file say."""
    found: dict[str, Any] = {}
    for module in modules.values():
        name = module.kind.rpartition(".")[2]
        steps = module.values.get("T")
        if name == "MS_GetT" and type(steps) is int:
            found["T"] = steps
        elif largest := re.fullmatch(r"MultiSpike(\d{1,3})", name):
            found["D"] = int(largest[1])
        elif module.kind.startswith("spikingjelly."):  # the event network's neurons, whose D is always 4
            found |= {"D": 4, "neuron": "gen1"}
    return _neurons(found.get("T"), found.get("D"), found.get("neuron"))


def _neurons(T: int | None, D: int | None, neuron: str | None) -> dict[str, Any]:
    for name, value in (("T", T), ("D", D)):
        if value is not None and not 1 <= value <= 255:
            raise RangeError(f"{name}: expected 1 to 255, found {value}")
    if neuron is not None and neuron not in NEURONS:
        raise RangeError(f"neuron: expected one of {', '.join(NEURONS)}, found {neuron!r}")
    return {name: value for name, value in (("T", T), ("D", D), ("neuron", neuron)) if value is not None}


def _widened(value: Tensor) -> Tensor:
    return (value.float() if value.dtype in (torch.float16, torch.bfloat16) else value).contiguous().clone()


def _metadata(checkpoint: Checkpoint, config: SpikeYOLOConfig) -> dict[str, str]:
    shape = (config.depth, config.width, config.p5_ratio)
    scales = [name for name, s in SCALES.items() if (s["depth"], s["width"], s.get("p5_ratio", 1)) == shape]
    classes = _classes(checkpoint.modules, config.num_classes)
    return {
        "family": FAMILY,
        **({"scale": scales[0]} if scales else {}),
        "nc": str(config.num_classes),
        "D": str(config.D),
        "T": str(config.T),
        "neuron": config.neuron,
        **({"classes": json.dumps(classes)} if classes else {}),
        "tensors": str(len(checkpoint.tensors)),
        "source_sha256": checkpoint.sha256,
        "format": "pt",  # what readers of safetensors expect of tensors of PyTorch
    }


def _classes(modules: Mapping[str, PublishedModule], count: int) -> list[str]:
    """The names of the classes, where the file has one for each."""
    names = modules[""].values.get("names") if "" in modules else None
    if not isinstance(names, dict) or set(names) != set(range(count)):
        return []
    listed = [names[i] for i in range(count)]
    return listed if all(isinstance(name, str) for name in listed) else []


def _safetensors() -> Any:
    try:
        import safetensors.torch
    except ImportError:
        raise missing_extra("safetensors", "train") from None
    return safetensors.torch


@contextmanager
def _naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Errors of the file's content name the file."""
    try:
        yield
    except (ModelFormatError, RangeError) as error:
        raise ModelFormatError(f"{path}: {error}") from None
