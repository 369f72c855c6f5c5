"""A follower on a real broker: the newest records first, then each new one."""

import pytest
from confluent_kafka import Consumer

from stream_app.access.kafka import KafkaAccess
from stream_app.clients.waiting import ClusterError
from stream_app.observing import follow
from stream_app.observing.follow import Follower
from tests.support.kafka import flush
from tests.support.waiting import answer, until


def send(producer, topic, values, partition=0):
    sender = producer()
    for value in values:
        sender.produce(topic, value, key=b"k", partition=partition, headers=[("h", b"1")], timestamp=1000)
    flush(sender)


async def collected(follower, count):
    """The next `count` records."""
    found = []

    async def enough():
        found.extend(await answer(follower.drain))
        return len(found) >= count

    await until(f"{count} records are there", enough)
    return found


async def test_it_begins_near_the_end_and_goes_on(kafka, new_topic, producer):
    """Of ten records the last three, which are not new; then what comes, which is."""
    topic = new_topic()
    send(producer, topic, [b"%d" % n for n in range(10)])
    follower = Follower(KafkaAccess(kafka), topic, tail=3)
    assert [(r.value, r.is_new) for r in await collected(follower, 3)] == [(b"7", False), (b"8", False), (b"9", False)]
    send(producer, topic, [b"10"])
    (record,) = await collected(follower, 1)
    assert record == (b"k", b"10", [("h", b"1")], 1000, True)
    assert await follower.drain() == []


async def test_each_partition_has_its_own_tail(kafka, new_topic, producer):
    topic = new_topic(2)
    send(producer, topic, [b"a", b"b"])
    send(producer, topic, [b"c"], partition=1)
    assert sorted(r.value for r in await collected(Follower(KafkaAccess(kafka), topic, tail=1), 2)) == [b"b", b"c"]


async def test_a_topic_that_comes_later_is_followed_from_its_start(kafka, new_topic, producer):
    """Nothing is an error before it exists."""
    follower = Follower(KafkaAccess(kafka), "of-later", tail=10)
    assert await follower.drain() == []
    topic = new_topic(name="of-later")
    send(producer, topic, [b"first"])
    (record,) = await collected(follower, 1)
    assert record.value == b"first"


class Late(Consumer):
    """A consumer whose broker has much to do: its first answers take longer than is waited for at once."""

    looks = 3

    def consume(self, *args, **kwargs):
        self.looks -= 1
        return [] if self.looks >= 0 else super().consume(*args, **kwargs)


async def test_the_first_call_gives_all_that_was_there_however_late_it_comes(kafka, new_topic, producer, monkeypatch):
    """Who asks what a topic says would take nothing for an answer. A part of it is none either."""
    topic = new_topic(2)
    send(producer, topic, [b"a", b"b"])
    send(producer, topic, [b"c"], partition=1)
    monkeypatch.setattr(follow, "Consumer", Late)
    follower = Follower(KafkaAccess(kafka), topic, tail=10)
    assert sorted(r.value for r in await answer(follower.drain)) == [b"a", b"b", b"c"]
    monkeypatch.setattr(Late, "looks", 10**9)
    never = Follower(KafkaAccess(kafka), topic, tail=10)
    monkeypatch.setattr(follow, "_SECONDS_MAX", 0.5)
    with pytest.raises(ClusterError, match="not read up to its end yet"):
        await never.drain()
