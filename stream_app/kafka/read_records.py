"""Whether partitions still hold what a consumer has read of them, told by leader epochs (KIP-320).

After an election of a replica that was not in sync, records that Kafka had acknowledged are gone, and others stand at their offsets, under a later
epoch. Noticed by the first batch of a later epoch, and now and then while there is none to fetch: others may have filled just the places of those that
are gone. The epoch goes along with committed offsets, as their metadata, so that it is noticed over restarts, too. Knows nothing of Faust.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError
from aiokafka.structs import OffsetAndMetadata

from stream_app.clients.leader_epochs import epoch_ends
from stream_app.formats.read_up_to import NOTHING, ReadUpTo, note, noted
from stream_app.ports.records import Batch

_CHECK_S: Final = 5.0  # between two looks at partitions without records
_PAUSE_S: Final = 0.2  # after one that did not answer


class ReadRecords:
    """What one consumer has read of partitions whose positions are the group's.

    `lost` is told of acknowledged records that were read and are gone: partition, first offset, end. `back`: where partitions go on of which records were
    lost, in the fetch under way.
    """

    def __init__(self, lost: Callable[[TopicPartition, int, int], None]) -> None:
        self._lost = lost
        self._read: dict[TopicPartition, ReadUpTo] = {}
        self._check_at = 0.0
        self.back: dict[TopicPartition, int] = {}

    def begin(
        self, partitions: Collection[TopicPartition], committed: Mapping[TopicPartition, OffsetAndMetadata]
    ) -> None:
        """The consumer has gone to the committed offsets of these partitions. Answers about what was read before are of no use any more."""
        self._read = {tp: noted(committed[tp].metadata) if tp in committed else NOTHING for tp in partitions}

    def committing(self, tp: TopicPartition, offset: int) -> OffsetAndMetadata:
        """An offset as it is committed: none of records that were lost, as long as what came of them may still be acknowledged."""
        offset = min(offset, self.back.get(tp, offset))
        return OffsetAndMetadata(offset, note(self._read.get(tp, NOTHING), offset))

    async def follow(
        self, consumer: Any, fetched: Mapping[TopicPartition, list[Batch]]
    ) -> dict[TopicPartition, list[Batch]]:
        """Those of the fetched batches that follow what was read; of others the consumer goes back. `Raises` KafkaError of what does not pass by itself."""
        self.back.clear()
        follows = {tp: batches for tp, batches in fetched.items() if await self._follows(consumer, tp, batches)}
        if time.monotonic() >= self._check_at:
            idle = {tp: read for tp, read in self._read.items() if tp not in fetched}
            await self._lost_of(consumer, idle, anew=True)
            self._check_at = time.monotonic() + _CHECK_S
        return follows

    async def _follows(self, consumer: Any, tp: TopicPartition, batches: list[Batch]) -> bool:
        began, read, first = self._read, self._read.get(tp), batches[0]
        if read is None:
            return True
        if first.offsets[0] < read.offset:  # it ended before, and the consumer reads all of it again
            for end in (await self._ends(consumer, {tp: read})).values():
                self._lost(tp, end, read.offset)
        elif first.leader_epoch > read.epoch >= 0:
            is_lost = (await self._lost_of(consumer, {tp: read})).get(tp)
            if is_lost is None and began is self._read:
                _go(consumer, tp, first.offsets[0])
                await asyncio.sleep(_PAUSE_S)
            if is_lost is not False:
                return False
        if began is not self._read:
            return False
        self._read[tp] = ReadUpTo(batches[-1].leader_epoch, batches[-1].next_offset)
        return True

    async def _lost_of(
        self, consumer: Any, read: Mapping[TopicPartition, ReadUpTo], *, anew: bool = False
    ) -> dict[TopicPartition, bool]:
        """Whether records that were read are gone: then the consumer goes back to the first of them. Without partitions of which it is not known.

        `anew`: to the beginning, for the partition may be of a topic that was deleted and made anew.
        """
        began, ends = self._read, await self._ends(consumer, read)
        if began is not self._read:
            return {}
        for tp, end in ends.items():
            if end < read[tp].offset:
                self._read[tp], self.back[tp] = ReadUpTo(read[tp].epoch, end), 0 if anew else end
                _go(consumer, tp, self.back[tp])
                self._lost(tp, end, read[tp].offset)
        return {tp: end < read[tp].offset for tp, end in ends.items()}

    async def _ends(self, consumer: Any, read: Mapping[TopicPartition, ReadUpTo]) -> dict[TopicPartition, int]:
        """Up to where partitions hold what was read; without those of which it is not known."""
        epochs = {tp: known.epoch for tp, known in read.items() if known.epoch >= 0}
        client = consumer._client  # noqa: SLF001
        found = await epoch_ends(client, epochs, client.cluster.leader_for_partition)
        return {tp: read[tp].offset if end < 0 else min(end, read[tp].offset) for tp, end in found.items()}


def _go(consumer: Any, tp: TopicPartition, offset: int) -> None:
    with suppress(IllegalStateError):  # revoked this moment
        consumer.seek(tp, offset)
