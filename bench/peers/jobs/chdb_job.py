"""No stream engine: raw records into two tables of ClickHouse, in process; the report is a query, made afterwards and not counted.

ReplacingMergeTree by operator and id with the version: copies and later versions would be right, too, by FINAL.
"""

import json
import sys
import time

from chdb import session
from confluent_kafka import Consumer, TopicPartition

from bench.peers.jobs.done import Done

BATCH = 50_000
COMMON = "event_id String, operator_id LowCardinality(String), customer_id String, group_ids Array(LowCardinality(String)), session_id String, version UInt32"
TABLES = {
    "payments": f"{COMMON}, payment_id String, amount_received Int64, discount_amount Int64, currency LowCardinality(String), paid_at Int64",
    "sessions": f"{COMMON}, site_id LowCardinality(String), connector_id LowCardinality(String), started_at Int64, ended_at Int64, energy_wh UInt32",
}
IDS = {"payments": "payment_id", "sessions": "session_id"}
GROUPS = "ARRAY JOIN arrayDistinct(arrayPushBack(group_ids, 'ALL')) AS g"
REPORTS = {
    "payments": f"""SELECT operator_id, g, formatDateTime(fromUnixTimestamp64Milli(paid_at, 'UTC'), '%Y-%m') AS month, sum(amount_received),
        sum(discount_amount), count(), uniqExact(customer_id) FROM raw.payments FINAL {GROUPS} GROUP BY operator_id, g, month""",
    "sessions": f"""SELECT operator_id, g, formatDateTime(fromUnixTimestamp64Milli(started_at, 'UTC'), '%Y-%m') AS month, count(),
        uniqExact(customer_id) FROM raw.sessions FINAL {GROUPS} GROUP BY operator_id, g, month""",
    "slots": f"""SELECT operator_id, g, formatDateTime(fromUnixTimestamp64Milli(started_at, 'UTC'), '%Y-%m-%d') AS date,
        intDiv(started_at % 86400000, 1800000) AS slot, count() FROM raw.sessions FINAL {GROUPS} GROUP BY operator_id, g, date, slot""",
}

servers, sessions, payments, _, state_dir, events = sys.argv[1:7]
done, database = Done(state_dir), session.Session(f"{state_dir}/chdb")
database.query("CREATE DATABASE raw")
for name, columns in TABLES.items():
    engine = f"ENGINE = ReplacingMergeTree(version) ORDER BY (operator_id, {IDS[name]})"
    database.query(f"CREATE TABLE raw.{name} ({columns}) {engine}")
database.query("SET input_format_skip_unknown_fields = 1")


def insert(table: str, lines: list[bytes]) -> None:
    """Insert JSON objects."""
    if lines:
        database.query(f"INSERT INTO raw.{table} FORMAT JSONEachRow " + b"\n".join(lines).decode())
        lines.clear()


consumer = Consumer(
    {
        "bootstrap.servers": servers,
        "group.id": "bench-chdb",
        "enable.auto.commit": False,
        "queued.max.messages.kbytes": 65536,
    }
)
topics = {sessions: "sessions", payments: "payments"}
partitions = {topic: consumer.list_topics(topic, timeout=10).topics[topic].partitions for topic in topics}
consumer.assign([TopicPartition(topic, number, 0) for topic, numbers in partitions.items() for number in numbers])
gathered: dict[str, list[bytes]] = {name: [] for name in TABLES}
read = 0
while read < int(events):
    # It waits for as many as it is asked for: one tells that it begins.
    some = consumer.consume(min(10_000, int(events) - read) if read else 1, timeout=10)
    if not some:
        raise SystemExit("Kafka gives no more records")
    if not read:
        done.first()
    for message in some:
        lines = gathered[topics[message.topic()]]
        lines.append(message.value())
        if len(lines) >= BATCH:
            insert(topics[message.topic()], lines)
    read += len(some)
for name, lines in gathered.items():
    insert(name, lines)
done.last()
consumer.close()
# 64-bit integers are text in JSON otherwise.
suffix = " SETTINGS output_format_json_quote_64bit_integers = 0"
rows = {
    name: [json.loads(line) for line in database.query(report + suffix, "JSONCompactEachRow").data().splitlines()]
    for name, report in REPORTS.items()
}
done.write(read, rows)
while True:
    time.sleep(60)
