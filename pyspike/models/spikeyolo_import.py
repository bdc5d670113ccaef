"""Published SpikeYOLO checkpoints: their tensor names, translated to ours."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from pyspike.errors import ModelFormatError

# our module -> layer number in the published model file
LAYERS = {
    "stem": 1, "stage1": 2, "down2": 3, "stage2": 4, "down3": 5, "stage3": 6, "down4": 7, "stage4": 8, "sppf": 9,
    "lateral5": 10, "top4": 12, "lateral4": 14, "top3": 16, "reduce3": 18, "out3": 19, "down3to4": 20, "out4": 22,
    "down4to5": 23, "out5": 25, "head": 26,
}  # fmt: skip

_SEP = [
    (r"^sep\.neuron(\d)", r"Conv.lif\1"),
    (r"^sep\.expand\.conv", "Conv.pwconv1"),
    (r"^sep\.expand\.bn", "Conv.bn1"),
    (r"^sep\.depthwise\.conv", "Conv.dwconv2"),
    (r"^sep\.depthwise\.bn", "Conv.bn2"),
    (r"^sep\.project\.pad\.bn", "Conv.pwconv3.body.0.bn"),
    (r"^sep\.project\.pointwise", "Conv.pwconv3.body.1.0"),
    (r"^sep\.project\.depthwise", "Conv.pwconv3.body.1.1"),
    (r"^sep\.project\.bn", "Conv.bn3"),
]
_SPIKING = [(r"(^|\.)synapse\.", r"\1"), (r"(^|\.)neuron$", r"\1lif")]
_REP = [
    (r"^neuron(\d)", r"lif\1"),
    (r"^conv(\d)\.reduce", r"conv\1.body.0"),
    (r"^conv(\d)\.pad\.bn", r"conv\1.body.1.bn"),
    (r"^conv(\d)\.depthwise", r"conv\1.body.2.0"),
    (r"^conv(\d)\.expand", r"conv\1.body.2.1"),
    (r"^conv(\d)\.inner_bn", r"conv\1.body.2.2"),
    (r"^conv(\d)\.bn", r"bn\1"),
]
_DOWN = [(r"^(?:synapse\.)?(conv|bn)", r"encode_\1"), (r"^neuron$", "encode_lif")]
_HEAD = [(r"^box", "cv2"), (r"^classes", "cv3"), (r"2\.synapse\.", "2.conv."), *_SPIKING]
_SPPF = [(r"^reduce", "cv1"), (r"^expand", "cv2"), *_SPIKING]

_RULES: dict[str, list[tuple[str, str]]] = {
    **dict.fromkeys(("stem", "down2", "down3", "down4"), _DOWN),
    **{name: [*_SEP, *_SPIKING] for name in ("stage1", "stage2", "top3", "out3")},
    **{name: [*_SEP, *_REP] for name in ("stage3", "stage4", "top4", "out4", "out5")},
    **dict.fromkeys(("lateral5", "lateral4", "reduce3", "down3to4", "down4to5"), _SPIKING),
    "sppf": _SPPF,
    "head": _HEAD,
}


def published_name(name: str, repeated: bool = False) -> str:
    """Our tensor or module name, as the published code calls it; `repeated` where its stage has more than one block."""
    layer, _, rest = name.partition(".")
    index = ""
    if layer.startswith("stage"):
        index, _, rest = rest.partition(".")
        index = f"{index}." if repeated else ""
    for pattern, replacement in _RULES[layer]:
        rest = re.sub(pattern, replacement, rest)
    return f"model.{LAYERS[layer]}.{index}{rest}"


def names(own: Mapping[str, object]) -> dict[str, str]:
    """Published name -> our name, for all names of a SpikeYOLO (tensors or modules)."""
    repeated = {name.split(".")[0] for name in own if re.match(r"stage\d\.1\.", name)}
    return {published_name(name, name.split(".")[0] in repeated): name for name in own}


def to_own_names(published: Mapping[str, Tensor], own: Mapping[str, Tensor], reg_max: int) -> dict[str, Tensor]:
    """The tensors of `published` under the names, dtypes and shapes of `own`.

    Raises `ModelFormatError` naming what is missing, unexpected or misshapen.
    """
    known = names(own)
    bins = "model.26.dfl.conv.weight"  # a constant of the published code: the numbers 0..reg_max - 1
    extra = {name for name in published if name not in known and name != bins}
    missing = [name for name in known if name not in published]
    if missing or extra:
        raise ModelFormatError(
            f"not a SpikeYOLO of this configuration: missing {sorted(missing)[:5]} ({len(missing)} in all), "
            f"unexpected {sorted(extra)[:5]} ({len(extra)} in all)"
        )
    found_bins = published[bins].flatten().tolist() if bins in published else list(range(reg_max))
    if found_bins != list(range(reg_max)):
        raise ModelFormatError(f"{bins}: expected the numbers 0..{reg_max - 1}, found {found_bins}")
    out: dict[str, Tensor] = {}
    for name, own_name in known.items():
        value, wanted = torch.as_tensor(published[name]), own[own_name]
        if value.shape != wanted.shape:
            raise ModelFormatError(f"{name}: expected shape {tuple(wanted.shape)}, found {tuple(value.shape)}")
        out[own_name] = value.to(wanted.dtype)
    return out
