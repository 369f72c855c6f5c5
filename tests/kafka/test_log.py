"""Transactions and appends on a real broker."""

import asyncio
import gc
import logging
from random import Random

import cramjam
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.producer import producer as aiokafka_producer
from aiokafka.producer.message_accumulator import BatchBuilder
from confluent_kafka.admin import AdminClient, NewTopic

from stream_app.access.kafka import KafkaAccess
from stream_app.clients import client as client_module
from stream_app.kafka import log as log_module
from stream_app.kafka.log import Appender, TransactionLog
from stream_app.ports.kafka import Fenced
from tests.support.kafka import flush
from tests.support.waiting import SECONDS_MAX, until

_BATCH_HEADER = 61  # bytes of a batch of records before what is compressed


@pytest.fixture
async def appender(kafka):
    made = Appender(KafkaAccess(kafka))
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def new_log(kafka, caplog):
    """Makes logs of one transactional id, not opened yet."""
    made: list[TransactionLog] = []

    def make(topic: str, changelog: str) -> TransactionLog:
        made.append(TransactionLog(KafkaAccess(kafka), f"id-{topic}", f"group-{topic}", (topic, 0), (changelog, 0)))
        return made[-1]

    yield make
    for log in made:
        await log.close()
    # aiokafka leaves futures of its own behind when it is fenced, and nobody looks at them; asyncio shall say so now,
    # to nobody, rather than in the middle of something else.
    caplog.set_level(logging.CRITICAL, "asyncio")
    del log
    made.clear()
    gc.collect()


def test_batches_are_compressed_at_the_level_that_is_set():
    """Whichever of aiokafka's builders makes them, the one in C here."""
    builder = BatchBuilder(1 << 20, AIOKafkaProducer._COMPRESSORS["zstd"][1])
    for number in range(1000):
        builder.append(timestamp=1, key=b"key %d" % number, value=b"value %d" % (number * number), headers=[])
    packed = bytes(builder._build())[_BATCH_HEADER:]
    records = cramjam.zstd.decompress(packed)
    by_level = {level: bytes(cramjam.zstd.compress(records, level=level)) for level in (1, 2, 3)}
    assert len(set(by_level.values())) == len(by_level)
    assert packed == by_level[log_module._LEVEL]


# -- Appender


async def test_concurrent_appends_go_together_and_each_callers_records_stay_in_order(appender, new_topic, read):
    """Of 200 callers the first goes at once, and all that waited meanwhile in a few appends."""
    topic = new_topic(2, message_timestamp_type="LogAppendTime")
    await appender.append({(topic, 0): [(None, b"first", [])]})  # connected
    answers = await asyncio.gather(
        *(appender.append({(topic, n % 2): [(b"%d" % n, b"%d" % i, []) for i in range(5)]}) for n in range(200))
    )
    found = [read(topic, partition) for partition in (0, 1)]
    assert len(found[0]) + len(found[1]) == 1001
    for n in range(200):
        assert [m.value for m in found[n % 2] if m.key == b"%d" % n] == [b"0", b"1", b"2", b"3", b"4"]
    # Log append time is one of a whole batch: so many batches there were at most.
    assert len({m.timestamp_ms for m in found[0]}) < 20
    stamps = {m.timestamp_ms for some in found for m in some}
    assert set(answers) <= stamps


async def test_what_is_asked_for_right_after_an_append_goes_together(appender, new_topic, monkeypatch):
    """Each append is a batch of each partition, and a fetch for who reads it."""
    topic, sent = new_topic(), []
    send = log_module._send

    async def counting(producer, records):
        sent.append(len(records[topic, 0]))
        return await send(producer, records)

    monkeypatch.setattr(log_module, "_send", counting)
    monkeypatch.setattr(log_module, "_GAP_S", 0.5)
    for count in (1, 10):
        await asyncio.gather(*(appender.append({(topic, 0): [(None, b"v", [])]}) for _ in range(count)))
    first = asyncio.create_task(appender.append({(topic, 0): [(None, b"v", [])]}))
    await asyncio.sleep(0.05)
    await appender.append({(topic, 0): [(None, b"v", [])]})
    await first
    assert sent == [1, 10, 2]


async def test_headers_null_values_and_null_keys_arrive_as_they_are(appender, new_topic, read):
    """A null value is no empty one."""
    topic = new_topic()
    records = [(b"k", None, []), (None, b"", [("a", b"1"), ("a", b""), ("大", b"2")]), (b"", b"v", [])]
    await appender.append({(topic, 0): records})
    assert [(m.key, m.value, list(m.headers)) for m in read(topic)] == records


async def test_each_caller_hears_of_a_failure_and_the_next_append_succeeds(appender, new_topic, read):
    """What the broker refuses fails all that went with it: none of them may count on Kafka having it."""
    topic, small = new_topic(), new_topic(max_message_bytes="1000")
    large = Random(1).randbytes(50_000)  # too large for the topic, even packed
    answers = await asyncio.gather(
        appender.append({(topic, 0): [(None, b"first", [])]}),
        appender.append({(small, 0): [(None, large, [])]}),
        appender.append({(topic, 0): [(None, b"second", [])]}),
        appender.append({(topic, 0): [(None, b"third", [])]}),
        return_exceptions=True,
    )
    assert [isinstance(answer, KafkaError) for answer in answers] == [True] * 4
    for n in range(3):
        await appender.append({(topic, 0): [(None, b"after %d" % n, [])], (small, 0): [(None, b"small", [])]})
    assert [m.value for m in read(topic)][-3:] == [b"after 0", b"after 1", b"after 2"]
    assert [m.value for m in read(small)] == [b"small"] * 3


async def test_a_caller_that_gave_up_takes_nobody_with_it(appender, new_topic, read):
    """Its records may be there or not; the others' are."""
    topic = new_topic()
    tasks = [asyncio.create_task(appender.append({(topic, 0): [(None, b"%d" % n, [])]})) for n in range(4)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    tasks[2].cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(answer, asyncio.CancelledError) for answer in found] == [True, False, True, False]
    assert {b"1", b"3"} <= {m.value for m in read(topic)}


async def test_an_append_of_nothing_returns(appender, new_topic):
    """No topics, and a topic without records."""
    assert await appender.append({}) is None
    assert await asyncio.wait_for(appender.append({(new_topic(), 0): []}), 60) is None


# -- TransactionLog


async def until_committed(observer, source, offset):
    """Until the group of a source topic stands at an offset: the coordinator is told right after a transaction's end."""

    async def is_committed():
        return await observer.committed(f"group-{source}") == {(source, 0): offset}

    await until(f"{offset} is committed", is_committed)


async def test_a_commit_gives_the_position_behind_its_rows(new_log, new_topic, read, kafka, observe):
    """Over several batches, and control records of the transactions before; the group's offset is in the transaction."""
    source, changelog, results = new_topic(), new_topic(), new_topic(2)
    log = new_log(source, changelog)
    await log.open()
    noise = [Random(n).randbytes(1000) for n in range(3000)]  # several batches of 900 kB
    position = 0
    for count, offset in ((1, 10), (3000, 20), (2, 30)):
        rows = {b"k%d" % n: noise[n] for n in range(count)}
        position = await log.commit(rows, {(results, 1): [(b"r", b"%d" % offset, [("h", b"1")])]}, offset)
        found = read(changelog)
        assert position == found[-1].offset + 1
        assert {m.key: m.value for m in found[-count:]} == rows
    assert len(found) == 3003
    assert [m.value for m in read(results, 1)] == [b"10", b"20", b"30"]
    await until_committed(observe(kafka), source, 30)


async def test_a_deleted_row_is_a_tombstone(new_log, new_topic, read):
    """An empty value says deletion in overlays, and null in the changelog, which compacts it away."""
    source, changelog = new_topic(), new_topic()
    log = new_log(source, changelog)
    await log.open()
    assert await log.commit({b"a": b"1", b"b": b"", b"c": None}, {}, 1) == 3
    assert [(m.key, m.value) for m in read(changelog)] == [(b"a", b"1"), (b"b", None), (b"c", None)]


@pytest.mark.parametrize("_again", range(4))  # which record hears of it is a matter of luck
async def test_an_earlier_owner_is_fenced_and_nothing_of_it_becomes_visible(
    new_log, new_topic, read, kafka, observe, _again
):
    """However often it tries; the later owner goes on."""
    source, changelog, results, more = new_topic(), new_topic(), new_topic(), new_topic()
    zombie, owner = new_log(source, changelog), new_log(source, changelog)
    await zombie.open()
    await zombie.commit({b"k": b"zombie's first"}, {}, 1)
    await owner.open()
    with pytest.raises(Fenced):
        # It may hear of it while it sends to the third topic, where aiokafka only says that no transaction is open.
        await zombie.commit({b"k": b"z"}, {(results, 0): [(b"r", b"z", [])], (more, 0): [(b"r", b"z", [])]}, 99)
    position = await owner.commit({b"k": b"owner's"}, {(results, 0): [(b"r", b"owner's", [])]}, 2)
    found = read(changelog)
    assert [m.value for m in found] == [b"zombie's first", b"owner's"]
    assert position == found[-1].offset + 1
    assert [m.value for m in read(results)] == [b"owner's"]
    assert read(more) == []
    await until_committed(observe(kafka), source, 2)


async def test_opening_ends_what_an_earlier_owner_had_open(new_log, new_topic, producer, read):
    """A killed owner leaves a transaction at the tail: it is aborted at once, not after its timeout."""
    source, changelog = new_topic(), new_topic()
    killed = producer(transactional_id=f"id-{source}", transaction_timeout_ms=300_000)
    killed.begin_transaction()
    killed.produce(changelog, b"half a tick", b"k")
    flush(killed)
    log = new_log(source, changelog)
    await log.open()
    position = await log.commit({b"k": b"whole"}, {}, 1)
    found = read(changelog)
    assert [m.value for m in found] == [b"whole"]
    assert position == found[-1].offset + 1 == 3  # behind the aborted record and its control record


async def test_a_refused_transaction_leaves_nothing_visible(new_log, new_topic, read):
    """The results of one topic are too large: rows and the other results are aborted with them."""
    source, changelog, small = new_topic(), new_topic(), new_topic(max_message_bytes="1000")
    log = new_log(source, changelog)
    await log.open()
    large = Random(1).randbytes(50_000)
    with pytest.raises(KafkaError):
        await log.commit({b"k": b"v"}, {(small, 0): [(b"r", large, [])]}, 1)
    again = new_log(source, changelog)  # as the recovery of the partition does
    await again.open()
    await again.commit({b"k": b"again"}, {}, 1)
    assert [m.value for m in read(changelog)] == [b"again"]
    assert read(small) == []


@pytest.mark.parametrize("gives_up_s", [0.2, 2.0])
async def test_a_producer_that_is_given_up_leaves_no_task_behind(own_kafka, monkeypatch, gives_up_s):
    """A commit is given up in the middle of its records, while the broker is waited for, or once it was found to stand still; the log is closed."""
    monkeypatch.setattr(aiokafka_producer, "AIOKafkaClient", client_module.Client)
    monkeypatch.setattr(client_module, "CONNECT_S", 0.3)
    monkeypatch.setattr(client_module, "_ANSWER_S", 0.3)
    monkeypatch.setattr(log_module, "_CLOSE_S", 0.3)
    admin = AdminClient({"bootstrap.servers": own_kafka.address})
    for made in admin.create_topics([NewTopic("source", 1, 1), NewTopic("changelog", 1, 1)]).values():
        made.result(SECONDS_MAX)
    before = asyncio.all_tasks()
    log = TransactionLog(KafkaAccess(own_kafka.address), "id", "group", ("source", 0), ("changelog", 0))
    await log.open()
    await log.commit({b"k": b"v"}, {}, 1)
    with own_kafka.frozen():
        commit = asyncio.create_task(log.commit({b"k": b"v"}, {("nobody", 0): [(b"k", b"v", [])]}, 2))
        await asyncio.sleep(gives_up_s)
        commit.cancel()
        await asyncio.wait({commit})
        await log.close()
        await until("all of its tasks have ended", lambda: asyncio.all_tasks() <= before, 30)
