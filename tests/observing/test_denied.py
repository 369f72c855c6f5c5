"""Topics without the right to describe them, on a broker that asks for rights."""

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer
from confluent_kafka import Producer
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

from stream_app.access.kafka import KafkaAccess
from stream_app.clients.waiting import ClusterError, until_kafka_answers
from stream_app.local import kafka_server
from stream_app.monitor.look import Looker
from stream_app.monitor.sources import Sources
from stream_app.observing.frontier import Frontier
from stream_app.observing.observer import Observer
from tests.support.own_server import OwnServer
from tests.support.waiting import SECONDS_MAX

RIGHTS = "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\nallow.everyone.if.no.acl.found=true\n"


@pytest.fixture
def strict(tmp_path, run_folder, monkeypatch):
    """The address of a broker on which anybody may do what is not denied, with topics s and o."""
    properties = kafka_server._properties  # ours has no authorizer
    monkeypatch.setattr(kafka_server, "_properties", lambda *given: properties(*given) + RIGHTS)
    server = OwnServer("kafka", tmp_path / "kafka", run_folder.lib)
    admin = AdminClient({"bootstrap.servers": server.address})
    for made in admin.create_topics([NewTopic(name, 1, 1) for name in ("s", "o", "events")]).values():
        made.result(SECONDS_MAX)
    yield server.address, admin
    server.halt()


def deny(admin, topic):
    """Take the right away that all others rest on."""
    binding = AclBinding(
        ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, "User:ANONYMOUS", "*", AclOperation.DESCRIBE, AclPermissionType.DENY
    )  # fmt: skip
    for done in admin.create_acls([binding]).values():
        done.result(SECONDS_MAX)


async def settled(observer, topic):
    """Until the broker heeds it."""
    while not (await observer.topics([topic], denied_ok=True))[topic].is_denied:  # noqa: ASYNC110  # Kafka tells nobody
        await asyncio.sleep(0.05)


async def test_an_optional_topic_is_left_out_and_a_required_one_named(strict):
    address, admin = strict
    kafka = KafkaAccess(address)
    observer = Observer(kafka)
    consumer = AIOKafkaConsumer(
        **kafka.aiokafka(), group_id="ingest", auto_offset_reset="earliest", metadata_max_age_ms=500
    )
    frontier, sources = (
        Frontier(observer, ["s", "o"], "ingest", "events", 1, ["o"]),
        Sources(observer, ["s", "o"], ["o"]),
    )
    looker = Looker(observer, {"ingest": ["s", "o"]}, [], 100)
    await asyncio.to_thread(deny, admin, "o")
    try:
        async with asyncio.timeout(60):
            await settled(observer, "o")
            await consumer.start()
            consumer.subscribe(["s", "o"])
            producer = Producer({"bootstrap.servers": address})
            producer.produce("s", b"{}")
            assert await asyncio.to_thread(producer.flush, 10) == 0
            assert (await consumer.getone()).topic == "s"
            await consumer.commit()
            assert await frontier.step(1) is not None
            assert [(row.topic, row.exists) for row in await sources.look(1)] == [("s", True)]
            assert (await looker.look(1)).concerned == {"ingest": {("s", 0)}}

            await asyncio.to_thread(deny, admin, "s")
            await settled(observer, "s")
            assert await frontier.step(2) is None
            (row,) = await sources.look(2)
            assert (row.topic, row.exists, row.failure) == ("s", False, "the right to describe it is missing")
            with pytest.raises(ClusterError, match="the right to describe the topic s is missing"):
                await observer.topics(["s"])
            for ask in (
                lambda: observer.topics(["s"]),
                lambda: observer.ends([("s", 0)]),
            ):  # it does not pass by itself
                with pytest.raises(ClusterError):
                    await until_kafka_answers(ask, "nobody")
    finally:
        await consumer.stop()
        await observer.close()
