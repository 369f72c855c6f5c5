"""What the lanes ask of Kafka: their transactions, the changelog, and which partitions are whose."""

from collections.abc import Callable, Mapping, Sequence

from stream_app.access.kafka import KafkaAccess
from stream_app.clients.waiting import until_kafka_answers
from stream_app.kafka.log import TransactionLog
from stream_app.kafka.replay import replay
from stream_app.observing.observer import Observer
from stream_app.ports.kafka import Range, Replayed
from tables.ledger import changelog

_TOMBSTONES_MS = 24 * 3600 * 1000  # of Kafka's default delete.retention.ms


class LedgerKafka:
    """Kafka as the lanes of a consumer group need it. `events`: the topic whose partitions it owns; `member_id`: of this worker in the group."""

    def __init__(
        self,
        kafka: KafkaAccess,
        observer: Observer,
        group: str,
        events: str,
        transaction_timeout_ms: int,
        member_id: Callable[[], str],
    ) -> None:
        self._kafka, self._observer, self._group, self._events = kafka, observer, group, events
        self._transaction_timeout_ms, self._member_id = transaction_timeout_ms, member_id

    def new_log(self, partition: int) -> TransactionLog:
        """The transactions of a partition; the id is the partition's own, so a new owner fences the old one."""
        return TransactionLog(
            self._kafka,
            f"{self._group}-{partition}",
            self._group,
            (self._events, partition),
            (changelog(self._group), partition),
            self._transaction_timeout_ms,
        )

    async def replay(self, topic: str, stores: Mapping[int, Replayed]) -> int:
        """Bring stores up to the end of a changelog."""
        return await replay(self._kafka, topic, stores)

    async def owns(self, partition: int) -> bool | None:
        """Whether the group has given an events partition to this worker; None while it rebalances. A Kafka that is away is waited for."""
        groups = await until_kafka_answers(
            lambda: self._observer.describe_groups([self._group]), f"partitions of {self._events}"
        )
        group = groups.get(self._group)
        if group is None or not group.is_settled:
            return None
        return (self._events, partition) in group.members.get(self._member_id(), frozenset())

    async def tombstones_ms(self, topic: str) -> int:
        """For how long a compacted topic keeps tombstones. Where its configuration may not be read: Kafka's own default."""
        found = await until_kafka_answers(lambda: self._observer.retention([topic]), f"the changelog {topic}")
        return found[topic].tombstones_ms if topic in found else _TOMBSTONES_MS

    async def ranges(self, topic: str, partitions: Sequence[int]) -> dict[int, Range]:
        """Where partitions of a topic begin and end."""
        tps = [(topic, partition) for partition in partitions]
        what = f"partitions of {topic}"
        starts = await until_kafka_answers(lambda: self._observer.starts(tps), what)
        ends = await until_kafka_answers(lambda: self._observer.ends(tps), what)
        return {partition: Range(starts[topic, partition], ends[topic, partition]) for partition in partitions}
