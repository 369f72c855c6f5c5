"""Records of a source that were read, acknowledged before, and lost: a consumer goes back to the first of them, and says which they are."""

from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import NotLeaderForPartitionError, TopicAuthorizationFailedError
from aiokafka.structs import OffsetAndMetadata

from stream_app.kafka import read_records
from stream_app.kafka.read_records import ReadRecords
from stream_app.ports.records import Batch

ONE, OTHER = TopicPartition("payments", 0), TopicPartition("payments", 1)


def batch(first: int, end: int, epoch: int) -> Batch:
    count = end - first
    return Batch([None] * count, [b"{}"] * count, list(range(first, end)), [0] * count, end, epoch)


class Leader:
    """A consumer, and the leader that its client asks: `ends` by epoch, as of OffsetForLeaderEpoch; -1: nothing of it is kept."""

    def __init__(self) -> None:
        self.ends: dict[int, int] = {}
        self.code = self.asked = 0
        self.sought: list[tuple[TopicPartition, int]] = []
        self.leader: int | None = 1
        self.cluster = SimpleNamespace(leader_for_partition=lambda _: self.leader)
        self._client = self

    async def send(self, node, request):
        assert node == self.leader
        self.asked += 1
        ((topic, partitions),) = request.prepare({23: (2, 4)}).topics
        found = [(self.code, partition, epoch, self.ends[epoch]) for partition, _, epoch in partitions]
        return SimpleNamespace(topics=[(topic, found)])

    def force_metadata_update(self):
        pass

    def seek(self, tp, offset):
        self.sought.append((tp, offset))


class Reading:
    def __init__(self, metadata: str = "", committed: int = 10) -> None:
        self.leader, self.lost = Leader(), []
        self.records = ReadRecords(lambda *found: self.lost.append(found))
        self.records._check_at = float("inf")
        self.records.begin([ONE], {ONE: OffsetAndMetadata(committed, metadata)})

    async def fetch(self, *batches: Batch) -> list[int]:
        """First offsets of the batches that are handed on."""
        found = await self.records.follow(self.leader, {ONE: list(batches)} if batches else {})
        return [batch.offsets[0] for batch in found.get(ONE, [])]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr(read_records, "_PAUSE_S", 0.0)


async def test_batches_of_one_epoch_are_handed_on_without_asking():
    reading = Reading()
    assert await reading.fetch(batch(10, 12, 3), batch(12, 13, 3)) == [10, 12]
    assert await reading.fetch(batch(13, 15, 3)) == [13]
    assert reading.leader.asked == 0
    assert reading.records.committing(ONE, 15) == OffsetAndMetadata(15, "3/15")


@pytest.mark.parametrize("end", [15, 20, -1])
async def test_another_leader_that_has_all_that_was_read_is_followed(end):
    """Also where a transaction's marker lies between, and where the earlier epoch's records have left retention."""
    reading = Reading("3/15", 16)
    reading.leader.ends = {3: end}
    assert await reading.fetch(batch(16, 18, 4)) == [16]
    assert reading.leader.asked == 1
    assert not reading.lost
    assert reading.records.committing(ONE, 18) == OffsetAndMetadata(18, "4/18")


async def test_records_in_the_place_of_lost_ones_are_read_from_the_first_on():
    """No later offset is committed meanwhile, whatever is still acknowledged of what is gone."""
    reading = Reading("3/15", 15)
    reading.leader.ends = {3: 12}
    assert await reading.fetch(batch(15, 18, 4)) == []
    assert reading.lost == [(ONE, 12, 15)]
    assert reading.leader.sought == [(ONE, 12)]
    assert reading.records.back == {ONE: 12}
    assert reading.records.committing(ONE, 15) == OffsetAndMetadata(12, "3/12")
    assert await reading.fetch(batch(12, 18, 4)) == [12]
    assert reading.records.back == {}
    assert reading.records.committing(ONE, 18) == OffsetAndMetadata(18, "4/18")
    assert len(reading.lost) == 1


async def test_lost_records_whose_places_are_just_filled_are_noticed_without_a_record_to_fetch():
    reading = Reading("3/15", 15)
    reading.records.begin([ONE, OTHER], {tp: OffsetAndMetadata(n, f"3/{n}") for tp, n in ((ONE, 15), (OTHER, 11))})
    reading.leader.ends = {3: 12}
    await reading.fetch()
    assert not reading.lost
    reading.records._check_at = 0.0
    await reading.fetch()
    assert reading.lost == [(ONE, 12, 15)]
    assert reading.leader.sought == [(ONE, 0)]  # all of it: the topic may have been deleted and made anew
    assert reading.records.committing(ONE, 15).offset == 0
    await reading.fetch()
    assert reading.leader.asked == 1  # of all partitions at once, and not with each fetch


async def test_a_consumer_that_begins_anew_says_what_is_gone_and_hands_on_what_it_reads():
    """The partition ended before what was read, so the consumer was reset to its beginning."""
    reading = Reading("3/15", 15)
    reading.leader.ends = {3: 12}
    assert await reading.fetch(batch(0, 12, 3)) == [0]
    assert reading.lost == [(ONE, 12, 15)]
    assert reading.leader.sought == []


@pytest.mark.parametrize("leader", [1, None])
async def test_a_leader_that_does_not_answer_is_asked_again_with_the_same_batches(leader):
    """Nothing is handed on before it is known what they follow."""
    reading = Reading("3/15", 15)
    reading.leader.ends, reading.leader.leader, reading.leader.code = {3: 15}, leader, NotLeaderForPartitionError.errno
    assert await reading.fetch(batch(16, 18, 4)) == []
    assert reading.leader.sought == [(ONE, 16)]
    assert not reading.lost
    reading.leader.leader, reading.leader.code = 2, 0
    assert await reading.fetch(batch(16, 18, 4)) == [16]


async def test_a_right_that_is_missing_does_not_pass():
    reading = Reading("3/15", 15)
    reading.leader.ends, reading.leader.code = {3: 15}, TopicAuthorizationFailedError.errno
    with pytest.raises(TopicAuthorizationFailedError):
        await reading.fetch(batch(15, 18, 4))


async def test_what_was_asked_before_a_seek_moves_nothing_after_it():
    reading = Reading("3/15", 15)
    reading.leader.ends = {3: 12}
    send = reading.leader.send

    async def seek_meanwhile(node, request):
        reading.records.begin([ONE], {ONE: OffsetAndMetadata(9, "3/9")})
        return await send(node, request)

    reading.leader.send = seek_meanwhile
    assert await reading.fetch(batch(15, 18, 4)) == []
    assert reading.leader.sought == []
    assert not reading.lost
    assert reading.records.committing(ONE, 9) == OffsetAndMetadata(9, "3/9")
