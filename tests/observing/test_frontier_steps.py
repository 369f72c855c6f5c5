"""The frontier step by step, over a cluster in memory. That a real one answers so: test_frontier.py."""

import asyncio

import pytest

from stream_app.clients.waiting import ClusterError
from stream_app.observing import frontier as frontier_module
from stream_app.observing.answers import Committed, End, TopicDescription
from stream_app.observing.frontier import Frontier

EVENTS = ("events", 0)


class Cluster:
    """One source topic of two partitions and an events topic of one: `source` are ends, `read` what ingest committed.

    `leader_epoch` of all partitions; `read_epoch`: under which ingest has read; `epoch_end`: where the leader has the end of that.
    """

    def __init__(self):
        self.source, self.read, self.events, self.topic_id, self.fails = [0, 0], [0, 0], 0, "id", False
        self.leader_epoch, self.read_epoch, self.epoch_end, self.asked = 3, 3, -1, 0
        self.denied = set()

    async def topics(self, names, *, denied_ok):
        assert denied_ok
        if self.fails:
            raise ClusterError("away")
        known = TopicDescription(self.topic_id, len(self.source))
        return {name: TopicDescription("", 0, is_denied=True) if name in self.denied else known for name in names}

    async def ends(self, partitions):
        assert partitions == [EVENTS]
        return {EVENTS: self.events}

    async def leader_ends(self, partitions):
        return {tp: End(self.source[tp[1]], self.leader_epoch) for tp in partitions}

    async def epoch_ends(self, epochs):
        assert set(epochs.values()) == {self.read_epoch}
        self.asked += 1
        return {} if self.epoch_end is None else dict.fromkeys(epochs, self.epoch_end)

    async def committed_with_metadata(self, consumer_group):
        return {("source", n): Committed(offset, f"{self.read_epoch}/{offset}") for n, offset in enumerate(self.read)}


@pytest.fixture
def cluster():
    return Cluster()


@pytest.fixture
def frontier(cluster):
    return Frontier(cluster, ["source"], "ingest", "events", 1)


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ([([0, 0], [0, 0], 0, (1, 0))], "nothing was taken: each sample is reached at once"),
        ([([5, 0], [5, 0], 3, (1, 3))], "all is read"),
        (
            [([5, 0], [4, 0], 3, None), ([5, 0], [5, 0], 4, (2, 4))],
            "one record is not read yet; then the newest sample counts",
        ),
        ([([5, 2], [5, 0], 3, None)], "each partition must be read"),
        (
            [([5, 0], [4, 0], 3, None), ([9, 0], [5, 0], 4, (1, 4))],
            "the first sample is reached while the second is not",
        ),
        ([([5, 0], [9, 0], 3, None)], "more read than there is: the topic was made anew, and as-of is held"),
    ],
)
async def test_a_sample_is_reached_when_ingest_has_read_what_was_taken_before_it(cluster, frontier, steps, why):
    """A step is (ends of the source, read by ingest, end of the events topic, (time, end) of the sample reached)."""
    for time_ms, (cluster.source, cluster.read, cluster.events, expected) in enumerate(steps, start=1):
        sample = await frontier.step(time_ms)
        assert (sample and (sample.time_ms, sample.ends[0])) == expected, why


async def test_an_added_partition_counts_at_once(cluster, frontier):
    cluster.source, cluster.read = [0, 0, 1], [0, 0]
    assert await frontier.step(1) is None
    cluster.read = [0, 0, 1]
    assert (await frontier.step(2)).time_ms == 2


async def test_another_topic_of_the_same_name_holds_as_of(cluster, frontier, caplog):
    assert (await frontier.step(1)).time_ms == 1
    cluster.topic_id = "another"
    assert await frontier.step(2) is None
    assert await frontier.step(3) is None
    assert caplog.text.count("was deleted and made anew") == 1


async def test_a_broker_that_does_not_answer_holds_as_of_and_is_said_once(cluster, frontier, caplog):
    """And as-of moves on when it answers again."""
    reached = []

    def publish(sample):
        reached.append(sample)
        raise KeyboardInterrupt  # the only way out of a loop without end

    answers = iter([True, True, False])
    topics = cluster.topics

    async def topics_once_away(names, *, denied_ok):
        cluster.fails = next(answers)
        return await topics(names, denied_ok=denied_ok)

    cluster.topics = topics_once_away
    with pytest.raises(KeyboardInterrupt):
        await frontier.run(0.001, publish)
    assert len(reached) == 1
    assert caplog.text.count("as-of is held: Kafka does not answer (away)") == 1


async def test_an_optional_source_that_may_not_be_described_is_left_out_and_a_required_one_named(cluster, caplog):
    frontier = Frontier(cluster, ["source", "names"], "ingest", "events", 1, ["names"])
    cluster.source, cluster.read = [5, 0], [4, 0]
    assert await frontier.step(1) is None  # of "names" nothing is read, and the right to see it is taken away then
    cluster.denied, cluster.read = {"names"}, [5, 0]
    assert (await frontier.step(2)).time_ms == 2
    cluster.denied = {"names", "source"}
    for time_ms in (3, 4):
        assert await frontier.step(time_ms) is None
    cluster.denied = {"names"}
    assert (await frontier.step(5)).time_ms == 5
    assert [record.getMessage() for record in caplog.records] == [
        "the right to describe the source topic names is missing: is left out",
        "the right to describe the source topic source is missing: as-of is held",
    ]


async def test_a_sample_is_not_reached_since_a_required_source_may_not_be_described_any_more(cluster, frontier):
    cluster.source, cluster.read = [5, 0], [4, 0]
    assert await frontier.step(1) is None
    cluster.denied = {"source"}
    assert await frontier.step(2) is None
    assert await frontier.check() is None
    cluster.read = [5, 0]
    assert (await frontier.check()).time_ms == 1


async def test_samples_are_rare_while_nothing_is_appended_until_somebody_gets_frames(cluster, frontier, monkeypatch):
    """Each costs the cluster four requests, of every worker."""
    monkeypatch.setattr(frontier_module, "_IDLE_S", 60)
    samples = []
    sampling = asyncio.create_task(frontier.run(0.001, samples.append))
    try:
        async with asyncio.timeout(10):
            while len(samples) < 2:  # noqa: ASYNC110  # the frontier tells nobody
                await asyncio.sleep(0.001)
        await asyncio.sleep(0.1)
        assert len(samples) == 2
        cluster.source, cluster.read, cluster.events = [1, 0], [1, 0], 1
        frontier.wake()
        async with asyncio.timeout(10):
            while len(samples) < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        assert samples[2].ends == {0: 1}
    finally:
        sampling.cancel()


async def test_samples_go_on_while_one_is_not_reached(cluster, frontier, monkeypatch):
    monkeypatch.setattr(frontier_module, "_IDLE_S", 60)
    cluster.source = [5, 0]
    samples = []
    sampling = asyncio.create_task(frontier.run(0.001, samples.append))
    try:
        await asyncio.sleep(0.05)
        cluster.read = [5, 0]
        async with asyncio.timeout(10):
            while not samples:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
    finally:
        sampling.cancel()


async def test_a_sample_is_looked_at_again_long_before_the_next_is_taken(cluster, frontier):
    cluster.source = [5, 0]
    samples = []
    sampling = asyncio.create_task(frontier.run(60, samples.append))
    try:
        await asyncio.sleep(0.05)
        assert not samples
        cluster.read, cluster.events = [5, 0], 4
        async with asyncio.timeout(10):
            while not samples:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        assert samples[0].ends == {0: 4}
    finally:
        sampling.cancel()


@pytest.mark.parametrize(
    ("epoch_end", "reached"),
    [(5, True), (7, True), (-1, True), (4, False), (None, False)],
    ids=["it has all", "and more", "of which nothing is kept", "it lacks the last record", "it does not answer"],
)
async def test_what_was_read_under_an_earlier_leader_counts_if_the_later_one_has_it(
    cluster, frontier, epoch_end, reached
):
    """It is asked once; ingest goes back then, if it must, and commits what it has read of the later one."""
    cluster.source, cluster.read = [5, 0], [5, 0]
    assert (await frontier.step(1)).time_ms == 1
    cluster.leader_epoch, cluster.epoch_end = 4, epoch_end
    for time_ms in (2, 3):
        sample = await frontier.step(time_ms)
        assert (sample and sample.time_ms) == (time_ms if reached else None)
    assert cluster.asked == (1 if reached else 2)
    cluster.read_epoch = 4
    assert (await frontier.step(4)).time_ms == 4


async def test_each_election_is_asked_about(cluster, frontier):
    cluster.source, cluster.read, cluster.epoch_end = [5, 0], [5, 0], 5
    for cluster.leader_epoch, time_ms in ((4, 1), (5, 2)):
        assert (await frontier.step(time_ms)).time_ms == time_ms
    assert cluster.asked == 2
    cluster.leader_epoch, cluster.epoch_end = 6, 3
    assert await frontier.step(3) is None
