"""The monitor's document: what /status answers, and `stream-app status` and the operations page read. One JSON object.

Times are epoch milliseconds, and 0 is never; spans are seconds. Others read what is here: add fields, never rename one.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from stream_app.health.advice import Advice
from stream_app.health.freshness import Stage, is_old
from stream_app.health.status import Reason, Status


class PartitionRow(msgspec.Struct, frozen=True):
    """A partition of a consumer group. None: not known, or never."""

    topic: str
    partition: int
    status: Status
    reason: Reason
    lag_records: int
    lag_seconds: float | None
    committed: int | None
    start: int
    end: int
    open_records: int  # in open transactions, or control records of none: not readable yet
    owned: bool | None
    incoming: float  # records a second
    outgoing: float
    catch_up_seconds: float | None
    retention_used: float | None
    loss_seconds: float | None


class GroupRow(msgspec.Struct, frozen=True):
    """A consumer group, and its partitions."""

    group: str
    kind: str  # classic, consumer (KIP-848) or share
    status: Status
    reason: Reason
    since_ms: int  # the status
    members: int = 0
    rebalances: int = 0  # seen since the monitor began
    unassigned: int = 0  # partitions
    lag_records: int | None = None
    lag_seconds: float | None = None  # of the partition that is furthest behind
    catch_up_seconds: float | None = None
    retention_used: float | None = None
    loss_seconds: float | None = None
    partitions: Sequence[PartitionRow] = ()


class ResultRow(msgspec.Struct, frozen=True):
    """The results of an events partition. `stage`: to blame; None: they are fresh in every sink."""

    partition: int
    as_of_ms: dict[Stage, int | None]  # by sink
    age_seconds: dict[Stage, float | None]
    oldest_seconds: float | None
    stage: Stage | None
    operators: int

    def is_old_in(self, sink: Stage) -> bool:
        """Are the results in this sink no longer fresh?"""
        return is_old(self.age_seconds[sink])


class SinkState(msgspec.Struct, frozen=True):
    """Whether a sink answers. `failure`: why not."""

    stage: Stage
    failure: str | None


class SourceRow(msgspec.Struct, frozen=True):
    """A source topic. None: not known, or never."""

    topic: str
    exists: bool
    last_ms: int | None
    age_seconds: float | None
    per_hour: float | None  # at this time of day
    missed: float  # records that should have come since the last one
    is_silent: bool
    failure: str | None = None  # why it can't be seen whether it exists


class DeadLetterRow(msgspec.Struct, frozen=True):
    """Dead letters of one reason."""

    reason: str
    since_start: int  # that came since the monitor began
    seen: int  # and those among the newest when it began
    last_ms: int
    example: str  # the newest: topic/partition/offset of its source record
    detail: str


class ProbeRow(msgspec.Struct, frozen=True):
    """How long probes take to one place. `failure`: why it can't be watched."""

    stage: Stage
    failure: str | None
    last_seconds: float | None  # of the last probe; None: it is lost, or under way
    last_ms: int  # when one arrived last
    lost: int
    p50: float | None
    p99: float | None
    count: int


class KafkaState(msgspec.Struct, frozen=True):
    """Whether the cluster was seen lately. `failure`: why the last look failed; None: it did not."""

    is_seen: bool
    looked_ms: int
    look_seconds: float
    failure: str | None


class BrokerRow(msgspec.Struct, frozen=True):
    """A broker of Kafka that is away. `topics`: of which partitions stand still because of it; none: other brokers lead all of them."""

    broker: int
    address: str | None
    since_ms: int
    topics: Sequence[str]


class OurGroups(msgspec.Struct, frozen=True):
    """Names of the consumer groups of our stages, in the generation that serves."""

    ingest: str
    ledger: str


class HeldRow(msgspec.Struct, frozen=True):
    """A partition of a source topic that an open transaction keeps from being read. `producer_id` None: Kafka does not say whose it is."""

    topic: str
    partition: int
    start_offset: int  # of the transaction: up to there the partition is read
    since_ms: int  # as the monitor saw it
    producer_id: int | None

    def said(self, now_ms: int) -> str:
        """In words."""
        by = "" if self.producer_id is None else f" by producer id {self.producer_id}"
        return f"{self.topic}/{self.partition} for {(now_ms - self.since_ms) / 1000:.0f} s{by}"


class RebuildRow(msgspec.Struct, frozen=True):
    """A generation that is being built beside the one that serves. `members` 0: its rebuild was interrupted."""

    generation: int
    group: str
    events_partitions: int
    members: int
    lag_records: int  # of the events topic, not applied yet; and of the one before, not copied yet
    records: int  # of the events topic in all, likewise
    rate: float | None = None  # records a second, as of the last minute; None: not known yet
    catch_up_seconds: float | None = None  # until none is left, as things go; None: not known yet, or never


class StatusDocument(msgspec.Struct, frozen=True, kw_only=True):
    """All that the monitor knows at one moment. `words`: by reason and stage, meaning and advice.

    What has a default was added later: a reader takes the document of an older monitor without it.
    """

    now_ms: int
    began_ms: int
    kafka: KafkaState
    left_out: int  # partitions beyond the limit
    groups: Sequence[GroupRow]
    words: dict[str, Advice]
    results: Sequence[ResultRow] = ()
    sinks: Sequence[SinkState] = ()
    sources: Sequence[SourceRow] = ()
    dead_letters: Sequence[DeadLetterRow] = ()
    probes: Sequence[ProbeRow] = ()  # none where nothing is probed
    is_push_to_blame: bool = False
    generation: int = 0  # that serves; 0: the monitor does not say it
    ours: OurGroups | None = None
    rebuild: RebuildRow | None = None  # None: none is under way
    brokers: Sequence[BrokerRow] = ()  # that are away
    held: Sequence[HeldRow] = ()  # for a while already, the longest first

    def advice_of(self, stage: str) -> Advice:
        """What a stage that is to blame means, and what to do: where transactions hold as-of, which."""
        if stage != Stage.AS_OF or not self.held:
            return self.words[stage]
        first, held = self.held[0], ", ".join(row.said(self.now_ms) for row in self.held)
        return Advice(
            f"an open transaction of a producer keeps records from being read: {held}",
            f"have its owner end it, or abort it: kafka-transactions.sh abort --topic {first.topic} "
            f"--partition {first.partition} --start-offset {first.start_offset}",
        )


class OperatorRow(msgspec.Struct, frozen=True):
    """The results of an operator's partition, as of ResultRow."""

    operator: str
    partition: int
    age_seconds: dict[Stage, float | None]
    oldest_seconds: float | None
    stage: Stage | None


class OperatorsDocument(msgspec.Struct, frozen=True):
    """What /operators answers: the operators with the oldest results, the oldest first."""

    operators: Sequence[OperatorRow]


encode: Final = msgspec.json.Encoder().encode
_decoder: Final = msgspec.json.Decoder(StatusDocument)


def decode_status(body: bytes) -> StatusDocument:
    """The document out of an answer; fields that are not known here are left out. `Raises` ValueError."""
    try:
        return _decoder.decode(body)
    except msgspec.DecodeError as exc:
        raise ValueError(str(exc)) from exc
