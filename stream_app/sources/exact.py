"""The exact way in: one value by the standard library's parser, field by field, with a reason for everything that is wrong.

It has the last word: the fast way hands over whatever it is not sure of. Inside, a bad field is an exception, because rules read better
one below the other; it ends in `decode`, as a Rejection. A detail says the field, what was found (cut short) and the rule.
"""

import json
import re
from collections.abc import Callable, Collection
from typing import Any, Final, Never

from stream_app.domain.errors import Reason, Rejection
from stream_app.domain.money import DIGITS
from stream_app.sources.times import LAST_MS

MOST_VERSION: Final = 2**53
MOST_AMOUNT: Final = 2**53 - 1
MOST_GROUPS: Final = (
    2_000  # of a customer: each event touches a cell in each of them, a change of groups all their periods
)
ID_LENGTH: Final = 200
CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f]")
_NOT_IN_IDS = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_INTEGER_DIGITS = (
    600  # what int() takes whatever the interpreter's limit; a longer one is beyond every range, cut off or not
)
_SHOWN = 100
_NAMES_SHOWN = 160  # characters of the names of the fields that are there
# Fields by which an envelope around a record is known, and what to do.
_ENVELOPES: Final = (
    (
        {"schema", "payload"},
        "that is the envelope of Kafka Connect's JsonConverter: send the payload alone (schemas.enable=false)",
    ),
    (
        {"before", "after", "op"},
        "that is Debezium's envelope: send what is after alone (transform ExtractNewRecordState)",
    ),
)


class UnusableError(Exception):
    """Carries a Rejection out of the rules."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.rejection = Rejection(reason, detail)


class Fractional(str):
    """A JSON number with a fraction or an exponent, as it was written: no float may come between it and money."""

    __slots__ = ()


def _no_constant(name: str) -> Never:
    raise ValueError(f"{name} is not a number of JSON")


_parser = json.JSONDecoder(
    parse_float=Fractional,
    parse_int=lambda text: int(text[:_INTEGER_DIGITS]),
    parse_constant=_no_constant,
)


def parse(value: bytes | None) -> dict[str, Any]:
    """The object that a value is. `Raises` UnusableError, and nothing else whatever the bytes."""
    data = parse_any(value)
    if type(data) is not dict:
        raise UnusableError(Reason.NOT_JSON, f"the value is {shown(data)}, must be a JSON object")
    return data


def parse_any(value: bytes | None) -> Any:
    """The JSON that a value is; numbers with a fraction or an exponent are Fractional. `Raises` UnusableError, likewise."""
    if value is None:
        raise UnusableError(Reason.TOMBSTONE, "the value is null, must be a JSON object")
    try:
        return _parser.decode(value.decode())
    except UnicodeDecodeError as error:
        raise UnusableError(Reason.NOT_JSON, f"byte {error.start} is not UTF-8 ({error.reason})") from None
    except ValueError as error:
        raise UnusableError(Reason.NOT_JSON, f"not JSON: {error}") from None
    except RecursionError:
        raise UnusableError(Reason.NOT_JSON, "nested too deeply, must not be deeper than 100 levels") from None


def shown(found: object) -> str:
    """A found value for a detail: short, printable, and never bad UTF-8."""
    if type(found) is dict:
        return "an object"
    if type(found) is list:
        return "an array"
    if type(found) is str:
        cut = found[:_SHOWN]
        return json.dumps(cut, ensure_ascii=not cut.isprintable()) + ("" if len(found) <= _SHOWN else " (cut)")
    text = found if isinstance(found, Fractional) else json.dumps(found)
    return text[:_SHOWN] + ("" if len(text) <= _SHOWN else " (cut)")


class Fields:
    """The fields of an object, by their rules. Null is missing. Every method `Raises` UnusableError."""

    def __init__(self, data: dict[str, Any], above: str = "") -> None:
        self._data = data
        self._above = above

    def bad(self, reason: Reason, field: str, rule: str) -> Never:
        """Give the record up because of a field."""
        raise UnusableError(reason, f"{self._above}{field} is {shown(self._data.get(field))}, {rule}")

    def has(self, field: str) -> bool:
        """Whether it is there."""
        return self._data.get(field) is not None

    def required(self, field: str) -> Any:
        """A value of any type that must be there."""
        found = self._data.get(field)
        if found is None:
            raise UnusableError(Reason.MISSING_FIELD, f"{self._above}{field} is missing; {self._there()}")
        return found

    def _there(self) -> str:
        """Say which fields are there, and what it is if that is a known envelope around the record."""
        names = [shown(name) for name, value in self._data.items() if value is not None]
        named = ", ".join(names)
        said = named if len(named) <= _NAMES_SHOWN else f"{named[:_NAMES_SHOWN]} (cut)"
        hints = [hint for fields, hint in _ENVELOPES if fields <= self._data.keys()]
        return "; ".join([f"there are {said}" if said else "there is no other", *hints])

    def unchecked(self, field: str) -> Any:
        """A value of any type that may be missing, and makes no record unusable."""
        return self._data.get(field)

    def object(self, field: str) -> "Fields":
        """A required object."""
        found = self.required(field)
        if type(found) is not dict:
            self.bad(Reason.WRONG_TYPE, field, "must be an object")
        return Fields(found, f"{self._above}{field}.")

    def array(self, field: str) -> list[Any]:
        """A required array."""
        found = self.required(field)
        if type(found) is not list:
            self.bad(Reason.WRONG_TYPE, field, "must be an array")
        return found

    def text(self, field: str) -> str:
        """A required string of whole characters (one with half a surrogate pair could be written nowhere)."""
        found = self.required(field)
        if type(found) is not str:
            self.bad(Reason.WRONG_TYPE, field, "must be a string")
        if _SURROGATES.search(found):
            self.bad(Reason.WRONG_TYPE, field, "must be a string without lone surrogates")
        return found

    def optional_text(self, field: str) -> str | None:
        """A string that may be missing."""
        return self.text(field) if self.has(field) else None

    def id(self, field: str) -> str:
        """A required id."""
        found = self.required(field)
        if type(found) is not str:
            self.bad(Reason.WRONG_TYPE, field, "must be a string")
        if not is_id(found):
            self.bad(
                Reason.BAD_ID, field, f"must have 1 to {ID_LENGTH} characters, no control ones, no lone surrogates"
            )
        return found

    def optional_id(self, field: str) -> str | None:
        """An id that may be missing."""
        if self._data.get(field) == "":
            self.bad(Reason.BAD_ID, field, "must have 1 character or more: leave it out, or null, where there is none")
        return self.id(field) if self.has(field) else None

    def one_of(self, field: str, words: Collection[str], reason: Reason, rule: str) -> str:
        """A required string out of a closed list; `reason` if it is another string."""
        found = self.required(field)
        if type(found) is not str:
            self.bad(Reason.WRONG_TYPE, field, "must be a string")
        if found not in words:
            self.bad(reason, field, rule)
        return found

    def status(self, words: Collection[str]) -> Any:
        """The required status, one of the words."""
        return self.one_of("status", words, Reason.UNKNOWN_STATUS, f"must be one of {' '.join(words)}")

    def currency(self, field: str) -> str:
        """A required currency of ISO 4217."""
        return self.one_of(field, DIGITS, Reason.UNKNOWN_CURRENCY, "must be a code of ISO 4217 in upper case")

    def boolean(self, field: str) -> bool:
        """A boolean, false if it is missing."""
        found = self._data.get(field)
        if found is not None and type(found) is not bool:
            self.bad(Reason.WRONG_TYPE, field, "must be true or false")
        return bool(found)

    def number(self, field: str) -> int | Fractional:
        """A required number."""
        found = self.required(field)
        if type(found) is not int and type(found) is not Fractional:
            self.bad(Reason.WRONG_TYPE, field, "must be a number")
        return found

    def integer(self, field: str, most: int) -> int:
        """A required integer from 0 to `most`."""
        found = self.required(field)
        if type(found) is not int:
            self.bad(Reason.WRONG_TYPE, field, "must be an integer, written without fraction or exponent")
        if not 0 <= found <= most:
            self.bad(Reason.OUT_OF_RANGE, field, f"must be from 0 to {most}")
        return found

    def integer_or_zero(self, field: str, most: int) -> int:
        """An integer from 0 to `most`, 0 if it is missing."""
        return self.integer(field, most) if self.has(field) else 0

    def time(self, field: str, of_text: Callable[[str], int | None], latest_ms: int | None) -> int:
        """A required time in epoch milliseconds; one after `latest_ms` is in the future."""
        ms: int | None
        found = self.required(field)
        if type(found) is str:
            ms = of_text(found)
        elif type(found) is int:
            ms = max(found, 0)  # all before 1970 is as old as 1970: past any retention
        else:
            self.bad(Reason.WRONG_TYPE, field, "must be a string or an integer")
        if ms is not None and latest_ms is not None and ms > latest_ms:
            self.bad(Reason.IN_THE_FUTURE, field, "must not be more than a day ahead of the clock")
        if ms is None or ms > LAST_MS:
            self.bad(
                Reason.BAD_TIME, field, "must be RFC 3339 with an offset or epoch milliseconds, up to the year 9999"
            )
        return ms


def is_id(text: str) -> bool:
    """Whether it has 1 to 200 code points, no control characters and no lone surrogates."""
    return 0 < len(text) <= ID_LENGTH and not _NOT_IN_IDS.search(text)
