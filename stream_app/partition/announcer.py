"""As-of of the results topics: each second a record for each partition of this worker."""

import asyncio
from collections.abc import Callable

from stream_app.partition.conf import Conf
from stream_app.partition.lane import Lane
from stream_app.ports.kafka import Appender
from stream_app.ports.records import Record
from stream_app.sinks.topics import ResultRecords, partition_for

_INTERVAL_S = 1.0


class Announcer:
    """Says up to when the records of each partition hold, only after they are committed.

    Not in a transaction: an older claim stays true.
    """

    def __init__(self, conf: Conf, topic: str, appender: Appender, lanes: Callable[[], list[Lane]]) -> None:
        self._topic, self._appender, self._lanes = topic, appender, lanes
        self._results = ResultRecords(conf.ce_type_prefix, conf.ce_source)
        self.as_of_ms: dict[int, int] = {}

    async def run(self) -> None:
        """Announce as-of each second, until cancelled."""
        count = await self._appender.partitions(self._topic)
        while True:
            as_of = {lane.partition: lane.frontiers.as_of(lane.published) for lane in self._lanes()}
            as_of = {partition: time_ms for partition, time_ms in as_of.items() if time_ms}
            records: dict[tuple[str, int], list[Record]] = {}
            for partition, time_ms in as_of.items():
                record = self._results.as_of(partition, time_ms)
                records.setdefault((self._topic, partition_for(record.key, count)), []).append(record)
            await self._appender.append(records)
            self.as_of_ms = as_of
            await asyncio.sleep(_INTERVAL_S)
