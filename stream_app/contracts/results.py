"""JSON Schemas of what others read from topics: values and keys of results, headers of CloudEvents, and dead letters.

Made from the tables of results and of figures, so that one that is added is described without a change here.
"""

import re
from typing import Any, Final

from pydantic import TypeAdapter

from stream_app.api.description.table_models import figure_type
from stream_app.contracts.sources import DRAFT, ID, URN, Schema
from stream_app.domain.errors import Reason
from stream_app.domain.figures import FIGURES
from stream_app.domain.tables import CountTable, FigureTable, Table
from stream_app.formats.traces import TRACEPARENT, TRACESTATE
from stream_app.sinks import dead_letters

_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_NUMBER: Final[Schema] = {"type": "string", "pattern": "^[0-9]+$"}  # in a header
_INSTANT: Final[Schema] = {
    "type": "string",
    "format": "date-time",
    "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$",
}
# Not the list of today's: it grows with ISO 4217, and readers need no new contract for that.
_CURRENCY: Final[Schema] = {"type": "string", "pattern": "^[A-Z]{3}$", "description": "ISO 4217."}
_AS_OF: Final[Schema] = _INSTANT | {
    "description": "Holds every source record that Kafka had taken before this time; that of the last change of this record."
}
_PARTITION: Final[Schema] = _COUNT | {
    "description": "Of the operator, in the events topic: the name of the live as-of. Not the partition of this record."
}
_VERSION: Final[Schema] = _COUNT | {
    "maximum": 2**53 - 1,
    "description": "Grows with every change and never falls; of two records keep the one with the higher version.",
}
_KEY_PART: Final = r"[^|{}+\u0000-\u001f\u007f-\u009f]+"  # an id as it stands in a key, percent-encoded


def _named(name: str, title: str, properties: Schema) -> Schema:
    return {"$schema": DRAFT, "$id": f"{URN}{name}", "title": title, "type": "object", **_all_of(properties)}


def _all_of(properties: Schema) -> Schema:
    """Each field is always there; more may come."""
    return {"required": list(properties), "properties": properties}


def _period(table: Table[Any]) -> Schema:
    return {"type": "string", **table.period.schema}


def record_schema(table: Table[Any]) -> Schema:
    """The value of a record in a table's topic. Its `$id` is the header `ce_dataschema`."""
    of_cell: Schema = {"operatorId": ID, "groupId": ID | {"description": "ALL is everything of the operator."}}
    zone: Schema = {"timezone": {"type": "string", "description": "The operator's, of the IANA time zone database."}}
    state: Schema = {"partition": _PARTITION, "asOf": _AS_OF, "version": _VERSION}
    period: Schema = {table.period.name: _period(table)}
    if isinstance(table, FigureTable):
        figures = {figure.name: TypeAdapter(figure_type(figure)).json_schema() for figure in FIGURES}
        return _named(table.topic, table.meaning, period | figures | of_cell | {"currency": _CURRENCY} | zone | state)
    assert isinstance(table, CountTable)
    slots = {"type": "array", "items": _COUNT, "minItems": table.width, "maxItems": table.width}
    return _named(table.topic, table.meaning, of_cell | period | zone | {"slots": slots, "total": _COUNT} | state)


def as_of_schema() -> Schema:
    """The value of a record of the topic of as-of."""
    return _named("as-of.v1", "Up to when a partition's results hold.", {"partition": _COUNT, "asOf": _INSTANT})


def key_schema(table: Table[Any]) -> Schema:
    """The key of a record in a table's topic."""
    period = _period(table)["pattern"].removeprefix("^").removesuffix("$")
    parts, names = [_KEY_PART, _KEY_PART, f"({period})"], ["operator", "group", table.period.name]
    if isinstance(table, FigureTable):
        parts, names = [*parts, "[A-Z]{3}"], [*names, "currency"]
    said = f"{'|'.join(names)}; % | {{ }} + of an id are percent-encoded. Partitioned by murmur2."
    return {"type": "string", "pattern": "^" + r"\|".join(parts) + "$", "description": said}


AS_OF_KEY: Final[Schema] = _NUMBER | {"description": "The partition's number."}
LETTER_KEY: Final[Schema] = {
    "type": "string",
    "pattern": "^[a-zA-Z0-9._-]+/[0-9]+/[0-9]+$",
    "description": "topic/partition/offset of the source record.",
}


def headers_schema(kind: str, *, traced: bool = True) -> Schema:
    """The headers of a result, tombstones included: CloudEvents 1.0 in Kafka's binary form. `kind`: such as monthly.v1. `traced`: it may belong to a trace."""
    said = "The setting ce_type_prefix, and the kind of result."
    properties: Schema = {
        "content-type": {"const": "application/json"},
        "ce_specversion": {"const": "1.0"},
        "ce_source": {"type": "string", "format": "uri-reference", "description": "The setting ce_source."},
        "ce_type": {"type": "string", "pattern": rf"\.{re.escape(kind)}$", "description": said},
        "ce_dataschema": {"const": f"{URN}{kind}"},
        "ce_id": {"type": "string", "description": "key@version: the same event twice has the same id."},
        "ce_subject": {"type": "string", "description": "The key."},
        "ce_time": _INSTANT,
    }
    schema: Schema = {"type": "object", **_all_of(properties)}
    if traced:
        parent = {"type": "string", "pattern": "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"}
        said = "W3C Trace Context of the span that sent it, where traces are followed and a source record of it was sampled."
        schema["properties"] |= {
            TRACEPARENT: parent | {"description": said},
            TRACESTATE: {"type": "string", "description": "Beside traceparent, where the source record has one."},
        }
    return schema


def letter_schema() -> Schema:
    """The headers of a dead letter, as text. The value is what came, byte by byte."""
    text: Schema = {"type": "string"}
    cut = _NUMBER | {"description": "There where the beginning alone is kept, of so many bytes."}
    always: Schema = {
        "reason": text | {"enum": [reason.value for reason in Reason]},
        "detail": text | {"description": "For people: the field, what was found, and the rule."},
        "source-topic": text,
        "source-partition": _NUMBER,
        "source-offset": _NUMBER,
        "source-key": {"type": ["string", "null"], "description": "As it came, any bytes; null where there was none."},
        "failed-at": _INSTANT,
    }
    sometimes: Schema = {
        dead_letters.VALUE_CUT_AT: cut,
        dead_letters.KEY_CUT_AT: cut,
        dead_letters.REDRIVEN_AT: _INSTANT,
        dead_letters.REDRIVEN_TO: LETTER_KEY | {"description": "topic/partition/offset of the record that was sent."},
        dead_letters.REDRIVEN_AS: text | {"enum": ["edited", "it came"]},
        dead_letters.DROPPED_AT: _INSTANT,
    }
    schema = _named("dead-letters", "Headers of a source record that can't be used.", always)
    return schema | {"properties": always | sometimes}
