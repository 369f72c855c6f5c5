"""Commits as the broker stored them, and ends of partitions: what the rules of others stand on. In a thread of its own; joins no group."""

import struct
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from bench.compare.driver import now_ms
from bench.compare.reading import Reading
from bench.compare.rules import BurrowRule, EndTable

OFFSETS_TOPIC: Final = "__consumer_offsets"
ENDS_EVERY_S: Final = 1.0
EXPORTER_EVERY_S: Final = 5.0


class Stored(NamedTuple):
    """A commit of the log; `offset` None: taken back."""

    group: str
    topic: str
    partition: int
    offset: int | None
    time_ms: int


def decoded(key: bytes, value: bytes | None) -> Stored | None:
    """A record of the topic of commits; None for one that is about something else."""
    (version,) = struct.unpack_from(">h", key)
    if version > 1:
        return None
    at, words = 2, []
    for _ in range(2):
        (length,) = struct.unpack_from(">h", key, at)
        words.append(key[at + 2 : at + 2 + length].decode())
        at += 2 + length
    (partition,) = struct.unpack_from(">i", key, at)
    if value is None:
        return Stored(words[0], words[1], partition, None, 0)
    version, offset = struct.unpack_from(">hq", value)
    at = 10 + (4 if version >= 3 else 0)
    if version >= 4:
        length, at = _varint(value, at)
        at += length - 1
    else:
        (length,) = struct.unpack_from(">h", value, at)
        at += 2 + length
    (time_ms,) = struct.unpack_from(">q", value, at)
    return Stored(words[0], words[1], partition, offset, time_ms)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The number, and where what follows begins."""
    found = shift = 0
    while True:
        byte = data[at]
        found |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return found, at


class Rules(threading.Thread):
    """Both rules, fed while it runs. `readings`: rule -> group -> what it said."""

    def __init__(self, servers: str, groups: Mapping[str, str]) -> None:
        super().__init__(name="rules", daemon=True)
        self._servers, self._groups = servers, groups  # group -> its topic
        self.readings: dict[str, dict[str, list[Reading]]] = {
            rule: {group: [] for group in groups} for rule in ("burrow", "exporter")
        }
        self._burrow = {group: BurrowRule() for group in groups}
        self._tables = {group: EndTable() for group in groups}
        self._committed: dict[str, int | None] = {}
        self._ends: dict[str, int] = {}
        self._end = threading.Event()
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Until `end`."""
        consumer = Consumer(
            {"bootstrap.servers": self._servers, "group.id": "compare-rules", "enable.auto.commit": False}
        )
        admin = AdminClient({"bootstrap.servers": self._servers})
        try:
            known = consumer.list_topics(OFFSETS_TOPIC, timeout=20).topics[OFFSETS_TOPIC]
            consumer.assign(
                [TopicPartition(OFFSETS_TOPIC, partition, OFFSET_BEGINNING) for partition in known.partitions]
            )
            next_ends = next_exporter = time.monotonic()
            while not self._end.is_set():
                self._take(consumer.consume(1000, 0.1))
                if time.monotonic() >= next_ends:
                    next_ends += ENDS_EVERY_S
                    self._look(admin)
                if time.monotonic() >= next_exporter:
                    next_exporter += EXPORTER_EVERY_S
                    self._export()
        except BaseException as error:  # noqa: BLE001  # raised by the one who ends it
            self.failure = error
        finally:
            consumer.close()

    def end(self) -> None:
        """`Raises` what went wrong."""
        self._end.set()
        self.join(30)
        if self.failure is not None:
            raise self.failure

    def _take(self, messages: Sequence[Any]) -> None:
        for message in messages:
            found = None if message.error() else decoded(message.key(), message.value())
            if found is not None and found.topic == self._groups.get(found.group):
                self._committed[found.group] = found.offset
                if found.offset is not None:
                    self._burrow[found.group].take(found.offset, found.time_ms, self._ends.get(found.group, 0))

    def _look(self, admin: AdminClient) -> None:
        """All ends at once, at an even pace: a lag that is now younger and now older goes up and down by itself."""
        wanted = {TopicPartition(topic, 0): OffsetSpec.latest() for topic in self._groups.values()}  # type: ignore[no-untyped-call]
        answers = {tp.topic: future for tp, future in admin.list_offsets(wanted, request_timeout=5).items()}
        for group, topic in self._groups.items():
            try:
                self._ends[group] = answers[topic].result(10).offset
            except KafkaException:  # it is being made anew
                continue
            at_ms = now_ms()
            word = self._burrow[group].status(at_ms, self._ends[group])
            self.readings["burrow"][group].append(Reading(at_ms, at_ms, word, self._lag(group)))

    def _export(self) -> None:
        for group in self._groups.keys() & self._ends.keys():
            at_ms, committed, lag = now_ms(), self._committed.get(group), self._lag(group)
            self._tables[group].take(self._ends[group], at_ms)
            seconds = None if committed is None else self._tables[group].lag_s(committed, at_ms)
            self.readings["exporter"][group].append(Reading(at_ms, at_ms, "", lag, seconds))

    def _lag(self, group: str) -> int | None:
        committed = self._committed.get(group)
        return None if committed is None else max(0, self._ends[group] - committed)
