"""Questions to a Kafka cluster about topics, offsets and consumer groups, anybody's.

Joins nothing, needs no right to read, and changes nothing but a group's offsets where it is told to.

Requests are made by aiokafka's client: topics and offsets in `partitions.py`; configurations of topics, which a worker asks for while
brokers come and go, for librdkafka 2.16's admin calls can end the process then (an assertion of its own fails); the list of groups, which
tells share groups apart; committed offsets, since librdkafka's call for them does so while a group has no coordinator, and aiokafka's own takes
an answer that is an error for a group without offsets. An admin client of librdkafka answers what is left, to the monitor and to commands:
the members of groups, for it knows those of Kafka 4's protocol (KIP-848).

Nothing is retried here: each call is bounded, and what a client remembers of a broker that went away (leader epochs, coordinators, the
connection) is dropped with the refusal, so that the caller's next call finds the broker that is there by then. librdkafka's admin client goes
on asking the broker that it knew as leader or controller: after a call that was not answered in time a new one takes its place.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Final, TypeVar

from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata
from aiokafka.errors import TopicAuthorizationFailedError, UnknownTopicOrPartitionError, for_code
from aiokafka.protocol.admin import DescribeConfigsRequest, DescribeGroupsRequest, ListGroupsRequest
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.protocol.coordination import FindCoordinatorRequest
from confluent_kafka import (
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    ConsumerGroupType,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from stream_app.access.kafka import KafkaAccess
from stream_app.clients.client import Client
from stream_app.clients.waiting import ClusterError
from stream_app.observing.answers import (
    AwayBroker,
    Committed,
    End,
    GroupDescription,
    OffsetAndTime,
    Offsets,
    TopicConfig,
    TopicDescription,
    TopicRetention,
)
from stream_app.observing.client import TIMEOUT_S, client_settings, cluster_errors
from stream_app.observing.partitions import Partitions, check
from stream_app.observing.producers import OpenTransaction
from stream_app.observing.requests import END, FIRST, NEWEST

K = TypeVar("K")
V = TypeVar("V")

_TOPIC: Final = 2  # the type of a resource that has a configuration
_GROUPS_AT_ONCE = 16  # whose committed offsets are asked for
_SILENCE: Final = (KafkaError._TIMED_OUT, KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN)  # noqa: SLF001  # their public names


class Observer:
    """The clients of one cluster. Every call may raise ClusterError; partitions are (topic, partition)."""

    def __init__(self, kafka: KafkaAccess) -> None:
        self._kafka = kafka
        self._librdkafka: AdminClient | None = None  # made when it is needed: it has threads of its own
        self._renewed_at = 0.0
        self._client: Client | None = None
        self._connecting = asyncio.Lock()
        self._partitions = Partitions(self._connected)
        self._coordinators: dict[str, int] = {}
        self._room = asyncio.Semaphore(_GROUPS_AT_ONCE)

    async def close(self) -> None:
        """Disconnect."""
        if self._client is not None:
            await self._client.close()

    # -- topics

    async def topics(self, names: Sequence[str], *, denied_ok: bool = False) -> dict[str, TopicDescription]:
        """Those topics that exist. `denied_ok`: one that may not be described is an answer, not an error."""
        return await self._partitions.topics(names, denied_ok=denied_ok)

    async def retention(self, topics: Iterable[str]) -> dict[str, TopicRetention]:
        """What topics keep, of those that exist and whose configuration may be read."""
        return {
            topic: _retention(config) for topic, (code, config) in (await self._configs(topics)).items() if not code
        }

    async def configs(self, topics: Iterable[str]) -> dict[str, TopicConfig | None]:
        """What topics take, of those that exist; None where the right to read the configuration is missing."""
        out: dict[str, TopicConfig | None] = {}
        for topic, (code, config) in (await self._configs(topics)).items():
            if for_code(code) is TopicAuthorizationFailedError:
                out[topic] = None
            elif for_code(code) is not UnknownTopicOrPartitionError:
                with cluster_errors():
                    check(code)
                out[topic] = _config(config)
        return out

    def away(self) -> dict[int, AwayBroker]:
        """Brokers by id that did not answer lately, or that the cluster misses, and what stands still because of them."""
        return self._partitions.away(self._client.refused() if self._client is not None else ())

    async def brokers(self) -> int:
        """How many brokers the cluster has that answer."""
        return len((await self._connected()).cluster.brokers())

    async def _configs(self, topics: Iterable[str]) -> dict[str, tuple[int, dict[str, str]]]:
        """Kafka's error code for each topic, and its configuration."""
        resources = [(_TOPIC, topic, None) for topic in topics]
        if not resources:
            return {}
        client = await self._connected()
        with cluster_errors():
            answer = await client.send(client.get_random_node(), DescribeConfigsRequest(resources))
        return {
            topic: (code, {name: value for name, value, *_ in entries})
            for code, _, _, topic, entries in answer.resources
        }

    # -- offsets

    async def starts(self, partitions: Iterable[tuple[str, int]], *, missing_ok: bool = False) -> Offsets:
        """Offsets of the first records that are kept. `missing_ok`: partitions without an answer are left out, not an error."""
        return _offsets(
            await self._partitions.offsets(dict.fromkeys(partitions, FIRST), stable=False, missing_ok=missing_ok)
        )

    async def ends(
        self, partitions: Iterable[tuple[str, int]], *, stable: bool = False, missing_ok: bool = False
    ) -> Offsets:
        """End offsets, open transactions included; `stable`: up to the first open transaction. `missing_ok` as for `starts`."""
        return _offsets(
            await self._partitions.offsets(dict.fromkeys(partitions, END), stable=stable, missing_ok=missing_ok)
        )

    async def leader_ends(self, partitions: Iterable[tuple[str, int]]) -> dict[tuple[str, int], End]:
        """End offsets, open transactions included, each with the epoch of the leader that told it."""
        found = await self._partitions.offsets(dict.fromkeys(partitions, END), stable=False, missing_ok=False)
        return {tp: End(at.offset, at.leader_epoch) for tp, at in found.items() if at is not None}

    async def epoch_ends(self, epochs: Mapping[tuple[str, int], int]) -> Offsets:
        """Where the records end that leaders wrote up to an epoch, as the leaders of now have them; -1: none of them is kept.

        Without those whose leader does not answer now.
        """
        return await self._partitions.epoch_ends(epochs)

    async def newest(self, partitions: Iterable[tuple[str, int]]) -> dict[tuple[str, int], OffsetAndTime | None]:
        """The records with the highest timestamps; None: a partition without records. Partitions without an answer are left out."""
        return await self._partitions.offsets(dict.fromkeys(partitions, NEWEST), stable=False, missing_ok=True)

    async def at(
        self, times_ms: Mapping[tuple[str, int], int], *, stable: bool = True
    ) -> dict[tuple[str, int], OffsetAndTime | None]:
        """The first records that are not older than a time; None: there is none up to the end. Partitions without an answer are left out."""
        return await self._partitions.offsets(times_ms, stable=stable, missing_ok=True)

    async def open_transactions(self, partition: tuple[str, int]) -> list[OpenTransaction]:
        """Transactions to a partition that are neither committed nor aborted, by their first offsets."""
        return await self._partitions.open_transactions(partition)

    # -- consumer groups

    async def groups(self) -> dict[str, str]:
        """All groups -> their protocol type."""
        client = await self._connected()
        with cluster_errors():
            await client.force_metadata_update()
            nodes = [broker.nodeId for broker in client.cluster.brokers()]
            answers = await asyncio.gather(*(client.send(node, ListGroupsRequest()) for node in nodes))
            for answer in answers:
                check(answer.error_code)
        return {name: kind for answer in answers for name, kind in answer.groups}

    async def describe_groups(self, names: Sequence[str]) -> dict[str, GroupDescription]:
        """Members of groups; without groups that can't be described now. A group that does not exist has no members."""
        if not names:
            return {}
        found = await self._answers(self._admin.describe_consumer_groups(list(names), request_timeout=TIMEOUT_S))
        return {name: _group(answer) for name, answer in found.items() if not isinstance(answer, KafkaException)}

    async def subscription(self, consumer_group: str) -> frozenset[str] | None:
        """Topics that the members of a group of the classic protocol subscribe to now; None: not known, as while it rebalances."""
        async with self._room:
            with cluster_errors():
                answer = await self._of_coordinator(consumer_group, DescribeGroupsRequest([consumer_group]))
                (code, _, state, _, _, members, *_) = answer.groups[0]
                check(code)
        if state != "Stable":
            return None
        subscribed = (ConsumerProtocolMemberMetadata.decode(metadata).subscription for _, _, _, metadata, *_ in members)
        return frozenset(topic for topics in subscribed for topic in topics)

    async def committed(self, consumer_group: str) -> Offsets:
        """All committed offsets of a group; a group that does not exist has none."""
        return {tp: at.offset for tp, at in (await self.committed_with_metadata(consumer_group)).items()}

    async def committed_with_metadata(self, consumer_group: str) -> dict[tuple[str, int], Committed]:
        """All committed offsets of a group, each with what was noted beside it."""
        async with self._room:
            with cluster_errors():
                answer = await self._of_coordinator(consumer_group, OffsetFetchRequest(consumer_group, None))
                found = {}
                for topic, partitions in answer.topics:
                    for partition, offset, metadata, code in partitions:
                        check(code)
                        if offset >= 0:
                            found[topic, partition] = Committed(offset, metadata)
        return found

    async def _of_coordinator(self, consumer_group: str, request: Any) -> Any:
        client = await self._connected()
        node = self._coordinators.pop(consumer_group, None)  # put back by an answer
        if node is None:
            node = await _coordinator(client, consumer_group)
        answer = await client.send(node, request)
        check(getattr(answer, "error_code", 0))
        self._coordinators[consumer_group] = node
        return answer

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
                raise ClusterError(f"{consumer_group}: {refused[0].error}") from KafkaException(refused[0].error)

    # -- clients

    @property
    def _admin(self) -> AdminClient:
        if self._librdkafka is None:
            self._librdkafka = AdminClient(client_settings(self._kafka))
        return self._librdkafka

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
        """Have the next call take a new admin client. Callers whose client did not answer in time renew it once."""
        self._renewed_at = time.monotonic()
        before = [self._librdkafka]
        self._librdkafka = None
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
    check(answer.error_code)
    return int(answer.coordinator_id)


def _offsets(found: Mapping[tuple[str, int], OffsetAndTime | None]) -> Offsets:
    return {tp: at.offset for tp, at in found.items() if at is not None}


def _config(config: Mapping[str, str]) -> TopicConfig:
    return TopicConfig(
        int(config["max.message.bytes"]),
        int(config["min.insync.replicas"]),
        config["unclean.leader.election.enable"] == "true",
    )


def _retention(config: Mapping[str, str]) -> TopicRetention:
    policies = config["cleanup.policy"].split(",")

    def limit(name: str) -> int | None:
        value = int(config[name])
        return value if value >= 0 and "delete" in policies else None

    tombstones_ms = int(config["delete.retention.ms"])
    return TopicRetention(limit("retention.ms"), limit("retention.bytes"), "compact" in policies, tombstones_ms)


def _group(answer: Any) -> GroupDescription:
    members = {
        member.member_id: frozenset((tp.topic, tp.partition) for tp in member.assignment.topic_partitions)
        for member in answer.members
        if member.assignment is not None
    }
    settled = answer.state in {ConsumerGroupState.STABLE, ConsumerGroupState.EMPTY, ConsumerGroupState.DEAD}
    return GroupDescription(settled, answer.type == ConsumerGroupType.CONSUMER, members)
