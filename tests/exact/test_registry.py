"""Every operator runs on every executor, or says which one does not run it and why."""

from __future__ import annotations

import pytest

from pyspike.ops import BY_KIND, OPS, Fire, Op

EXECUTORS = ("reference", "runtime", "torch", "chip")


def runs(op: type[Op], executor: str) -> bool:
    if executor == "reference":
        return op.reference is not Op.reference and (op is not Fire or hasattr(op, "reference_step"))
    if executor == "runtime":
        from pyspike import _native

        return op.kind in set(_native.ops())
    if executor == "torch":
        pytest.importorskip("torch")
        from pyspike.nn.executor import LOWERINGS

        return op in LOWERINGS
    from pyspike.chip.places import LOWERINGS

    return op in LOWERINGS


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_every_operator_runs_or_says_why_not(op, executor) -> None:
    reason = op.unsupported.get(executor)
    assert runs(op, executor) == (reason is None), f"{executor} does not run {op.name}, and no reason is given"
    assert reason is None or len(reason) > 10


def test_kinds_and_names_are_unique() -> None:
    assert len(BY_KIND) == len(OPS) == len({op.name for op in OPS})


def test_an_operator_has_the_same_file_name_in_every_room() -> None:
    assert all(op.__module__ == f"pyspike.ops.{op.name}" for op in OPS)
