"""A simple map of a topic as numbers, which the native library reads records by."""

from array import array
from typing import NamedTuple


class MapProgram(NamedTuple):
    """What is read where. `numbers`: the fields of `Program` of kernel/mapped_records.c, one by one; `texts`: names, words and constants, one behind the other.

    `tree`: nodes (first field, how many), fields (where its name is, how long, a node or -1 less a place), words (where, how long, its meaning), conditions (a place, whether it must hold
    or must not hold one of the words, the first of these, how many); `sizes`: how many numbers the first three have. A text as a meaning or a constant is where it is, times 256, and how
    long.
    """

    numbers: "array[int]"
    texts: bytes
    tree: "array[int]"
    sizes: "array[int]"
