"""The chip simulator (firmware_sim/): runs firmware images cycle by cycle. Private; use pyspike.chip.simulate."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

CORE_COUNTERS: tuple[str, ...]  # busy stalled waiting idle, then the counters of docs/chip.md, one column each
PORT_COUNTERS: tuple[str, ...]
# events issues null_issues sops adds lane_adds multiplies maxes weight_words readies hops_x hops_y (of its READYs)
STEP_COUNTERS: tuple[str, ...]
# fired_words compares constant_words potential_reads potential_writes spikes potentials ends hops_x hops_y
INPUT_COUNTERS: tuple[str, ...]  # spikes potentials ends hops_x hops_y

class SimulationError(Exception):
    """A deadlock, an event outside its group, or a run beyond max_cycles; says the state that shows why."""

def check(firmware: bytes) -> None:
    """Verify an image; raises pyspike.ModelFormatError."""

def run(
    firmware: bytes,
    inputs: list[NDArray[np.int32]],
    *,
    threads: int = 1,
    windows: int = 0,
    raster: int = 0,
    trace: str = "",
    ignore_ready: bool = False,
    check_order: bool = True,
    max_cycles: int = 0,
    progress: Callable[[int, int, int], None] | None = None,
) -> dict[str, Any]:
    """One run. `inputs` int32 [T or 1, H, W, C], one for each Input record. `windows` > 0: keep a time series of at most
    so many windows of equal length (a power of two cycles). `raster` > 0: keep at most so many points of the spike
    raster: every k-th neuron that fired, in the order of cycles and cores, k a power of two. `trace`: path of a file for the retire-level trace. `ignore_ready`: steps do not
    wait for READY. `check_order` False runs a firmware with a circle of waits, to see it deadlock. `progress(cycle, steps done, steps)` is
    called now and then, and may raise to stop the run.

    Returns: outputs list of int32 [T or 1, H, W, C]; cycles; cores int64 [mesh cores, CORE_COUNTERS]; ports int64 [ports, PORT_COUNTERS]; steps int64 [steps, STEP_COUNTERS];
    inputs int64 [inputs, INPUT_COUNTERS]; times int64 [T, steps, 2] first and last cycle of each step under way; input_times int64 [T, inputs, 2]; links int64 [mesh cores, 5] flits through the outputs
    L N E S W of each router; edge_in, edge_out (flits); window (cycles of one), window_classes int64 [n, mesh cores, 4], window_links int64 [n, mesh cores, 5], window_counters int64 [n, len(CORE_COUNTERS)] of the whole chip;
    raster int64 [n, 3]: cycle q, step, and neuron, its index in the tile (site in row-major order * channels + channel).
    """

def traffic(
    width: int,
    height: int,
    flits: NDArray[np.int64],
    *,
    router_fifo: int = 4,
    out_fifo: int = 16,
    axon_fifo: int = 64,
    link_delay: int = 0,
    max_cycles: int = 0,
) -> dict[str, Any]:
    """The mesh alone. `flits` int64 [n, 3]: cycle from which it may enter, source core, destination core, sorted by cycle. Each core
    pushes its flits in order, one a cycle where its out FIFO is not full, and pops its axon FIFO in every cycle.

    Returns: entered, popped int64 [n] (cycles; -1 where max_cycles came first); links int64 [cores, 5]; cycles.
    """
