"""What msgspec does not look at while it parses: control characters in ids, and bytes that are not UTF-8 in fields that it skips."""

from collections.abc import Iterable, Sequence

from stream_app.sources.exact import CONTROLS
from stream_app.sources.records import Source


def is_plain(values: Sequence[bytes | None]) -> bool:
    """Whether all of it is ASCII that can't name a control character: then it is UTF-8, and no id needs a look."""
    try:
        joined = b"\n".join(values)  # type: ignore[arg-type]  # TypeError where one is None
    except TypeError:
        joined = b"\n".join([value for value in values if value is not None])
    return joined.isascii() and b"\\" not in joined and b"\x7f" not in joined


def is_clean(source: Source, value: bytes | None, record: object) -> bool:
    """Whether the ids are free of control characters. `Raises` UnicodeDecodeError, also for a field that msgspec skips."""
    check_utf_8(value)
    return not has_controls(source.ids(record))


def check_utf_8(value: bytes | None) -> None:
    """`Raises` UnicodeDecodeError for a value that is not UTF-8 throughout."""
    assert value is not None  # msgspec has read it
    if not value.isascii():
        value.decode()


def has_controls(ids: Iterable[str | None]) -> bool:
    """Whether one of them holds a control character."""
    return CONTROLS.search("".join(filter(None, ids))) is not None
