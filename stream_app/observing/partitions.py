"""Topics and offsets, asked of the brokers that lead the partitions.

A broker that is away is named at once: nothing waits for it, and its partitions are asked of whoever leads them by the next call.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from aiokafka import TopicPartition as Partition
from aiokafka.errors import (
    KafkaError,
    NoError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    for_code,
)

from stream_app.clients.client import Client
from stream_app.clients.leader_epochs import epoch_ends
from stream_app.clients.waiting import ClusterError
from stream_app.observing.answers import AwayBroker, OffsetAndTime, TopicDescription
from stream_app.observing.client import cluster_errors
from stream_app.observing.producers import DescribeProducers, OpenTransaction, open_transactions
from stream_app.observing.requests import ListOffsetsRequest, MetadataRequest

TopicPartition = tuple[str, int]


class Partitions:
    """Questions about partitions to a cluster, by the client that `connected` gives. Every call may raise ClusterError."""

    def __init__(self, connected: Callable[[], Awaitable[Client]]) -> None:
        self._connected = connected
        self._leaders: dict[str, dict[int, int]] = {}  # by topic, by partition: the broker's id
        # By topic, of each partition: leader, replicas, those that are offline.
        self._replicas: dict[str, list[tuple[int, list[int], list[int]]]] = {}
        self._addresses: dict[int, str] = {}  # of brokers that were ever seen

    async def topics(self, names: Sequence[str], *, denied_ok: bool = False) -> dict[str, TopicDescription]:
        """Those topics that exist. `denied_ok`: one that may not be described is an answer, not an error."""
        client = await self._connected()
        with cluster_errors():
            answer = await client.send(client.get_random_node(), MetadataRequest(names))
        self._addresses |= {node: f"{host}:{port}" for node, host, port, *_ in answer.brokers}
        out = {}
        for code, name, topic_id, _, partitions, *_ in answer.topics:
            self._leaders.pop(name, None)
            self._replicas.pop(name, None)
            if for_code(code) is TopicAuthorizationFailedError:
                if not denied_ok:
                    raise ClusterError(f"the right to describe the topic {name} is missing") from for_code(code)()
                out[name] = TopicDescription("", 0, is_denied=True)
            elif for_code(code) is not UnknownTopicOrPartitionError:
                with cluster_errors():
                    check(code)
                self._leaders[name] = {index: leader for _, index, leader, *_ in partitions if leader >= 0}
                self._replicas[name] = [(each[2], each[4], each[6]) for each in partitions]
                replicas = min((len(each[4]) for each in partitions), default=0)
                out[name] = TopicDescription(topic_id, len(partitions), replicas)
        return out

    def away(self, unreachable: Iterable[int]) -> dict[int, AwayBroker]:
        """Brokers by id that refuse connections, or are offline to the cluster, as of the last answers about topics."""
        partitions = [(topic, each) for topic, some in self._replicas.items() for each in some]
        ids = {node for _, (_, _, offline) in partitions for node in offline} | set(unreachable)
        return {
            node: AwayBroker(
                self._addresses.get(node),
                frozenset(t for t, (leader, all_, _) in partitions if leader == node or (leader < 0 and node in all_)),
            )
            for node in sorted(ids)
        }

    async def offsets(
        self, wanted: Mapping[TopicPartition, int], *, stable: bool, missing_ok: bool
    ) -> dict[TopicPartition, OffsetAndTime | None]:
        """The first records that are not older than a time (or `requests.END`, `FIRST`, `NEWEST`); None: there is none.

        `missing_ok`: partitions without an answer are left out, not an error.
        """
        unknown = {topic for topic, _ in wanted} - self._leaders.keys()
        if unknown:
            await self.topics(sorted(unknown))
        client = await self._connected()
        by_leader: dict[int | None, dict[TopicPartition, int]] = {}
        for (topic, partition), time in wanted.items():
            leader = self._leaders.get(topic, {}).get(partition)
            by_leader.setdefault(leader, {})[topic, partition] = time
        leaderless = by_leader.pop(None, {})
        answers = await asyncio.gather(
            *(
                self._ask(client, leader, times, stable=stable)
                for leader, times in by_leader.items()
                if leader is not None
            ),
            return_exceptions=True,
        )
        found: dict[TopicPartition, OffsetAndTime | None] = {}
        refusals = [ClusterError(f"{topic}/{partition} has no leader") for topic, partition in leaderless]
        for (leader, times), answer in zip(by_leader.items(), answers, strict=True):
            if isinstance(answer, KafkaError):
                refusals.append(
                    _refusal(f"broker {leader}, which leads {_first(times)}: {answer or type(answer).__name__}", answer)
                )
            elif isinstance(answer, BaseException):
                raise answer
            else:
                found |= answer[0]
                refusals += answer[1]
        for topic in {topic for topic, _ in wanted.keys() - found.keys()}:
            self._leaders.pop(topic, None)
        if refusals and not missing_ok:
            raise refusals[0]
        return found

    async def epoch_ends(self, epochs: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Where the records end that leaders wrote up to an epoch; without partitions whose leader does not answer now."""
        unknown = {topic for topic, _ in epochs} - self._leaders.keys()
        if unknown:
            await self.topics(sorted(unknown))
        asked = {Partition(*tp): epoch for tp, epoch in epochs.items()}
        with cluster_errors():
            found = await epoch_ends(
                await self._connected(), asked, lambda tp: self._leaders.get(tp.topic, {}).get(tp.partition)
            )
        for topic, _ in epochs.keys() - found.keys():
            self._leaders.pop(topic, None)
        return dict(found)

    async def open_transactions(self, partition: TopicPartition) -> list[OpenTransaction]:
        """Transactions to a partition that are neither committed nor aborted, by their first offsets."""
        topic, number = partition
        if topic not in self._leaders:
            await self.topics([topic])
        leader = self._leaders.get(topic, {}).get(number)
        if leader is None:
            raise ClusterError(f"{topic}/{number} has no leader")
        client = await self._connected()
        with cluster_errors():
            code, found = open_transactions(await client.send(leader, DescribeProducers(topic, number)))
            check(code)
        return found

    async def _ask(
        self, client: Client, leader: int, times: Mapping[TopicPartition, int], *, stable: bool
    ) -> tuple[dict[TopicPartition, OffsetAndTime | None], list[ClusterError]]:
        """Answers, and refusals, of partitions that one broker leads."""
        by_topic: dict[str, dict[int, int]] = {}
        for (topic, partition), time in times.items():
            by_topic.setdefault(topic, {})[partition] = time
        answer: Any = await client.send(leader, ListOffsetsRequest(by_topic, stable=stable))
        found: dict[TopicPartition, OffsetAndTime | None] = {}
        refusals = []
        for topic, partitions, _ in answer.topics:
            for partition, code, time_ms, offset, epoch, *_ in partitions:
                error = for_code(code)
                if error is NoError:
                    found[topic, partition] = None if offset < 0 else OffsetAndTime(offset, time_ms, epoch)
                else:
                    refusals.append(_refusal(f"{topic}/{partition}: {error.__name__}", error()))
        return found, refusals


def check(code: int) -> None:
    """`Raises` the error of aiokafka's that stands for an error code."""
    error = for_code(code)
    if error is not NoError:
        raise error(f"Kafka answered {error.__name__}")


def _refusal(text: str, cause: KafkaError) -> ClusterError:
    """An error for later, with what tells whether asking again may help."""
    error = ClusterError(text)
    error.__cause__ = cause
    return error


def _first(partitions: Iterable[TopicPartition]) -> str:
    topic, partition = next(iter(partitions))
    return f"{topic}/{partition}"
