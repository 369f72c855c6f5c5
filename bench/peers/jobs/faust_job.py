"""Plain Faust, as its manual would have it: agents that read, change tables, and go on.

In memory with changelogs, JSON, at least once. `seen`: ids; `customers`: who paid or came in a group's month; `monthly` and `half_hour`: the sums.
"""

import itertools
import sys
from datetime import UTC, datetime
from typing import Any

import faust

from bench.peers.jobs.done import Done

PARTITIONS = 4
Json = dict[str, Any]

servers, sessions_topic, payments_topic, output, state_dir, events = sys.argv[1:7]
done, numbers, count = Done(state_dir), itertools.count(1), int(events)
app = faust.App(
    output,
    broker=f"kafka://{servers}",
    store="memory://",
    datadir=state_dir,
    topic_partitions=PARTITIONS,
    topic_disable_leader=True,
    web_enabled=False,
    consumer_auto_offset_reset="earliest",
    stream_wait_empty=False,
    stream_buffer_maxsize=65_536,
    broker_commit_every=10_000,
)
seen = app.Table("seen", default=bool, partitions=PARTITIONS)
customers = app.Table("customers", default=bool, partitions=PARTITIONS)
monthly = app.Table("monthly", default=lambda: [0] * 6, partitions=PARTITIONS)
half_hour = app.Table("half_hour", default=lambda: [0] * 48, partitions=PARTITIONS)


def source(topic: str) -> Any:
    """A source topic."""
    return app.topic(topic, key_type=bytes, key_serializer="raw", value_serializer="json")


def is_first(table: Any, key: str) -> bool:
    """Note a key; was it unknown?"""
    if table[key]:
        return False
    table[key] = True
    return True


def at(time_ms: int) -> datetime:
    """A time of UTC."""
    return datetime.fromtimestamp(time_ms / 1000, UTC)


async def tick() -> None:
    """Count a record; after the last one say what came out, once Kafka has the changelog."""
    number = next(numbers)
    if number == 1:
        done.first()
    if number == count:
        await app.producer.flush()
        done.last()
        months = [(*key.split("|"), sums) for key, sums in monthly.items()]
        days = [(*key.split("|"), slots) for key, slots in half_hour.items()]
        rows = {
            "payments": [(*name, *sums[:4]) for *name, sums in months if sums[2]],
            "sessions": [(*name, *sums[4:]) for *name, sums in months if sums[4]],
            "slots": [(*name, slot, number) for *name, slots in days for slot, number in enumerate(slots) if number],
        }
        done.write(number, rows)


@app.agent(source(payments_topic))
async def payments(stream: Any) -> None:
    """Monthly sums of money."""
    async for event in stream:
        if is_first(seen, f"payment|{event['payment_id']}"):
            operator, month = event["operator_id"], at(event["paid_at"]).strftime("%Y-%m")
            for group in (*event["group_ids"], "ALL"):
                key = f"{operator}|{group}|{month}"
                sums = list(monthly[key])
                sums[0] += event["amount_received"]
                sums[1] += event["discount_amount"]
                sums[2] += 1
                sums[3] += is_first(customers, f"paid|{key}|{event['customer_id']}")
                monthly[key] = sums
        await tick()


@app.agent(source(sessions_topic))
async def sessions(stream: Any) -> None:
    """Monthly numbers of sessions, and half-hours."""
    async for event in stream:
        if is_first(seen, f"session|{event['session_id']}"):
            operator, started = event["operator_id"], at(event["started_at"])
            for group in (*event["group_ids"], "ALL"):
                key = f"{operator}|{group}|{started:%Y-%m}"
                sums = list(monthly[key])
                sums[4] += 1
                sums[5] += is_first(customers, f"came|{key}|{event['customer_id']}")
                monthly[key] = sums
                key = f"{operator}|{group}|{started:%Y-%m-%d}"
                slots = list(half_hour[key])
                slots[started.hour * 2 + started.minute // 30] += 1
                half_hour[key] = slots
        await tick()


if __name__ == "__main__":
    faust.Worker(app, loglevel="WARNING").execute_from_commandline()
