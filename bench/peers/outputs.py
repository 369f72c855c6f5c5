"""Results that a peer writes: topics OUTPUT.payments, OUTPUT.sessions and OUTPUT.slots, read back and compared.

Keys are operator|group|month or operator|group|date|slot, or the same as values of a JSON object; values are JSON objects with the fields of FIELDS. With
a field `diff` of -1 a value is taken back (differential dataflow). The last value of a key counts.
"""

import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson
from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from bench.traffic import Truth
from stream_app.access.kafka import KafkaAccess
from stream_app.local.errors import LocalError
from stream_app.local.topics import TopicSpec, create_missing

FIELDS: Final = {"payments": ("amount", "discount", "n", "customers"), "sessions": ("n", "customers"), "slots": ("n",)}
PARTITIONS: Final = 4
_SILENT_S_MAX: Final = 60.0  # longer than an open transaction of a peer
Rows = Mapping[tuple[Any, ...], tuple[int, ...]]


class Outputs:
    """The topics of one peer, made new."""

    def __init__(self, servers: str, output: str) -> None:
        self._servers, self.name = servers, output
        self._topics = {kind: f"{output}.{kind}" for kind in FIELDS}
        create_missing(KafkaAccess(servers), [TopicSpec(topic, PARTITIONS) for topic in self._topics.values()])
        self._admin = AdminClient({"bootstrap.servers": servers})

    def size(self) -> int:
        """The sum of end offsets: it grows with each result."""
        asked = {
            TopicPartition(topic, at): OffsetSpec.latest()
            for topic in self._topics.values()
            for at in range(PARTITIONS)
        }
        return sum(found.result().offset for found in self._admin.list_offsets(asked).values())

    def rows(self) -> dict[str, Rows]:
        """The last value of each key, by kind."""
        return {kind: self._last(topic, FIELDS[kind]) for kind, topic in self._topics.items()}

    def _last(self, topic: str, fields: tuple[str, ...]) -> Rows:
        last: dict[tuple[Any, ...], tuple[int, ...]] = {}
        for key, value in self._records(topic):
            name, said = _name(key), orjson.loads(value)
            row = tuple(int(said[field]) for field in fields)
            if said.get("diff", 1) > 0:
                last[name] = row
            elif last.get(name) == row:
                del last[name]
        return last

    def _records(self, topic: str) -> Iterator[tuple[bytes, bytes]]:
        consumer = Consumer(
            {
                "bootstrap.servers": self._servers, "group.id": "bench-check", "enable.auto.commit": False,
                "enable.partition.eof": True, "isolation.level": "read_committed",
            }
        )  # fmt: skip
        consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
        left, deadline = PARTITIONS, time.monotonic() + _SILENT_S_MAX
        try:
            while left:
                some = consumer.consume(10_000, timeout=0.2)  # it waits for all of them
                if some:
                    deadline = time.monotonic() + _SILENT_S_MAX
                elif time.monotonic() > deadline:
                    raise LocalError(f"{topic} can't be read back")
                for message in some:
                    error = message.error()
                    if error is None:
                        value = message.value()
                        if value is not None:
                            yield message.key() or b"", value
                    elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # its public name
                        left -= 1
                    else:
                        raise LocalError(f"{topic} can't be read back: {error}")
        finally:
            consumer.close()

    def drop(self) -> None:
        """Delete them, and what a peer made beside them under their name."""
        names = [topic for topic in self._admin.list_topics(timeout=10).topics if topic.startswith(self.name)]
        for done in self._admin.delete_topics(names).values():
            done.result()


def _name(key: bytes) -> tuple[Any, ...]:
    parts = list(orjson.loads(key).values()) if key.startswith(b"{") else key.decode().split("|")
    return (*parts[:3], int(parts[3])) if len(parts) > 3 else tuple(parts)


def check(system: str, found: Mapping[str, Rows], truth: Truth) -> int:
    """How many rows there are, each as it must be. `Raises` LocalError when one is not, or is missing, or should not be there."""
    wanted: dict[str, Rows] = {
        "payments": truth.payments,
        "sessions": truth.sessions,
        "slots": {name: (count,) for name, count in truth.slots.items()},
    }
    for kind, rows in wanted.items():
        wrong = [name for name in rows.keys() | found[kind].keys() if rows.get(name) != found[kind].get(name)]
        if wrong:
            one = min(wrong)
            raise LocalError(
                f"{system}: {len(wrong):,} of {len(rows):,} rows of {kind} are wrong, such as {one}: {found[kind].get(one)}, and not {rows.get(one)}"
            )
    return sum(map(len, wanted.values()))
