"""Values of a topic -> the records in them: lines, envelopes and lists, as a map says.

Under `mapped`, which reads the records. Must not know what a record means.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from stream_app.domain.errors import Reason
from stream_app.sources.exact import Fields, UnusableError, parse_any, shown
from stream_app.sources.maps.map_file import Topic
from stream_app.sources.maps.paths import steps, walk

_OCPI_ERRORS: Final = 2000  # OCPI's status codes from here on


class Found(NamedTuple):
    """A record, and the whole JSON that it stands in. `was`: the row before a change, as far as it is told. `is_deleted`: the record is no more."""

    record: Any
    root: Any
    was: Any = None
    is_deleted: bool = False
    at_ms: int | None = None  # when it was deleted, if the envelope says so


def found(topic: Topic, value: bytes | None) -> Iterator[Found]:
    """The records of a value, in order. `Raises` UnusableError."""
    if value is None and topic.envelope == "debezium":
        return  # it follows a deletion, for compaction, and says nothing new
    lines = value.splitlines() if topic.format == "json-lines" and value is not None else [value]
    for line in lines:
        if line is None or topic.format != "json-lines" or line.strip():
            yield from _listed(topic, _ENVELOPES[topic.envelope](parse_any(line)))


def _listed(topic: Topic, opened: Iterator[Found]) -> Iterator[Found]:
    for each in opened:
        if topic.records is None:
            yield each
            continue
        records = each.record if topic.records == "$" else walk(each.record, steps(topic.records))
        if type(records) is not list:
            raise UnusableError(Reason.WRONG_TYPE, f"{topic.records} is {shown(records)}, must be an array of records")
        yield from (each._replace(record=record) for record in records)


def _object(data: Any) -> Fields:
    if type(data) is not dict:
        raise UnusableError(Reason.NOT_JSON, f"the value is {shown(data)}, must be a JSON object")
    return Fields(data)


def _plain(data: Any) -> Iterator[Found]:
    if type(data) not in (dict, list):
        raise UnusableError(Reason.NOT_JSON, f"the value is {shown(data)}, must be a JSON object or array")
    yield Found(data, data)


def _cloudevents(data: Any) -> Iterator[Found]:
    fields = _object(data)
    fields.text("specversion")
    if not fields.has("data") and fields.has("data_base64"):
        raise UnusableError(Reason.WRONG_TYPE, "data_base64 is there: the data must be JSON, in `data`")
    inner = fields.required("data")
    yield Found(parse_any(inner.encode(errors="surrogatepass")) if type(inner) is str else inner, data)


def _debezium(data: Any) -> Iterator[Found]:
    """A created, changed or snapshotted row is `after`, a deleted one `before`. A message of the log itself says nothing of a row."""
    fields = _object(data)
    if fields.has("payload") and not fields.has("op"):  # JsonConverter's of Kafka Connect, where schemas.enable is set
        data = data["payload"]
        fields = _object(data)
    op = fields.text("op")
    if op in ("c", "u", "r"):
        after = fields.required("after")
        yield Found(after, data, was=data.get("before"))
    elif op == "d":
        at_ms = data.get("ts_ms")
        yield Found(fields.required("before"), data, is_deleted=True, at_ms=at_ms if type(at_ms) is int else None)
    elif op != "m":
        raise UnusableError(
            Reason.UNKNOWN_STATUS, f"op is {shown(op)}, which can't be taken over: must be one of c u r d m"
        )


def _ocpi(data: Any) -> Iterator[Found]:
    fields = _object(data)
    if fields.integer("status_code", 9999) >= _OCPI_ERRORS:
        fields.bad(Reason.UNKNOWN_STATUS, "status_code", "which is an error's: the response holds no data")
    inner = data.get("data")
    for record in inner if type(inner) is list else [] if inner is None else [inner]:
        yield Found(record, data)


_ENVELOPES: Final = {"plain": _plain, "cloudevents": _cloudevents, "debezium": _debezium, "ocpi": _ocpi}
