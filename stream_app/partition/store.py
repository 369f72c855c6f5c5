"""The RocksDB of one partition: the rows that the changelog said up to a position.

Without a log of its own: what a crash takes is replayed from the changelog. One column family: without a log several
would be flushed apart, and the position could come to stand for rows that are not there. Written only after the
transaction that holds the rows is committed: behind the changelog at times, never ahead.
"""

import shutil
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rocksdict import (
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    Options,
    Rdict,
    ReadOptions,
    WriteBatch,
    WriteOptions,
)

_LOG = b"l"  # changelog position and clean_ms; only in the store
_log = struct.Struct("<qq")
_log_of_1 = struct.Struct("<q")  # without clean_ms
_MEMTABLE_BYTES = 16 << 20


class StoreClosed(Exception):  # noqa: N818  # what it is, not what failed
    """The partition was given away meanwhile."""


class Store:
    """Rows by key. After `close` every read raises StoreClosed."""

    def __init__(self, path: Path, cache: Cache) -> None:
        self.path = path
        self._cache = cache
        self._writes = WriteOptions()
        self._writes.disable_wal = True  # type: ignore[method-assign, assignment]  # a property in truth
        self._open()

    def _open(self) -> None:
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_write_buffer_size(_MEMTABLE_BYTES)
        options.set_max_write_buffer_number(3)
        table = BlockBasedOptions()
        table.set_block_cache(self._cache)
        table.set_bloom_filter(10, False)  # nearly every entity is new: half the time of a look-up of what is not there
        options.set_block_based_table_factory(table)
        options.set_compression_type(DBCompressionType.lz4())
        self._rdict: Rdict | None = Rdict(str(self.path), options)
        raw = self._db.get(_LOG)
        self.log = self.clean_ms = 0
        if raw is not None:
            self.log, self.clean_ms = (*_log_of_1.unpack(raw), 0) if len(raw) == _log_of_1.size else _log.unpack(raw)

    @property
    def _db(self) -> Rdict:
        if self._rdict is None:
            raise StoreClosed(f"the store {self.path} is closed")
        return self._rdict

    def load(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Values in the order of keys."""
        return self._db.get(list(keys)) if keys else []  # type: ignore[return-value]  # bytes by bytes in raw mode

    def write(self, rows: Mapping[bytes, bytes | None], log: int) -> None:
        """Rows (empty or None: deleted), the changelog position that they stand for and `clean_ms`, at once."""
        batch = WriteBatch(raw_mode=True)
        put, delete = batch.put, batch.delete
        for key, value in rows.items():
            if value:
                put(key, value)
            else:
                delete(key)
        put(_LOG, _log.pack(log, self.clean_ms))
        self._db.write(batch, write_opt=self._writes)
        self.log = log

    def scan(self, prefix: bytes, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Rows in order of keys, those with the prefix and above `after`."""
        found = self._db.iter(ReadOptions())
        found.seek(max(prefix, after))
        while found.valid() and (key := found.key()).startswith(prefix):
            if key > after:
                yield key, found.value()
            found.next()

    def wipe(self) -> None:
        """Forget everything: what the rows stand for is not in the changelog."""
        self._db.close()
        shutil.rmtree(self.path)
        self._open()

    def close(self) -> None:
        """Flush what is in memory, so that the next start replays little."""
        self._db.flush()
        self._db.close()
        self._rdict = None


def new_cache(megabytes: int) -> Cache:
    """A cache of blocks for all partitions of a worker."""
    return Cache(megabytes << 20)
