"""A local view of the results that stays right over restarts, tombstones and records out of order, in one file.

    KAFKA_BOOTSTRAP_SERVERS=... python view.py view.json crm-stats.as-of.v1 crm-stats.monthly.v1 crm-stats.half-hour.v1

- The view and the offsets up to which it holds are stored together: here as one file that is replaced as a whole, in a database in one transaction.
  There is nothing to commit to Kafka, and no consumer group: each process that wants a view reads all partitions.
- Of a key the highest version counts, of values and of tombstones alike; both have it in the header ce_id, which is key@version. What comes twice, or
  late, changes nothing.
- An as-of is promised by a record of its topic, and holds for the view once it has all that was written before. That is up to the high watermarks: the
  last stable offset would leave out what is committed behind another producer's open transaction.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

FILE, AS_OF, RESULTS = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
KAFKA = {"bootstrap.servers": os.environ["KAFKA_BOOTSTRAP_SERVERS"]}  # and security.protocol, sasl... where needed
# Tombstones are kept for delete.retention.ms, a day: a view that did not read for longer may have missed some, and is made anew.
STORED_S_MAX = 20 * 3600


def load() -> dict[str, Any]:
    """The stored state: view (topic, key, value), versions (topic, key), offsets (topic, partition), promised as-of (key, value)."""
    is_stored = FILE.exists() and time.time() - FILE.stat().st_mtime < STORED_S_MAX
    state: dict[str, Any] = json.loads(FILE.read_text()) if is_stored else {"promised": {}}
    for part in ("view", "versions", "offsets"):
        for topic in (AS_OF, *RESULTS):
            state.setdefault(part, {}).setdefault(topic, {})
    return state


def save(state: dict[str, Any]) -> None:
    """Replace the stored state: whoever kills this process finds the old one or the new one."""
    beside = FILE.with_suffix(".new")
    with beside.open("w") as file:
        json.dump(state, file)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(FILE)


def take(state: dict[str, Any], message: Message) -> None:
    """Apply a record."""
    topic, key, value = message.topic(), message.key().decode(), message.value()
    if topic == AS_OF:
        promised = state["promised"].get(key, {"asOf": ""})
        state["promised"][key] = max(promised, json.loads(value), key=lambda each: each["asOf"])
        return
    version = int(dict(message.headers())["ce_id"].rpartition(b"@")[2])
    if version > state["versions"][topic].get(key, -1):
        state["versions"][topic][key] = version  # a tombstone's, too: what is older must not come back
        if value is None:
            state["view"][topic].pop(key, None)
        else:
            state["view"][topic][key] = json.loads(value)


def high_watermarks(admin: AdminClient, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
    """The ends of the results topics as they are now."""
    admin.list_topics(timeout=30)  # else this client knows nothing of partitions by which a topic grew
    latest = {tp: OffsetSpec.latest() for tp in partitions if tp.topic != AS_OF}
    found = admin.list_offsets(latest, isolation_level=IsolationLevel.READ_UNCOMMITTED)
    return {tp: answer.result().offset for tp, answer in found.items()}


def main() -> None:
    """Follow the topics until the process is killed."""
    state, admin = load(), AdminClient(KAFKA)
    consumer = Consumer(
        KAFKA
        | {
            "group.id": "view",  # the library asks for one; nothing is committed
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
        }
    )
    assigned: set[TopicPartition] = set()
    promised: dict[str, Any] = state["view"][AS_OF]
    ends: dict[TopicPartition, int] = {}
    while True:
        offsets = state["offsets"]
        if all(offsets[tp.topic].get(str(tp.partition), 0) >= end for tp, end in ends.items()):
            state["view"][AS_OF] = promised  # all that was there when they were promised is in the view
            promised = dict(state["promised"])
            topics = consumer.list_topics(timeout=30).topics
            partitions = [TopicPartition(name, p) for name in (AS_OF, *RESULTS) for p in topics[name].partitions]
            for tp in set(partitions) - assigned:  # all at the start, and later those by which a topic grows
                offset = offsets[tp.topic].get(str(tp.partition), 0)
                consumer.incremental_assign([TopicPartition(tp.topic, tp.partition, offset)])
                assigned.add(tp)
            ends = high_watermarks(admin, partitions)
        for message in consumer.consume(10_000, 0.5):
            error, next_offset = message.error(), message.offset() + 1
            if error is None:
                take(state, message)
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # its public name
                next_offset = message.offset()  # behind the marks of transactions, which are no messages
            else:
                raise KafkaException(error)
            offsets[message.topic()][str(message.partition())] = next_offset
        save(state)


if __name__ == "__main__":
    main()
