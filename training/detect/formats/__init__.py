"""Data sets on disk, one reader per format: COCO, YOLO, Pascal VOC, Prophesee's event recordings.

`read_split(root, split, classes)` finds out which it is. Every reader gives `Stored` samples: labels in memory,
checked, and images that are read when they are asked for. Whatever is wrong raises `DatasetError`, naming the file and
the line, or the entry where lines say little.
"""

from training.detect.formats.read import FORMATS, read_split
from training.detect.formats.stored import DatasetError, Stored

__all__ = ["FORMATS", "DatasetError", "Stored", "read_split"]
