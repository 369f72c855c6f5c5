"""Kafka's default partitioner: which partition a key belongs to, as every Kafka client computes it.

The partition of an operator and of a result's key follows from it, so it must never change.
"""

from struct import unpack_from

_M, _MASK = 0x5BD1E995, 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """The 32-bit hash, unsigned."""
    length = len(data)
    h = 0x9747B28C ^ length
    for k in unpack_from(f"<{length // 4}I", data):
        k = k * _M & _MASK  # noqa: PLW2901  # the mixing of the hash's definition
        h = (h * _M ^ (k ^ k >> 24) * _M) & _MASK
    if length % 4:
        h = (h ^ int.from_bytes(data[length & ~3 :], "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15


def partition_for(key: bytes, partitions: int) -> int:
    """The partition of a key in a topic of so many."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
