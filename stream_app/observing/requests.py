"""Two of Kafka's requests in versions that aiokafka lacks: metadata with topic ids, and ListOffsets that finds the newest record.

Fields and versions are those of Kafka's protocol (Metadata 12, ListOffsets 7; Kafka 3.1 and newer answer both).
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    AbstractType,
    Boolean,
    CompactArray,
    CompactString,
    Int8,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)

_TAGS = ("tags", TaggedFields)
_NAME = CompactString("utf-8")


def by_topic(*of_partition: tuple[str, Any]) -> tuple[str, CompactArray]:
    """Field `topics` of a flexible version: names, and below each its partitions with these fields."""
    return "topics", CompactArray(("name", _NAME), ("partitions", CompactArray(*of_partition, _TAGS)), _TAGS)


_ANY_TOPIC = bytes(16)


class TopicId(AbstractType):  # type: ignore[misc]  # aiokafka has no types
    """A topic's id, 16 bytes; read as the text by which librdkafka names it: rows of the position hold that."""

    @classmethod
    def encode(cls, value: bytes) -> bytes:
        """The id as it is sent."""
        return value

    @classmethod
    def decode(cls, data: Any) -> str:
        """The id's text."""
        return b64encode(data.read(16)).rstrip(b"=").decode()


class _MetadataResponse(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 12
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", CompactArray(("node_id", Int32), ("host", _NAME), ("port", Int32), ("rack", _NAME), _TAGS)),
        ("cluster_id", _NAME),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", _NAME),
                ("topic_id", TopicId),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition_index", Int32),
                        ("leader_id", Int32),
                        ("leader_epoch", Int32),
                        ("replica_nodes", CompactArray(Int32)),
                        ("isr_nodes", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        _TAGS,
                    ),
                ),
                ("topic_authorized_operations", Int32),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class _MetadataStruct(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 12
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", TopicId), ("name", _NAME), _TAGS)),
        ("allow_auto_topic_creation", Boolean),
        ("include_topic_authorized_operations", Boolean),
        _TAGS,
    )


class MetadataRequest(Request[_MetadataStruct]):  # type: ignore[misc]
    """Ids, partitions and leaders of topics; asking makes none."""

    API_KEY = 3

    def __init__(self, topics: Sequence[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[_MetadataStruct]) -> _MetadataStruct:
        """The request as it is sent."""
        return request_struct_class([(_ANY_TOPIC, name, {}) for name in self._topics], False, False, {})


class _ListOffsetsResponse(Response):  # type: ignore[misc]
    API_KEY = 2
    API_VERSION = 7
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        by_topic(
            ("partition_index", Int32),
            ("error_code", Int16),
            ("timestamp", Int64),
            ("offset", Int64),
            ("leader_epoch", Int32),
        ),
        _TAGS,
    )


class _ListOffsetsStruct(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 2
    API_VERSION = 7
    RESPONSE_TYPE = _ListOffsetsResponse
    SCHEMA = Schema(
        ("replica_id", Int32),
        ("isolation_level", Int8),
        by_topic(("partition_index", Int32), ("current_leader_epoch", Int32), ("timestamp", Int64)),
        _TAGS,
    )


# By topic, by partition: a time in epoch milliseconds, or one of the three below.
Times: TypeAlias = Mapping[str, Mapping[int, int]]
END, FIRST, NEWEST = -1, -2, -3


class ListOffsetsRequest(Request[_ListOffsetsStruct]):  # type: ignore[misc]
    """First offsets that are not older than a time, of partitions that one broker leads. `stable`: up to the first open transaction."""

    API_KEY = 2

    def __init__(self, times: Times, *, stable: bool) -> None:
        self._times, self._stable = times, stable

    def build(self, request_struct_class: type[_ListOffsetsStruct]) -> _ListOffsetsStruct:
        """The request as it is sent: of a consumer, whatever the leader's epoch."""
        topics: list[Any] = [
            (name, [(p, -1, time, {}) for p, time in times.items()], {}) for name, times in self._times.items()
        ]
        return request_struct_class(-1, int(self._stable), topics, {})
