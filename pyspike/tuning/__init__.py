"""Which kernel each layer takes, measured on the machine at hand and kept beside the image.

report = model.tune([photograph], threads=2)     # or: pyspike tune network.spk photograph.jpg --threads 2
report.tuning.save("network.spk.tune")           # found and used wherever network.spk is loaded from its file
print(report)

Without a tuning a cost model chooses. No choice changes a result, and an image holds none: a side file speaks of one
image, told by its digest, and of the machines on which it was tuned.

  side_file.py   choices, and the file that keeps them
  measure.py     trying every kernel on every layer
"""

from pyspike.tuning.measure import TunedLayer, TuneReport, tune
from pyspike.tuning.side_file import Tuning

__all__ = ["TuneReport", "TunedLayer", "Tuning", "tune"]
