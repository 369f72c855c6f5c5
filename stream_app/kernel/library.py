"""The native library: where it lies, and how it is loaded.

Its file's name holds a checksum of its sources, so that no other version of it is ever loaded.
"""

import ctypes
import logging
from array import array
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Final
from zlib import crc32

log = logging.getLogger(__name__)

FOLDER: Final = Path(__file__).parent
NAME: Final = "native"
SLOWER: Final = "workers take twice the CPU"


def sources() -> list[Path]:
    """What it is compiled from."""
    return sorted(FOLDER.glob("*.c"))


def path() -> Path:
    """Where the library of these sources lies, or would lie."""
    texts = [source.read_bytes() for source in [*sources(), *sorted(FOLDER.glob("*.h"))]]
    return FOLDER / f"{NAME}-{crc32(b''.join(texts)):08x}.so"


def address(numbers: "array[int]") -> int:
    """Where numbers lie, for a call of the library."""
    return numbers.buffer_info()[0]


def address_of_bytes(buffer: bytearray) -> int:
    """Where bytes lie, at least one, for a call of the library."""
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))


def texts_at(at: int, size: int, ends_at: int, count: int) -> list[bytes]:
    """Texts that lie one after the other, each to its end."""
    text, ends = ctypes.string_at(at, size) if size else b"", array("q", (0,))
    if count:
        ends.frombytes(ctypes.string_at(ends_at, 8 * count))
    return [text[start:end] for start, end in pairwise(ends)]


def numbers_at(at: int, size: int) -> list[int]:
    """Numbers that lie there, of so many bytes."""
    numbers = array("q")
    if size:
        numbers.frombytes(ctypes.string_at(at, size))
    return numbers.tolist()


@cache
def load() -> ctypes.CDLL | None:
    """The library; None where there is none, which is told once, with what it costs."""
    try:
        return ctypes.CDLL(str(path()))
    except OSError as exc:
        log.warning(
            "no native library, %s: `python -m stream_app.kernel.build` compiles it (%s)",
            SLOWER,
            exc if path().exists() else "it was not",
        )
        return None
