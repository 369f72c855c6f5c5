"""Why a record can't be used: a value with a reason out of a closed list, never an exception.

The reasons are part of the dead letters (header `reason`), so downstream tools may count by them.
"""

from enum import StrEnum
from typing import NamedTuple


class Reason(StrEnum):
    """The closed list of reasons."""

    TOMBSTONE = "tombstone"  # a null value
    NOT_JSON = "not_json"  # not UTF-8, or not one JSON object by RFC 8259
    NOT_WIRE_FORMAT = "not_wire_format"  # without the id of a schema, in a topic by a schema registry
    UNKNOWN_SCHEMA = "unknown_schema"  # the schema registry has none of that id
    NOT_OF_SCHEMA = "not_of_schema"  # bytes that its schema does not read, or a schema of another format
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    OUT_OF_RANGE = "out_of_range"  # amounts, versions, totals below zero
    TOO_LARGE = "too_large"  # what is kept of it exceeds what Kafka takes: a name, a list of groups
    BAD_ID = "bad_id"  # empty, over 200 code points, control characters, lone surrogates
    BAD_TIME = "bad_time"  # neither RFC 3339 with an offset nor epoch milliseconds
    UNKNOWN_STATUS = "unknown_status"
    UNKNOWN_CURRENCY = "unknown_currency"
    UNKNOWN_ZONE = "unknown_zone"
    RESERVED_GROUP = "reserved_group"  # ALL is always there and never listed
    IN_THE_FUTURE = "in_the_future"  # more than a day ahead of the wall clock
    TOO_LATE = "too_late"  # a new entity of a month that has left retention


class Rejection(NamedTuple):
    """A record that can't be used."""

    reason: Reason
    detail: str
