"""The peer in Quix Streams: RocksDB with changelogs. By customer, ids and who is new in a group's month; then by operator, the sums of all groups.

Results go to a topic for each change, as its manual has it.
"""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from quixstreams import Application

servers, sessions_topic, payments_topic, output, state_dir = sys.argv[1:6]
app = Application(
    servers,
    consumer_group=output,
    auto_offset_reset="earliest",
    commit_interval=1.0,
    state_dir=state_dir,
    processing_guarantee="at-least-once",
    loglevel="WARNING",
    use_changelog_topics=True,
    consumer_extra_config={"queued.max.messages.kbytes": 65536, "session.timeout.ms": 10000},
    producer_extra_config={"compression.type": "lz4", "linger.ms": 50, "queue.buffering.max.messages": 1_000_000},
)
topics = {
    kind: app.topic(f"{output}.{kind}", key_serializer="bytes", value_serializer="json")
    for kind in ("payments", "sessions", "slots")
}
Row = dict[str, Any]


@lru_cache(1000)
def date(day: int) -> str:
    """A day number of 1970 as text."""
    return datetime.fromtimestamp(day * 86_400, UTC).strftime("%Y-%m-%d")


def first(name: str, at: str, *more: str) -> Callable[[Row, Any], list[list[Any]]]:
    """The first event of an id, with the groups in whose month its customer is new."""

    def once(event: Row, state: Any) -> list[list[Any]]:
        if state.get_bytes(event[name]) is not None:
            return []
        state.set_bytes(event[name], b"1")
        operator, month, groups = event["operator_id"], date(event[at] // 86_400_000)[:7], []
        for group in dict.fromkeys((*event["group_ids"], "ALL")):
            key = f"{operator}|{group}|{month}"
            is_new = state.get_bytes(key) is None
            if is_new:
                state.set_bytes(key, b"1")
            groups.append((group, int(is_new)))
        return [[operator, event[at], groups, *(event[field] for field in more)]]

    return once


def add_payment(value: list[Any], state: Any) -> list[Row]:
    """Add a payment to the months of its groups."""
    operator, at, groups, amount, discount = value
    out = []
    for group, new in groups:
        key = f"{group}|{date(at // 86_400_000)[:7]}"
        before = state.get(key) or (0, 0, 0, 0)
        sums = before[0] + amount, before[1] + discount, before[2] + 1, before[3] + new
        state.set(key, sums)
        out.append(
            {"kind": "payments", "k": f"{operator}|{key}"}
            | dict(zip(("amount", "discount", "n", "customers"), sums, strict=True))
        )
    return out


def add_session(value: list[Any], state: Any) -> list[Row]:
    """Add a session to the months and half-hours of its groups."""
    operator, at, groups = value
    day, slot, out = date(at // 86_400_000), at % 86_400_000 // 1_800_000, []
    for group, new in groups:
        key = f"{group}|{day[:7]}"
        before = state.get(key) or (0, 0)
        sums = before[0] + 1, before[1] + new
        state.set(key, sums)
        out.append({"kind": "sessions", "k": f"{operator}|{key}", "n": sums[0], "customers": sums[1]})
        key = f"{group}|{day}|{slot}"
        number = (state.get(key) or 0) + 1
        state.set(key, number)
        out.append({"kind": "slots", "k": f"{operator}|{key}", "n": number})
    return out


def job(topic: str, once: Any, name: str, add: Any) -> None:
    """From a source topic to the output."""
    read = app.dataframe(app.topic(topic, value_deserializer="json", key_deserializer="bytes"))
    by_customer = read.apply(once, stateful=True, expand=True)
    by_operator = by_customer.group_by(
        lambda value: value[0], name=name, key_serializer="str", key_deserializer="bytes"
    )
    sums = by_operator.apply(add, stateful=True, expand=True)
    sums.to_topic(
        lambda value, _key, _timestamp, _headers: topics[value["kind"]], key=lambda value: value["k"].encode()
    )


job(
    payments_topic,
    first("payment_id", "paid_at", "amount_received", "discount_amount"),
    "payments-by-operator",
    add_payment,
)
job(sessions_topic, first("session_id", "started_at"), "sessions-by-operator", add_session)
app.run()
