"""TOML -> a map, refused as a whole with the key that is wrong.

First stop of an import, and of a source topic with a map. Invariant: a map that was loaded can only fail on a header, a row or a record, never on itself.
"""

import re
from collections.abc import Container, Iterable, Iterator
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from stream_app.domain.local_time import zone_names
from stream_app.domain.money import DIGITS
from stream_app.sources.maps import map_file as m
from stream_app.sources.maps.cells import holds_zone_name, zone_of
from stream_app.sources.maps.paths import steps

_YEAR = re.compile(r"%[YyGcxDF]")  # of strptime
_NUMBERS = (m.EPOCH_S, m.EPOCH_MS, m.EPOCH_US, m.LOCAL_MS, m.LOCAL_US)
_Loaded = TypeVar("_Loaded", bound=m.Rules)


def load(text: bytes) -> m.MapFile:
    """The map of files in a TOML document. `Raises` MapError."""
    loaded = _decoded(text, m.MapFile)
    if not (loaded.session or loaded.payment or loaded.groups or loaded.operators):
        raise m.MapError("it makes nothing: at least one of `session`, `payment`, `groups` and `operators` is needed")
    if not loaded.times.formats:
        raise m.MapError("`times.formats` is missing or empty")
    _check_file(loaded.file)
    for index, operator in enumerate(loaded.operators):
        _check_zone(f"operators[{index}].timezone", operator.timezone)
        _check_word(f"operators[{index}].currency", operator.currency, DIGITS, "a currency of ISO 4217")
    _check(loaded, "column")
    return loaded


def load_topic(text: bytes) -> m.TopicMap:
    """The map of a topic in a TOML document. `Raises` MapError."""
    loaded = _decoded(text, m.TopicMap)
    others = loaded.session or loaded.payment or loaded.groups or loaded.operator or loaded.group
    if not (others or loaded.cdr):
        raise m.MapError(
            "it makes nothing: at least one of `session`, `payment`, `groups`, `operator`, `group` and `cdr` is needed"
        )
    if loaded.cdr and (others or loaded.row):
        raise m.MapError("`cdr` is there: its records are whole CDRs, and no other section and no `row` goes with it")
    if others and not loaded.row:
        raise m.MapError("it lacks `row`, which says whose its records are")
    if not loaded.times.formats:
        loaded = msgspec.structs.replace(loaded, times=msgspec.structs.replace(loaded.times, formats=[m.ISO_8601]))
    if loaded.operator:
        _check_words("operator.timezone", loaded.operator.timezone, zone_names(), "a zone of IANA")
        _check_words("operator.currency", loaded.operator.currency, DIGITS, "a currency of ISO 4217")
    _check(loaded, "path")
    own = [] if loaded.topic.records is None else [(loaded.topic.records, "topic.records")]
    for name, key in [*m.places(loaded), *own]:
        try:
            steps(name)
        except ValueError as error:
            raise m.MapError(f"`{key}` names {name!r}, which is no path: {error}") from None
    return loaded


def _decoded(text: bytes, type_: type[_Loaded]) -> _Loaded:
    try:
        return msgspec.toml.decode(text, type=type_)
    except msgspec.DecodeError as error:
        raise m.MapError(str(error).replace(" - at `$.", " - at `")) from None
    except UnicodeDecodeError:
        raise m.MapError("it is not UTF-8") from None


def _check(loaded: m.Rules, place: str) -> None:
    """Check what types can't say: keys that exclude or need each other. `Raises` MapError."""
    _check_times(loaded.times, loaded)
    if loaded.money.decimal == loaded.money.thousands:
        raise m.MapError("`money.thousands` is the same as `money.decimal`")
    energy = loaded.session.energy_kwh if loaded.session else None
    if energy and energy.decimal == energy.thousands:
        raise m.MapError("`session.energy_kwh.thousands` is the same as `session.energy_kwh.decimal`")
    if loaded.groups and loaded.row and not loaded.row.customer_id:
        raise m.MapError("`groups` needs `row.customer_id`")
    _check_places(loaded, "", place)
    if loaded.session:
        _check_words("session.status", loaded.session.status, m.SESSION_STATES, "a session state")
    if loaded.payment:
        _check_words("payment.status", loaded.payment.status, m.PAYMENT_STATES, "a payment state")
        _check_words("payment.currency", loaded.payment.currency, DIGITS, "a currency of ISO 4217")


def _check_file(file: m.File) -> None:
    try:
        "".encode(file.encoding)
    except (LookupError, ValueError):
        raise m.MapError(f"`file.encoding` is {file.encoding!r}, which is no known encoding") from None
    if file.separator in '"\r\n':
        raise m.MapError("`file.separator` is a quote or an end of line")


def _times(part: m.Part, path: str = "") -> Iterator[tuple[str, m.Time]]:
    for name in part.__struct_fields__:
        value = getattr(part, name)
        if isinstance(value, m.Time):
            yield f"{path}{name}", value
        elif isinstance(value, m.Part):
            yield from _times(value, f"{path}{name}.")


def _check_times(times: m.Times, loaded: m.Rules) -> None:
    if times.zone is not None:
        _check_zone("times.zone", times.zone)
    own = list(_times(loaded))
    by_map = [spec for _, spec in own if not spec.formats]
    _check_formats("times.formats", times.formats, times, all(spec.zone is not None for spec in by_map))
    for key, spec in own:
        _check_formats(f"{key}.formats", spec.formats, times, spec.zone is not None)
    for name, zone in times.zones.items():
        if zone_of(name, times) is None:
            raise m.MapError(
                f"`times.zones.{name}` is {zone!r}, which is neither an offset like +01:00 nor a zone of IANA"
            )


def _check_formats(key: str, formats: Iterable[str], times: m.Times, zones_in_rows: bool) -> None:
    for index, form in enumerate(formats):
        is_named = form in (m.ISO_8601, *_NUMBERS)
        if not is_named and not _holds_a_date(form):
            raise m.MapError(
                f"`{key}[{index}]` is {form!r}, which lacks a year, a month or a day as strptime reads them"
            )
        holds_zone = "%z" in form or holds_zone_name(form) or (is_named and form not in (m.LOCAL_MS, m.LOCAL_US))
        if times.zone is None and not zones_in_rows and not holds_zone:
            raise m.MapError(f"`times.zone` is missing: `{key}[{index}]` ({form}) holds no offset")


def _holds_a_date(form: str) -> bool:
    sample = datetime(2001, 2, 3, tzinfo=UTC)
    if not _YEAR.search(form):  # Python would write a warning of its own
        return False
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


def _check_places(part: m.Part, path: str, place: str) -> None:
    """Each place is a column in a map of files and a path in one of topics, and one is needed."""
    for field in part.__struct_fields__:
        value, key = getattr(part, field), f"{path}{field}"
        if field == "where":
            for index, condition in enumerate(value):
                _check_place(condition, f"{key}[{index}]", place)
        elif isinstance(value, m.Place):
            _check_place(value, key, place)
        elif isinstance(value, m.Part):
            _check_places(value, f"{key}.", place)


def _check_place(value: m.Place, key: str, place: str) -> None:
    many = f"{place}s"
    for wrong in ("path", "paths") if place == "column" else ("column", "columns"):
        if getattr(value, wrong, None):
            raise m.MapError(f"`{key}.{wrong}` is there: here a place is a `{place}`")
    if isinstance(value, m.Text):
        given = [name for name in (place, many, "value") if getattr(value, name) not in (None, [])]
        if len(given) != 1:
            raise m.MapError(f"`{key}` needs either `{place}` or `value`, or `{many}`")
        if value.values and given != [place]:
            raise m.MapError(f"`{key}.values` needs `{key}.{place}`")
    elif isinstance(value, m.Time):
        if (not value.name) == (value.date is None) or (value.date is None) != (value.time is None):
            raise m.MapError(f"`{key}` needs either `{place}`, or `date` and `time`")
    elif not value.name:
        raise m.MapError(f"`{key}` needs `{place}`")
    elif isinstance(value, m.Condition) and (value.is_ is None) == (value.is_not is None):
        raise m.MapError(f"`{key}` needs either `is` or `is_not`")
