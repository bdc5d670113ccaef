"""The side file: kept whole, found beside its image, refused where it is garbage."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyspike import Model, Tuning, TuningError
from pyspike.runtime import available_isas
from pyspike.tuning.side_file import FORMAT, Machine, cpu_name
from tests.kernels.cases import SYNAPSES
from tests.runtime.models import bytes_of

ISA = available_isas()[0]
GRAPH = SYNAPSES["layer"]()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    path = tmp_path / "network.spk"
    path.write_bytes(bytes_of(GRAPH))
    return path


def tuning_of(path: Path, kernel: str = "split", threads: int = 1, cpu: str | None = None) -> Tuning:
    model = Model.load(path, tuned=False)
    (layer,) = model.runtime().layers
    return Tuning(model.sha256, {Machine(cpu or cpu_name(), ISA, threads): {layer: (kernel, 700)}})


def side(path: Path) -> Path:
    return path.with_name(path.name + ".tune")


def test_what_is_saved_is_loaded(path: Path, tmp_path: Path) -> None:
    tuning = tuning_of(path).updated(tuning_of(path, "flat", 2)).updated(tuning_of(path, "rows", cpu="another"))
    tuning.save(tmp_path / "t")
    assert Tuning.load(tmp_path / "t") == tuning
    assert len(tuning.machines) == 3


def test_the_file_beside_the_image_is_used_on_its_machine_alone(path: Path) -> None:
    default = Model.load(path).runtime().kernels
    assert default[0][0] == "flat"
    tuning_of(path).save(side(path))
    model = Model.load(path)
    assert model.tuning == tuning_of(path)
    assert model.runtime().kernels == (("split", 700),)
    assert model.runtime(threads=2).kernels == default
    assert model.runtime(isa="portable").kernels == (default if ISA != "portable" else (("split", 700),))
    assert model.runtime(tuning=Tuning(model.sha256)).kernels == default
    assert Model.load(path, tuned=False).runtime().kernels == default
    assert Model.load(path.read_bytes()).runtime().kernels == default
    tuning_of(path, cpu="another").save(side(path))
    assert Model.load(path).runtime().kernels == default


def test_layers_that_are_not_named_are_left_alone(path: Path) -> None:
    model = Model.load(path)
    machine = Machine(cpu_name(), ISA, 1)
    other = Tuning(model.sha256, {machine: {"another layer": ("split", 0)}})
    assert model.runtime(tuning=other).kernels == model.runtime().kernels


def test_a_file_for_another_image_is_told_and_not_used(path: Path) -> None:
    tuning = tuning_of(path)
    Tuning("0" * 64, tuning.machines).save(side(path))
    with pytest.warns(UserWarning, match=r"made for another image, and not used: run 'pyspike tune' again"):
        model = Model.load(path)
    assert model.tuning is None
    with pytest.raises(TuningError, match="expected one for the image"):
        model.runtime(tuning=Tuning("0" * 64, tuning.machines))


def test_updating_forgets_another_image(path: Path) -> None:
    tuning = tuning_of(path)
    assert Tuning("0" * 64, {Machine("c", "i", 1): {}}).updated(tuning) == tuning


@given(content=st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode()))
def test_garbage_is_refused_by_name(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "m.spk.tune"
        file.write_bytes(content)
        with pytest.raises(TuningError, match=r"(?s)m\.spk\.tune: not a tuning of this version .*: delete it"):
            Tuning.load(file)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": FORMAT + 1}, "expected format"),
        ({"sha256": 3}, "sha256: expected str, found int"),
        ({"more": 1}, "expected an object with"),
        ({"machines": [{"cpu": "c", "isa": "i", "threads": True, "kernels": {}}]}, "threads: expected int, found bool"),
        ({"machines": [{"cpu": "c", "isa": "i", "threads": 1, "kernels": {"a": ["flut", 1]}}]}, "a: expected one of"),
        ({"machines": [{"cpu": "c", "isa": "i", "threads": 1, "kernels": {"a": ["flat", -1]}}]}, "a: expected one of"),
        ({"machines": [{"cpu": "c", "isa": "i", "threads": 1, "kernels": {"a": [[], 1]}}]}, "a: expected one of"),
        ({"machines": [{"cpu": "c", "isa": "i", "threads": 1, "kernels": {"a": "flat"}}]}, "a: expected one of"),
    ],
)
def test_what_cannot_be_is_refused(change: dict[str, object], message: str, tmp_path: Path) -> None:
    (tmp_path / "t").write_text(json.dumps({"format": FORMAT, "sha256": "0", "machines": []} | change))
    with pytest.raises(TuningError, match=message):
        Tuning.load(tmp_path / "t")


def test_a_broken_side_file_names_itself(path: Path) -> None:
    side(path).write_text("{")
    with pytest.raises(TuningError, match=r"network\.spk\.tune"):
        Model.load(path)
    assert Model.load(path, tuned=False).tuning is None


def test_a_huge_file_is_not_read_whole(path: Path) -> None:
    with side(path).open("wb") as file:
        file.truncate(2**34)
    with pytest.raises(TuningError, match="more than 16 MiB"):
        Model.load(path)
