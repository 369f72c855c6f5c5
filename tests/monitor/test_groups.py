"""Lag and status of groups on a real broker: each hard case, with times read from the log and with times found by bisecting."""

import asyncio
import os
import signal
import subprocess
import sys
import time

import pytest
from confluent_kafka import KafkaException, ShareConsumer, TopicPartition

from config.settings import Settings
from stream_app.health.status import Limits, Reason, Status
from tests.monitor.conftest import LIMITS, Eyes
from tests.support.kafka import flush
from tests.support.waiting import SECONDS_MAX, until

HOUR_MS = 3_600_000
BOTH = pytest.mark.parametrize("timestamps", ["log", "bisect"])


def now_ms():
    return int(time.time() * 1000)


def send(producer, topic, timestamps_ms, partition=0, key=None):
    """Plain records of these times."""
    sender = producer()
    for n, at_ms in enumerate(timestamps_ms):
        sender.produce(topic, b"%d" % n, key=key, partition=partition, timestamp=at_ms)
    flush(sender)


def assert_near(seconds, true_ms):
    """The promise of what the last look said: at most 1 s or 2 % off."""
    true = (Eyes.looked_ms - true_ms) / 1000
    assert abs(seconds - true) <= max(1, 0.02 * true), f"{seconds} s, in truth {true} s"


def is_(status, reason, group):
    return lambda rows: group in rows and (rows[group].status, rows[group].reason) == (status, reason)


@BOTH
async def test_read_to_the_end_on_an_idle_topic(eyes, group, new_topic, producer, commit, timestamps):
    topic = new_topic(2)
    send(producer, topic, [now_ms() - HOUR_MS] * 5)
    commit(group, topic, 5)
    found = await eyes(group, timestamps=timestamps).look()
    row = found[group]
    assert (row.status, row.lag_records, row.lag_seconds, row.catch_up_seconds) == (Status.OK, 0, 0, 0)


@BOTH
@pytest.mark.parametrize("age_s", [2, 30, 600, 3 * 3600, 5 * 86400])
async def test_seconds_of_lag_are_the_age_of_the_first_unread_record(
    eyes, group, new_topic, producer, commit, timestamps, age_s
):
    """A consumer that is stalled for so long; records came before, and went on coming."""
    topic, true_ms = new_topic(), now_ms() - age_s * 1000
    step = max(1, age_s * 1000 // 400)
    send(producer, topic, [true_ms + step * n for n in range(-200, 400)])
    commit(group, topic, 200)
    row = await eyes(group, timestamps=timestamps).partition(group)
    assert row.lag_records == 400
    assert_near(row.lag_seconds, true_ms)


@BOTH
async def test_a_consumer_that_goes_on_is_followed(eyes, group, new_topic, producer, commit, timestamps):
    """Each look finds the time of another record, and begins where the last one ended."""
    topic, began_ms = new_topic(), now_ms() - 1_000_000
    send(producer, topic, [began_ms + 1000 * n for n in range(1000)])
    looking = eyes(group, timestamps=timestamps)
    for offset in (0, 1, 500, 501, 900, 999):
        commit(group, topic, offset)
        row = await looking.partition(group)
        assert_near(row.lag_seconds, began_ms + 1000 * offset)
    commit(group, topic, 1000)
    assert (await looking.partition(group)).lag_seconds == 0


@BOTH
async def test_records_of_one_batch_and_one_moment(eyes, group, new_topic, producer, commit, timestamps):
    """A batch is one thing to the broker; a record in its middle has its own time, and may share it with its neighbours."""
    topic, at_ms = new_topic(), now_ms() - HOUR_MS
    send(producer, topic, [at_ms] * 50 + [at_ms + HOUR_MS // 2] * 50)
    looking = eyes(group, timestamps=timestamps)
    for offset, true_ms in ((0, at_ms), (20, at_ms), (50, at_ms + HOUR_MS // 2), (99, at_ms + HOUR_MS // 2)):
        commit(group, topic, offset)
        assert_near((await looking.partition(group)).lag_seconds, true_ms)


@BOTH
async def test_an_open_transaction_at_the_tail_is_no_lag(eyes, group, new_topic, producer, commit, timestamps):
    """Nobody can read it. When it is committed it counts, from the time of its first record."""
    topic = new_topic()
    send(producer, topic, [now_ms() - HOUR_MS] * 3)
    commit(group, topic, 3)
    open_ = producer(transactional_id=group)
    open_.begin_transaction()
    began_ms = now_ms() - 60_000
    for n in range(4):
        open_.produce(topic, b"%d" % n, timestamp=began_ms)
    flush(open_)
    looking = eyes(group, timestamps=timestamps)
    row = await looking.partition(group)
    assert (row.lag_records, row.lag_seconds, row.open_records) == (0, 0, 4)
    open_.commit_transaction(20)
    await until("it is committed", lambda: _is(looking, group, lambda row: row.open_records == 0))
    row = await looking.partition(group)
    assert row.lag_records == 5  # and its control record
    assert_near(row.lag_seconds, began_ms)


async def _is(looking, group, condition):
    return condition(await looking.partition(group))


async def test_a_group_that_reads_inside_an_open_transaction_reads_uncommitted(
    eyes, group, new_topic, producer, commit
):
    topic = new_topic()
    open_ = producer(transactional_id=group)
    open_.begin_transaction()
    began_ms = now_ms() - 60_000
    for n in range(4):
        open_.produce(topic, b"%d" % n, timestamp=began_ms + n * 1000)
    flush(open_)
    commit(group, topic, 2)
    for timestamps in ("log", "bisect"):
        row = await eyes(group, timestamps=timestamps).partition(group)
        assert row.lag_records == 2
        assert_near(row.lag_seconds, began_ms + 2000)
    open_.abort_transaction(20)


async def test_control_and_aborted_records_at_the_tail_are_nothing_to_read(eyes, group, new_topic, producer, member):
    """librdkafka commits behind the last record it got, so it rests before the control record for ever."""
    topic = new_topic()
    sender = producer(transactional_id=group)
    for commits in (True, False):
        sender.begin_transaction()
        sender.produce(topic, b"x")
        flush(sender)
        if commits:
            sender.commit_transaction(20)
        else:
            sender.abort_transaction(20)
    reader = member(group, topic)
    await until("it is read", lambda: reader.poll(0.1))
    reader.commit(asynchronous=False)
    looking = eyes(group)
    row = await looking.partition(group)
    assert (row.committed, row.end) == (1, 4)
    assert (row.status, row.reason, row.lag_records, row.lag_seconds) == (Status.OK, Reason.IDLE, 0, 0)
    await asyncio.sleep(LONGER_THAN_STALL_S)
    assert (await looking.partition(group)).status == Status.OK
    by_offsets = await eyes(group, timestamps="bisect").partition(group)
    assert by_offsets.lag_records == 3, "ListOffsets can't tell control records from others: said in the docs"


LONGER_THAN_STALL_S = 3.5


async def test_a_gap_of_compaction_is_stepped_over(eyes, group, new_topic, producer, commit, admin):
    """The committed offset is one that compaction took away; the first unread record lies far behind it."""
    topic = new_topic(
        cleanup_policy="compact",
        min_cleanable_dirty_ratio="0.01",
        max_compaction_lag_ms="100",
        segment_ms="100",
        delete_retention_ms="100",
    )
    first_ms, last_ms = now_ms() - 4 * HOUR_MS, now_ms() - HOUR_MS
    send(producer, topic, [first_ms] * 50, key=b"same")
    send(producer, topic, [last_ms] * 50, key=b"same")
    commit(group, topic, 20)
    looking = {timestamps: eyes(group, timestamps=timestamps) for timestamps in ("log", "bisect")}
    deadline = time.monotonic() + 90
    while True:  # until the cleaner has been there, which rests for 15 s
        send(producer, topic, [now_ms()], key=b"other")  # closes a segment
        row = await looking["log"].partition(group)
        if row.lag_seconds < 2 * 3600:
            break
        looking["log"] = eyes(group)  # what is known of an offset is not asked for again
        assert time.monotonic() < deadline, "the cleaner never came"
        await asyncio.sleep(1)
    for timestamps in looking:
        row = await eyes(group, timestamps=timestamps).partition(group)
        assert row.lag_records >= 80, "offsets, which are more than there are records"
        assert_near(row.lag_seconds, last_ms)


@BOTH
async def test_a_topic_made_anew_is_another_one(eyes, group, new_topic, producer, commit, admin, timestamps):
    """What was committed in the old one counts for nothing: all of the new one is unread, until it commits there."""
    topic = new_topic()
    send(producer, topic, [now_ms() - HOUR_MS] * 50)
    commit(group, topic, 40)
    looking = eyes(group, timestamps=timestamps)
    assert (await looking.partition(group)).lag_records == 10
    admin.delete_topics([topic])[topic].result(SECONDS_MAX)
    await until("it is gone", lambda: topic not in admin.list_topics(timeout=10).topics)
    new_topic(name=topic)
    true_ms = now_ms() - 60_000
    send(producer, topic, [true_ms] * 45)
    commit(group, topic, 40)  # a consumer that has not noticed
    row = await looking.partition(group)
    assert (row.status, row.reason, row.lag_records, row.committed) == (Status.ERR, Reason.RECREATED, 45, None)
    assert_near(row.lag_seconds, true_ms)
    commit(group, topic, 45)
    row = await looking.partition(group)
    assert (row.status, row.lag_records) == (Status.OK, 0)


async def test_a_topic_made_anew_before_anybody_looked_shows_by_its_end(eyes, group, new_topic, producer, commit):
    topic = new_topic()
    send(producer, topic, [now_ms()] * 10)
    commit(group, topic, 5000)
    row = await eyes(group).partition(group)
    assert (row.status, row.reason, row.lag_records) == (Status.ERR, Reason.RECREATED, 10)


@pytest.mark.parametrize(
    ("records", "position", "looked"),
    [(10, 40, False), (50, 40, False), (50, 43, False), (50, 40, True)],
    ids=["shorter", "longer", "longer, and it had read on", "it was seen to be gone"],
)
async def test_a_position_of_the_old_topic_stays_one_however_long_the_new_one_grows(
    eyes, group, new_topic, producer, member, admin, records, position, looked
):
    """Kafka took the offset back with the topic, and a consumer that has not noticed commits it again and again."""
    topic = new_topic()
    send(producer, topic, [now_ms() - HOUR_MS] * 40)
    reader = member(group, topic)

    def committed(offset):
        try:
            reader.commit(offsets=[TopicPartition(topic, 0, offset)], asynchronous=False)
        except KafkaException:  # until the client knows the new topic
            return False
        return True

    assert committed(40)
    looking = eyes(group)
    await looking.look()
    admin.delete_topics([topic])[topic].result(SECONDS_MAX)
    await until("it is gone", lambda: topic not in admin.list_topics(timeout=10).topics)
    if looked:
        assert not (await looking.look())[group].partitions
    new_topic(name=topic)
    true_ms = now_ms() - 60_000
    send(producer, topic, [true_ms] * records)
    await looking.look()
    for more in (0, 100):
        send(producer, topic, [now_ms()] * more)
        await until("it is taken", lambda: committed(position))
        row = await looking.partition(group)
        assert (row.status, row.reason, row.lag_records) == (Status.ERR, Reason.RECREATED, records + more)
        assert_near(row.lag_seconds, true_ms)
    assert committed(position + 1)
    assert (await looking.partition(group)).lag_records == records + 100 - position - 1


async def test_records_that_were_deleted_unread(eyes, group, new_topic, producer, commit, admin):
    topic = new_topic()
    true_ms = now_ms() - 30_000
    send(producer, topic, [true_ms - 30_000] * 10 + [true_ms] * 10)
    commit(group, topic, 5)
    for future in admin.delete_records([TopicPartition(topic, 0, 10)]).values():
        future.result(SECONDS_MAX)
    row = await eyes(group).partition(group)
    assert (row.status, row.reason, row.lag_records) == (Status.ERR, Reason.LOST, 10)
    assert_near(row.lag_seconds, true_ms)


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
async def test_a_member_that_never_commits(eyes, group, new_topic, producer, member, protocol):
    """All that is kept is unread, as far as Kafka knows; in both protocols."""
    topic = new_topic()
    true_ms = now_ms() - 60_000
    send(producer, topic, [true_ms] * 7)
    member(group, topic, group_protocol=protocol)
    looking = eyes(group)
    row = (await looking.look())[group]
    assert (row.status, row.reason) == (Status.WARN, Reason.STARTING)
    assert (row.lag_records, row.members, row.kind) == (7, 1, protocol)
    assert_near(row.lag_seconds, true_ms)
    found = await looking.until("it has had its time", is_(Status.ERR, Reason.NEVER_COMMITTED, group))
    assert found[group].partitions[0].status == Status.STOP


async def test_a_group_of_the_new_protocol(eyes, group, new_topic, producer, member):
    """KIP-848: members, lag, and that it is gone when it leaves."""
    topic = new_topic(3)
    reader = member(group, topic, group_protocol="consumer")
    true_ms = now_ms() - 90_000
    send(producer, topic, [true_ms] * 5, partition=1)
    await until("one is read", lambda: reader.poll(0.1))
    reader.commit(offsets=[TopicPartition(topic, 1, 2)], asynchronous=False)
    looking = eyes(group)
    row = (await looking.look())[group]
    assert (row.kind, row.members, row.unassigned, row.lag_records, len(row.partitions)) == ("consumer", 1, 0, 3, 3)
    assert_near(row.lag_seconds, true_ms)
    reader.commit(offsets=[TopicPartition(topic, 1, 5)], asynchronous=False)
    assert (await looking.look())[group].status == Status.OK
    reader.close()
    found = await looking.until("it is seen to be gone", is_(Status.ERR, Reason.NO_MEMBERS, group))
    assert found[group].lag_records == 0


async def test_a_share_group_is_listed_and_never_said_to_have_no_lag(eyes, group, kafka, new_topic):
    topic = new_topic()
    sharer = ShareConsumer({"bootstrap.servers": kafka, "group.id": group})
    sharer.subscribe([topic])
    looking = eyes(group)
    try:
        await until("it is there", lambda: _there(sharer, looking, group))
        row = (await looking.look())[group]
        assert (row.status, row.reason, row.kind) == (Status.UNSUPPORTED, Reason.SHARE_GROUP, "share")
        assert row.lag_records is row.lag_seconds is None
    finally:
        sharer.close()


async def _there(sharer, looking, group):
    await asyncio.to_thread(sharer.poll, 0.1)
    return group in await looking.look()


MEMBER = """
import sys, time
from confluent_kafka import Consumer
servers, group, topic, session_ms = sys.argv[1:]
consumer = Consumer({"bootstrap.servers": servers, "group.id": group, "auto.offset.reset": "earliest",
                     "session.timeout.ms": session_ms, "heartbeat.interval.ms": 1000})
consumer.subscribe([topic])
while True:
    if consumer.poll(0.2) is not None:
        consumer.commit(asynchronous=False)
        print("read", flush=True)
"""


start = subprocess.Popen  # which does not wait for anything


async def test_a_consumer_that_dies_after_it_read_all_is_seen_within_10_s(eyes, group, kafka, new_topic, producer):
    """kill -9: no goodbye, no lag, and nothing comes that could make one. With the session that our workers have by default."""
    topic, settings = new_topic(), Settings()
    send(producer, topic, [now_ms()])
    session = str(settings.session_timeout_ms)
    process = start([sys.executable, "-c", MEMBER, kafka, group, topic, session], stdout=subprocess.PIPE)
    try:
        assert await asyncio.to_thread(process.stdout.readline) == b"read\n"
        looking = eyes(group, limits=Limits())
        await looking.until("all is well", is_(Status.OK, Reason.IDLE, group))
        os.kill(process.pid, signal.SIGKILL)
        died = time.monotonic()
        found = await looking.until(
            "it is missed", is_(Status.ERR, Reason.NO_MEMBERS, group), 15, every=settings.monitor_interval_ms / 1000
        )
        assert time.monotonic() - died <= 10
        assert found[group].lag_records == 0
    finally:
        process.kill()
        process.communicate()


async def test_a_stalled_member_a_rewound_one_and_one_that_stopped_without_ever_joining(
    eyes, group, new_topic, producer, member, commit
):
    topic = new_topic()
    send(producer, topic, [now_ms() - 60_000] * 20)
    reader = member(group, topic)
    reader.commit(offsets=[TopicPartition(topic, 0, 10)], asynchronous=False)
    simple = f"{group}-simple"
    commit(simple, topic, 10)
    looking = eyes(group, simple)
    await looking.look()
    found = await looking.until("it is stalled", is_(Status.ERR, Reason.STALLED, group))
    assert found[group].partitions[0].status == Status.STALL
    await looking.until("the other does not go on", is_(Status.ERR, Reason.NO_MEMBERS, simple))
    reader.commit(offsets=[TopicPartition(topic, 0, 4)], asynchronous=False)
    found = await looking.look()
    assert (found[group].partitions[0].status, found[group].lag_records) == (Status.REWIND, 16)


async def test_ours_are_missed_when_they_are_not_there_and_read_all_partitions(
    eyes, group, new_topic, producer, member, admin
):
    topic, other = new_topic(2), new_topic(1)
    looking = eyes(ours={group: [topic, other, "not-made-yet"]})
    row = (await looking.look())[group]
    assert (row.status, row.reason, row.lag_records) == (Status.NOTFOUND, Reason.NOT_THERE, None)
    send(producer, other, [now_ms()] * 3)
    member(group, topic)
    found = await looking.until("nobody reads the other", is_(Status.ERR, Reason.UNASSIGNED, group))
    row = found[group]
    assert (len(row.partitions), row.unassigned, row.lag_records) == (3, 1, 3)


async def test_what_is_beyond_the_limit_is_counted_and_ours_come_first(eyes, group, new_topic, producer, commit):
    topic, big = new_topic(2), new_topic(9)
    others = [f"{group}-{n}" for n in range(3)]
    for name in others:
        for partition in range(9):
            commit(name, big, 0, partition)
    looking = eyes(f"{group}-.*", ours={f"{group}-ours": [topic]}, partitions_max=20)
    look = await looking.looker.look(now_ms())
    assert set(look.concerned) == {f"{group}-ours", *others[:2]}
    assert look.left_out == 9


async def test_rebalances_are_counted(eyes, group, new_topic, member):
    topic = new_topic(4)
    first = member(group, topic)
    looking = eyes(group)
    await looking.until("it is settled", lambda rows: rows[group].members == 1 and rows[group].unassigned == 0)
    before = (await looking.look())[group].rebalances

    def poll_both():
        first.poll(0.05)
        second.poll(0.05)

    second = None
    joined = asyncio.create_task(asyncio.to_thread(member, group, topic))
    while not joined.done():
        first.poll(0.05)
        await asyncio.sleep(0)
    second = joined.result()
    await until("both read", lambda: poll_both() or (first.assignment() and second.assignment()))
    found = await looking.until("two are there", lambda rows: rows[group].members == 2 and rows[group].unassigned == 0)
    assert found[group].rebalances > before


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
async def test_a_group_is_judged_by_what_it_subscribes_to_now(
    eyes, group, new_topic, producer, commit, member, protocol
):
    """Offsets of a topic that it left stay for a week: nobody owns its partitions, and nobody should."""
    topic, left = new_topic(2), new_topic(2)
    for partition in range(2):
        commit(group, left, 0, partition)
    send(producer, left, [now_ms() - HOUR_MS] * 5)
    reader = member(group, topic, group_protocol=protocol)
    reader.commit(offsets=[TopicPartition(topic, 0, 0)], asynchronous=False)
    looking = eyes(group)
    found = await looking.until("it is settled", lambda rows: rows[group].members == 1 and rows[group].unassigned == 0)
    assert {row.topic for row in found[group].partitions} == {topic}
    await asyncio.sleep(LIMITS.unassigned_ms / 1000)
    row = (await looking.look())[group]
    assert (row.status, row.unassigned, row.lag_records) == (Status.OK, 0, 0)


async def test_a_topic_that_is_subscribed_to_and_owned_by_nobody_is_missed(
    eyes, group, new_topic, producer, commit, member
):
    """As by an assignor of one's own: the member subscribes to both topics, and gives itself the partitions of one."""
    topic, other = new_topic(1), new_topic(1)
    commit(group, other, 0)
    send(producer, other, [now_ms()])
    reader = member(group, topic)
    looking = eyes(group)
    await looking.until("it is settled", lambda rows: rows[group].members == 1)
    subscription = looking.observer.subscription
    assert await subscription(group) == {topic}

    async def both(name):
        return await subscription(name) | {other}

    looking.observer.subscription = both
    found = await looking.until("nobody reads the other", is_(Status.ERR, Reason.UNASSIGNED, group))
    assert found[group].unassigned == 1
    reader.close()
