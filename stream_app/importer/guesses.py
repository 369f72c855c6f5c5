"""A file's first bytes, header and rows -> what its columns may mean.

Under new_map.py, which writes it down. Invariant: what is called sure is proven by the rows, or is the only column that can be meant. Pure: no I/O.
"""

import codecs
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Generic, NamedTuple, TypeVar

from stream_app.domain.money import DIGITS
from stream_app.importer.read import is_before_header
from stream_app.sources.maps.cells import RefusedError, instant
from stream_app.sources.maps.map_file import EPOCH_MS, EPOCH_S, EPOCH_US, ISO_8601, File, Times
from stream_app.sources.maps.numbers import number

SEPARATORS: Final = ",;\t|"
_NOTHING: Final = frozenset(("NA", "N/A", "n/a", "-", "--", "NULL", "null", "None", "NaN", "nan"))
_DATES: Final = (
    "%Y-%m-%d",
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d-%m-%Y",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%d.%m.%y",
    "%m.%d.%y",
    "%d/%m/%y",
    "%m/%d/%y",
)
_CLOCKS: Final = ("%H:%M:%S", "%H:%M", "%I:%M:%S %p", "%I:%M %p", "")
_FORMATS: Final = (
    ISO_8601,
    "%a, %d %b %Y %H:%M:%S %Z",
    *(f"{date} {clock}".strip() for date in _DATES for clock in _CLOCKS),
)
_EPOCHS: Final = {
    EPOCH_S: re.compile(r"1[0-9]{9}"),
    EPOCH_MS: re.compile(r"1[0-9]{12}"),
    EPOCH_US: re.compile(r"1[0-9]{15}"),
}
_SIGNS: Final = ((".", ""), (",", ""), (".", ","), (",", "."), (".", " "), (",", " "), (".", "'"), (".", "’"))  # noqa: RUF001
_CLOCK: Final = re.compile(r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?(?: ?[AP]M)?", re.IGNORECASE)
_SESSION = re.compile(r"session|charg|log|transaction|event|^id$|cdr", re.IGNORECASE)
_CUSTOMER = re.compile(r"user|customer|driver|contract|member|client|card|tag", re.IGNORECASE)
_AMOUNT = re.compile(r"amount|paid|debit|cost|price|fee|total|revenue|gross", re.IGNORECASE)
_ENERGY = re.compile(r"energy|kwh|\bwh\b|consum", re.IGNORECASE)
_LASTING = re.compile(r"duration|elapsed|time|hour|minute|second", re.IGNORECASE)
_START, _END = (
    re.compile(r"start|begin|from|plug.?in", re.IGNORECASE),
    re.compile(r"end|stop|until|finish|paid|out", re.IGNORECASE),
)
_ZONE = re.compile(r"zone|^tz$", re.IGNORECASE)
_DAY_OR_CLOCK = re.compile(r"date|day|time|hour|clock|[^0-9a-z]", re.IGNORECASE)


class Moment(NamedTuple):
    """A time of the rows: a column, or one of dates and one of times of day, and the formats that fit all rows."""

    columns: tuple[str, ...]
    formats: Sequence[str]

    @property
    def name(self) -> str:
        """Its columns, for people."""
        return " with ".join(self.columns)


_Found = TypeVar("_Found")


class Choice(NamedTuple, Generic[_Found]):
    """What was found for a field; without one all that it might be."""

    found: _Found | None
    candidates: Sequence[str]


class Guesses(NamedTuple):
    """What the columns of a file may mean. Signs: of decimals and of groups of three."""

    started: Choice[Moment]
    ended: Choice[Moment]
    session: Choice[str]
    customer: Choice[str]
    energy: Choice[str]
    amount: Choice[str]
    currencies: Sequence[str]  # columns that hold nothing else
    zones: Sequence[str]  # columns that may hold the zones of times
    nothing: Sequence[str]
    signs: Mapping[str, tuple[str, str]]  # of columns of numbers


def written_as(start: bytes) -> File:
    """How a file is written, by its first bytes. `Raises` UnicodeError when these are no text."""
    if start.startswith(b"PAR1"):
        return File(format="parquet")
    encoding = _encoding(start)
    text = codecs.getincrementaldecoder(encoding)("replace" if encoding == "cp1252" else "strict").decode(start)
    for line in text.splitlines():
        if line.lower().startswith("sep=") and len(line) == len("sep=") + 1:
            return File(separator=line[-1], encoding=encoding)
        if not is_before_header([line]):
            counted = line if any(sign in line for sign in SEPARATORS) else text  # a title stands before the header
            return File(separator=max(SEPARATORS, key=counted.count), encoding=encoding)
    return File(encoding=encoding)


def _encoding(start: bytes) -> str:
    if start.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\0" in start:  # of letters of UTF-16 one half is zero
        return "utf-16-le" if start[1::2].count(0) > start[::2].count(0) else "utf-16-be"
    try:
        codecs.getincrementaldecoder("utf-8-sig")().decode(start)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


def guesses(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Guesses:
    """What the columns of a file may mean, by its header and first rows."""
    whole = [[cell.strip() for cell in row] for row in rows if len(row) == len(header)]
    nothing = sorted({cell for row in whole for cell in row if cell in _NOTHING})
    table = {name: ["" if row[at] in _NOTHING else row[at] for row in whole] for at, name in enumerate(header)}
    columns = {name: [cell for cell in cells if cell] for name, cells in table.items()}
    moments = list(_moments(table, columns))
    timely = [name for name, cells in columns.items() if _formats(cells) or _are_clocks(name, cells)]
    started = _named(moments, _START, timely)
    if len(moments) == 1:
        started = Choice(moments[0], [moments[0].name])
    others = [moment for moment in moments if moment != started.found and not _matches(_START, moment)]
    ended = _named(
        others, _END, [name for name in header if _END.search(name) and any(_formats([cell]) for cell in columns[name])]
    )
    ids = [
        name
        for name, cells in columns.items()
        if name not in timely and cells and len({*cells}) == len(cells) == len(whole) and not _CUSTOMER.search(name)
    ]
    session = _only([name for name in ids if _SESSION.search(name)], ids or list(header))
    signs = {
        name: found
        for name, cells in columns.items()
        if name not in timely and name != session.found and (found := _signs(cells))
    }
    energies = [name for name in signs if _ENERGY.search(name)]
    amounts = [
        name for name in signs if _AMOUNT.search(name) and not _ENERGY.search(name) and not _LASTING.search(name)
    ]
    customers = [name for name in header if name not in timely and name != session.found and _CUSTOMER.search(name)]
    return Guesses(
        started,
        ended,
        session,
        _only(customers, customers),
        _only(energies, energies),
        _only(amounts, amounts),
        [name for name, cells in columns.items() if cells and all(cell in DIGITS for cell in cells)],
        [name for name in header if _ZONE.search(name)],
        nothing,
        signs,
    )


def _matches(pattern: re.Pattern[str], moment: Moment) -> bool:
    return any(pattern.search(name) for name in moment.columns)


def _only(fitting: Sequence[str], candidates: Sequence[str]) -> Choice[str]:
    return Choice(fitting[0] if len(fitting) == 1 else None, fitting or candidates)


def _named(moments: Sequence[Moment], name: re.Pattern[str], columns: Sequence[str]) -> Choice[Moment]:
    """The only time of such a name; else what it might be: times, or columns of dates and times of day."""
    fitting = [moment for moment in moments if _matches(name, moment)]
    if len(fitting) == 1:
        return Choice(fitting[0], [fitting[0].name])
    return Choice(None, [moment.name for moment in fitting] or columns)


def _moments(table: Mapping[str, Sequence[str]], columns: Mapping[str, Sequence[str]]) -> Iterator[Moment]:
    """The times of the rows. A date beside a time of day that might be its own is a time only together with it."""
    clocks = [name for name, cells in columns.items() if _are_clocks(name, cells)]
    for name, cells in columns.items():
        formats = _formats(cells)
        if not formats:
            continue
        own = [clock for clock in clocks if _stem(clock) == _stem(name)]
        if any(":" in cell for cell in cells) or formats[0] in _EPOCHS or not clocks:
            yield Moment((name,), formats)
        elif len(own) == 1:
            both = [f"{date} {clock}".strip() for date, clock in zip(table[name], table[own[0]], strict=True)]
            yield Moment((name, own[0]), _formats([cell for cell in both if cell]))


def _are_clocks(name: str, cells: Sequence[str]) -> bool:
    """Are they times of day, and by their name no spans?"""
    is_span = re.search("duration|elapsed|total", name, re.IGNORECASE)
    return bool(cells) and not is_span and all(map(_CLOCK.fullmatch, cells))


def _stem(name: str) -> str:
    return _DAY_OR_CLOCK.sub("", name).lower()


def _formats(cells: Sequence[str]) -> list[str]:
    """The formats that fit all cells."""
    if not cells:
        return []
    if all(cell.isdecimal() for cell in cells):
        return [form for form, pattern in _EPOCHS.items() if all(map(pattern.fullmatch, cells))]
    fitting = [form for form in _FORMATS if all(_is_time(cell, form) for cell in cells)]
    # The same dates by another name are no other reading.
    return [form for form in fitting if ISO_8601 not in fitting or not form.startswith("%Y-")]


def _is_time(cell: str, form: str) -> bool:
    try:
        instant(cell, Times([form], "UTC"))
    except RefusedError:
        return False
    return True


def _signs(cells: Sequence[str]) -> tuple[str, str] | None:
    """The signs of decimals and of groups with which all cells are numbers."""
    return next((signs for signs in _SIGNS if cells and all(_is_number(cell, *signs) for cell in cells)), None)


def _is_number(cell: str, decimal: str, thousands: str) -> bool:
    try:
        number(cell, decimal, thousands)
    except RefusedError:
        return False
    return True
