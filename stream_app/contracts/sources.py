"""JSON Schemas of source events, made from the types that records of the source topics are parsed into.

A schema is never narrower than the decoder: what is read is valid. It is wider where JSON Schema has no words for a rule (one field bounds another, the
clock, names of zones); such a rule stands in a description.
"""

from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin

import msgspec

from stream_app.domain.events import ALL, CDR, GROUP, MEMBERSHIP, OPERATOR, PAYMENT, SESSION
from stream_app.domain.money import DIGITS
from stream_app.sources import canonical, ocpi
from stream_app.sources.exact import ID_LENGTH, MOST_AMOUNT, MOST_GROUPS, MOST_VERSION
from stream_app.sources.records import Amount, Id, Time, Version
from stream_app.sources.registry import SourceTopic
from stream_app.sources.times import LAST_MS

Schema = dict[str, Any]

DRAFT: Final = "http://json-schema.org/draft-07/schema#"  # the one that every tool of AsyncAPI must take
URN: Final = "urn:crm-stats:schema:"
ID: Final[Schema] = {
    "type": "string",
    "minLength": 1,
    "maxLength": ID_LENGTH,
    "pattern": r"^[^\u0000-\u001f\u007f-\u009f]+$",
}
CURRENCY: Final[Schema] = {"type": "string", "enum": sorted(DIGITS)}
_RFC_3339: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?"
_OFFSET: Final = r"([Zz]|[+-][0-9]{2}:[0-9]{2})"
_EPOCH: Final[Schema] = {"type": "integer", "maximum": LAST_MS}
_NOT_ALL: Final[Schema] = ID | {"not": {"const": ALL}}
_NOT_NULL: Final[Schema] = {"not": {"type": "null"}}
_NULL: Final[Schema] = {"type": "null"}

_TYPES: Final[Mapping[Any, Schema]] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    Id: ID,
    Version: {"type": "integer", "minimum": 0, "maximum": MOST_VERSION},
    Amount: {"type": "integer", "minimum": 0, "maximum": MOST_AMOUNT},
    Time: {"anyOf": [{"type": "string", "pattern": f"{_RFC_3339}{_OFFSET}$"}, _EPOCH]},
}
_OCPI_TIME: Final[Schema] = {"anyOf": [{"type": "string", "pattern": f"{_RFC_3339}{_OFFSET}?$"}, _EPOCH]}

_KWH: Final = "Decimal string or number of kWh, from 0 to 999,999.999, rounded half-up to 3 digits; anything else is unknown, and the record counts with energy 0."
# Where they are optional they are read where they can be, and make no record unusable.
_UNCHECKED: Final[Mapping[str, str]] = {
    "ended_at": "RFC 3339 with offset, or epoch milliseconds; anything else is unknown.",
    "energy_kwh": _KWH,
    "session_id": "The charging session that it is for; anything that is no id is as none.",
    "total_energy": _KWH,
}
_IN_TIME: Final = "RFC 3339 with offset, or epoch milliseconds; not more than a day ahead of the clock."
_IN_OCPI_TIME: Final = "RFC 3339, UTC where it has no offset, or epoch milliseconds"
_PRICE: Final = "Decides, with those before it absent. In major units, rounded half-up to the currency's digits."
_MEANINGS: Final[Mapping[str, str]] = {
    "amount_discount": "What the merchant gave away, in the currency's minor unit; 0 if absent.",
    "amount_received": "In the currency's minor unit by ISO 4217's exponent (EUR 2, JPY 0, KWD 3), taxes included.",
    "amount_refunded": "In the currency's minor unit, amount_received at most; 0 if absent.",
    "cdr_token": "Whose contract_id is the customer; of type AD_HOC_USER it is anonymous.",
    "country_code": "The operator is country_code-party_id in upper case, or what the setting ocpi_operators maps that to.",
    "credit": "A credit takes back the CDR that credit_reference_id names; its own amounts are ignored.",
    "credit_reference_id": "Required of a credit, and read of no other CDR.",
    "currency": "ISO 4217, in upper case.",
    "customer_id": "As the operator's CRM knows the customer; absent or null: anonymous.",
    "end_date_time": f"{_IN_OCPI_TIME}; not more than a day ahead of the clock. The payment was made then.",
    "group_ids": f"Replaces the customer's groups; [] clears them. {MOST_GROUPS:,} different ones at most.",
    "paid_at": f"{_IN_TIME} Decides the month.",
    "start_date_time": f"{_IN_OCPI_TIME}; but for credits not after end_date_time.",
    "started_at": f"{_IN_TIME} Decides month, date and slot.",
    "status": "A closed list.",
    "timezone": "A name of the IANA time zone database.",
    "total_cost": "incl_vat, else excl_vat, else OCPI 2.3.0's before_taxes with the amounts of taxes; the total is not negative.",
    "version": "The highest of an entity wins; 0 if absent. Written without fraction or exponent, as all integers are.",
}


def _price() -> Schema:
    """One of the three prices must be a number; those that do not decide are not looked at."""
    number: Schema = {"type": "number", "minimum": 0, "description": _PRICE}
    amounts = {
        "type": "array",
        "items": {"type": "object", "required": ["amount"], "properties": {"amount": {"type": "number"}}},
    }
    before = {"before_taxes": {"type": "number"}, "taxes": {"anyOf": [amounts, _NULL]}}
    choices = [({"incl_vat": number}, "incl_vat"), ({"excl_vat": number}, "excl_vat"), (before, "before_taxes")]
    return {
        "type": "object",
        "anyOf": [{"required": [name], "properties": properties} for properties, name in choices],
    }


def _of_type(kind: Any) -> Schema:
    """The schema of a field's type. `Raises` KeyError for a type that no schema is known of."""
    if kind in _TYPES:
        return dict(_TYPES[kind])
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Literal:
        return {"type": "string", "enum": list(parts)}
    if origin is list:
        return {"type": "array", "items": _of_type(parts[0])}
    if origin in (Union, UnionType):
        rest: Any = Union[tuple(part for part in parts if part is not NoneType)]  # noqa: UP007  # of parts that are found here
        return {"anyOf": [_of_type(rest), _NULL]}
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _object(kind)
    raise KeyError(kind)


def _object(struct: type[msgspec.Struct]) -> Schema:
    """Unknown fields are ignored, so any may be there."""
    fields = msgspec.structs.fields(struct)
    properties: Schema = {}
    for field in fields:
        name = field.encode_name
        is_unchecked = name in _UNCHECKED and not field.required
        schema = {} if is_unchecked else _named(name, field.type)
        said = _UNCHECKED[name] if is_unchecked else _MEANINGS.get(name)
        properties[name] = schema | ({"description": said} if said else {})
    return {
        "type": "object",
        "required": [field.encode_name for field in fields if field.required],
        "properties": properties,
    }


def _named(name: str, kind: Any) -> Schema:
    """The schema of a field: some names have a rule beside their type's."""
    match name:
        case "currency":
            return dict(CURRENCY)
        case "group_id":
            return dict(_NOT_ALL)
        case "group_ids":
            return {"type": "array", "items": _NOT_ALL}
        case "start_date_time" | "end_date_time":
            return dict(_OCPI_TIME)
        case "total_cost":
            return _price()
        case _:
            return _of_type(kind)


def _cdr() -> Schema:
    """A credit names what it takes back; its currency and price must be there, and may be anything."""
    schema = _object(ocpi.Wire)
    properties = schema["properties"]
    checked = {name: properties[name] for name in ("currency", "total_cost")}
    properties |= {name: _NOT_NULL | {"description": _MEANINGS[name]} for name in checked}
    properties["credit_reference_id"] = {"description": _MEANINGS["credit_reference_id"]}
    return schema | {
        "if": {"required": ["credit"], "properties": {"credit": {"const": True}}},
        "then": {"required": ["credit_reference_id"], "properties": {"credit_reference_id": ID}},
        "else": {"properties": checked},
    }


# Title, what makes the schema, and an example: of each kind of events the topic of our own contract.
_KINDS: Final[Mapping[int, tuple[str, Callable[[], Schema], Schema]]] = {
    SESSION: (
        "A charging session; only COMPLETED ones count",
        lambda: _object(canonical.Session),
        {"session_id": "s-1", "operator_id": "M1", "customer_id": "c-9", "status": "COMPLETED",
         "started_at": "2026-11-03T08:29:59+01:00", "ended_at": "2026-11-03T09:11:00+01:00", "energy_kwh": "12.4", "version": 2},
    ),
    PAYMENT: (
        "A payment for charging; only SUCCEEDED ones count",
        lambda: _object(canonical.Payment),
        {"payment_id": "p-1", "session_id": "s-1", "operator_id": "M1", "customer_id": "c-9", "status": "SUCCEEDED",
         "amount_received": 1250, "amount_discount": 150, "amount_refunded": 0, "currency": "EUR", "paid_at": 1793693460000, "version": 1},
    ),
    CDR: (
        "A charge detail record of OCPI 2.2.1 or 2.3.0, as far as it is read",
        _cdr,
        {"country_code": "NL", "party_id": "ALF", "id": "cdr-1", "start_date_time": "2026-11-03T08:29:59Z",
         "end_date_time": "2026-11-03T09:11:00Z", "session_id": "77", "cdr_token": {"type": "RFID", "contract_id": "NL-TST-C1"},
         "currency": "EUR", "total_cost": {"excl_vat": 10.0, "incl_vat": 12.1}, "total_energy": 15.342},
    ),
    MEMBERSHIP: (
        "The groups of a customer",
        lambda: _object(canonical.Membership),
        {"operator_id": "M1", "customer_id": "c-9", "group_ids": ["vip", "fleet"], "version": 7},
    ),
    GROUP: (
        "The name of a customer group",
        lambda: _object(canonical.GroupName),
        {"operator_id": "M1", "group_id": "vip", "name": "大客户", "version": 1},
    ),
    OPERATOR: (
        "What an operator announces of itself",
        lambda: _object(canonical.Announcement),
        {"operator_id": "M1", "name": "Stadtwerke", "timezone": "Europe/Berlin", "currency": "EUR", "version": 1},
    ),
}  # fmt: skip


def source_schema(topic: SourceTopic, kafka_name: str) -> Schema:
    """The schema of a topic of our own contract: the one of its kind whose `number` is 0."""
    title, make, example = _KINDS[topic.kind]
    return {"$schema": DRAFT, "$id": f"{URN}{kafka_name}", "title": title, **make(), "examples": [example]}
