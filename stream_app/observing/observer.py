"""Questions to a Kafka cluster about topics, offsets and consumer groups, anybody's.

Joins nothing, needs no right to read, and changes nothing but a group's offsets where it is told to.

An admin client of librdkafka answers nearly all: it knows topic ids, added partitions, and the groups of Kafka 4's protocol (KIP-848). The
list of groups and committed offsets come by aiokafka: its list tells share groups apart, and librdkafka 2.16's admin call for offsets ends
the process while a group has no coordinator. aiokafka's own call takes an answer that is an error for a group without offsets, so the
requests are made here.

Nothing is retried here: each call is bounded, and what a client remembers of a broker that went away (leader epochs, coordinators, the
connection) is dropped with the refusal, so that the caller's next call finds the broker that is there by then. librdkafka's admin client goes
on asking the broker that it knew as leader or controller: after a call that was not answered in time a new one takes its place.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from itertools import islice
from typing import Any, Final, TypeVar

from aiokafka.errors import NoError, for_code
from aiokafka.protocol.admin import ListGroupsRequest
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.protocol.coordination import FindCoordinatorRequest
from confluent_kafka import (
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    ConsumerGroupType,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType  # type: ignore[attr-defined]
from confluent_kafka.admin._listoffsets import OffsetSpec

from stream_app.access.kafka import KafkaAccess
from stream_app.clients.client import Client
from stream_app.clients.waiting import ClusterError
from stream_app.observing.answers import GroupDescription, OffsetAndTime, Offsets, TopicDescription, TopicRetention
from stream_app.observing.client import TIMEOUT_S, client_settings, cluster_errors

K = TypeVar("K")
V = TypeVar("V")

_FIRST: Final[OffsetSpec] = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
_END: Final[OffsetSpec] = OffsetSpec.latest()  # type: ignore[no-untyped-call]
_NEWEST: Final[OffsetSpec] = OffsetSpec.max_timestamp()  # type: ignore[no-untyped-call]
_PARTITIONS_AT_ONCE = 500  # in a request for offsets
_GROUPS_AT_ONCE = 16  # whose committed offsets are asked for
_SILENCE: Final = (KafkaError._TIMED_OUT, KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN)  # noqa: SLF001  # their public names


class Observer:
    """The clients of one cluster. Every call may raise ClusterError; partitions are (topic, partition)."""

    def __init__(self, kafka: KafkaAccess) -> None:
        self._kafka = kafka
        self._admin = AdminClient(client_settings(kafka))
        self._renewed_at = 0.0
        self._client: Client | None = None
        self._connecting = asyncio.Lock()
        self._refreshing: asyncio.Task[Any] | None = None
        self._coordinators: dict[str, int] = {}
        self._room = asyncio.Semaphore(_GROUPS_AT_ONCE)

    async def close(self) -> None:
        """Disconnect."""
        if self._client is not None:
            await self._client.close()

    # -- topics

    async def topics(self, names: Sequence[str]) -> dict[str, TopicDescription]:
        """Those topics that exist."""
        futures = self._admin.describe_topics(TopicCollection(list(names)), request_timeout=TIMEOUT_S)
        out = {}
        for name, answer in (await self._answers(futures)).items():
            if not isinstance(answer, KafkaException):
                out[name] = TopicDescription(str(answer.topic_id), len(answer.partitions))
            elif answer.args[0].name() != "UNKNOWN_TOPIC_OR_PART":
                raise ClusterError(str(answer)) from answer
        return out

    async def retention(self, topics: Iterable[str]) -> dict[str, TopicRetention]:
        """What topics keep, of those that exist and whose configuration may be read."""
        found = await self._configs(topics)
        return {at: _retention(config) for at, config in found.items() if not isinstance(config, KafkaException)}

    async def record_limits(self, topics: Iterable[str]) -> dict[str, int | None]:
        """How many bytes a record of a topic may have, of those that exist; None where the right to read the configuration is missing."""
        out: dict[str, int | None] = {}
        for topic, found in (await self._configs(topics)).items():
            if not isinstance(found, KafkaException):
                out[topic] = int(found["max.message.bytes"].value)
            elif found.args[0].name() == "TOPIC_AUTHORIZATION_FAILED":
                out[topic] = None
            elif found.args[0].name() != "UNKNOWN_TOPIC_OR_PART":
                raise ClusterError(str(found)) from found
        return out

    async def _configs(self, topics: Iterable[str]) -> dict[str, Mapping[str, Any] | KafkaException]:
        resources = [ConfigResource(ResourceType.TOPIC, topic) for topic in topics]
        if not resources:
            return {}
        found = await self._answers(self._admin.describe_configs(resources, request_timeout=TIMEOUT_S))
        return {at.name: config for at, config in found.items()}

    # -- offsets

    async def starts(self, partitions: Iterable[tuple[str, int]], *, missing_ok: bool = False) -> Offsets:
        """Offsets of the first records that are kept. `missing_ok`: partitions without an answer are left out, not an error."""
        return _offsets(await self._list_offsets(dict.fromkeys(partitions, _FIRST), missing_ok=missing_ok))

    async def ends(
        self, partitions: Iterable[tuple[str, int]], *, stable: bool = False, missing_ok: bool = False
    ) -> Offsets:
        """End offsets, open transactions included; `stable`: up to the first open transaction. `missing_ok` as for `starts`."""
        return _offsets(await self._list_offsets(dict.fromkeys(partitions, _END), stable=stable, missing_ok=missing_ok))

    async def newest(self, partitions: Iterable[tuple[str, int]]) -> dict[tuple[str, int], OffsetAndTime | None]:
        """The records with the highest timestamps; None: a partition without records. Partitions without an answer are left out."""
        return await self._list_offsets(dict.fromkeys(partitions, _NEWEST), missing_ok=True)

    async def at(
        self, times_ms: Mapping[tuple[str, int], int], *, stable: bool = True
    ) -> dict[tuple[str, int], OffsetAndTime | None]:
        """The first records that are not older than a time; None: there is none up to the end. Partitions without an answer are left out."""
        wanted = {tp: OffsetSpec.for_timestamp(time_ms) for tp, time_ms in times_ms.items()}
        return await self._list_offsets(wanted, stable=stable, missing_ok=True)

    async def _list_offsets(
        self, wanted: Mapping[tuple[str, int], OffsetSpec], *, stable: bool = False, missing_ok: bool
    ) -> dict[tuple[str, int], OffsetAndTime | None]:
        found: dict[tuple[str, int], OffsetAndTime | None] = {}
        refusals: list[str] = []
        rest = iter(wanted.items())
        while some := dict(islice(rest, _PARTITIONS_AT_ONCE)):
            futures = self._admin.list_offsets(
                {TopicPartition(*tp): spec for tp, spec in some.items()},
                isolation_level=IsolationLevel.READ_COMMITTED if stable else IsolationLevel.READ_UNCOMMITTED,
                request_timeout=TIMEOUT_S,
            )
            for tp, answer in (await self._answers(futures)).items():
                at = tp.topic, tp.partition
                if isinstance(answer, KafkaException):
                    refusals.append(str(answer))
                elif answer.offset >= -1:
                    found[at] = None if answer.offset < 0 else OffsetAndTime(answer.offset, answer.timestamp)
                else:  # -1001: librdkafka's answer for a partition whose broker went away meanwhile
                    refusals.append(f"no offset of {tp.topic}/{tp.partition}")
            if refusals:
                await self._refresh()
                if not missing_ok:
                    raise ClusterError(refusals[0])
        return found

    async def _refresh(self) -> None:
        """Get metadata anew, for after an election librdkafka keeps asking with the leader epoch that it knows. Callers share a request."""
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(asyncio.to_thread(self._admin.list_topics, timeout=TIMEOUT_S))
        with cluster_errors():
            await asyncio.shield(self._refreshing)

    # -- consumer groups

    async def groups(self) -> dict[str, str]:
        """All groups -> their protocol type."""
        client = await self._connected()
        with cluster_errors():
            await client.force_metadata_update()
            nodes = [broker.nodeId for broker in client.cluster.brokers()]
            answers = await asyncio.gather(*(client.send(node, ListGroupsRequest()) for node in nodes))
            for answer in answers:
                _check(answer.error_code)
        return {name: kind for answer in answers for name, kind in answer.groups}

    async def describe_groups(self, names: Sequence[str]) -> dict[str, GroupDescription]:
        """Members of groups; without groups that can't be described now. A group that does not exist has no members."""
        if not names:
            return {}
        found = await self._answers(self._admin.describe_consumer_groups(list(names), request_timeout=TIMEOUT_S))
        return {name: _group(answer) for name, answer in found.items() if not isinstance(answer, KafkaException)}

    async def committed(self, consumer_group: str) -> Offsets:
        """All committed offsets of a group; a group that does not exist has none."""
        async with self._room:
            client = await self._connected()
            node = self._coordinators.pop(consumer_group, None)  # put back by an answer
            with cluster_errors():
                if node is None:
                    node = await _coordinator(client, consumer_group)
                answer = await client.send(node, OffsetFetchRequest(consumer_group, None))
                _check(answer.error_code)
                self._coordinators[consumer_group] = node
                found = {}
                for topic, partitions in answer.topics:
                    for partition, offset, _, code in partitions:
                        _check(code)
                        if offset >= 0:
                            found[topic, partition] = offset
        return found

    async def set_committed(self, consumer_group: str, offsets: Offsets) -> None:
        """Commit offsets for a group without members."""
        wanted = ConsumerGroupTopicPartitions(
            consumer_group, [TopicPartition(topic, partition, offset) for (topic, partition), offset in offsets.items()]
        )
        futures = self._admin.alter_consumer_group_offsets([wanted], request_timeout=TIMEOUT_S)
        for answer in (await self._answers(futures)).values():
            if isinstance(answer, KafkaException):
                raise ClusterError(str(answer)) from answer
            refused = [tp for tp in answer.topic_partitions if tp.error is not None]
            if refused:
                raise ClusterError(f"{consumer_group}: {refused[0].error}")

    # -- clients

    async def _answers(self, futures: Mapping[K, Future[V]]) -> dict[K, V | KafkaException]:
        """The admin client's answer to each question, or Kafka's refusal. `Raises` what is no refusal of Kafka's."""
        asked_at = time.monotonic()
        found = await asyncio.gather(*(asyncio.wrap_future(f) for f in futures.values()), return_exceptions=True)
        out: dict[K, V | KafkaException] = {}
        for asked, answer in zip(futures, found, strict=True):
            if isinstance(answer, BaseException) and not isinstance(answer, KafkaException):
                raise answer
            out[asked] = answer
        if asked_at >= self._renewed_at and any(_is_silence(answer) for answer in out.values()):
            await self._renew()
        return out

    async def _renew(self) -> None:
        """Take a new admin client. Callers whose client did not answer in time renew it once."""
        self._renewed_at = time.monotonic()
        before = [self._admin]
        self._admin = AdminClient(client_settings(self._kafka))
        await asyncio.to_thread(before.clear)  # the end of a client joins its threads

    async def _connected(self) -> Client:
        async with self._connecting:
            if self._client is None:
                client = Client(**self._kafka.aiokafka(), request_timeout_ms=int(TIMEOUT_S * 1000))
                try:
                    with cluster_errors():
                        await client.bootstrap()
                except BaseException:
                    await client.close()
                    raise
                self._client = client
            return self._client


def _is_silence(answer: object) -> bool:
    """Whether a broker was asked and did not answer."""
    return isinstance(answer, KafkaException) and answer.args[0].code() in _SILENCE


async def _coordinator(client: Client, consumer_group: str) -> int:
    answer = await client.send(client.get_random_node(), FindCoordinatorRequest(consumer_group, 0))
    _check(answer.error_code)
    return int(answer.coordinator_id)


def _check(code: int) -> None:
    error = for_code(code)
    if error is not NoError:
        raise error(f"Kafka answered {error.__name__}")


def _offsets(found: Mapping[tuple[str, int], OffsetAndTime | None]) -> Offsets:
    return {tp: at.offset for tp, at in found.items() if at is not None}


def _retention(config: Mapping[str, Any]) -> TopicRetention:
    policies = config["cleanup.policy"].value.split(",")

    def limit(name: str) -> int | None:
        value = int(config[name].value)
        return value if value >= 0 and "delete" in policies else None

    tombstones_ms = int(config["delete.retention.ms"].value)
    return TopicRetention(limit("retention.ms"), limit("retention.bytes"), "compact" in policies, tombstones_ms)


def _group(answer: Any) -> GroupDescription:
    members = {
        member.member_id: frozenset((tp.topic, tp.partition) for tp in member.assignment.topic_partitions)
        for member in answer.members
        if member.assignment is not None
    }
    settled = answer.state in {ConsumerGroupState.STABLE, ConsumerGroupState.EMPTY, ConsumerGroupState.DEAD}
    return GroupDescription(settled, answer.type == ConsumerGroupType.CONSUMER, members)
