"""What a compilation tells: one row for each layer, and what is not exact."""

from __future__ import annotations

from dataclasses import dataclass

from pyspike.compiler.facts import Aligned, Facts
from pyspike.graph import Graph, Node
from pyspike.ops import Synapse


@dataclass(frozen=True)
class LayerRow:
    """One operator of the integer graph.

    `input_shape` (of its first operand) and `output_shape` are of one timestep, channels last. `exponents` (least,
    greatest) and `weight_error` (relative L2) of synapses, else None. `fraction`: fractional bits f of the output
    before thresholds swallow it, None where channels differ. `lo`, `hi`: the proven range, `headroom` the bits of
    int32 it leaves. `nbytes`: weights and biases; `macs`: multiply-accumulates of the dense layer in one timestep.
    """

    name: str
    op: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    exponents: tuple[int, int] | None
    fraction: int | None
    weight_error: float | None
    lo: int
    hi: int
    headroom: int
    nbytes: int
    macs: int


@dataclass(frozen=True)
class CompileReport:
    """The result of `pyspike.compile`; `print` shows a table.

    `float_exact`: whether float32 runs the integer network exactly, in any order of additions; `float_inexact_because`
    the first layer and reason where not. `source_exact`: whether the source already was that integer network (weights
    and biases on their grids, nothing rounded away); `changes` lists what was changed. Where both hold, ONNX Runtime
    in float32 on the source agrees with every executor. `decay_errors`: by neuron, decay minus its shifts.
    `total_bytes`: of the image. `graph`: what was written.
    """

    graph: Graph
    layers: tuple[LayerRow, ...]
    float_exact: bool
    float_inexact_because: str | None
    source_exact: bool
    changes: tuple[str, ...]
    aligns: tuple[Aligned, ...]
    decay_errors: dict[str, float]
    timesteps: int
    max_timesteps: int | None
    weight_bytes: int
    total_bytes: int

    def __str__(self) -> str:
        return "\n".join([*_table(self.layers), "", *_summary(self)])


def make_rows(graph: Graph, facts: Facts) -> tuple[LayerRow, ...]:
    """The rows of a finished graph."""
    return tuple(_row(graph, facts, node) for node in graph.nodes)


def _row(graph: Graph, facts: Facts, node: Node) -> LayerRow:
    out = graph.tensors[node.output]
    source = graph.tensors[node.inputs[0]] if node.inputs else out
    known = facts.synapses.get(node.output)
    op, nbytes, macs = node.op, 0, 0
    if isinstance(op, Synapse):
        nbytes = op.weight.nbytes + (0 if op.bias is None else op.bias.nbytes)
        macs = op.macs(source.shape)
    fraction = known.fraction if known else out.scale.f if isinstance(out.scale.f, int) else None
    exponents = (int(known.exponents.min()), int(known.exponents.max())) if known else None
    headroom = 31 - max(out.hi.bit_length(), (-out.lo - 1).bit_length() if out.lo < 0 else 0)
    return LayerRow(
        node.output, op.name, source.shape, out.shape, exponents, fraction,
        known.weight_error if known else None, out.lo, out.hi, headroom, nbytes, macs,
    )  # fmt: skip


_HEAD = ("layer", "op", "input", "output", "e", "f", "weight error", "range", "head-room", "bytes", "MACs")


def _table(rows: tuple[LayerRow, ...]) -> list[str]:
    cells = [_HEAD, *(_cells(row) for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(_HEAD))]
    left = {0, 1, 2, 3}
    return [
        "  ".join(
            c.ljust(w) if i in left else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    ]


def _cells(row: LayerRow) -> tuple[str, ...]:
    e = "" if row.exponents is None else str(row.exponents[0])
    if row.exponents is not None and row.exponents[1] != row.exponents[0]:
        e = f"{row.exponents[0]}..{row.exponents[1]}"
    return (
        row.name, row.op, _sizes(row.input_shape), _sizes(row.output_shape), e,
        "" if row.fraction is None else str(row.fraction),
        "" if row.weight_error is None else f"{row.weight_error:.2e}" if row.weight_error else "0",
        f"{row.lo}..{row.hi}", f"{row.headroom}", str(row.nbytes or ""), str(row.macs or ""),
    )  # fmt: skip


def _sizes(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"


def _summary(report: CompileReport) -> list[str]:
    steps = f"timesteps: {report.timesteps}"
    if report.max_timesteps:
        steps += f", proven for streams of up to {report.max_timesteps}"
    macs = sum(row.macs for row in report.layers)
    lines = [
        f"{steps}; {macs:,} MACs in one timestep of the dense twin; weights {report.weight_bytes:,} bytes, "
        f"image {report.total_bytes:,} bytes",
        "float-exact: yes" if report.float_exact else f"float-exact: no ({report.float_inexact_because})",
    ]
    if report.source_exact:
        lines.append("source: already this integer network, nothing was rounded")
    else:
        lines.append(f"source: changed in {len(report.changes)} places, first {report.changes[0]}")
    lines += [f"align {a.name!r}: {a.shift} fractional bits, {_WHY[a.why]}" for a in report.aligns]
    lines += [f"decay of {name!r}: error {error:.3g}" for name, error in report.decay_errors.items()]
    return lines


_WHY = {"range": "to stay within int32", "source": "as the source does"}
