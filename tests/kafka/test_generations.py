"""The topic of generations, on a real broker; consumers give records, or whole batches in a worker's process."""

import asyncio

import pytest

from stream_app.access.kafka import KafkaAccess
from stream_app.formats.generations import Generation, newest_serving
from stream_app.kafka import generations

FIRST = Generation(1, 1, 12, "serving")
BUILDING = Generation(2, 2, 24, "building")


@pytest.fixture(params=[False, True], ids=["records", "whole batches"], autouse=True)
def form(request):
    if request.param:
        request.getfixturevalue("whole_batches")


async def test_a_topic_that_does_not_exist_is_empty(kafka):
    """It is asked before the first rebuild makes it, and not made by asking."""
    assert await generations.read(KafkaAccess(kafka), "no-such-topic") == []


async def test_what_is_told_of_is_read(kafka, new_topic):
    """The last record of a generation counts."""
    topic = new_topic(cleanup_policy="compact")
    assert await generations.read(KafkaAccess(kafka), topic) == []
    await generations.write(KafkaAccess(kafka), topic, BUILDING)
    assert await generations.read(KafkaAccess(kafka), topic) == [BUILDING]
    assert newest_serving(await generations.read(KafkaAccess(kafka), topic), FIRST) == FIRST
    await generations.write(KafkaAccess(kafka), topic, BUILDING.serving())
    assert await generations.read(KafkaAccess(kafka), topic) == [BUILDING.serving()]


async def test_a_worker_waits_until_a_newer_generation_serves(kafka, new_topic):
    """One that is being built is none; nor is its own."""
    topic = new_topic()
    await generations.write(KafkaAccess(kafka), topic, FIRST)
    waiting = asyncio.create_task(generations.until_newer(KafkaAccess(kafka), topic, 1))
    await generations.write(KafkaAccess(kafka), topic, BUILDING)
    done, _ = await asyncio.wait([waiting], timeout=2)
    assert not done
    await generations.write(KafkaAccess(kafka), topic, BUILDING.serving())
    assert await asyncio.wait_for(waiting, 60) == BUILDING.serving()


async def test_one_that_serves_already_is_not_waited_for(kafka, new_topic):
    """A worker may start after it."""
    topic = new_topic()
    await generations.write(KafkaAccess(kafka), topic, BUILDING.serving())
    assert await asyncio.wait_for(generations.until_newer(KafkaAccess(kafka), topic, 1), 60) == BUILDING.serving()


async def test_a_topic_that_is_made_later_is_found(kafka, new_topic, monkeypatch):
    """The first rebuild makes it while workers wait."""
    monkeypatch.setattr(generations, "_LOOK_S", 0.2)
    name = "later-" + new_topic()
    waiting = asyncio.create_task(generations.until_newer(KafkaAccess(kafka), name, 1))
    await asyncio.sleep(0.5)
    assert not waiting.done()
    new_topic(name=name)
    await generations.write(KafkaAccess(kafka), name, BUILDING.serving())
    assert await asyncio.wait_for(waiting, 60) == BUILDING.serving()
