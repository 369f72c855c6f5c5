"""What a cluster answers about topics, records and consumer groups, as values."""

from collections.abc import Mapping
from typing import NamedTuple

Offsets = dict[tuple[str, int], int]  # by (topic, partition)

CONSUMER = "consumer"  # protocol types of consumer groups; "" is a group that only commits
READABLE = frozenset({"", CONSUMER, "connect", "streams"})  # those whose groups commit offsets


class TopicDescription(NamedTuple):
    """A topic that exists. A topic that is deleted and made anew has another id.

    `is_denied`: the right to describe it is missing, and nothing is known of it, nor whether it exists.
    """

    topic_id: str
    partitions: int
    replicas: int = 1  # of the partition that has the fewest
    is_denied: bool = False


class TopicRetention(NamedTuple):
    """What a topic keeps: milliseconds and bytes of each partition. None: for ever."""

    ms: int | None
    bytes: int | None
    is_compacted: bool
    tombstones_ms: int  # for how long a compacted one keeps tombstones


class AwayBroker(NamedTuple):
    """A broker that does not answer, or that the cluster misses. `address`: host:port, where it is known."""

    address: str | None
    topics: frozenset[str]  # of which partitions stand still, for no other broker leads them


class TopicConfig(NamedTuple):
    """What a topic takes: the largest record, how many replicas must have one before it is acknowledged, and whether one without it may become leader."""

    record_bytes_max: int
    insync_min: int
    is_unclean: bool


class OffsetAndTime(NamedTuple):
    """Offset and timestamp of a record. Control records and records of aborted transactions count.

    `leader_epoch`: under which the record was written; of an end offset, that of the leader; -1: not known.
    """

    offset: int
    time_ms: int
    leader_epoch: int = -1


class End(NamedTuple):
    """End offset of a partition, and the epoch of the leader that told it."""

    offset: int
    leader_epoch: int = -1


class Committed(NamedTuple):
    """A committed offset, and what whoever committed it noted beside."""

    offset: int
    metadata: str = ""


class GroupDescription(NamedTuple):
    """A consumer group as its coordinator describes it."""

    is_settled: bool  # False: it rebalances, and who owns what can't be told
    is_kip_848: bool  # of the consumer protocol of Kafka 4, not of the classic one
    members: Mapping[str, frozenset[tuple[str, int]]]  # member id -> (topic, partition) that the member owns
