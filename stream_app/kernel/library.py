"""The native library: where it lies, and how it is loaded.

Its file's name holds a checksum of its source, so that no other version of it is ever loaded.
"""

import ctypes
import logging
from functools import cache
from pathlib import Path
from typing import Final
from zlib import crc32

log = logging.getLogger(__name__)

SOURCE: Final = Path(__file__).with_name("source_records.c")
SLOWER: Final = "reading source records takes six times the CPU, all in all an eighth more"


def path() -> Path:
    """Where the library of this source lies, or would lie."""
    return SOURCE.with_name(f"{SOURCE.stem}-{crc32(SOURCE.read_bytes()):08x}.so")


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
