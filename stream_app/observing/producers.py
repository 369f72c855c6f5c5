"""Kafka's DescribeProducers (KIP-664, brokers since 2.8), which neither aiokafka nor librdkafka has: who writes to a partition in transactions.

Asked by observer.py of a partition's leader. Needs the right to read the topic.
"""

from typing import Final, NamedTuple

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import CompactArray, CompactString, Int16, Int32, Int64, Schema, TaggedFields

from stream_app.observing.requests import by_topic

_NONE: Final = -1  # start offset of a producer without an open transaction
_TAGS: Final[dict[int, bytes]] = {}


class OpenTransaction(NamedTuple):
    """A transaction that is neither committed nor aborted: who reads committed reads up to its first offset."""

    producer_id: int
    start_offset: int
    written_ms: int  # when its producer wrote to the partition last, epoch milliseconds


class DescribeProducersResponse(Response):  # type: ignore[misc]  # aiokafka has no types
    """Producers of partitions, as the leader knows them."""

    API_KEY = 61
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        by_topic(
            ("partition_index", Int32),
            ("error_code", Int16),
            ("error_message", CompactString("utf-8")),
            (
                "active_producers",
                CompactArray(
                    ("producer_id", Int64),
                    ("producer_epoch", Int32),
                    ("last_sequence", Int32),
                    ("last_timestamp", Int64),
                    ("coordinator_epoch", Int32),
                    ("current_txn_start_offset", Int64),
                    ("tags", TaggedFields),
                ),
            ),
        ),
        ("tags", TaggedFields),
    )


class DescribeProducersStruct(RequestStruct):  # type: ignore[misc]
    """The request as it is sent."""

    FLEXIBLE_VERSION = True
    API_KEY = 61
    API_VERSION = 0
    RESPONSE_TYPE = DescribeProducersResponse
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(
                ("name", CompactString("utf-8")), ("partition_indexes", CompactArray(Int32)), ("tags", TaggedFields)
            ),
        ),
        ("tags", TaggedFields),
    )


class DescribeProducers(Request[DescribeProducersStruct]):  # type: ignore[misc]
    """Asks for the producers of one partition."""

    API_KEY = 61

    def __init__(self, topic: str, partition: int) -> None:
        self._topic, self._partition = topic, partition

    def build(self, request_struct_class: type[DescribeProducersStruct]) -> DescribeProducersStruct:
        """The request as it is sent."""
        return request_struct_class([(self._topic, [self._partition], _TAGS)], _TAGS)


def open_transactions(answer: DescribeProducersResponse) -> tuple[int, list[OpenTransaction]]:
    """Kafka's error code for the one partition, and its open transactions, the first offset first."""
    ((_, ((_, code, _, producers, _),), _),) = answer.topics
    found = [
        OpenTransaction(producer_id, start, written_ms)
        for producer_id, _, _, written_ms, _, start, _ in producers or ()
        if start != _NONE
    ]
    return code, sorted(found, key=lambda one: one.start_offset)
