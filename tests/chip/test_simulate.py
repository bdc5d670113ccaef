"""Whole networks on the simulated chip: what a run reports, what can go wrong, and that a change is seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import pyspike
from pyspike import _simulator, image
from pyspike.chip import mapping
from pyspike.chip.config import Chip
from pyspike.chip.firmware import Firmware, to_bytes
from pyspike.chip.host import Host
from pyspike.chip.mapping import MappedNetwork
from pyspike.chip.simulate import SimulationReport, simulate
from pyspike.errors import SimulationError
from pyspike.graph import Graph, Port
from pyspike.ops import Concat
from pyspike.runtime import Model

from .small import AMPLE, Net, case_of, mapped, residual, skips
from .test_figures import assert_adds_up

DATA = Path(pyspike.__file__).parent / "data"


# The network that ships with pyspike


@pytest.fixture(scope="module")
def demo() -> tuple[Graph, dict[str, np.ndarray]]:
    pytest.importorskip("PIL")
    from pyspike.io.images import read_image
    from pyspike.tasks.detect import Detector

    model = Model.load(DATA / "demo.spk")
    x, _ = Detector(model).preprocess(read_image(DATA / "demo.jpg"))
    return image.read(DATA / "demo.spk"), {model.inputs[0].name: x}


@pytest.mark.parametrize("coding", ["unary", "bitwise", "folded"])
def test_the_demo_network(demo: tuple[Graph, dict[str, np.ndarray]], coding: str) -> None:
    graph, photograph = demo
    report = simulate(mapped(graph, Chip.load("default").replace(coding=coding)), photograph)
    passes = len(report.passes)
    assert passes == 1
    runtime = Model.load(DATA / "demo.spk").runtime(threads=2)
    expected = runtime.run(photograph, raw=True)
    assert report.outputs.keys() == expected.keys()
    for name, values in expected.items():
        assert np.array_equal(report.outputs[name], values), name
        assert np.ptp(values) > 0
    profile = runtime.profile(photograph)
    assert report.sops == profile.sops + sum(report.extra_sops.values())
    counted = {layer.name: layer.sops for layer in profile.layers}
    for layer in report.layers:
        if layer.kind == "synapse":
            assert int(layer.counts.sops) == counted[layer.name] + report.extra_sops.get(layer.name, 0), layer.name
    assert report.addition_only == (coding != "folded")
    assert (report.adds == report.sops) == (coding == "unary")
    assert_adds_up(report)


# What changes nothing, and what changes something


def same(one: SimulationReport, two: SimulationReport) -> bool:
    tables = ("cores", "ports", "steps", "links", "times", "window_counters")
    pairs = list(zip(one.passes, two.passes, strict=True))
    return all(np.array_equal(a.raw[name], b.raw[name]) for a, b in pairs for name in tables)


def test_threads_and_windows_change_nothing() -> None:
    graph = residual(3, True)
    onto, case = mapped(graph, Chip(mesh=(3, 3), lanes=8)), case_of(graph)
    one, two = simulate(onto, case), simulate(onto, case, threads=2)
    assert same(one, two)
    plain = simulate(onto, case, windows=0, raster=0)
    assert plain.cycles == one.cycles
    assert plain.energy.attojoules == one.energy.attojoules


def test_a_model_is_a_path_an_image_a_graph_or_a_mapping(tmp_path: Path) -> None:
    graph = residual()
    case, chip = case_of(graph), Chip(mesh=(2, 2))
    image.write(graph, tmp_path / "m.spk")
    reports = [
        pyspike.simulate(model, case["x"], chip)
        for model in (tmp_path / "m.spk", str(tmp_path / "m.spk"), image.to_bytes(graph), graph)
    ]
    reports.append(simulate(mapping.map_network(graph, chip), case))
    assert all(same(reports[0], each) for each in reports[1:])
    assert all(np.array_equal(each.outputs["z_n"], reports[0].outputs["z_n"]) for each in reports)


def test_a_seed_moves_tiles_and_no_output() -> None:
    graph, chip = residual(), Chip(mesh=(4, 4), lanes=8, link_delay=3)
    reports = [simulate(graph, case_of(graph), chip, seed=seed) for seed in range(3)]
    assert len({each.mapped.passes[0].placement.cores for each in reports}) > 1
    assert len({each.sops for each in reports}) == 1
    assert all(np.array_equal(each.outputs["z_n"], reports[0].outputs["z_n"]) for each in reports)


def changed(onto: MappedNetwork, firmware: Firmware) -> MappedNetwork:
    return replace(onto, passes=(replace(onto.passes[0], firmware=firmware),))


def test_one_weight_of_the_firmware_is_seen_on_the_chip_alone() -> None:
    graph = residual()
    graph.add_output(Port("z", "z", "int32"))
    onto, case = mapped(graph), case_of(graph)
    before = simulate(onto, case)
    runtime = Model.load(image.to_bytes(graph)).runtime()
    expected = runtime.run(case, raw=True)
    assert np.array_equal(before.outputs["z"], expected["z"])
    weights = onto.passes[0].firmware.weights.copy()
    weights[np.flatnonzero(weights)[0]] ^= 2
    broken = changed(onto, replace(onto.passes[0].firmware, weights=weights))
    _simulator.check(to_bytes(broken.passes[0].firmware))  # digest and records are right: it is another network
    after = simulate(broken, case)
    assert not np.array_equal(after.outputs["z"], expected["z"])
    assert np.array_equal(runtime.run(case, raw=True)["z"], expected["z"])


def test_a_destination_too_narrow_is_seen() -> None:
    graph = residual()
    onto, case = mapped(graph), case_of(graph)
    before, firmware = simulate(onto, case), onto.passes[0].firmware
    narrow = [replace(each) for each in firmware.destinations]
    at = firmware.inputs[0].first_destination
    assert narrow[at].y_high == 3
    narrow[at].y_high = 2
    after = simulate(changed(onto, replace(firmware, destinations=narrow)), case)
    assert not np.array_equal(after.outputs["z_n"], before.outputs["z_n"])


# Tokens


def test_without_ready_a_stream_is_overrun() -> None:
    """The host sends timestep 1 while the stream still has branches of timestep 0 to add."""
    graph = residual(3)
    onto, case = mapped(graph, Chip(mesh=(2, 2), lanes=8)), case_of(graph)
    host = Host(graph, case)
    (each,) = onto.passes
    data, inputs = to_bytes(each.firmware), [host.sent(source) for source in each.dataflow.inputs]
    _simulator.run(data, inputs)
    with pytest.raises(SimulationError, match="outside its group") as caught:
        _simulator.run(data, inputs, ignore_ready=True)
    with pytest.raises(SimulationError) as again:
        _simulator.run(data, inputs, ignore_ready=True)
    assert str(caught.value) == str(again.value)


# The report


def test_layers_are_those_of_the_network() -> None:
    graph = skips(2)
    report = simulate(mapped(graph, Chip(mesh=(3, 2), lanes=8)), case_of(graph))
    kinds = {layer.name: layer.kind for layer in report.layers}
    assert kinds["x"] == "input"
    assert {name for name, kind in kinds.items() if kind == "synapse"} == {"a", "c", "d", "e", "late"}
    assert {name for name, kind in kinds.items() if kind == "fire"} == {"b", "s_n", "z_n", "last_n"}
    assert {name for name, kind in kinds.items() if kind == "relay"} == {*report.mapped.network.dataflow.relays}
    used = {*report.passes[0].used_cores}
    for layer in report.layers:
        assert 0 <= layer.first_cycle <= layer.last_cycle < report.cycles
        assert {*layer.cores} <= used
        if layer.kind == "fire":
            assert layer.neurons == 4 * 4 * 8 * 2
            assert 0 < int(layer.counts.fired) <= layer.neurons
    starts = [layer.first_cycle for layer in report.layers if layer.kind == "synapse"]
    assert starts == sorted(starts)


def test_counts_of_fired_neurons_are_the_networks() -> None:
    graph = skips()
    graph.add_output(Port("b", "b", "int32"))
    report = simulate(mapped(graph), case_of(graph))
    fired = {layer.name: int(layer.counts.fired) for layer in report.layers}
    assert fired["b"] == np.count_nonzero(report.outputs["b"])
    assert fired["last_n"] == np.count_nonzero(report.outputs["last_n"])


def test_the_report_in_words() -> None:
    graph = residual()
    text = str(simulate(mapped(graph, Chip(mesh=(2, 2), coding="folded", name="mine")), case_of(graph)))
    for part in ("mine, 2 x 2 cores", "folded coding, one pass", "SOPs by", "with multiplications", "flits", "uJ by"):
        assert part in text, part
    assert "multiplications" not in str(simulate(mapped(graph), case_of(graph)))


def test_the_trace_and_the_files(tmp_path: Path) -> None:
    graph = residual()
    report = simulate(mapped(graph), case_of(graph), trace=tmp_path / "t.txt")
    (each,) = report.passes
    lines = (tmp_path / "t.txt").read_text(encoding="ascii").splitlines()
    spikes = sum(line.split()[2:4] == ["out", "0"] for line in lines)
    assert spikes == each.total("spikes") > 0
    report.write_html(tmp_path / "new" / "r.html", agreement="outputs equal the runtime's")
    report.write_trace(tmp_path / "new" / "r.json")
    assert "outputs equal the runtime" in (tmp_path / "new" / "r.html").read_text(encoding="utf-8")


def test_progress_is_told() -> None:
    class Enough(Exception):
        pass

    def progress(what: str, done: int, of: int) -> None:
        raise Enough

    graph = residual()
    with pytest.raises(Enough):
        simulate(graph, case_of(graph), Chip(mesh=(2, 2), lanes=8), progress=progress)


# Verify


def test_verify_runs_the_chip() -> None:
    report = pyspike.verify(image.to_bytes(residual(2)))
    assert "chip" in report.executors
    assert report.differences == 0


def test_verify_says_why_the_chip_is_missing() -> None:
    n = Net()
    graph = n.out(n.conv("b", n.conv("a", n.input())))
    report = pyspike.verify(image.to_bytes(graph))
    assert "chip" not in report.executors
    (why,) = [each for each in report.missing if each.startswith("chip")]
    assert "conv2d 'b'" in why
    assert "put a neuron before it" in why
    assert "not run: chip: the chip cannot run" in str(report)


def test_verify_says_that_a_network_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Chip, "load", classmethod(lambda cls, name: Chip(mesh=(1, 1), potential_sram=2048)))
    report = pyspike.verify(image.to_bytes(residual()))
    (why,) = [each for each in report.missing if each.startswith("chip")]
    assert "alone does not fit" in why


def test_verify_sees_a_wrong_bias_in_the_mapping(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = mapping.network

    def off_by_one(graph: Graph) -> object:
        found = honest(graph)
        step = next(step for step in found.dataflow.steps() if step.name == "s_n")
        step.bias = step.bias.copy()
        step.bias[3] += 40
        return found

    graph = residual()
    assert pyspike.verify(image.to_bytes(graph)).differences == 0
    monkeypatch.setattr(mapping, "network", off_by_one)
    report = pyspike.verify(image.to_bytes(graph))
    assert report.differences > 0
    assert report.first is not None
    tensor, _, integers = report.first
    assert "chip" in integers
    assert tensor in ("z_n", "s_n", "z")


def test_counts_of_every_kind_reach_the_outputs() -> None:
    """A network whose only outputs are host-made pieces of counts of two places and an input."""
    n = Net(2)
    x = n.input(time=True)
    b = n.fire("b", n.conv("a", x))
    graph = n.out(n.op("all", Concat(3, (0, 0, 0)), b, x, n.fire("d", n.conv("c", b))))
    case = case_of(graph)
    report = simulate(mapped(graph, replace(AMPLE, mesh=(2, 2), lanes=8)), case)
    expected = pyspike.reference.run(graph, case)
    assert np.array_equal(report.outputs["all"], expected["all"])
