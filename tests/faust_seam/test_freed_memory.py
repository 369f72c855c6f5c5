"""What a worker frees is given back to the system: large blocks, however large those were that it freed before, and gaps between what stays."""

import subprocess
import sys

from tests.support.deployment import ROOT

MAPPED = """
import ctypes, sys
from stream_app import memory

class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Info

if sys.argv[1] == "fitted":
    memory.fit_to_ticks()
large = bytearray(30 << 20)
del large
before = libc.mallinfo2().hblkhd
block = bytearray(20 << 20)
print(libc.mallinfo2().hblkhd - before)
"""


GAPS = """
import asyncio
from stream_app import memory

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

def leave_gaps():
    rows = [bytes(700) for _ in range(100_000)]
    return rows[::50]

async def work():
    stays = leave_gaps()
    before = resident()
    memory._GAPS_S = 0.01
    giving = asyncio.create_task(memory.give_back_gaps())
    deadline = asyncio.get_running_loop().time() + 10
    while resident() > before - (30 << 20) and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.01)
    giving.cancel()
    print(before - resident(), len(stays))

asyncio.run(work())
"""


def _said(program: str, *arguments: str) -> list[int]:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return list(map(int, done.stdout.split()))


def test_a_block_is_mapped_though_larger_ones_were_freed():
    """glibc by itself takes it from its heap then, where it stays."""
    assert _said(MAPPED, "as it comes") == [0]
    (mapped,) = _said(MAPPED, "fitted")
    assert mapped >= 20 << 20


def test_gaps_between_rows_that_stay_are_given_back():
    """Of 70 MB of rows one in fifty stays: nothing at the end of the heap is free."""
    given_back, stays = _said(GAPS)
    assert given_back > 30 << 20
    assert stays == 2_000
