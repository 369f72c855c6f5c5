"""A file of OCPI CDRs -> records, without a map: each CDR goes on as it was written, byte for byte.

A JSON array, a response of OCPI (`{"data": [...]}`), or a CDR a line; read piece by piece, so memory does not grow with the file. What a
CDR says is not judged here: the service does, and keeps what it can't use as a dead letter. Invariant: a record depends on its CDR alone.
"""

import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from stream_app.importer.cells import Reason
from stream_app.importer.mapping import Refusal, SourceRecord
from stream_app.importer.read import FileError, OpenFile, Row, unreadable
from stream_app.sources import registry

PIECE = 1 << 16  # characters; what comes before an envelope's `data` must fit
CDR_CHARACTERS_MAX = 128 * PIECE  # more than Kafka takes; a bracket that is never closed ends here
_BLANK = " \t\r\n"
_raw_decode = json.JSONDecoder().raw_decode


class CdrReader(OpenFile):
    """A file of CDRs; a row's one cell is a CDR's text. To be used as a context. `Raises` FileError."""

    header = ("cdr",)

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._path = path
        try:
            # The line ends stay as they are written: a CDR is sent byte for byte.
            self._text = io.TextIOWrapper(self._bytes, encoding="utf-8-sig", errors="surrogateescape", newline="\n")
            self._piece = self._text.read(PIECE)
        except OSError as error:
            self._bytes.close()
            raise unreadable(path, error) from None
        self._line = 1
        self._at = _list_start(self._piece)
        if not self._piece.lstrip(_BLANK).startswith(("[", "{")):
            self._bytes.close()
            raise FileError(f"{path} does not begin like JSON: only files of OCPI CDRs are imported without a map")

    def rows(self) -> Iterator[Row]:
        """All CDRs, with the lines that they begin on."""
        return self._of_lines() if self._at is None else self._of_list(self._at)

    def _of_lines(self) -> Iterator[Row]:
        """A CDR a line; a line that is none is refused by the mapping, and the rest is read."""
        rest = self._piece
        while True:
            *lines, rest = rest.split("\n")
            for line in lines:
                if line.strip(_BLANK):
                    yield Row(self._line, [line.strip(_BLANK)])
                self._line += 1
            piece = self._text.read(PIECE)
            if not piece:
                break
            rest += piece
        if rest.strip(_BLANK):
            yield Row(self._line, [rest.strip(_BLANK)])

    def _of_list(self, start: int) -> Iterator[Row]:
        """The elements of the list that begins here; where it is broken, the file can't be read on."""
        self._forget(start)
        first = True
        while True:
            self._skip_blanks()
            if self._piece[:1] == "]":
                return
            if not first:
                self._expect(",")
                self._skip_blanks()
            first = False
            end = self._element()
            yield Row(self._line, [self._piece[:end]])
            self._forget(end)

    def _element(self) -> int:
        """Where the value that begins the piece ends, with more of the file read as it is needed."""
        while True:
            try:
                end = _raw_decode(self._piece)[1]
                if end < len(self._piece) or not self._more():
                    return int(end)
            except (json.JSONDecodeError, RecursionError):
                if len(self._piece) > CDR_CHARACTERS_MAX or not self._more():
                    raise self._broken() from None

    def _expect(self, sign: str) -> None:
        if self._piece[:1] != sign:
            raise self._broken()
        self._forget(1)

    def _skip_blanks(self) -> None:
        while True:
            self._forget(len(self._piece) - len(self._piece.lstrip(_BLANK)))
            if self._piece:
                return
            if not self._more():
                raise self._broken()

    def _forget(self, end: int) -> None:
        self._line += self._piece.count("\n", 0, end)
        self._piece = self._piece[end:]

    def _more(self) -> bool:
        """Read on; False at the end of the file."""
        more = self._text.read(PIECE)
        self._piece += more
        return bool(more)

    def _broken(self) -> FileError:
        return FileError(
            f"{self._path} can't be read on from line {self._line}: its list is no JSON, or ends too early"
        )


class CdrMapping:
    """CDRs -> records of their topic, in place of a map."""

    def announcements(self) -> list[SourceRecord]:
        """None."""
        return []

    def records(self, row: Sequence[str]) -> list[SourceRecord] | Refusal:
        """The CDR as it is, with its operator as the key."""
        try:
            cdr: Any = json.loads(row[0])
        except (ValueError, RecursionError) as error:
            return Refusal(Reason.NOT_JSON, "", str(error))
        if type(cdr) is not dict:
            return Refusal(Reason.NOT_A_CDR, "", "it is no object")
        for name in ("country_code", "party_id"):
            if type(cdr.get(name)) is not str:
                return Refusal(Reason.NOT_A_CDR, name, "it must be there, as a string")
        key = f"{cdr['country_code']}-{cdr['party_id']}"
        return [
            SourceRecord(registry.CDRS, key.encode(errors="surrogatepass"), row[0].encode(errors="surrogateescape"))
        ]


def _list_start(piece: str) -> int | None:
    """Just after the bracket of the array or of the envelope's `data`; None when the piece begins with a CDR of a line."""
    at = _after_blanks(piece, 0)
    if piece[at : at + 1] == "[":
        return at + 1
    try:
        while piece[at] in "{,":
            name, at = _raw_decode(piece, _after_blanks(piece, at + 1))
            at = _after_blanks(piece, _after_blanks(piece, at) + 1)  # over the colon
            if name == "data" and piece[at] == "[":
                return at + 1
            at = _after_blanks(piece, _raw_decode(piece, at)[1])
    except (ValueError, IndexError, RecursionError):
        pass
    return None


def _after_blanks(piece: str, at: int) -> int:
    while piece[at : at + 1] and piece[at] in _BLANK:
        at += 1
    return at
