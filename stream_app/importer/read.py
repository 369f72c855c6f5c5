"""A file -> its header and rows, one after another: memory does not grow with the file.

First half of an import's I/O. Another format is another class with `header`, `rows` and `position`. It reads with the standard library, not in
columns: a broken line is then one refused row with its line number, and the rest of the file is read.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from stream_app.sources.maps.cells import Reason
from stream_app.sources.maps.map_file import File
from stream_app.sources.maps.values import Refusal

_SEPARATOR_LINE = re.compile("sep=.?", re.IGNORECASE)


class FileError(Exception):
    """The file can't be used; the message is one sentence."""


def unreadable(path: Path, error: OSError) -> FileError:
    """The error for a file that the system can't read."""
    return FileError(f"{path} can't be read: {(error.strerror or str(error)).lower()}")


class Row(NamedTuple):
    """A row and the number of the line that it begins on; a broken one is a refusal already."""

    line: int
    cells: list[str] | Refusal


class Reader(Protocol):
    """A file as an import reads it."""

    @property
    def header(self) -> Sequence[str]:
        """Names of the columns."""

    size: int  # bytes

    def rows(self) -> Iterator[Row]:
        """All rows, in order; to be iterated once."""

    def position(self) -> int:
        """Bytes taken from the file so far, for a progress bar."""


class OpenFile:
    """A file that is read as bytes, from its start on; what a reader of text stands on. To be used as a context. `Raises` FileError."""

    def __init__(self, path: Path) -> None:
        try:
            self.size = path.stat().st_size
            self._bytes = path.open("rb")
        except OSError as error:
            raise unreadable(path, error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bytes.close()

    def position(self) -> int:
        """Bytes taken from the file so far, read ahead included."""
        return self._bytes.tell()


def is_before_header(cells: Sequence[str], separator: str = "") -> bool:
    """Whether a line of these cells stands before the header: a blank one, or the separator as spreadsheets are told of it."""
    return not any(cell.strip() for cell in cells) or bool(_SEPARATOR_LINE.fullmatch(separator.join(cells)))


class CsvReader(OpenFile):
    """A CSV file with a header line. To be used as a context. `Raises` FileError."""

    def __init__(self, path: Path, how: File) -> None:
        super().__init__(path)
        try:
            text = io.TextIOWrapper(self._bytes, encoding=how.encoding, errors="surrogateescape", newline="")
            self._csv = csv.reader(text, delimiter=how.separator, strict=True)
            self.header = next(cells for cells in self._csv if not is_before_header(cells, how.separator))
        except (StopIteration, csv.Error, UnicodeError, OSError) as error:
            self._bytes.close()
            raise FileError(f"{path} has no header line{f': {error}' if str(error) else ''}") from None
        if any("\0" in name for name in self.header):
            self._bytes.close()
            raise FileError(
                f"{path} is not written in {how.encoding}, which `file.encoding` says: its header holds bytes of zero"
            )

    def rows(self) -> Iterator[Row]:
        """All rows but blank lines, which are none."""
        while True:
            line = self._csv.line_num + 1
            try:
                cells = next(self._csv)
            except StopIteration:
                return
            except csv.Error as error:
                yield Row(line, Refusal(Reason.NOT_CSV, "", str(error)))
                continue
            except (UnicodeError, OSError) as error:
                raise FileError(f"{self._bytes.name} can't be read on after line {line - 1}: {error}") from None
            if cells:
                yield Row(line, cells)
