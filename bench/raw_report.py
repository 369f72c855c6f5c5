"""The same report straight from raw orders: tables with every record as it was sent, and a query that finds the latest of each order.

Tables are ordered by operator and order, so the query reads one operator's rows only; months can't be an index, since any later record may move an
order to another month. Runs as it is on ClickHouse 18.16 and today's.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from confluent_kafka import Consumer, TopicPartition

from bench.stack import Space
from stream_app.local.errors import LocalError

Row = tuple[Any, ...]
TABLES = {
    "payments": (
        "operator_id String, id String, customer_id String, status String, received Int64, discount Int64, refunded Int64, currency String, "
        "paid_at DateTime('UTC'), place UInt64"
    ),
    "sessions": "operator_id String, id String, customer_id String, status String, started_at DateTime('UTC'), place UInt64",
}
# place: the rank of a record by version, Kafka timestamp, offset and partition, which say which of two is the later.
REPORT = """
SELECT toYYYYMM(toTimeZone(at, '{zone}')) AS month, sum(received - refunded), sum(discount), sum(refunded), count(),
       uniqExactIf(customer, customer != '' AND received > refunded), sumIf(received - refunded, customer = ''), toUInt64(0) AS kind
FROM (SELECT argMax(customer_id, place) AS customer, argMax(status, place) AS state, argMax(received, place) AS received,
             argMax(discount, place) AS discount, argMax(refunded, place) AS refunded, argMax(currency, place) AS money, argMax(paid_at, place) AS at
      FROM {database}.payments WHERE operator_id = '{operator}' GROUP BY id)
WHERE state = 'SUCCEEDED' AND money = '{currency}' AND NOT (received > 0 AND refunded = received) AND month >= {first}
GROUP BY month
UNION ALL
SELECT toYYYYMM(toTimeZone(at, '{zone}')) AS month, toInt64(0), toInt64(0), toInt64(0), count(),
       uniqExactIf(customer, customer != ''), toInt64(sum(customer = '')), toUInt64(1) AS kind
FROM (SELECT argMax(customer_id, place) AS customer, argMax(status, place) AS state, argMax(started_at, place) AS at
      FROM {database}.sessions WHERE operator_id = '{operator}' GROUP BY id)
WHERE state = 'COMPLETED' AND month >= {first}
GROUP BY month
"""


class Orders(NamedTuple):
    """All records of both topics, as rows of the tables."""

    payments: list[Row]
    sessions: list[Row]

    def __len__(self) -> int:
        return len(self.payments) + len(self.sessions)


def create(database: str, engine: str = "MergeTree") -> list[str]:
    """Statements that make the tables."""
    made = [f"CREATE DATABASE {database}"]
    return made + [
        f"CREATE TABLE {database}.{name} ({columns}) ENGINE = {engine}() ORDER BY (operator_id, id, place)"
        for name, columns in TABLES.items()
    ]


def read_orders(space: Space) -> Orders:
    """Read both topics back, with the order that Kafka gave."""
    return Orders(
        [(*head, *money, at, place) for head, money, at, place in _ranked(space, "payments", "payment_id", "paid_at")],
        [(*head, at, place) for head, _, at, place in _ranked(space, "sessions", "session_id", "started_at")],
    )


def _ranked(space: Space, kind: str, id_field: str, time_field: str) -> Iterator[tuple[Row, Row, int, int]]:
    found = sorted(_values(space, kind), key=lambda one: one[0])
    for place, (_, value) in enumerate(found):
        at = value[time_field]
        seconds = at // 1000 if isinstance(at, int) else int(datetime.fromisoformat(at).timestamp())
        head = value["operator_id"], value[id_field], value.get("customer_id") or "", value["status"]
        money = tuple(value.get(name, 0) for name in ("amount_received", "amount_discount", "amount_refunded"))
        yield head, (*money, value.get("currency")), seconds, place


def _values(space: Space, kind: str) -> Iterator[tuple[Row, dict[str, Any]]]:
    consumer = Consumer(
        {
            "bootstrap.servers": space.settings.kafka_bootstrap_servers,
            "group.id": "bench-endpoints",
            "enable.auto.commit": False,
            "enable.partition.eof": False,
        }
    )
    topic = space.sources[kind]
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        ends = {
            number: consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10)[1]
            for number in partitions
        }
        consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
        left = sum(ends.values())
        while left:
            messages = consumer.consume(10_000, timeout=10)
            if not messages:
                raise LocalError(f"endpoints: {topic} can't be read back")
            for message in messages:
                value = orjson.loads(message.value() or b"")
                order = value["version"], message.timestamp()[1], message.offset(), message.partition()
                yield order, value
            left -= len(messages)
    finally:
        consumer.close()


def figures(rows: list[Row]) -> dict[int, tuple[int, ...]]:
    """The rows of the report: month -> received, discount, refunded, payments, paying, anonymous amount, sessions, charging, anonymous sessions."""
    months: dict[int, list[int]] = {}
    for month, received, discount, refunded, count, customers, anonymous, kind in rows:
        figures = months.setdefault(month, [0] * 9)
        if kind:
            figures[6:] = count, customers, anonymous
        else:
            figures[:6] = received, discount, refunded, count, customers, anonymous
    return {month: tuple(figures) for month, figures in months.items()}
