"""A simple map of a topic as numbers, which the native library reads records by; and the types of schemas, by which it reads those of Avro and Protobuf."""

from array import array
from enum import IntEnum, IntFlag, auto
from typing import Final, NamedTuple

CHANGES: Final = -(1 << 63)  # what is NO_VALUE in kernel/events.h


class MapProgram(NamedTuple):
    """What is read where. `numbers`: the fields of `Program` of kernel/mapped_records.c, one by one; `texts`: names, words and constants, one behind the other.

    `tree`: nodes (first field, how many), fields (where its name is, how long, a node or -1 less a place; of an item of a list its number, -1 for the last, and -1; of the first
    object in a list by a name and its text the first of two words, and -2), words (where, how long, its meaning), conditions (a place, whether it must hold
    or must not hold one of the words, the first of these, how many), schemas (its id, the type of its records or -1 for JSON), the clock of the map's zone (a day since 1970, and of each day from then on the milliseconds that it
    is ahead of UTC, CHANGES where that changes in the course of it), types (as in `Kind`); `sizes`: how many numbers all but the
    last have, and the number of places. A text as a meaning or a constant is where it is, times 256, and how long. Without schemas values are JSON.
    """

    numbers: "array[int]"
    texts: bytes
    tree: "array[int]"
    sizes: "array[int]"


class Kind(IntEnum):
    """A type is six numbers: its kind, the place that its values stand at or -1, two by the kind, the number of a field of Protobuf, and its flags.

    Of types that have others the two are the first of these, which lie one behind the other, and how many.
    """

    NOTHING = 0
    BOOLEAN = auto()
    INTEGER = auto()  # of Protobuf: the most that it may be
    ZIGZAG = auto()  # the same, as it is written
    TIME = auto()  # of Avro: how many make a millisecond
    DOUBLE = auto()
    STRING = auto()
    BYTES = auto()
    DECIMAL = auto()  # its scale; its size, 0 where that stands before it
    FIXED = auto()  # nothing, and its size
    WORD = auto()  # where the text is, in quotes, and how long
    ENUM = auto()  # words
    RECORD = auto()  # fields; one that stands at a place has those of a row
    UNION = auto()
    ARRAY = auto()  # its items
    MAP = auto()  # its values
    MESSAGES = auto()  # of a file of Protobuf
    UNKNOWN = auto()  # a value of it is left


class Flag(IntFlag):
    """Of a field of Protobuf. Members of a oneof have its number, from one on, times ONE_OF besides."""

    NONE = 0
    REPEATED = 1
    HAS_DEFAULT = 2  # it can't tell whether it is set
    ONE_OF = 4
