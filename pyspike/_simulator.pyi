"""The chip simulator (firmware_sim/): runs firmware images cycle by cycle. Private; use pyspike.chip.simulate."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

CORE_COUNTERS: tuple[str, ...]  # busy stalled waiting idle, then the counters of docs/chip.md, one column each
PORT_COUNTERS: tuple[str, ...]
# events issues null_issues sops adds lane_adds multiplies maxes weight_words readies hops_x hops_y (of its READYs)
STEP_COUNTERS: tuple[str, ...]
# fired_words compares constant_words potential_reads potential_writes spikes potentials ends hops_x hops_y fired
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
    """One run. `inputs`: int32 [T or 1, H, W, C], one for each Input record.

    windows: > 0 keeps a time series of at most so many windows of equal length, a power of two cycles. raster: > 0
    keeps at most so many points of the spike raster, every k-th neuron that fired in the order of cycles and cores, k a
    power of two. trace: path of a file for the retire-level trace. ignore_ready: steps do not wait for READY.
    check_order: False runs a firmware with a circle of waits, to see it deadlock. progress(cycle, steps done, steps) is
    called now and then, and may raise to stop the run.

    Returns a dict. M is the number of the mesh's cores, n that of windows or points; all arrays are int64.
        outputs: list of int32 [T or 1, H, W, C]; cycles, edge_in, edge_out (flits), window (cycles of one): ints
        cores [M, CORE_COUNTERS], ports [.., PORT_COUNTERS], steps [.., STEP_COUNTERS], inputs [.., INPUT_COUNTERS]
        times [T, steps, 2], input_times [T, inputs, 2]: first and last cycle under way
        links [M, 5]: flits through the outputs L N E S W of each router
        window_classes [n, M, 4], window_links [n, M, 5], window_counters [n, CORE_COUNTERS] of the whole chip
        raster [n, 3]: cycle q, step, and neuron, its index in the tile (row-major site * channels + channel)
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
    """The mesh alone. `flits` int64 [n, 3]: cycle from which it may enter, source core, destination core, by cycle.

    Each core pushes its flits in order, one a cycle where its out FIFO is not full, and pops its axon FIFO in every
    cycle.

    Returns: entered, popped int64 [n] (cycles; -1 where max_cycles came first); links int64 [cores, 5]; cycles.
    """
