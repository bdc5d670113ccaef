"""Who races on a network, in which forms: every peer may bring several, and is judged by its fastest."""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.networks import Network
from benchmarks.peers.prepare import KINDS, prepared
from benchmarks.peers.protocol import PeerError

OURS = "pyspike"
PACKAGES = {"ONNX Runtime": "onnxruntime", "OpenVINO": "openvino", "PyTorch": "torch", "ncnn": "ncnn"}
AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2"}


@dataclass(frozen=True)
class Contestant:
    """One process of a race. category: pyspike, float32, bf16, int8 or published; form: what of the network it runs,
    and how; same_weights: whether it computes with the integers that we compute with.
    """

    peer: str
    category: str
    form: str
    module: str
    options: dict[str, Any]
    environment: dict[str, str] = field(default_factory=dict)
    same_weights: bool = False

    @property
    def seat(self) -> tuple[str, str]:
        """Forms that compete for one place in the race."""
        return self.peer, self.category


@dataclass(frozen=True)
class Missing:
    """A form that cannot race, and why."""

    peer: str
    category: str
    form: str
    reason: str


def contestants(network: Network, threads: int, avx2: bool = False) -> Iterator[Contestant | Missing]:
    """All forms of all peers on `network`; with `avx2` those alone that can be kept to AVX2, ours among them."""
    x = str(network.x)
    common: dict[str, Any] = {"x": x, "threads": threads}
    isa = "avx2" if avx2 else None
    yield Contestant(
        OURS, OURS, "", "benchmarks.peers.ours", {**common, "model": str(network.spk), "isa": isa}, {}, True
    )
    sources = {"integer weights": network.quantised, "unfolded": network.unfolded}
    for form, path in sources.items():
        if path is not None:
            yield from _of_onnx(form, path, common, avx2, path == network.quantised, network.x)
    if network.module is not None:
        yield from _of_pytorch(network.module, common, avx2)
    if not avx2:
        yield from _of_ncnn(network, common)


def _of_onnx(
    form: str, path: Path, common: dict[str, Any], avx2: bool, same: bool, x: Path
) -> Iterator[Contestant | Missing]:
    files: list[tuple[str, str, Path | str]] = [("float32", form, path)]
    for kind in KINDS:
        target = path.with_name(f"{path.stem}-{kind}.{'xml' if kind == 'nncf' else 'onnx'}")
        files.append(("int8", f"{form}, {kind}", _try(kind, path, target, x)))
    for category, name, file in files:
        for peer, module in (("ONNX Runtime", "benchmarks.peers.ort"), ("OpenVINO", "benchmarks.peers.openvino")):
            if (peer == "ONNX Runtime") and (avx2 or name.endswith("nncf")):
                continue  # its instruction sets cannot be restricted; it reads no OpenVINO files
            if not installed(peer):
                yield Missing(peer, category, name, "not installed")
            elif isinstance(file, str):
                yield Missing(peer, category, name, file)
            elif not (peer == "OpenVINO" and "qoperator" in name):  # it reads none of ONNX Runtime's own operators
                environment = AVX2 if avx2 else {}
                yield Contestant(peer, category, name, module, {**common, "model": str(file)}, environment, same)
                if (peer, category, avx2) == ("OpenVINO", "float32", False):
                    options = {**common, "model": str(file), "precision": "bf16"}
                    yield Contestant(peer, "bf16", name, module, options, environment, same)


def _of_pytorch(model: Path, common: dict[str, Any], avx2: bool) -> Iterator[Contestant | Missing]:
    for form, category in (("eager", "float32"), ("compiled", "float32"), ("published", "published")):
        options = {**common, "model": str(model), "form": form}
        yield Contestant("PyTorch", category, form, "benchmarks.peers.pytorch", options, AVX2 if avx2 else {})


def _of_ncnn(network: Network, common: dict[str, Any]) -> Iterator[Contestant | Missing]:
    if not installed("ncnn"):
        yield Missing("ncnn", "float32", "", "not installed")
        return
    for form, path in (("integer weights", network.quantised), ("unfolded", network.unfolded)):
        if path is None:
            continue
        stem = path.with_suffix("")
        file = _try("pnnx", path, path.with_name(f"{path.stem}.ncnn.param"), network.x)
        if isinstance(file, str):
            yield Missing("ncnn", "float32", form, file)
        else:
            options = {**common, "model": str(stem)}
            yield Contestant("ncnn", "float32", form, "benchmarks.peers.ncnn", options, {}, path == network.quantised)
    yield Missing("ncnn", "int8", "", "its tools for int8 (ncnn2table, ncnn2int8) are in no Python package")


def installed(peer: str) -> bool:
    """Whether the peer's package is there."""
    try:
        importlib.metadata.version(PACKAGES[peer])
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


@functools.cache
def _try(kind: str, source: Path, target: Path, x: Path) -> Path | str:
    """The prepared file, or why there is none; a tool that failed once is not tried again."""
    failed = target.with_name(target.name + ".failed")
    if failed.exists():
        return failed.read_text(encoding="utf-8")
    try:
        return prepared(kind, source, target, x)
    except PeerError as error:
        failed.write_text(str(error), encoding="utf-8")
        return str(error)
