"""A Parquet file -> its header and rows, in batches: memory does not grow with the file.

Beside read.py's CSV. Invariant: a cell is the exact text of its value, so that one map reads a value alike from both kinds of files.
"""

import math
import struct
from collections.abc import Callable, Iterator
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

try:
    import polars as pl
except ModuleNotFoundError:  # it is the extra `import`: who opens a file is told
    pl = None  # type: ignore[assignment]

from stream_app.importer.read import FileError, Row, unreadable

BATCH_ROWS = 10_000
_EXTRA = (
    "polars, which reads Parquet, is not installed: install requirements-extras.lock (the extra `import`; an image: "
    "make image REQUIREMENTS=requirements-extras.lock), or give the rows as CSV"
)
_SINGLE = struct.Struct("f")


class ParquetReader:
    """A Parquet file; columns that hold lists or structs are none of it. To be used as a context. `Raises` FileError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0
        try:
            self.size = path.stat().st_size
            with path.open("rb"):  # its errors are clearer
                pass
        except OSError as error:
            raise unreadable(path, error) from None
        if pl is None:
            raise FileError(f"{path} can't be read here: {_EXTRA}")
        try:
            frame = pl.scan_parquet(path, glob=False)
            kinds = {name: kind for name, kind in frame.collect_schema().items() if not kind.is_nested()}
            self.header = list(kinds)
            self._singles = [at for at, kind in enumerate(kinds.values()) if kind == pl.Float32]
            self._count = int(frame.select(pl.len()).collect().item())
        except OSError as error:
            raise unreadable(path, error) from None
        except pl.exceptions.PolarsError as error:
            raise FileError(f"{path} is no Parquet file: {_first_line(error)}") from None
        self._frame = frame.select(self.header)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to close: no file is held open."""

    def rows(self) -> Iterator[Row]:
        """All rows; their numbers count from 1."""
        try:
            for batch in self._frame.collect_batches(chunk_size=BATCH_ROWS, maintain_order=True):
                for values in batch.iter_rows():
                    self._read += 1
                    cells = [_text(value) for value in values]
                    for at in self._singles:
                        if isinstance(values[at], float):
                            cells[at] = _of_float(values[at], _single)
                    yield Row(self._read, cells)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise FileError(f"{self._path} can't be read on after row {self._read}: {_first_line(error)}") from None

    def position(self) -> int:
        """The part of the rows that was read, as bytes."""
        return self.size * self._read // max(self._count, 1)


def _text(value: Any) -> str:  # noqa: PLR0911  # whatever a column holds
    """The text that a CSV file would hold; null is an empty cell."""
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case float():
            return _of_float(value)
        case Decimal():
            return f"{value:f}"
        case datetime() | date() | time():
            return value.isoformat()
        case bytes():
            return value.decode(errors="surrogateescape")
        case _:
            return str(value)


def _of_float(value: float, shortest: Callable[[float], str] = repr) -> str:
    """Without an exponent; a whole one as an integer, since integers with nulls among them are often kept as floats; NaN is nothing."""
    if math.isnan(value):
        return ""
    if value.is_integer():
        return str(int(value))
    exact = Decimal(shortest(value))
    return f"{exact:f}" if exact.is_finite() else repr(value)


def _single(value: float) -> str:
    """The fewest digits that name a float of 32 bits, as repr does for one of 64: 12.34, where the same value with all of its digits is 12.34000015258789."""
    texts = (f"{value:.{digits}g}" for digits in range(6, 9))
    return next((text for text in texts if _SINGLE.unpack(_SINGLE.pack(float(text)))[0] == value), f"{value:.9g}")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
