"""The types of schemas as the native library reads records by them: what those of Avro and Protobuf have in common."""

from array import array
from collections.abc import Callable, Mapping
from typing import Final

from stream_app.ports.map_program import Flag, Kind

_NUMBERS: Final = 6  # of a type
_TYPES_MAX: Final = 100_000  # of all schemas of a topic: 5 MB
# What a map reads of a value: the places below names, the number of a place, or nothing.
Wanted = dict[str, "Wanted"] | int | None


class UnknownError(Exception):
    """A map or a schema says what the library does not know."""


def known(*conditions: object) -> None:
    """`Raises` UnknownError unless all hold."""
    if not all(conditions):
        raise UnknownError


class Types:
    """Types, one behind the other. `texts`: what words are added to; `before`: the place of a record before a change, of which a map reads `row`; -1 where there is none."""

    def __init__(self, texts: bytearray, before: int = -1, row: Wanted = None) -> None:
        self.numbers = array("q")
        self._texts, self._before, self._row = texts, before, row

    def room(self, count: int) -> int:
        """The first of so many types, which are to be put. `Raises` UnknownError where there are too many."""
        first = len(self.numbers) // _NUMBERS
        known(first + count <= _TYPES_MAX)
        self.numbers.extend((0,) * (_NUMBERS * count))
        return first

    def put(
        self, at: int, kind: Kind, wanted: Wanted = None, first: int = 0, count: int = 0, *, number: int = 0, flags: int = Flag.NONE
    ) -> None:  # fmt: skip
        """Put a type there. `Raises` UnknownError where more than a place is wanted of it, but of records and unions."""
        known(not isinstance(wanted, dict) or kind in (Kind.RECORD, Kind.UNION))
        place = wanted if isinstance(wanted, int) and kind is not Kind.UNION else -1
        self.numbers[_NUMBERS * at : _NUMBERS * (at + 1)] = array("q", (kind, place, first, count, number, flags))

    def words(self, words: Mapping[int, str]) -> tuple[int, int]:
        """Put the words of an enum, by their numbers: the first one, and how many."""
        first = self.room(len(words))
        for at, (number, word) in enumerate(words.items(), first):
            text = f'"{word}"'.encode()
            self.put(at, Kind.WORD, None, len(self._texts), len(text), number=number)
            self._texts += text
        return first, len(words)

    def below(self, wanted: Wanted) -> Callable[[str], Wanted]:
        """What a map reads of the fields of a record of which this is wanted, by their names. `Raises` UnknownError for a record that stands elsewhere than before a change."""
        known(not isinstance(wanted, int) or wanted == self._before)
        found = self._row if isinstance(wanted, int) else wanted
        return found.get if isinstance(found, dict) else lambda _: None
