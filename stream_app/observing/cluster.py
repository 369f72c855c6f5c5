"""Questions to a Kafka cluster about topics and consumer groups, by librdkafka: it knows topic ids, and finds added partitions by itself."""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import NamedTuple, TypeVar

from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

__all__ = ["Cluster", "Ends", "KafkaException", "TopicState", "answered", "client_settings", "reader_settings"]

K = TypeVar("K")
V = TypeVar("V")

Ends = dict[tuple[str, int], int]  # (topic, partition) -> offset
_TIMEOUT_S = 10.0
_RECONNECT_MS = 250, 2000  # librdkafka's own start at 100, and it logs each attempt


class TopicState(NamedTuple):
    """A topic as the cluster describes it."""

    topic_id: str
    partitions: int


def client_settings(servers: str) -> dict[str, str | int | float | bool]:
    """What each client of librdkafka has in common."""
    return {
        "bootstrap.servers": servers,
        "socket.timeout.ms": int(_TIMEOUT_S * 1000),
        "reconnect.backoff.ms": _RECONNECT_MS[0],
        "reconnect.backoff.max.ms": _RECONNECT_MS[1],
        "log_level": 4,  # warnings and worse: what it throws away when it is closed is nobody's news
    }


def reader_settings(servers: str) -> dict[str, str | int | float | bool]:
    """Of one that reads for the monitor: joins no group, commits nothing, keeps little."""
    return client_settings(servers) | {
        "group.id": "crm-stats-monitor",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "queued.max.messages.kbytes": 1024,
    }


async def answered(futures: Mapping[K, Future[V]]) -> dict[K, V | KafkaException]:
    """What librdkafka's admin client says of each: an answer, or why there is none. `Raises` what is no refusal of Kafka's."""
    found = await asyncio.gather(*(asyncio.wrap_future(f) for f in futures.values()), return_exceptions=True)
    out: dict[K, V | KafkaException] = {}
    for asked, answer in zip(futures, found, strict=True):
        if isinstance(answer, BaseException) and not isinstance(answer, KafkaException):
            raise answer
        out[asked] = answer
    return out


class Cluster:
    """What can be asked about topics and consumer groups. Every call may raise KafkaException."""

    def __init__(self, servers: str) -> None:
        self._settings = client_settings(servers)
        self._admin = AdminClient(self._settings)
        self._watchers: dict[str, Consumer] = {}

    async def describe(self, topics: Sequence[str]) -> dict[str, TopicState]:
        """Those topics that exist."""
        futures = self._admin.describe_topics(TopicCollection(list(topics)), request_timeout=_TIMEOUT_S)
        out = {}
        for topic, state in (await answered(futures)).items():
            if not isinstance(state, KafkaException):
                out[topic] = TopicState(str(state.topic_id), len(state.partitions))
            elif state.args[0].name() != "UNKNOWN_TOPIC_OR_PART":
                raise state
        return out

    async def _offsets(self, partitions: Sequence[tuple[str, int]], spec: OffsetSpec) -> Ends:
        if not partitions:
            return {}
        futures = self._admin.list_offsets(
            {TopicPartition(*tp): spec for tp in partitions},
            isolation_level=IsolationLevel.READ_UNCOMMITTED,
            request_timeout=_TIMEOUT_S,
        )
        try:
            found = await asyncio.gather(*(asyncio.wrap_future(f) for f in futures.values()))
        except KafkaException as exc:
            if (
                exc.args[0].name() == "FENCED_LEADER_EPOCH"
            ):  # after an election; librdkafka keeps asking with the old one
                await asyncio.to_thread(self._admin.list_topics, timeout=_TIMEOUT_S)
            raise
        out = {(tp.topic, tp.partition): at.offset for tp, at in zip(futures, found, strict=True)}
        for tp, offset in out.items():
            if offset < 0:  # librdkafka's answer for a partition whose broker went away meanwhile
                raise KafkaException(KafkaError(KafkaError._TRANSPORT, f"no offset of {tp[0]}/{tp[1]}"))  # noqa: SLF001
        return out

    async def starts(self, partitions: Sequence[tuple[str, int]]) -> Ends:
        """Offsets of the first records that are kept."""
        return await self._offsets(partitions, OffsetSpec.earliest())  # type: ignore[no-untyped-call]

    async def ends(self, partitions: Sequence[tuple[str, int]]) -> Ends:
        """End offsets, with what is in open transactions."""
        return await self._offsets(partitions, OffsetSpec.latest())  # type: ignore[no-untyped-call]

    async def committed(self, consumer_group: str, partitions: Sequence[tuple[str, int]]) -> Ends:
        """The committed offsets of a consumer group, of those partitions that have one.

        By a consumer that joins nothing: the admin client's own call ends the process (librdkafka 2.16) while a new cluster has no coordinator yet.
        """
        if not partitions:
            return {}
        consumer = self._watchers.get(consumer_group)
        if consumer is None:
            settings = {**self._settings, "group.id": consumer_group, "enable.auto.commit": False}
            consumer = self._watchers[consumer_group] = Consumer(settings)
        asked = [TopicPartition(*tp) for tp in partitions]
        found = await asyncio.to_thread(consumer.committed, asked, _TIMEOUT_S)
        return {(tp.topic, tp.partition): tp.offset for tp in found if tp.offset >= 0}
