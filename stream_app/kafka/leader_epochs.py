"""Kafka's request OffsetForLeaderEpoch, which aiokafka lacks: where the records end that leaders wrote up to an epoch.

Each leader of a partition writes under an epoch of its own, which its batches bear.
"""

from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import LeaderNotAvailableError, NoError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Int16, Int32, Int64, Schema, String


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
    """Kafka's OffsetForLeaderEpoch, version 3 (Kafka 2.3 and newer), of a consumer, about one partition."""

    API_KEY = 23

    def __init__(self, tp: TopicPartition, epoch: int) -> None:
        self._tp, self._epoch = tp, epoch

    def build(self, request_struct_class: type[_EpochEndStruct]) -> _EpochEndStruct:
        """The request as it is sent: whatever the leader's own epoch."""
        return request_struct_class(-1, [(self._tp.topic, [(self._tp.partition, -1, self._epoch)])])


async def epoch_end(client: Any, tp: TopicPartition, epoch: int) -> int | None:
    """The offset behind what a partition's leader has of an epoch and of those before it; None: nothing of them is kept.

    `client` is aiokafka's. `Raises` KafkaError.
    """
    leader = client.cluster.leader_for_partition(tp)
    if leader is None or leader < 0:
        raise LeaderNotAvailableError(tp)
    answer = await client.send(leader, _EpochEndRequest(tp, epoch))
    ((_, ((code, _, _, end),)),) = answer.topics
    if (error := for_code(code)) is not NoError:
        client.cluster.request_update()
        raise error(tp)
    return int(end) if end >= 0 else None
