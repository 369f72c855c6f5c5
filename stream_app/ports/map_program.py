"""A simple map of a topic as numbers, which the native library reads records by."""

from array import array
from typing import NamedTuple


class MapProgram(NamedTuple):
    """What is read where. `numbers`: the fields of `Program` of kernel/mapped_records.c, one by one; `texts`: names and words, one behind the other.

    `tree`: nodes (first field, how many), fields (where its name is, how long, a node or -1 less a place), words (where, how long, its meaning); `sizes`: how many numbers the first
    two have.
    """

    numbers: "array[int]"
    texts: bytes
    tree: "array[int]"
    sizes: "array[int]"
