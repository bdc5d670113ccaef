"""The operators of the integer graph, one file each: equation, fields, rules, NumPy reference, and what runs it
elsewhere.
"""

from pyspike.ops.add import Add
from pyspike.ops.align import Align
from pyspike.ops.base import Op
from pyspike.ops.concat import Concat
from pyspike.ops.constant import Constant
from pyspike.ops.conv2d import Conv2d
from pyspike.ops.expand import Expand
from pyspike.ops.fire import Fire
from pyspike.ops.linear import Linear
from pyspike.ops.max_pool import MaxPool
from pyspike.ops.mean import Mean
from pyspike.ops.pad import Pad
from pyspike.ops.reshape import Reshape
from pyspike.ops.slice import Slice
from pyspike.ops.synapse import Synapse
from pyspike.ops.transpose import Transpose
from pyspike.ops.upsample import Upsample

OPS: tuple[type[Op], ...] = (
    Conv2d, Linear, Add, Concat, MaxPool, Upsample, Mean, Slice, Reshape, Transpose, Expand, Pad, Align, Constant, Fire,
)  # fmt: skip
"""Every operator; an executor runs each, or `Op.unsupported` says why not."""

BY_KIND = {op.kind: op for op in OPS}

__all__ = [
    "BY_KIND", "OPS", "Add", "Align", "Concat", "Constant", "Conv2d", "Expand", "Fire", "Linear", "MaxPool", "Mean",
    "Op", "Pad", "Reshape", "Slice", "Synapse", "Transpose", "Upsample",
]  # fmt: skip
