"""Our simulated chip beside SANA-FE, in one run: the same networks, the same energies of Loihi, one thread each.

1. 1024 -> 1024 neurons, all connected, 10% of the inputs spiking in each timestep: synaptic events a second, memory.
2. The gesture network as SANA-FE's tutorial runs it, against plain NumPy (benchmarks/sanafe/network.py): every count.
3. The same network with weights of 8 bits, tile for tile on the same mesh in both: spikes, one by one, events, messages
   and hops must be equal, and so the energies of synapses and hops; time is compared, not equal (docs/sanafe.md).

Speed is by CPU time of the one thread, loading left out: others on the machine add little to it. Exit code 1 where
something that must be equal is not.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

from benchmarks.sanafe import peer
from benchmarks.sanafe.network import Network, Run, Work, in_bits, run, simple_seconds, tiled, work

BLOCKS = ((1, 1), (4, 1), (4, 2), (4, 4), (2, 1), (1, 1))  # blocks of rows and of channels; at most 1024 neurons each
MESH = (8, 4)  # the only one that SANA-FE's BookSim has; 32 cores
SIZE, TIMESTEPS, SHARE = 1024, 50, 0.1
BARRIER = 1.4e-6  # seconds for each timestep in Loihi's description, where 4 to 28 tiles are in use
CYCLE_TIMESTEPS = 2  # of the dense network in BookSim, which needs about ten seconds for each


class Checks:
    """Prints what is compared, and remembers whether all were equal."""

    def __init__(self) -> None:
        self.failed = False

    def __call__(self, what: str, found: object, expected: object) -> None:
        equal = found == expected
        self.failed |= not equal
        print(f"  {what:34s} {found!s:>14s}   {'equal' if equal else f'NOT EQUAL to {expected}'}")

    def close(self, what: str, found: float, expected: float, unit: str = "uJ") -> None:
        """Sums of floats in another order: equal to 1e-9."""
        equal = abs(found - expected) <= 1e-9 * abs(expected)
        self.failed |= not equal
        verdict = "equal" if equal else f"NOT EQUAL to {expected * 1e6:.6f} {unit}"
        print(f"  {what:34s} {found * 1e6:11.6f} {unit}   {verdict}")


def speed(cycle: bool) -> None:
    """Part 1."""
    from benchmarks.sanafe.ours import dense

    print(f"{SIZE} -> {SIZE}, all connected, {SHARE:.0%} activity, {TIMESTEPS} timesteps, one thread")
    found = peer.apart(dense, SIZE, TIMESTEPS, SHARE)
    ours = found.sops / found.cpu
    print(
        f"  pyspike, cycle by cycle            {ours / 1e6:8.2f} M events/s  {found.resident / SIZE**2:8.1f} B/synapse"
    )
    for mode in peer.MODES if cycle else peer.MODES[:2]:
        steps = CYCLE_TIMESTEPS if mode == "cycle" else TIMESTEPS
        theirs = peer.dense(mode, SIZE, steps, SHARE)
        rate = theirs.events / theirs.cpu
        note = f"  ({steps} timesteps)" if mode == "cycle" else ""
        print(
            f"  SANA-FE, {mode:25s} {rate / 1e6:8.2f} M events/s  {theirs.resident / SIZE**2:8.1f} B/synapse"
            f"  pyspike is {ours / rate:.1f} x as fast{note}"
        )


def tutorial(network: Network, timesteps: int, cycle: bool, checks: Checks) -> None:
    """Part 2."""
    print(f"the gesture network as in the tutorial: {network.synapses:,} synapses, {timesteps} timesteps")
    found = peer.run(network, "simple", timesteps)
    expected = work(network, run(network, timesteps), peer.places(None))
    counts(found, expected, checks)
    energies(found, expected, checks, synapse=35.5e-12)
    checks.close(
        "time", found.seconds, simple_seconds(network, run(network, timesteps), synapse=3.8) + timesteps * BARRIER, "us"
    )
    short = CYCLE_TIMESTEPS * 10
    for mode, steps in [("detailed", timesteps), *((each, short) for each in peer.MODES if cycle)]:
        other = peer.run(network, mode, steps)
        rate = other.events / other.cpu / 1e6
        print(f"  {mode:9s}{steps:5d} timesteps {other.seconds * 1e6:18.1f} us  {rate:8.2f} M events/s")


def counts(found: peer.Figures, expected: Work, checks: Checks) -> None:
    """SANA-FE's counters against NumPy's."""
    checks("spikes", found.spikes, expected.spikes)
    checks("synaptic events", found.events, expected.events)
    checks("messages", found.messages, expected.messages)
    checks("hops", found.hops, expected.hops_x + expected.hops_y)
    checks("neurons updated", found.updated, expected.updated)


def energies(found: peer.Figures, expected: Work, checks: Checks, synapse: float) -> None:
    """SANA-FE's energies against its counters, priced by hand."""
    checks.close("energy of synapses", found.synapse, expected.events * synapse)
    hops = expected.hops_x * 3.0e-12 + expected.hops_y * 4.2e-12
    checks.close("energy of messages and hops", found.network, expected.messages * 111e-12 + hops)
    soma = expected.accesses * 51.2e-12 + expected.updated * 21.6e-12 + expected.spikes * 69.3e-12
    checks.close("energy of neurons", found.soma, soma)


def side_by_side(network: Network, timesteps: int, cycle: bool, checks: Checks) -> None:
    """Part 3."""
    from benchmarks.sanafe.ours import ours

    network = tiled(in_bits(network, 8), BLOCKS)
    drain = len(network.layers)  # timesteps that the last spikes need in SANA-FE, one from layer to layer
    expected = run(network, timesteps, drain)
    amount = work(network, expected, peer.places(MESH))
    print(f"the same network with weights of 8 bits, {MESH[0]} x {MESH[1]} tiles of one core, {timesteps} timesteps")
    options = {"mesh": MESH, "drain": drain, "synapse": peer.CONVOLUTION}
    traced = peer.run(network, "simple", timesteps, sync=False, trace=True, **options)
    print(" SANA-FE against NumPy")
    checks("spikes, one by one", traced.fired == _pairs(expected), True)
    counts(traced, amount, checks)
    energies(traced, amount, checks, synapse=24.0e-12)
    checks.close("time", traced.seconds, simple_seconds(network, expected), "us")
    found = ours(network, expected.spikes[0][:timesteps], MESH)
    print(" pyspike against SANA-FE")
    shifted = [spikes[at : at + timesteps] for at, spikes in enumerate(expected.spikes)][1:]
    checks("spikes, one by one", all(map(np.array_equal, found.spikes, shifted)), True)
    checks("spikes", found.fired, traced.spikes)
    checks("synaptic events", found.events, traced.events)
    checks("messages", found.messages, traced.messages)
    checks("hops east-west", found.hops_x, amount.hops_x)
    checks("hops north-south", found.hops_y, amount.hops_y)
    parts = found.energy.parts
    checks.close("energy of synapses", parts["synapse"], traced.synapse)
    checks.close("energy of messages and hops", parts["messages"] + parts["links"], traced.network)
    print(f"  {'energy of neurons':34s} {parts['fire'] * 1e6:11.6f} uJ   SANA-FE {traced.soma * 1e6:.6f} uJ (see docs)")
    print(f" pyspike, cycle by cycle       {found.seconds * 1e6:10.1f} us at 200 MHz ({found.cycles:,} cycles)"
          f"  {found.events / found.cpu / 1e6:8.2f} M events/s")  # fmt: skip
    for mode in peer.MODES if cycle else peer.MODES[:2]:
        for sync in (False, True):
            if mode == "cycle" and sync:
                continue  # the barrier only adds its time
            theirs = peer.run(network, mode, timesteps, sync=sync, **options)
            name = f"{mode}, {'with' if sync else 'without'} barrier"
            print(f" SANA-FE, {name:26s} {theirs.seconds * 1e6:10.1f} us{'':26s}"
                  f"  {theirs.events / theirs.cpu / 1e6:8.2f} M events/s")  # fmt: skip


def _pairs(found: Run) -> tuple[frozenset[tuple[int, int]], ...]:
    return tuple(frozenset((int(n), int(t)) for t, n in np.argwhere(layer)) for layer in found.spikes)


def main() -> int:
    """Run all three parts."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sanafe", description=__doc__)
    parser.add_argument("--timesteps", type=int, default=128, help="of the side-by-side run, at most 256")
    parser.add_argument("--tutorial", type=int, default=1000, metavar="TIMESTEPS", help="of the tutorial's run")
    parser.add_argument("--no-cycle", action="store_true", help="leave BookSim out, which takes minutes")
    options = parser.parse_args()
    if not peer.installed():
        print("SANA-FE is not installed, so there is nothing to compare with: pip install sanafe==2.2.9 pyyaml")
        return 0
    checks, network = Checks(), peer.gesture()
    speed(not options.no_cycle)
    tutorial(network, options.tutorial, not options.no_cycle, checks)
    side_by_side(network, options.timesteps, not options.no_cycle, checks)
    return int(checks.failed)


if __name__ == "__main__":
    sys.exit(main())
