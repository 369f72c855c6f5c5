"""The RocksDB of one partition: the rows that the changelog said up to a position.

Without a log of its own: what a crash takes is replayed from the changelog. One column family: without a log several
would be flushed apart, and the position could come to stand for rows that are not there. Written only after the
transaction that holds the rows is committed: behind the changelog at times, never ahead.
"""

import logging
import shutil
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from weakref import WeakSet

from rocksdict import (
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    Options,
    Rdict,
    RdictIter,
    ReadOptions,
    WriteBatch,
    WriteOptions,
)

from stream_app.ports.store import StoreCorrupt, StoreFull

log = logging.getLogger(__name__)

_LOG = b"l"  # changelog position and clean_ms; only in the store
_log = struct.Struct("<qq")
_log_of_1 = struct.Struct("<q")  # without clean_ms
_MEMTABLE_BYTES = 8 << 20


class StoreClosed(Exception):  # noqa: N818  # what it is, not what failed
    """The partition was given away meanwhile."""


_FULL = "No space left on device", "Disk quota exceeded", "File too large"


class _Scan:
    """Rows in order of keys, those with a prefix and above `after`. Ends with StoreClosed when the store is closed meanwhile.

    RocksDB's own iterator keeps its files locked, and ends at what can't be read as if nothing followed.
    """

    def __init__(self, store: "Store", found: RdictIter, prefix: bytes, after: bytes) -> None:
        self._store, self._prefix = store, prefix
        self._found: RdictIter | None = found
        found.seek(max(prefix, after))
        if found.valid() and found.key() == after:
            found.next()

    def __iter__(self) -> "_Scan":
        return self

    def __next__(self) -> tuple[bytes, bytes]:
        found = self._found
        if found is None:
            raise StoreClosed(f"the store {self._store.path} is closed")
        if not found.valid():
            with self._store.errors():
                found.status()
            raise StopIteration
        key = found.key()
        if not key.startswith(self._prefix):
            raise StopIteration
        row = key, found.value()
        found.next()
        return row

    def close(self) -> None:
        """Let go of the files."""
        self._found = None


class Store:
    """Rows by key. After `close` every read raises StoreClosed. One that is found corrupt when it is opened is begun anew."""

    def __init__(self, path: Path, cache: Cache) -> None:
        self.path = path
        self._cache = cache
        self._scans: WeakSet[_Scan] = WeakSet()
        self._rdict: Rdict | None = None
        self.is_corrupt = False
        self._writes = WriteOptions()
        self._writes.disable_wal = True  # type: ignore[method-assign, assignment]  # a property in truth
        try:
            self._open()
        except StoreCorrupt as exc:
            log.warning("the local state is dropped and read anew: %s", exc)
            self.wipe()

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Tell apart what RocksDB raises: it has one exception for everything."""
        try:
            yield
        except StoreClosed:
            raise
        except Exception as exc:
            text = str(exc)
            if text.startswith("Corruption"):
                self.is_corrupt = True
                raise StoreCorrupt(f"{self.path}: {text}") from exc
            if any(why in text for why in _FULL):
                raise StoreFull(f"no room on the disk of {self.path} ({text})") from exc
            raise

    def _open(self) -> None:
        with self.errors():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._open_files()

    def _open_files(self) -> None:
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_write_buffer_size(_MEMTABLE_BYTES)
        options.set_max_write_buffer_number(3)
        # Nearly every entity is new: filters in memory and in the files answer a look-up of what is not there.
        options.set_memtable_prefix_bloom_ratio(0.1)
        options.set_memtable_whole_key_filtering(True)
        options.set_allow_concurrent_memtable_write(False)  # one batch at a time is written
        table = BlockBasedOptions()
        table.set_block_cache(self._cache)
        table.set_bloom_filter(10, False)
        options.set_block_based_table_factory(table)
        options.set_compression_type(DBCompressionType.lz4())
        self._rdict = Rdict(str(self.path), options)
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
        if not keys:
            return []
        try:
            return self._db.get(list(keys))  # type: ignore[return-value]  # bytes by bytes in raw mode
        except Exception:  # only then: a context takes longer than a key
            with self.errors():
                raise

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
        with self.errors():
            self._db.write(batch, write_opt=self._writes)
        self.log = log

    def scan(self, prefix: bytes, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Rows in order of keys, those with the prefix and above `after`."""
        found = _Scan(self, self._db.iter(ReadOptions()), prefix, after)
        self._scans.add(found)
        return found

    def _close(self) -> None:
        for scan in self._scans:
            scan.close()
        self._db.close()
        self._rdict = None

    def wipe(self) -> None:
        """Forget everything: what the rows stand for is not in the changelog, or they can't be read."""
        if self._rdict is not None:
            self._close()
        shutil.rmtree(self.path, ignore_errors=True)
        self._open()
        self.is_corrupt = False

    def close(self) -> None:
        """Flush what is in memory, so that the next start replays little; where that fails, it replays more."""
        with suppress(StoreCorrupt, StoreFull), self.errors():
            self._db.flush()
        self._close()


def new_cache(megabytes: int) -> Cache:
    """A cache of blocks for all partitions of a worker."""
    return Cache(megabytes << 20)
