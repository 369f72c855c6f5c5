"""Consumer groups of a cluster, anybody's: which there are, who is in them, what they have committed. Joins nothing and changes nothing.

Members come by librdkafka, which knows the groups of Kafka 4's protocol (KIP-848). The list and committed offsets come by aiokafka: its list
tells share groups apart, and librdkafka 2.16's admin call for offsets ends the process while a group has no coordinator. aiokafka's own call takes
an answer that is an error for one without offsets, so the requests are made here.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, NoError, for_code
from aiokafka.protocol.admin import ListGroupsRequest
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.protocol.coordination import FindCoordinatorRequest
from confluent_kafka import ConsumerGroupState, ConsumerGroupType, KafkaException
from confluent_kafka.admin import AdminClient

from stream_app.observing.cluster import Ends, answered, client_settings

__all__ = ["CONSUMER", "READABLE", "GroupState", "Groups", "KafkaError"]

CONSUMER = "consumer"  # protocol types; "" is a group that only commits
READABLE = frozenset({"", CONSUMER, "connect", "streams"})  # those whose groups commit offsets
_TIMEOUT_S = 10.0
_AT_ONCE = 16


class GroupState(NamedTuple):
    """A group as its coordinator describes it."""

    is_settled: bool  # False: it rebalances, and who owns what can't be told
    is_new: bool  # of the protocol of KIP-848
    members: Mapping[str, frozenset[tuple[str, int]]]  # member id -> (topic, partition) it owns


class Groups:
    """See the module. Calls may raise KafkaError of aiokafka, or confluent_kafka's KafkaException."""

    def __init__(self, servers: str) -> None:
        self._servers = servers
        self._admin = AdminClient(client_settings(servers))
        self._client: AIOKafkaClient | None = None
        self._coordinators: dict[str, int] = {}
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def close(self) -> None:
        """Disconnect."""
        if self._client is not None:
            await self._client.close()

    async def _connected(self) -> AIOKafkaClient:
        if self._client is None:
            client = AIOKafkaClient(bootstrap_servers=self._servers, request_timeout_ms=int(_TIMEOUT_S * 1000))
            try:
                await client.bootstrap()
            except BaseException:
                await client.close()
                raise
            self._client = client
        return self._client

    async def names(self) -> dict[str, str]:
        """All groups that there are -> their protocol type."""
        client = await self._connected()
        await client.force_metadata_update()
        nodes = [broker.nodeId for broker in client.cluster.brokers()]
        answers = await asyncio.gather(*(client.send(node, ListGroupsRequest()) for node in nodes))
        for answer in answers:
            _check(answer.error_code)
        return {name: kind for answer in answers for name, kind in answer.groups}

    async def describe(self, names: Sequence[str]) -> dict[str, GroupState]:
        """Who is in them; without those that can't be described now. A group that is not there has no members."""
        if not names:
            return {}
        futures = self._admin.describe_consumer_groups(list(names), request_timeout=_TIMEOUT_S)
        found = await answered(futures)
        return {name: _state(group) for name, group in found.items() if not isinstance(group, KafkaException)}

    async def committed(self, group: str) -> Ends:
        """All committed offsets of a group, by (topic, partition)."""
        async with self._room:
            client = await self._connected()
            node = self._coordinators.get(group)
            try:
                if node is None:
                    node = self._coordinators[group] = await self._coordinator(client, group)
                answer = await client.send(node, OffsetFetchRequest(group, None))
                _check(answer.error_code)
            except KafkaError:
                self._coordinators.pop(group, None)
                raise
        found = {}
        for topic, partitions in answer.topics:
            for partition, offset, _, code in partitions:
                _check(code)
                if offset >= 0:
                    found[topic, partition] = offset
        return found

    @staticmethod
    async def _coordinator(client: AIOKafkaClient, group: str) -> int:
        answer = await client.send(client.get_random_node(), FindCoordinatorRequest(group, 0))
        _check(answer.error_code)
        return int(answer.coordinator_id)


def _check(code: int) -> None:
    error = for_code(code)
    if error is not NoError:
        raise error(f"Kafka answered {error.__name__}")


def _state(answer: Any) -> GroupState:
    members = {
        member.member_id: frozenset((tp.topic, tp.partition) for tp in member.assignment.topic_partitions)
        for member in answer.members
        if member.assignment is not None
    }
    settled = answer.state in {ConsumerGroupState.STABLE, ConsumerGroupState.EMPTY, ConsumerGroupState.DEAD}
    return GroupState(settled, answer.type == ConsumerGroupType.CONSUMER, members)
