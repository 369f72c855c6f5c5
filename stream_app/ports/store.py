"""The store of an events partition: the rows that the changelog said up to a position."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol


class StoreCorrupt(Exception):  # noqa: N818  # what it is, not what failed
    """What the disk gives is not what was written. The rows must be dropped; the changelog has them."""


class StoreFull(Exception):  # noqa: N818  # what it is, not what failed
    """The disk has no room. What was to be written is not in the store; it may be tried again when there is room."""


class RowStore(Protocol):
    """Committed rows by key, to be read. Every call may raise StoreCorrupt."""

    def load(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Values in the order of keys."""

    def scan(self, prefix: bytes, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Rows in order of keys, those with the prefix and above `after`."""


class Store(RowStore, Protocol):
    """Rows that are written, too.

    `log`: the changelog position that they stand for. `clean_ms`: the time (epoch milliseconds, 0: not known) before
    which every deletion is taken in: no row is there that an earlier tombstone of the changelog deletes. `is_corrupt`: a
    call has raised StoreCorrupt since the rows were last dropped.
    """

    log: int
    clean_ms: int
    is_corrupt: bool

    def write(self, rows: Mapping[bytes, bytes | None], log: int) -> None:
        """Write rows (empty or None: deleted), the changelog position that they stand for and `clean_ms`, all or nothing.

        `Raises` StoreFull.
        """

    def wipe(self) -> None:
        """Drop all rows; `log` and `clean_ms` become 0. `Raises` StoreFull."""

    def close(self) -> None:
        """Flush, as far as that is possible, and let go of the files."""
