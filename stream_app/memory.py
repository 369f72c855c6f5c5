"""How processes keep their memory: few looks for cycles, and what is freed given back to the system."""

import asyncio
import ctypes
import gc

_CYCLES_S = 300.0  # between two looks for cycles
_MALLOC = {-8: 2, -3: 512 << 10, -1: 16 << 20}  # M_ARENA_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD of malloc.h


def fit_to_ticks() -> None:
    """Set Python's collector and glibc's bounds for what a tick allocates. Other C libraries have no such bounds.

    A tick makes some hundred thousand lists, none cyclic, and drops them: looking for cycles among them took an eighth of the time, 0.1 s at once.

    glibc would map blocks up to the size of the largest one freed so far only: memtables of RocksDB and fetches then lie in its heap, between what
    stays. Of a worker of 550 MB, 50 to 100 MB were such gaps after two minutes of overload, and with these bounds 8 to 15 MB.
    """
    gc.set_threshold(500_000, 10, 10)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter, value in _MALLOC.items():
            mallopt(parameter, value)


async def free_cycles() -> None:
    """Free what is cyclic, from time to time, until cancelled.

    Each write to ClickHouse leaves some: its driver's columns are cyclic. What a tick allocates it frees again, so Python's count of allocations may
    never reach the threshold of `fit_to_ticks`.
    """
    while True:
        await asyncio.sleep(_CYCLES_S)
        gc.collect()


def leave_out_start() -> None:
    """Collect no more what the start made: it lives as long as the process, and each full collection would look through all of it."""
    gc.collect()
    gc.freeze()
