"""A topic of own_topics as Debezium writes it with Connect's AvroConverter: the same messages, by two versions of a schema. Must not use any code of the product."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from tests.support.own_topics import Message
from tests.support.schema_registry import avro

TOPIC = "avro.public.orders"


def _decimal(digits: int) -> dict[str, Any]:
    """A numeric column, as Connect's Decimal is told in Avro."""
    return {
        "type": "bytes", "scale": digits, "precision": 10, "connect.version": 1, "connect.parameters": {"scale": str(digits), "connect.decimal.precision": "10"},
        "connect.name": "org.apache.kafka.connect.data.Decimal", "logicalType": "decimal",
    }  # fmt: skip


def _named(kind: str, name: str) -> dict[str, Any]:
    return {"type": kind, "connect.version": 1, "connect.name": name}


def _optional(name: str, of: Any) -> dict[str, Any]:
    return {"name": name, "type": ["null", of], "default": None}


def envelope(*more: dict[str, Any]) -> dict[str, Any]:
    """The schema of a change of the table, with columns that came later."""
    row = {
        "type": "record", "name": "Value", "connect.name": "app.public.orders.Value",
        "fields": [
            {"name": "id", "type": _named("string", "io.debezium.data.Uuid")}, {"name": "merchant", "type": "string"}, _optional("customer_id", "string"),
            {"name": "state", "type": "string"}, {"name": "started_at", "type": _named("string", "io.debezium.time.ZonedTimestamp")},
            _optional("paid_at", _named("long", "io.debezium.time.MicroTimestamp")), _optional("energy_kwh", _decimal(3)), _optional("total", _decimal(2)),
            {"name": "refunded", "type": _decimal(2)}, {"name": "currency", "type": "string"}, *more,
        ],
    }  # fmt: skip
    source = {
        "type": "record", "name": "Source", "namespace": "io.debezium.connector.postgresql",
        "fields": [
            {"name": "version", "type": "string"}, {"name": "ts_ms", "type": "long"}, _optional("snapshot", {**_named("string", "io.debezium.data.Enum"), "default": "false"}),
            _optional("lsn", "long"), _optional("xmin", "long"),
        ],
    }  # fmt: skip
    block = {"type": "record", "name": "block", "namespace": "event", "fields": [{"name": "id", "type": "string"}]}
    return {
        "type": "record", "name": "Envelope", "namespace": "app.public.orders", "connect.version": 2, "connect.name": "app.public.orders.Envelope",
        "fields": [
            _optional("before", row), _optional("after", "Value"), {"name": "source", "type": source}, _optional("transaction", block),
            {"name": "op", "type": "string"}, _optional("ts_ms", "long"),
        ],
    }  # fmt: skip


SCHEMAS = (envelope(), envelope(_optional("plate", "string"), _optional("weight", "float")))


def written(messages: list[Message], numbers: tuple[int, int]) -> Iterator[Message]:
    """The messages of own_topics.postgresql in the wire format: the second half by the second schema. `numbers`: the schemas' ids."""

    def row(found: dict[str, Any] | None) -> dict[str, Any] | None:
        if found is None:
            return None
        exact = {name: found[name] and Decimal(found[name]) for name in ("energy_kwh", "total", "refunded")}
        return {**found, **exact, "plate": "B-XY 1", "weight": 12.1}

    for position, message in enumerate(messages):
        if message.value is None:
            yield message
            continue
        second = position >= len(messages) // 2
        change = json.loads(message.value)
        change |= {"before": row(change["before"]), "after": row(change["after"])}
        yield Message(message.key, avro(numbers[second], SCHEMAS[second], change))


def map_of(text: str) -> str:
    """The map of the topic in Avro, by that of the topic in JSON."""
    changes = {
        'name = "app.public.orders"': f'name = "{TOPIC}"\nformat = "avro"',
        "number = 3": "number = 30",
    }
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return text
