"""Latency that can be stated beforehand: the time of an inference is at most a + b x events.

bound = pyspike.Model.load("network.spk").latency_bound(threads=2)
print(bound)                                                      # layer by layer
bound.seconds(1_000_000)                                          # at most, wherever a million events fall
runtime.run(x, max_events=bound.budget(seconds=0.020))

An event-driven layer takes a constant time, and a constant time for each event (a non-zero integer that a synapse
reads). Both constants are measured, on this machine under the load of the moment: a bound here is a figure that was
measured and then held against fresh inputs, not a proof. What is certain is the budget: a run that would read more than
`max_events` events is stopped before it does.

  bound.py     what was found, and what it says for a number of events or a time
  fit.py       from times to a and b
  inputs.py    what is run: inputs that make few and many events
  measure.py   running it
"""

from pyspike.latency.bound import LatencyBound, LayerBound, Measured
from pyspike.latency.measure import latency_bound

__all__ = ["LatencyBound", "LayerBound", "Measured", "latency_bound"]
