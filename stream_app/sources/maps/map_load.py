"""TOML -> a map, refused as a whole with the key that is wrong.

First stop of an import. Invariant: a map that was loaded can only fail on a header or a row, never on itself. Pure; knows no file to import.
"""

import codecs
from collections.abc import Container, Iterator
from datetime import UTC, datetime

import msgspec

from stream_app.domain.local_time import zone_names
from stream_app.domain.money import DIGITS
from stream_app.sources.maps import map_file as m
from stream_app.sources.maps.cells import holds_zone_name, zone_of


def load(text: bytes) -> m.MapFile:
    """The map of a TOML document. `Raises` MapError."""
    try:
        loaded = msgspec.toml.decode(text, type=m.MapFile)
    except msgspec.DecodeError as error:
        raise m.MapError(str(error).replace(" - at `$.", " - at `")) from None
    except UnicodeDecodeError:
        raise m.MapError("it is not UTF-8") from None
    _check(loaded)
    return loaded


def _check(loaded: m.MapFile) -> None:
    """Check what types can't say: keys that exclude or need each other. `Raises` MapError."""
    if not (loaded.session or loaded.payment or loaded.groups or loaded.operators):
        raise m.MapError("it makes nothing: at least one of `session`, `payment`, `groups` and `operators` is needed")
    _check_file(loaded.file)
    _check_times(loaded.times, all(spec.zone is not None for spec in _times(loaded)))
    if loaded.money.decimal == loaded.money.thousands:
        raise m.MapError("`money.thousands` is the same as `money.decimal`")
    energy = loaded.session.energy_kwh if loaded.session else None
    if energy and energy.decimal == energy.thousands:
        raise m.MapError("`session.energy_kwh.thousands` is the same as `session.energy_kwh.decimal`")
    for index, operator in enumerate(loaded.operators):
        _check_zone(f"operators[{index}].timezone", operator.timezone)
        _check_word(f"operators[{index}].currency", operator.currency, DIGITS, "a currency of ISO 4217")
    if loaded.groups and not loaded.row.customer_id:
        raise m.MapError("`groups` needs `row.customer_id`")
    _check_sources(loaded, "")
    if loaded.session:
        _check_words("session.status", loaded.session.status, m.SESSION_STATES, "a session state")
    if loaded.payment:
        _check_words("payment.status", loaded.payment.status, m.PAYMENT_STATES, "a payment state")
        _check_words("payment.currency", loaded.payment.currency, DIGITS, "a currency of ISO 4217")


def _check_file(file: m.File) -> None:
    try:
        text = codecs.lookup(file.encoding)._is_text_encoding  # noqa: SLF001  # what open() asks
    except (LookupError, ValueError):
        text = False
    if not text:
        raise m.MapError(f"`file.encoding` is {file.encoding!r}, which is no known encoding")
    if file.separator in '"\r\n':
        raise m.MapError("`file.separator` is a quote or an end of line")


def _times(part: m.Part) -> Iterator[m.Time]:
    for name in part.__struct_fields__:
        value = getattr(part, name)
        if isinstance(value, m.Time):
            yield value
        elif isinstance(value, m.Part):
            yield from _times(value)


def _check_times(times: m.Times, zones_in_rows: bool) -> None:
    for index, form in enumerate(times.formats):
        if form in (m.ISO_8601, m.EPOCH_S, m.EPOCH_MS):
            continue
        if not _holds_a_date(form):
            raise m.MapError(
                f"`times.formats[{index}]` is {form!r}, which lacks a year, a month or a day as strptime reads them"
            )
        if times.zone is None and not zones_in_rows and "%z" not in form and not holds_zone_name(form):
            raise m.MapError(f"`times.zone` is missing: `times.formats[{index}]` ({form}) holds no offset")
    if times.zone is not None:
        _check_zone("times.zone", times.zone)
    for name, zone in times.zones.items():
        if zone_of(name, times) is None:
            raise m.MapError(
                f"`times.zones.{name}` is {zone!r}, which is neither an offset like +01:00 nor a zone of IANA"
            )


def _holds_a_date(form: str) -> bool:
    sample = datetime(2001, 2, 3, tzinfo=UTC)
    try:
        return datetime.strptime(sample.strftime(form), form).date() == sample.date()  # noqa: DTZ007  # a format is checked, no instant
    except ValueError:
        return False


def _check_zone(key: str, zone: str) -> None:
    if zone not in zone_names():
        raise m.MapError(f"`{key}` is {zone!r}, which is no zone of IANA")


def _check_word(key: str, word: str, known: Container[str], what: str) -> None:
    if word not in known:
        raise m.MapError(f"`{key}` is {word!r}, which is not {what}")


def _check_words(key: str, spec: m.Text, known: Container[str], what: str) -> None:
    """Check the map's constants and translations; the file's own values are checked row by row."""
    if spec.value is not None:
        _check_word(f"{key}.value", spec.value, known, what)
    for cell, word in spec.values.items():
        _check_word(f"{key}.values.{cell}", word, known, what)


def _check_sources(part: m.Part, path: str) -> None:
    """Each Text and Time names just one source."""
    for field in part.__struct_fields__:
        value, key = getattr(part, field), f"{path}{field}"
        if isinstance(value, m.Text):
            if (value.column is None) == (value.value is None):
                raise m.MapError(f"`{key}` needs either `column` or `value`")
            if value.values and value.column is None:
                raise m.MapError(f"`{key}.values` needs `{key}.column`")
        elif isinstance(value, m.Time):
            if (value.column is None) == (value.date is None) or (value.date is None) != (value.time is None):
                raise m.MapError(f"`{key}` needs either `column`, or `date` and `time`")
        elif isinstance(value, m.Part):
            _check_sources(value, f"{key}.")
