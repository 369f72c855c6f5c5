"""A file of OCPI CDRs -> records, without a map: each CDR goes on as it was written, byte for byte.

JSON arrays, responses of OCPI (`{"data": [...]}`) and CDRs by themselves, one after another, on lines of their own or over many; memory does not
grow with the file. What a CDR says is not judged here: the service does, and keeps what it can't use as a dead letter. Invariant: a record depends on its CDR alone.
"""

import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from stream_app.importer import json_text
from stream_app.importer.json_text import BLANK, JsonText, LongValueError, NoValueError
from stream_app.importer.mapping import SourceRecord
from stream_app.importer.read import FileError, OpenFile, Row, unreadable
from stream_app.sources import registry
from stream_app.sources.maps.cells import Reason
from stream_app.sources.maps.values import Refusal

# What may stand between two values: the commas of a list that lost its brackets, and what begins a file or a record of others.
_BETWEEN: Final = BLANK + ",\ufeff\x1e"
_raw_decode = json.JSONDecoder().raw_decode


class CdrReader(OpenFile):
    """A file of CDRs; a row's one cell is a CDR's text. To be used as a context. `Raises` FileError."""

    header = ("cdr",)

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._path = path
        try:
            # The line ends stay as they are written: a CDR is sent byte for byte.
            text = io.TextIOWrapper(self._bytes, encoding="utf-8-sig", errors="surrogateescape", newline="\n")
            self._text = JsonText(text)
            first = self._text.skip(_BETWEEN)
        except OSError as error:
            self._bytes.close()
            raise unreadable(path, error) from None
        if first not in ("[", "{"):
            self._bytes.close()
            raise FileError(f"{path} does not begin like JSON: only files of OCPI CDRs are imported without a map")

    def rows(self) -> Iterator[Row]:
        """All CDRs, with the lines that they begin on. What is no JSON outside of a list is a row up to the end of its line, for the mapping to refuse."""
        while sign := self._text.skip(_BETWEEN):
            try:
                if sign == "[":
                    yield from self._elements()
                elif sign == "{":
                    yield from self._object()
                else:
                    yield self._line()
            except NoValueError:
                raise self._broken("its list is no JSON, or ends too early") from None
            except LongValueError:
                raise self._broken(
                    f"what begins there is longer than {json_text.VALUE_CHARACTERS_MAX} characters; a file of CDRs holds lists, "
                    'responses of OCPI ({"data": [ … ]}) or CDRs by themselves'
                ) from None

    def _broken(self, why: str) -> FileError:
        return FileError(f"{self._path} can't be read on from line {self._text.line}: {why}")

    def _object(self) -> Iterator[Row]:
        """A CDR, or the CDRs of a response, which is not read whole; a line when the object is broken."""
        text = self._text
        try:
            data, end = self._read_object()
        except NoValueError:
            yield self._line()
            return
        if data is None:
            yield Row(text.line, [text.take(end)])
            return
        text.take(data)
        if text.skip(BLANK) == "[":
            yield from self._elements()
        else:
            yield Row(text.line, [text.value()])
        self._rest_of_response()

    def _read_object(self) -> tuple[int | None, int]:
        """Where the CDRs of the response begin that comes next, or None and where the CDR ends. `Raises` NoValueError, LongValueError."""
        text = self._text
        while True:
            found = text.value_held()
            data = _data_start(text.held, text.at) if found is None or "data" in found.value else None
            if data is not None and text.held[data] == "[":
                return data, 0
            if found is not None:
                is_one = data is not None and text.held[data] == "{" and "country_code" not in found.value
                return data if is_one else None, found.end
            text.grow()

    def _line(self) -> Row:
        return Row(self._text.line, [self._text.rest_of_line().strip(BLANK)])

    def _elements(self) -> Iterator[Row]:
        """The elements of a list; where it is broken, the file can't be read on. `Raises` NoValueError."""
        text = self._text
        self._expect("[")
        if text.skip(BLANK) != "]":
            while True:
                line = text.line
                yield Row(line, [text.value()])
                if text.skip(BLANK) == "]":
                    break
                self._expect(",")
        text.take(text.at + 1)

    def _rest_of_response(self) -> None:
        """The members behind `data`. `Raises` NoValueError."""
        text = self._text
        while text.skip(BLANK) != "}":
            self._expect(",")
            text.value()
            self._expect(":")
            text.value()
        text.take(text.at + 1)

    def _expect(self, sign: str) -> None:
        """Go on behind a sign and the blanks around it. `Raises` NoValueError."""
        if self._text.skip(BLANK) != sign:
            raise NoValueError
        self._text.take(self._text.at + 1)
        self._text.skip(BLANK)


class CdrMapping:
    """CDRs -> records of their topic, in place of a map."""

    left_out: Sequence[Refusal] = ()

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


def _data_start(text: str, at: int) -> int | None:
    """Where the value of the member `data` begins, of the object that begins here; None when that was not read, or there is none."""
    try:
        while text[at] in "{,":
            name, at = _raw_decode(text, _after_blanks(text, at + 1))
            at = _after_blanks(text, _after_blanks(text, at) + 1)  # over the colon
            if name == "data" and at < len(text):
                return at
            at = _after_blanks(text, _raw_decode(text, at)[1])
    except (ValueError, IndexError, RecursionError):
        pass
    return None


def _after_blanks(piece: str, at: int) -> int:
    while piece[at : at + 1] and piece[at] in BLANK:
        at += 1
    return at
