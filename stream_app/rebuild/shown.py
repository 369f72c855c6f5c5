"""What the serving generation shows, as its results topics tell, held beside the cells of the one that is built."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson
from aiokafka import TopicPartition

from stream_app.access.kafka import KafkaAccess
from stream_app.domain import probe
from stream_app.domain.cells import CellKey
from stream_app.domain.sums import PAYMENT_SUMS, SESSION_SUMS
from stream_app.domain.tables import TABLES, Table
from stream_app.kafka.readers import new_reader
from stream_app.ports.records import Batch
from stream_app.ports.sinks import View
from stream_app.sinks.topics import ResultRecords, read_key

_UNCOMPARED: Final = frozenset({"partition", "asOf", "version"})  # what generations differ in
_PAUSE_EVERY: Final = 2_000  # cells looked at without letting other work in

_PAYMENTS: Final = PAYMENT_SUMS.figures[PAYMENT_SUMS.count_at].name
_SESSIONS: Final = SESSION_SUMS.figures[SESSION_SUMS.count_at].name

Name = tuple[str, bytes]  # table, key of the record


class Shown(NamedTuple):
    """The last record of a key: its version, and a digest of the document, without what generations differ in.

    `counts`: whether anything counts in the cell.

    `counts_itself`: of a record with a currency, whether a payment counts; sessions count in each currency of a cell.
    """

    digest: int
    counts: bool
    counts_itself: bool
    version: int


def shown(value: bytes) -> Shown:
    """The digest of a results topic's record."""
    document = orjson.loads(value)
    said = orjson.dumps({name: found for name, found in document.items() if name not in _UNCOMPARED})
    if "currency" in document:
        payments = bool(document[_PAYMENTS])
        return Shown(hash(said), payments or bool(document[_SESSIONS]), payments, document["version"])
    return Shown(hash(said), bool(document["total"]), bool(document["total"]), document["version"])


class ShownResults:
    """Follows the results topics. `by_name`: the records that stand, by table and key."""

    def __init__(self, kafka: KafkaAccess, topics: Mapping[str, str]) -> None:
        self._kafka = kafka
        self._tables = {topic: table for table, topic in topics.items()}
        self.by_name: dict[Name, Shown] = {}

    async def start(self, partitions: Mapping[str, int]) -> None:
        """Connect; `partitions`: how many each topic has. `Raises` KafkaError."""
        self._consumer = new_reader(self._kafka)
        await self._consumer.start()
        self._tps = [
            TopicPartition(topic, partition) for topic in self._tables for partition in range(partitions[topic])
        ]
        self._consumer.assign(self._tps)
        await self._consumer.seek_to_beginning(*self._tps)

    async def stop(self) -> None:
        """Disconnect."""
        await self._consumer.stop()

    async def catch_up(self) -> None:
        """Read up to the ends that the topics have now."""
        ends = await self._consumer.end_offsets(self._tps)
        left = {tp for tp in self._tps if await self._consumer.position(tp) < ends[tp]}
        while left:
            for tp, batches in (await self._consumer.getmany(*left, timeout_ms=200)).items():
                self._take(self._tables[tp.topic], Batch.joined(batches))
                await asyncio.sleep(0)
            left = {tp for tp in left if await self._consumer.position(tp) < ends[tp]}

    def _take(self, table: str, batch: Batch) -> None:
        for key, value in zip(batch.keys, batch.values, strict=True):
            assert key is not None, "records of results topics have keys"
            if value is None:
                self.by_name.pop((table, key), None)
            else:
                self.by_name[table, key] = shown(value)

    async def values(self, names: set[Name]) -> dict[Name, dict[str, Any]]:
        """The documents of the last records of some keys; reads the topics anew."""
        found: dict[Name, dict[str, Any]] = {}
        ends = await self._consumer.end_offsets(self._tps)
        await self._consumer.seek_to_beginning(*self._tps)
        left = {tp for tp in self._tps if await self._consumer.position(tp) < ends[tp]}
        while left:
            for tp, batches in (await self._consumer.getmany(*left, timeout_ms=200)).items():
                batch, table = Batch.joined(batches), self._tables[tp.topic]
                for key, value in zip(batch.keys, batch.values, strict=True):
                    assert key is not None, "records of results topics have keys"
                    if (table, key) in names:
                        found[table, key] = {} if value is None else orjson.loads(value)
                await asyncio.sleep(0)
            left = {tp for tp in left if await self._consumer.position(tp) < ends[tp]}
        return found


def records_of(view: View, results: ResultRecords) -> Iterator[tuple[Name, bytes]]:
    """(name, value) of all records that a view's cells make in the results topics."""
    for operator_id in view.operators():
        operator = view.operator(operator_id)
        if operator is None or operator_id == probe.OPERATOR:
            continue
        for table in TABLES:
            for key, cell in view.scan_cells(table, operator_id):
                for record in results.of(table, operator, key, cell, view.partition):
                    assert record.value is not None, "a cell that is there makes no tombstone"
                    yield (table.name, record.key), record.value


async def own_records(views: Sequence[View], results: ResultRecords) -> dict[Name, Shown]:
    """The records that the new generation would show, by name."""
    found: dict[Name, Shown] = {}
    for view in views:
        for name, value in records_of(view, results):
            found[name] = shown(value)
            if not len(found) % _PAUSE_EVERY:
                await asyncio.sleep(0)
    return found


def cell_of(name: Name) -> tuple[Table[Any], CellKey, str]:
    """The table, the cell and the currency of a record's key."""
    table = next(table for table in TABLES if table.name == name[0])
    return (table, *read_key(table, name[1]))
