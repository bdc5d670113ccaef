"""Firmware images that break a rule of docs/firmware.md: each is a `ModelFormatError` that says which, and where."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyspike import _simulator
from pyspike.chip import firmware as fw
from pyspike.errors import ModelFormatError, SimulationError
from tests.chip.firmwares import Builder

NUMBERS = [0, 1, 2, 5, 16, 64, 255, 256, 1023, 16384, 2**16, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1]
LONGEST = 20000  # cycles


def everything() -> fw.Firmware:
    """Cores 0, 2 and 3 of a 2x2 mesh: convolution, membranes, pooling, a live tensor, both kinds of outputs."""
    chip = Builder(mesh=(2, 2), lanes=8, timesteps=2, weight_bits=6, port_table=4)
    first = chip.tile(core=0, rows=4, columns=4, channels=12).fire(
        [[k, k + 2] for k in range(12)], bias=range(12), membrane=True, leak=[(1, 1), (-1, 3)], guard=2, reset=[0, 4, 8]
    )
    pooled = chip.tile(core=2, rows=2, columns=2, channels=12, mode=fw.MAX).fire([1, 2])
    stream = chip.tile(core=3, rows=2, columns=2, channels=12)
    fired, output = stream.fire([3], clear=False, membrane=True, hard=True), stream.output(last=True)
    image = chip.input(4, 4, 3)
    image.to(first.port(kernel=(3, 3), padding=(1, 1), inputs=3, outputs=12))
    first.to(pooled.port(kernel=(2, 2), stride=(2, 2)))
    pooled.to(fired.port(inputs=12, outputs=12))
    chip.input(2, 2, 12, kind=fw.POTENTIALS, varies=False).to(fired.load())
    relay = chip.tile(core=3, rows=2, columns=2, channels=12).fire([1])
    fired.to(relay.port())
    relay.to(output.port(inputs=12, outputs=12))
    fired.to_edge()
    output.to_edge(varies=False)
    return chip.build()


IMAGE = fw.to_bytes(everything())


def refused(data: bytes) -> str:
    with pytest.raises(ModelFormatError) as error:
        _simulator.check(data)
    return str(error.value)


def test_the_firmware_to_break_is_good() -> None:
    _simulator.check(IMAGE)
    rng = np.random.default_rng(0)
    image = rng.integers(0, 3, (2, 4, 4, 3), dtype=np.int32)
    live = rng.integers(-9, 9, (1, 2, 2, 12), dtype=np.int32)
    result = _simulator.run(IMAGE, [image, live])
    assert result["outputs"][0].any()
    assert result["outputs"][1].any()


# The container


def test_every_truncation_is_refused() -> None:
    for size in range(0, len(IMAGE), 7):
        assert "truncated" in refused(IMAGE[:size])


@pytest.mark.parametrize(
    ("at", "message"),
    [(0, "magic"), (8, "major format version"), (12, "kind 2"), (16, "another size"), (24, "zero"), (40, "SHA-256"),
     (64, "SHA-256"), (-1, "SHA-256")],
)  # fmt: skip
def test_changed_bytes_are_refused(at: int, message: str) -> None:
    data = bytearray(IMAGE)
    data[at] ^= 1
    assert message in refused(bytes(data))


def test_a_model_image_is_no_firmware() -> None:
    data = bytearray(IMAGE)
    data[12] = 1
    assert "kind 2 (a firmware)" in refused(bytes(data))


def signed(data: bytes | bytearray) -> bytes:
    data = bytearray(data)
    data[16:24] = len(data).to_bytes(8, "little")
    data[32:64] = hashlib.sha256(data[64:]).digest()
    return bytes(data)


def test_gaps_and_tails() -> None:
    at = 64 + 128 + 3 * 13 * 4  # behind the three cores
    data = bytearray(IMAGE)
    data[at] = 1
    assert "expected zeros between sections" in refused(signed(data))
    assert "metadata does not end where the file does" in refused(signed(IMAGE + b" "))
    firmware = everything()
    firmware.metadata = {"name": "ä"}
    data = bytearray(fw.to_bytes(firmware))
    data[-3] = 0xFF
    assert "no UTF-8" in refused(signed(data))


# The records

Change = Callable[[fw.Firmware], Any]


def put(section: str, at: int, /, **values: Any) -> Change:
    def change(firmware: fw.Firmware) -> None:
        for name, value in values.items():
            assert hasattr(getattr(firmware, section)[at], name)
            setattr(getattr(firmware, section)[at], name, value)

    return change


def chip(**values: Any) -> Change:
    def change(firmware: fw.Firmware) -> None:
        for name, value in values.items():
            assert hasattr(firmware, name)
            setattr(firmware, name, value)

    return change


def more(section: str, record: Any) -> Change:
    return lambda firmware: getattr(firmware, section).append(record)


def array(name: str, at: int, value: int) -> Change:
    return lambda firmware: getattr(firmware, name).__setitem__(at, value)


BROKEN: list[tuple[Change, str]] = [
    # The chip.
    (chip(width=0), "width must be 1..64, found 0"),
    (chip(height=65), "height must be 1..64, found 65"),
    (chip(router_fifo=0), "depth of a FIFO must be 1..4096, found 0"),
    (chip(out_fifo=4097), "depth of a FIFO"),
    (chip(axon_fifo=2**32 - 1), "depth of a FIFO"),
    (chip(link_delay=1025), "link_delay must be 0..1024"),
    (chip(timesteps=0), "timesteps must be 1..256"),
    (chip(timesteps=257), "timesteps must be 1..256"),
    (chip(weight_bits=1), "weight_bits must be 2..8"),
    (chip(weight_bits=9), "weight_bits must be 2..8"),
    (chip(port_table=256), "port_table must be 0..255"),
    (chip(port_table=1), "core record 2: more ports than the port table holds"),
    (chip(weight_sram=100), "core record 0: weights, shifts and constants exceed the weight SRAM"),
    (chip(potential_sram=2000), "step 0: its potentials exceed the potential SRAM"),
    (chip(potential_sram=1000), "tile 0: its potentials exceed the potential SRAM"),
    # Cores.
    (put("cores", 0, number=4), "core record 0: the core's number must be 0..3, found 4"),
    (put("cores", 1, number=0), "core record 1: core numbers must ascend"),
    (put("cores", 0, tiles=0), "core record 0: a core record without tiles"),
    (put("cores", 1, first_tile=0), "core record 1: its tiles must begin at 1"),
    (put("cores", 1, first_port=0), "its ports must begin at 1"),
    (put("cores", 1, first_destination=0), "its destinations must begin at 1"),
    (put("cores", 1, first_constant=0), "its constants must begin at"),
    (put("cores", 1, first_shift=1), "its shifts must begin at"),
    (put("cores", 1, first_weight=1), "its weights must begin at"),
    (put("cores", 2, tiles=3), "core record 2: its tiles must begin at 2 and end before 4, found 3"),
    (put("cores", 2, constants=2**32 - 1), "core record 2: its constants must begin at"),
    (put("cores", 2, weights=2**32 - 1), "core record 2: its weights must begin at"),
    (lambda f: f.cores.pop(), "there are tiles, steps, ports or producers that no core uses"),
    (more("tiles", fw.Tile()), "there are tiles, steps, ports or producers that no core uses"),
    (more("producers", fw.Producer()), "there are tiles, steps, ports or producers that no core uses"),
    (lambda f: setattr(f, "constants", np.append(f.constants, np.int32(0))), "constants, shifts or weights that no"),
    (lambda f: setattr(f, "weights", np.append(f.weights, np.zeros(8, np.int8))), "constants, shifts or weights that"),
    (more("destinations", fw.Destination()), "destinations that neither a core nor an input uses"),
    # Tiles.
    (put("tiles", 0, mode=2), "tile 0: mode must be 0..1, found 2"),
    (put("tiles", 0, rows=0), "tile 0: rows must be 1..1024"),
    (put("tiles", 0, columns=1025), "tile 0: columns must be 1..1024"),
    (put("tiles", 0, channels=0), "tile 0: channels must be 1..16384"),
    (put("tiles", 0, y=1021), "tile 0: y must be 0..1020"),
    (put("tiles", 0, x=2**32 - 1), "tile 0: x must be 0..1020"),
    (put("tiles", 0, channel=16384), "tile 0: channel must be 0..16372"),
    (put("tiles", 0, base=2**32 - 1), "tile 0: its potentials exceed"),
    (put("tiles", 0, base=40), "core record 0: tiles or membranes overlap"),
    (put("tiles", 0, steps=0), "tile 0: a tile without steps"),
    (put("tiles", 1, first_step=0), "tile 1: its steps must begin at 1"),
    (put("tiles", 3, steps=2), "tile 3: its steps must begin at 4 and end before 5, found 2"),
    # Steps.
    (put("steps", 0, kind=2), "step 0: kind must be 0..1"),
    (put("steps", 0, per_channel=2), "step 0: per_channel must be 0..1"),
    (put("steps", 0, clear=2), "step 0: clear must be 0..1"),
    (put("steps", 0, last=2), "step 0: last must be 0..1"),
    (put("steps", 0, count=0), "step 0: count must be 1..255"),
    (put("steps", 0, count=256), "step 0: count must be 1..255"),
    (put("steps", 0, ladder=30), "step 0: its ladder exceeds the core's"),
    (put("steps", 0, ladder=2**32 - 1), "step 0: its ladder exceeds the core's"),
    (put("steps", 0, bias=2**32 - 1), "step 0: its bias exceeds the core's"),
    (put("steps", 0, reset=2**32 - 1), "step 0: its reset amounts exceeds the core's"),
    (put("steps", 0, membrane=2**32 - 1), "step 0: its potentials exceed"),
    (put("steps", 0, membrane=1), "tiles or membranes overlap"),
    (put("steps", 0, membrane=0), "step 0: reset, guard or leak without a membrane"),
    (put("steps", 1, hard_reset=1), "step 1: reset, guard or leak without a membrane"),
    (put("steps", 1, leak_shift=(0, 0, 1)), "step 1: reset, guard or leak without a membrane"),
    (put("steps", 0, hard_reset=2), "step 0: hard_reset must be 0..1"),
    (put("steps", 0, hard_reset=1), "step 0: hard_reset together with reset amounts"),
    (put("steps", 0, guard=32), "step 0: guard must be 0..31"),
    (put("steps", 0, leak_terms=4), "step 0: leak terms must be 0..3"),
    (put("steps", 0, leak_sign=(2, -1, 0)), "the sign of a leak term must be 1 or -1"),
    (put("steps", 0, leak_sign=(1, -1, 1)), "an unused leak term must be 0"),
    (put("steps", 0, leak_shift=(1, 32, 0)), "leak shift must be 0..31"),
    (put("steps", 3, count=1), "step 3: an OUTPUT with a ladder"),
    (put("steps", 3, membrane=1), "step 3: an OUTPUT with a membrane"),
    (put("steps", 0, first_port=1), "step 0: its ports must begin at 0"),
    (put("steps", 0, ports=2), "step 0: its ports must begin at 0 and end before 1, found 2"),
    (put("steps", 4, ports=0, ends=0), "core record 2: there are ports that no step uses"),
    (put("steps", 0, destinations=0), "core record 0: there are destinations that no step uses"),
    (put("steps", 0, destinations=2), "step 0: its destinations must begin at 0 and end before 1"),
    (put("steps", 0, ends=2), "step 0: ends must be the number of its ports' producers"),
    # Ports.
    (put("ports", 0, kind=2), "port 0: kind must be 0..1"),
    (put("ports", 0, coding=3), "port 0: coding must be 0..2"),
    (put("ports", 0, kernel_y=0), "port 0: kernel must be 1..255"),
    (put("ports", 0, kernel_x=256), "port 0: kernel must be 1..255"),
    (put("ports", 0, stride_y=17), "port 0: stride must be 1..16"),
    (put("ports", 0, stride_x=0), "port 0: stride must be 1..16"),
    (put("ports", 0, dilation_y=0), "port 0: dilation must be 1..16"),
    (put("ports", 0, dilation_x=17), "port 0: dilation must be 1..16"),
    (put("ports", 0, upsample_y=0), "port 0: upsampling must be 1..16"),
    (put("ports", 0, upsample_x=2**32 - 1), "port 0: upsampling must be 1..16"),
    (put("ports", 0, inputs=0), "port 0: inputs and outputs must be at least 1"),
    (put("ports", 0, outputs=0), "port 0: inputs and outputs must be at least 1"),
    (put("ports", 0, inputs=4), "port 0: its weights exceed those of the core"),
    (put("ports", 0, inputs=2**32 - 1), "port 0: its weights exceed those of the core"),
    (put("ports", 0, weight=1), "port 0: its weights exceed those of the core"),
    (put("ports", 0, shift=2**32 - 1), "port 0: its shifts exceed those of the core"),
    (put("ports", 1, inputs=2), "port 1: a port of a tile of mode max has no channels and no weights"),
    (put("ports", 1, kind=1, kernel_y=1, kernel_x=1, stride_y=1, stride_x=1), "port 1: a load port in a tile of mode"),
    (put("ports", 3, top=1), "port 3: a load port has no geometry and no weights"),
    (put("ports", 3, channel=1), "port 3: a load port has no geometry and no weights"),
    (put("ports", 0, producers=0), "port 0: a port without producers"),
    (put("ports", 1, first_producer=0), "port 1: its producers must begin at 1"),
    # Arrays.
    (array("weights", 5, 32), "a weight does not fit weight_bits"),
    (array("weights", 5, -33), "a weight does not fit weight_bits"),
    (array("shifts", 3, 32), "shifts must be 0..31"),
    # Inputs and outputs.
    (put("inputs", 0, kind=2), "input 0: kind must be 0..1"),
    (put("inputs", 0, varies=2), "input 0: varies must be 0..1"),
    (put("inputs", 0, height=0), "input 0: height must be 1..1024"),
    (put("inputs", 0, width=1025), "input 0: width must be 1..1024"),
    (put("inputs", 0, channels=2**31), "input 0: channels must be 1..16384"),
    (put("inputs", 0, destinations=0), "input 0: an input without destinations"),
    (put("inputs", 1, first_destination=0), "input 1: its destinations must begin at"),
    (put("outputs", 0, kind=2), "output 0: kind must be 0..1"),
    (put("outputs", 0, varies=2), "output 0: varies must be 0..1"),
    (put("outputs", 0, height=0), "output 0: height must be 1..1024"),
    (put("outputs", 0, width=1025), "output 0: width must be 1..1024"),
    (put("outputs", 0, channels=0), "output 0: an output without channels"),
    (put("outputs", 0, channels=16385), "output 0: its channels must begin at 0 and end before 16384"),
    (put("outputs", 1, channel=0), "output 1: its channels must begin at 12"),
    (put("outputs", 1, height=1024, width=1024, channels=1024, varies=0), "outputs have more than 2^29 values"),
    # Destinations and producers.
    (put("destinations", 0, core=4), "destination 0: no such core, or one without tiles"),
    (put("destinations", 0, core=1), "destination 0: no such core, or one without tiles"),
    (put("destinations", 0, port=1), "destination 0: no such port in that core"),
    (put("destinations", 0, core=3), "a producer's destination does not name this port"),
    (put("destinations", 0, core=3, port=1), "destination 0: counts go to synapse ports, potentials to load ports"),
    (put("destinations", 0, dy=-1), "destination 0: y of what is sent must be 0..1023, found -1"),
    (put("destinations", 0, dx=1021), "destination 0: x of what is sent must be 0..1023, found 1024"),
    (put("destinations", 0, dc=-(2**31)), "destination 0: channel of what is sent must be 0..16383"),
    (put("destinations", 3, port=0), "destination 3: the edge has port 255"),
    (put("destinations", 3, dy=1), "destination 3: what is sent to the edge does not lie in one output"),
    (put("destinations", 3, dc=6), "destination 3: what is sent to the edge does not lie in one output"),
    (put("destinations", 3, dc=12), "destination 3: counts and potentials are mixed at the edge"),
    (put("destinations", 3, dc=24), "destination 3: what is sent to the edge lies in no output"),
    (put("destinations", 6, core=fw.EDGE, port=255), "destination 6: an input that sends to the edge"),
    (put("producers", 0, destination=1), "port 0: a producer's destination does not name this port"),
    (put("producers", 0, destination=2**32 - 1), "port 0: a producer's destination does not name this port"),
    (put("producers", 1, core=1), "port 1: a producer's destination does not name this port"),
    (put("producers", 1, core=2**31), "port 1: a producer's destination does not name this port"),
    # The order of waits.
    (put("steps", 1, number=1), "step 0: its number must be lower than that of step 1, which it feeds"),
    (put("inputs", 0, number=99), "input 0: its number must be lower than that of step 0, which it feeds"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), BROKEN, ids=[message for _, message in BROKEN])
def test_every_rule_is_checked(change: Change, message: str) -> None:
    firmware = everything()
    change(firmware)
    assert message in refused(fw.to_bytes(firmware))


FIELDS = [
    (section, at, name)
    for section, _ in fw.SECTIONS
    for at, record in enumerate(getattr(everything(), section))
    for name, value in vars(record).items()
    if isinstance(value, int)
] + [("", 0, name) for name in fw.CHIP_FIELDS]


@given(st.lists(st.tuples(st.sampled_from(FIELDS), st.sampled_from(NUMBERS)), min_size=1, max_size=3))
def test_whatever_the_fields_say_it_is_refused_or_runs(changes: list[tuple[tuple[str, int, str], int]]) -> None:
    firmware = everything()
    for (section, at, name), value in changes:
        setattr(getattr(firmware, section)[at] if section else firmware, name, value)
    lanes = firmware.lanes
    if len(firmware.shifts) % (lanes or 1) or len(firmware.weights) % (lanes or 1) or not lanes:
        return  # no image says that
    data = fw.to_bytes(firmware)
    try:
        _simulator.check(data)
    except ModelFormatError:
        return
    rng = np.random.default_rng(0)
    inputs = []
    for each in firmware.inputs:
        shape = (firmware.timesteps if each.varies else 1, each.height, each.width, each.channels)
        if np.prod(shape) > 2**20:
            return
        inputs.append(rng.integers(0, 3, shape, dtype=np.int32))
    try:
        _simulator.run(data, inputs, max_cycles=LONGEST)
    except SimulationError as error:
        if "not ended" not in str(error):  # never a deadlock: the order of waits is proven
            raise


@given(st.integers(64, len(IMAGE) - 1), st.binary(min_size=1, max_size=8))
def test_whatever_the_bytes_are_it_is_refused_or_accepted(at: int, change: bytes) -> None:
    data = bytearray(IMAGE)
    data[at : at + len(change)] = change[: len(data) - at]
    with contextlib.suppress(ModelFormatError):
        _simulator.check(signed(data))
