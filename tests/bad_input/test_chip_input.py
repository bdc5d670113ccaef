"""What a chip cannot take: impossible chips, broken files, inputs of other shapes and ranges. Each error says why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pyspike
from pyspike import ChipError, ModelFormatError, RangeError, ShapeError, UnsupportedOpError, image
from pyspike.chip.config import Chip
from pyspike.chip.mapping import map_network
from pyspike.graph import Graph
from tests.bad_input.images import IMAGE, everything
from tests.chip.small import Net, case_of, residual
from tests.exact.graphs import graphs, inputs_of

SMALL = Chip(mesh=(2, 2))


def two_inputs() -> Graph:
    n = Net(2)
    sums = n.add("s", n.conv("a", n.input("left", time=True)), n.conv("b", n.input("right", hi=1)))
    return n.out(n.fire("y", sums))


# Chips


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("mesh = [0, 4]", "mesh"),
        ("mesh = [65, 1]", "mesh"),
        ("lanes = 12", "lanes"),
        ("router_fifo = 0", "router_fifo"),
        ("axon_fifo = 5000", "axon_fifo"),
        ("link_delay = -1", "link_delay"),
        ("port_table = 256", "port_table"),
        ("potential_sram = 8", "potential_sram"),
        ('coding = "ternary"', "coding"),
        ("clock = 0", "clock"),
        ("colour = 1", "colour"),
        ("mesh = [", "TOML"),
    ],
)
def test_impossible_chips(text: str, named: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f"[chip]\n{text}\n", encoding="utf-8")
    graph = residual()
    with pytest.raises(ChipError, match=named) as caught:
        pyspike.simulate(graph, case_of(graph), chip=path)
    assert "mine.toml" in str(caught.value)


def test_chips_that_are_not_there(tmp_path: Path) -> None:
    graph = residual()
    for name in ("defautl", tmp_path / "none.toml"):
        with pytest.raises(FileNotFoundError, match="no chip"):
            pyspike.simulate(graph, case_of(graph), chip=name)


def test_an_energy_preset_that_is_not_there() -> None:
    graph = residual()
    with pytest.raises(ChipError, match="44nm"):
        pyspike.simulate(graph, case_of(graph), SMALL.replace(energy="44nm"))


@pytest.mark.parametrize("argument", [{"windows": -1}, {"windows": 1.5}, {"raster": -1}, {"threads": True}])
def test_impossible_arguments(argument: dict) -> None:
    graph = residual()
    with pytest.raises(RangeError, match=next(iter(argument))):
        pyspike.simulate(graph, case_of(graph), SMALL, **argument)


def test_more_timesteps_than_a_flit_tells_apart_and_tiles_by_hand_in_passes() -> None:
    graph = residual()
    with pytest.raises(ChipError, match="one pass"):
        map_network(graph, SMALL.replace(mesh=(1, 1), potential_sram=4096), fixed={0: 0})
    graph.timesteps = 257
    with pytest.raises(ChipError, match="257"):
        map_network(graph, SMALL)


def test_what_is_no_model_is_named() -> None:
    with pytest.raises(ModelFormatError, match="int"):
        pyspike.simulate(3, np.zeros(1))


@pytest.mark.parametrize("key", ["weight_sram", "potential_sram", "port_table"])
def test_chips_too_small_for_the_network(key: str) -> None:
    graph = residual()
    least = {"weight_sram": 16, "potential_sram": 64, "port_table": 1}[key]
    with pytest.raises(ChipError) as caught:
        pyspike.simulate(graph, case_of(graph), SMALL.replace(**{key: least}))
    assert "fit" in str(caught.value) or "room" in str(caught.value)


# Files


@pytest.mark.parametrize("at", [0, 8, 12, 40, 70, 200, len(IMAGE) - 1])
def test_corrupted_images(at: int, tmp_path: Path) -> None:
    data = bytearray(image.to_bytes(residual()))
    data[min(at, len(data) - 1)] ^= 0x41
    path = tmp_path / "bad.spk"
    path.write_bytes(data)
    for model in (bytes(data), path):
        with pytest.raises(ModelFormatError):
            pyspike.simulate(model, np.zeros((1, 4, 4, 8), np.uint8), SMALL)


def test_other_files(tmp_path: Path) -> None:
    (tmp_path / "empty.spk").touch()
    for model in (b"", b"text\n" * 50, tmp_path / "empty.spk", tmp_path):
        with pytest.raises(ModelFormatError):
            pyspike.simulate(model, np.zeros((1, 4, 4, 8), np.uint8), SMALL)
    with pytest.raises(FileNotFoundError):
        pyspike.simulate(tmp_path / "none.spk", np.zeros((1, 4, 4, 8), np.uint8), SMALL)


def test_a_firmware_image_is_no_model(tmp_path: Path) -> None:
    from pyspike.chip.firmware import from_bytes, to_bytes

    firmware = to_bytes(map_network(residual(), SMALL, effort=0).passes[0].firmware)
    with pytest.raises(ModelFormatError, match="kind"):
        pyspike.simulate(firmware, np.zeros((1, 4, 4, 8), np.uint8), SMALL)
    with pytest.raises(ModelFormatError, match="kind"):
        from_bytes(image.to_bytes(residual()))


def test_a_trace_that_cannot_be_written(tmp_path: Path) -> None:
    graph = residual()
    with pytest.raises(OSError, match="trace"):
        pyspike.simulate(graph, case_of(graph), SMALL, trace=tmp_path / "none" / "trace.txt")


# Inputs


@pytest.mark.parametrize("shape", [(4, 4, 8), (1, 4, 4, 7), (2, 4, 4, 8), (1, 4, 4, 8, 1), (0,), ()], ids=str)
def test_other_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"input 'x': expected integers of shape \(1, 4, 4, 8\)"):
        pyspike.simulate(residual(), np.zeros(shape, np.uint8), SMALL)


@pytest.mark.parametrize("dtype", [np.float32, np.complex64, object, "U1"])
def test_other_types(dtype: type) -> None:
    with pytest.raises(ShapeError, match="expected integers"):
        pyspike.simulate(residual(), np.zeros((1, 4, 4, 8), dtype), SMALL)


@pytest.mark.parametrize("value", [-1, 5, 256, 2**40, -(2**40)])
def test_values_out_of_range(value: int) -> None:
    x = np.zeros((1, 4, 4, 8), np.int64)
    x[0, 3, 3, 7] = value
    with pytest.raises(RangeError, match=rf"input 'x': expected 0..4, found {min(value, 0)}..{max(value, 0)}"):
        pyspike.simulate(residual(), x, SMALL)


def test_names_of_inputs() -> None:
    graph = two_inputs()
    case = case_of(graph)
    pyspike.simulate(graph, case, SMALL)
    with pytest.raises(ShapeError, match="by name"):
        pyspike.simulate(graph, case["left"], SMALL)
    left, right = case["left"], case["right"]
    for wrong in ({"left": left}, {**case, "more": left}, {"Left": left, "right": right}):
        with pytest.raises(ShapeError, match=r"expected inputs \['left', 'right'\]"):
            pyspike.simulate(graph, wrong, SMALL)
    with pytest.raises(ShapeError, match="'left'"):
        pyspike.simulate(graph, {**case, "left": case["left"][0]}, SMALL)
    with pytest.raises(RangeError, match="'right'"):
        pyspike.simulate(graph, {**case, "right": case["right"] + 1}, SMALL)


@pytest.mark.parametrize("threads", [0, -1, 1.5, "many"])
def test_numbers_of_threads(threads: int) -> None:
    graph = residual()
    with pytest.raises(RangeError, match="threads"):
        pyspike.simulate(graph, case_of(graph), SMALL, threads=threads)


# Graphs of any kind


def test_every_operator_at_once_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedOpError, match="the chip cannot run"):
        pyspike.simulate(everything(), {}, SMALL)


@given(st.data())
def test_any_graph_is_exact_or_refused(data) -> None:
    """Graphs that nobody drew for a chip: they run and are right, or the error is one of the documented."""
    graph = data.draw(graphs())
    case = data.draw(inputs_of(graph))
    try:
        report = pyspike.simulate(map_network(graph, Chip(mesh=(3, 3)), effort=0), case, windows=0, raster=0)
    except (UnsupportedOpError, ChipError) as error:
        message = str(error)
        assert len(message) > 20
        return
    for name, values in pyspike.reference.run(graph, case).items():
        assert np.array_equal(report.outputs[name], values), name
