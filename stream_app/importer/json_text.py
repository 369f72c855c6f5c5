"""The text of a file of JSON values, read piece by piece: where a value ends, what stands between values, on which line.

Under cdr_file.py. Invariants: what is read is forgotten, so memory holds one value; the text of a value that goes on behind what is held is doubled before
it is looked at again, so the work grows with the file and not with its square; and a value is bounded. Must not know what a value means.
"""

import json
from typing import Any, Final, NamedTuple, TextIO

PIECE = 1 << 16  # characters
VALUE_CHARACTERS_MAX = 128 * PIECE  # more than Kafka takes; a bracket that is never closed ends here
BLANK: Final = " \t\r\n"
_LONGEST_TOKEN: Final = (
    12  # characters of an escape, a number's sign, a word such as -Infinity, which the end of what is held may cut
)
_raw_decode = json.JSONDecoder().raw_decode


class NoValueError(Exception):
    """No JSON value stands here."""


class LongValueError(Exception):
    """A value that is longer than any that is read."""


class Value(NamedTuple):
    """A JSON value, and where it ends in what is held."""

    value: Any
    end: int


class JsonText:
    """A text that holds JSON values, at `line`: from there on it is read as far as `held` goes, from `at` on; what stands before is forgotten."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self.line = 1
        self.held = ""
        self.at = 0
        self._more()

    def _more(self) -> bool:
        """Read on, at least a piece and as much as is held; False at the end of the file."""
        self.held = self.held[self.at :]
        self.at = 0
        read = self._text.read(max(PIECE, len(self.held)))
        self.held += read
        return bool(read)

    def skip(self, signs: str) -> str:
        """Go on behind these signs; the one that comes next, empty at the end of the file."""
        while True:
            while self.held[self.at : self.at + 1] and self.held[self.at] in signs:
                self.line += self.held[self.at] == "\n"
                self.at += 1
            if self.at < len(self.held) or not self._more():
                return self.held[self.at : self.at + 1]

    def take(self, end: int) -> str:
        """The text up to here; goes on behind it."""
        taken = self.held[self.at : end]
        self.line += taken.count("\n")
        self.at = end
        return taken

    def value(self) -> str:
        """The text of the value that comes next; goes on behind it. `Raises` NoValueError, LongValueError."""
        while True:
            found = self.value_held()
            if found is None:
                self.grow()
            elif found.end < len(self.held) or not self._more():  # else a number may go on
                return self.take(found.end)

    def value_held(self) -> Value | None:
        """The value that comes next, which stays; None when its end may not be read yet. `Raises` NoValueError."""
        try:
            return Value(*_raw_decode(self.held, self.at))
        except json.JSONDecodeError as error:
            at_end = error.pos > len(self.held.rstrip(BLANK)) - _LONGEST_TOKEN
            if at_end or error.msg.startswith("Unterminated string"):
                return None
        except RecursionError:
            pass
        raise NoValueError

    def grow(self) -> None:
        """Read on in a value whose end was not read yet. `Raises` NoValueError at the end of the file, LongValueError."""
        if len(self.held) - self.at >= VALUE_CHARACTERS_MAX:
            raise LongValueError
        if not self._more():
            raise NoValueError

    def rest_of_line(self) -> str:
        """The text to the end of the line; goes on behind it. `Raises` LongValueError."""
        while True:
            end = self.held.find("\n", self.at)
            if end >= 0:
                return self.take(end)
            if len(self.held) - self.at >= VALUE_CHARACTERS_MAX:
                raise LongValueError
            if not self._more():
                return self.take(len(self.held))
