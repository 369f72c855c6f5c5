"""Large blocks that a worker frees are given back to the system, however large those were that it freed before."""

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


def _mapped(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", MAPPED, how], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_a_block_is_mapped_though_larger_ones_were_freed():
    """glibc by itself takes it from its heap then, where it stays."""
    assert _mapped("as it comes") == 0
    assert _mapped("fitted") >= 20 << 20
