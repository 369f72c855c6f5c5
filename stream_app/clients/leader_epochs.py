"""Kafka's request OffsetForLeaderEpoch, which aiokafka lacks: where the records end that leaders wrote up to an epoch.

Each leader of a partition writes under an epoch of its own, which its batches bear.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, NoError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Int16, Int32, Int64, Schema, String

from stream_app.clients.waiting import passes

_ANSWER_S: Final = 2.0  # of a leader that is asked


class _EpochEndResponse(Response):  # type: ignore[misc]  # aiokafka has no types
    API_KEY = 23
    API_VERSION = 3
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "topics",
            Array(
                ("topic", String("utf-8")),
                (
                    "partitions",
                    Array(("error_code", Int16), ("partition", Int32), ("leader_epoch", Int32), ("end_offset", Int64)),
                ),
            ),
        ),
    )


class _EpochEndStruct(RequestStruct):  # type: ignore[misc]
    API_KEY = 23
    API_VERSION = 3
    RESPONSE_TYPE = _EpochEndResponse
    SCHEMA = Schema(
        ("replica_id", Int32),
        (
            "topics",
            Array(
                ("topic", String("utf-8")),
                ("partitions", Array(("partition", Int32), ("current_leader_epoch", Int32), ("leader_epoch", Int32))),
            ),
        ),
    )


class _EpochEndRequest(Request[_EpochEndStruct]):  # type: ignore[misc]
    """OffsetForLeaderEpoch, version 3 (Kafka 2.3 and newer), of a consumer, about partitions that one broker leads."""

    API_KEY = 23

    def __init__(self, epochs: Mapping[TopicPartition, int]) -> None:
        self._epochs = epochs

    def build(self, request_struct_class: type[_EpochEndStruct]) -> _EpochEndStruct:
        """The request as it is sent: whatever the leader's own epoch."""
        topics: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
        for tp, epoch in self._epochs.items():
            topics[tp.topic].append((tp.partition, -1, epoch))
        return request_struct_class(-1, list(topics.items()))


async def epoch_ends(
    client: Any, epochs: Mapping[TopicPartition, int], leader_of: Callable[[TopicPartition], int | None]
) -> dict[TopicPartition, int]:
    """By partition, the offset behind what its leader has of an epoch and of those before it; -1: nothing of them is kept.

    Without those whose leader does not answer now. `client` is aiokafka's. `Raises` KafkaError of what does not pass by itself.
    """
    leaders: dict[int, dict[TopicPartition, int]] = defaultdict(dict)
    for tp, epoch in epochs.items():
        leader = leader_of(tp)
        if leader is not None and leader >= 0:
            leaders[leader][tp] = epoch
    found: dict[TopicPartition, int] = {}
    for ends in await asyncio.gather(*(_ends(client, leader, asked) for leader, asked in leaders.items())):
        found |= ends
    return found


async def _ends(client: Any, leader: int, epochs: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
    found = {}
    try:
        async with asyncio.timeout(_ANSWER_S):
            answer = await client.send(leader, _EpochEndRequest(epochs))
        for topic, partitions in answer.topics:
            for code, partition, _, end in partitions:
                if (error := for_code(code)) is NoError:
                    found[TopicPartition(topic, partition)] = int(end)
                elif passes(refusal := error(topic, partition)):
                    client.force_metadata_update()
                else:
                    raise refusal
    except (KafkaError, TimeoutError) as exc:
        if not passes(exc):
            raise
    return found
