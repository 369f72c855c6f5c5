"""The peer: plain Faust doing the same job, as its manual would have it: agents that read, change tables, and go on.

Table `entities`: versions by id, groups of customers, how often a customer paid or came in a month; `monthly` and `half_hour`: the sums. In memory
with changelogs, JSON, at least once. No as-of, no sinks, no dead letters; equal versions and changed groups are not settled. Run by path, not
as a module: plain_faust.py SERVERS COUNT DATA_DIR DONE_FILE.
"""

import itertools
import json
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import faust

PARTITIONS = 4
Json = dict[str, Any]

servers, count, data_dir, done_file = sys.argv[1], int(sys.argv[2]), sys.argv[3], Path(sys.argv[4])
app = faust.App(
    "plain-faust",
    broker=f"kafka://{servers}",
    store="memory://",
    datadir=data_dir,
    topic_partitions=PARTITIONS,
    topic_disable_leader=True,
    web_enabled=False,
    consumer_auto_offset_reset="earliest",
    stream_wait_empty=False,
    stream_buffer_maxsize=65_536,
    broker_commit_every=10_000,
)


def source(kind: str) -> Any:
    """A source topic."""
    return app.topic(f"plain.{kind}", key_type=bytes, key_serializer="raw", value_serializer="json")


entities = app.Table("entities", default=dict, partitions=PARTITIONS)
monthly = app.Table("monthly", default=lambda: [0] * 6, partitions=PARTITIONS)
half_hour = app.Table("half_hour", default=lambda: [0] * 48, partitions=PARTITIONS)
cpu_s: list[float] = []  # until the first record, and after the last
numbers = itertools.count(1)


async def tick() -> None:
    """Count a record; after the last one say what it took, once Kafka has the changelog."""
    number = next(numbers)
    if number == 1:
        cpu_s.append(time.process_time())
    if number == count:
        await app.producer.flush()
        cpu_s.append(time.process_time())
        unfinished = done_file.with_suffix(".new")
        unfinished.write_text(json.dumps({"records": count, "start_cpu_s": cpu_s[0], "cpu_s": cpu_s[1]}))
        unfinished.rename(done_file)


def local(operator: str, at: int | str) -> datetime:
    """A time in the operator's zone."""
    zone = ZoneInfo(entities[f"operator|{operator}"].get("timezone", "UTC"))
    return (
        datetime.fromisoformat(at).astimezone(zone) if isinstance(at, str) else datetime.fromtimestamp(at / 1000, zone)
    )


def groups(operator: str, customer: str | None) -> list[str]:
    """The groups that an event counts in."""
    return ["ALL", *entities[f"groups|{operator}|{customer}"].get("group_ids", ())]


def is_first(kind: str, operator: str, customer: str | None, month: str, step: int) -> int:
    """Count a customer's event in a month; 1 for the first, -1 when the last is taken back, else 0."""
    if customer is None:
        return 0
    key = f"{kind}|{operator}|{customer}|{month}"
    before = entities[key].get("count", 0)
    entities[key] = {"count": before + step}
    return int(before + step > 0) - int(before > 0)


def is_news(key: str, event: Json) -> Iterator[tuple[Json, int]]:
    """What to take back and what to add, if the event is newer than what is known of its entity."""
    known = entities[key]
    if known and known["version"] >= event["version"]:
        return
    entities[key] = event
    if known:
        yield known, -1
    yield event, 1


@app.agent(source("operators"))
async def operators(stream: Any) -> None:
    """Zones."""
    async for event in stream:
        entities[f"operator|{event['operator_id']}"] = event
        await tick()


@app.agent(source("customer_groups"))
async def memberships(stream: Any) -> None:
    """Groups of customers, for what comes later."""
    async for event in stream:
        key = f"groups|{event['operator_id']}|{event['customer_id']}"
        if event["version"] >= entities[key].get("version", 0):
            entities[key] = event
        await tick()


@app.agent(source("payments"))
async def payments(stream: Any) -> None:
    """Monthly sums of money."""
    async for event in stream:
        operator = event["operator_id"]
        for each, step in is_news(f"payment|{operator}|{event['payment_id']}", event):
            if each["status"] != "SUCCEEDED" or 0 < each["amount_received"] == each["amount_refunded"]:
                continue
            customer, month = each.get("customer_id"), local(operator, each["paid_at"]).strftime("%Y-%m")
            first = is_first("paid", operator, customer, month, step) if each["amount_received"] else 0
            for group in groups(operator, customer):
                key = f"{operator}|{group}|{month}|{each['currency']}"
                sums = list(monthly[key])
                sums[0] += step * (each["amount_received"] - each["amount_refunded"])
                sums[1] += step * each["amount_discount"]
                sums[2] += step
                sums[3] += first
                monthly[key] = sums
        await tick()


@app.agent(source("sessions"))
async def sessions(stream: Any) -> None:
    """Monthly numbers of sessions, and half-hours."""
    async for event in stream:
        operator = event["operator_id"]
        for each, step in is_news(f"session|{operator}|{event['session_id']}", event):
            if each["status"] != "COMPLETED":
                continue
            at, customer = local(operator, each["started_at"]), each.get("customer_id")
            month = at.strftime("%Y-%m")
            first = is_first("came", operator, customer, month, step)
            for group in groups(operator, customer):
                key = f"{operator}|{group}|{month}"
                sums = list(monthly[key])
                sums[4] += step
                sums[5] += first
                monthly[key] = sums
                key = f"{operator}|{group}|{at.date()}"
                slots = list(half_hour[key])
                slots[at.hour * 2 + at.minute // 30] += step
                half_hour[key] = slots
        await tick()


if __name__ == "__main__":
    faust.Worker(app, loglevel="WARNING").execute_from_commandline()
