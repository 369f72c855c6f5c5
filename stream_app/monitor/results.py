"""How old results are: as-of of every partition in every sink, read where everybody reads it, and the stage that is to blame.

A sink that does not answer keeps what it said last, which gets older by itself; one that never said anything says nothing. No sink waits for
another. Operators are counted by partition, never kept.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

import orjson
from clickhouse_driver.errors import Error as ClickHouseError
from redis.exceptions import RedisError

from stream_app.access.kafka import KafkaAccess
from stream_app.clients.waiting import ClusterError
from stream_app.formats.murmur2 import partition_for
from stream_app.health.freshness import SINKS, Stage, Upstream, guilty, oldest
from stream_app.health.status import Status
from stream_app.monitor.document import GroupRow, OperatorRow, ResultRow, SinkState
from stream_app.observing.follow import Follower
from stream_app.sinks.clickhouse_client import Connections
from stream_app.sinks.clickhouse_reader import as_of_ms
from stream_app.sinks.redis_calls import Client, commands, connect
from stream_app.sinks.redis_keys import AS_OF, OPERATORS

_SECONDS_MAX: Final = 3.0  # that a look waits for a sink
_AS_OF_TAIL: Final = 200  # records of the as-of topic, which gets one a second and partition
_COUNT_LOOKS: Final = 30  # operators are counted anew after so many looks
ERRORS: Final = (RedisError, ClickHouseError, ClusterError, OSError, EOFError, TimeoutError)

AsOf = dict[int, int]  # by partition, epoch milliseconds


class Results:
    """As-of of every sink from look to look. `read`: sink -> reader of its as-of; each may raise ERRORS."""

    def __init__(self, partitions: int, read: Mapping[Stage, Callable[[], Awaitable[AsOf]]]) -> None:
        self._partitions, self._read = partitions, read
        self._asking: dict[Stage, asyncio.Task[AsOf]] = {}
        self._known: dict[Stage, AsOf] = {stage: {} for stage in read}
        self.sinks: dict[Stage, SinkState] = {stage: SinkState(stage, "not asked yet") for stage in read}

    async def look(self) -> None:
        """Ask all sinks; one that takes longer is waited for at the next look."""
        for stage, ask in self._read.items():
            if stage not in self._asking:
                self._asking[stage] = asyncio.ensure_future(ask())
        await asyncio.wait(self._asking.values(), timeout=_SECONDS_MAX)
        for stage, task in list(self._asking.items()):
            failure: str | None = "does not answer"
            if task.done():
                del self._asking[stage]
                try:
                    self._known[stage], failure = task.result(), None
                except ERRORS as error:
                    failure = in_a_line(error)
            self.sinks[stage] = SinkState(stage, failure)

    def rows(
        self, now_ms: int, ingest: GroupRow | None, ledger: GroupRow | None, operators: Mapping[int, int]
    ) -> list[ResultRow]:
        """A row for each partition; `operators`: how many each has."""
        rows, before = [], upstream(ingest)
        for partition in range(self._partitions):
            as_of = {stage: known.get(partition) for stage, known in self._known.items()}
            ages = {stage: None if ms is None else max(0, now_ms - ms) / 1000 for stage, ms in as_of.items()}
            stage = guilty(ages, before, upstream(ledger, partition))
            rows.append(ResultRow(partition, as_of, ages, oldest(ages), stage, operators.get(partition, 0)))
        return rows


def upstream(group: GroupRow | None, partition: int | None = None) -> Upstream:
    """Status and lag of the stage that this group is: as a whole, or at one partition."""
    if group is None or group.lag_records is None:
        return Upstream(Status.NOTFOUND, None)
    rows = [row for row in group.partitions if partition is None or row.partition == partition]
    bad = next((row.status for row in rows if row.status != Status.OK), Status.OK)
    ages = [row.lag_seconds for row in rows]
    return Upstream(bad, None if None in ages or not ages else max(age for age in ages if age is not None))


class SinkReaders:
    """Readers of the as-of that is written into Redis, ClickHouse and the as-of topic."""

    def __init__(self, kafka: KafkaAccess, topic: str, redis_url: str, clickhouse_url: str, database: str) -> None:
        self.redis: Client = connect(redis_url)
        self.clickhouse = Connections(clickhouse_url, database, connections_max=2)
        self._follower = Follower(kafka, topic, _AS_OF_TAIL)
        self._from_topic: AsOf = {}

    def read(self) -> dict[Stage, Callable[[], Awaitable[AsOf]]]:
        """By sink, the reader of its as-of."""
        return dict(zip(SINKS, (self._topics, self._redis, self._clickhouse), strict=True))

    async def _topics(self) -> AsOf:
        for record in await self._follower.drain():
            if record.value:
                said = orjson.loads(record.value)
                self._from_topic[int(said["partition"])] = _epoch_ms(said["asOf"])
        return dict(self._from_topic)

    async def _redis(self) -> AsOf:
        (stored,) = await commands(self.redis, [("HGETALL", AS_OF)])
        return {int(partition): _epoch_ms(when.decode()) for partition, when in stored.items()}

    async def _clickhouse(self) -> AsOf:
        return await self.clickhouse.use(as_of_ms)

    async def operators(self) -> list[str]:
        """Ids of the known operators. `Raises` RedisError or OSError."""
        (names,) = await commands(self.redis, [("HKEYS", OPERATORS)])
        return [name.decode() for name in names]


class OperatorCounts:
    """Number of operators of each partition, counted anew every `_COUNT_LOOKS` looks."""

    def __init__(self, readers: SinkReaders, partitions: int) -> None:
        self._readers, self._partitions = readers, partitions
        self._looks = 0
        self.counts: Counter[int] = Counter()

    async def look(self) -> None:
        """Count, when a count is due; without an answer of Redis the last counts stand."""
        if self._looks % _COUNT_LOOKS == 0 or not self.counts:
            try:
                names = await self._readers.operators()
            except (RedisError, OSError):
                return
            self.counts = Counter(partition_for(name.encode(), self._partitions) for name in names)
        self._looks += 1

    async def worst(self, rows: Sequence[ResultRow], limit: int) -> list[OperatorRow]:
        """The operators with the oldest results, by age and name. `Raises` RedisError or OSError."""
        by_partition = {row.partition: row for row in rows}
        found = [(partition_for(name.encode(), self._partitions), name) for name in await self._readers.operators()]
        known = [(by_partition[partition], name) for partition, name in found if partition in by_partition]
        known.sort(key=lambda one: (-_age(one[0]), one[1]))
        return [
            OperatorRow(name, row.partition, row.age_seconds, row.oldest_seconds, row.stage)
            for row, name in known[:limit]
        ]


def _age(row: ResultRow) -> float:
    return float("inf") if row.oldest_seconds is None else row.oldest_seconds


def _epoch_ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def in_a_line(error: Exception) -> str:
    """An error as one line of a table."""
    return " ".join(f"{type(error).__name__}: {error}".split())
