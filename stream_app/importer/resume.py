"""Resuming an interrupted import: a note of the number of rows whose records Kafka acknowledged.

Invariant: a note never names a row that was not acknowledged, and is gone when its import is whole, so that a repeat is a repeat. It belongs to
the file's content, the map and where the records go; when one of them is another, it does not count.
"""

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


class Note:
    """The note of one import, in a folder of such."""

    def __init__(self, folder: Path, file: Path, others: Iterable[bytes]) -> None:
        """`others`: what the import depends on besides the file. `Raises` OSError."""
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256")
        for other in others:
            digest.update(hashlib.sha256(other).digest())
        self._path = folder / f"{digest.hexdigest()}.rows"

    def read(self) -> int:
        """Number of rows that need not be sent again."""
        try:
            return int(self._path.read_text())
        except (OSError, ValueError):
            return 0

    def write(self, rows: int) -> None:
        """Keep how many rows of the file were refused or acknowledged, where the folder lets us: without a note the import is repeated."""
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            new = self._path.with_suffix(".new")
            new.write_text(f"{rows}\n")
            new.replace(self._path)

    def drop(self) -> None:
        """Delete the note."""
        with suppress(OSError):
            self._path.unlink()
