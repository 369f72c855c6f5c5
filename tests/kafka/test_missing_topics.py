"""On a broker that makes topics for whoever asks for them, nobody of us does."""

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient

from stream_app.access.kafka import KafkaAccess
from stream_app.clients.client import Client
from stream_app.clients.waiting import ClusterError
from stream_app.local import kafka_server
from stream_app.observing.observer import Observer
from tests.support.own_server import OwnServer
from tests.support.waiting import wait_until


@pytest.fixture
def obliging(tmp_path, run_folder, monkeypatch):
    """The address of a broker that makes topics that are asked for."""
    properties = kafka_server._properties  # ours is made without
    willing = lambda *given: properties(*given).replace("topics.enable=false", "topics.enable=true")  # noqa: E731
    monkeypatch.setattr(kafka_server, "_properties", willing)
    for module in ("consumer.consumer", "producer.producer"):  # as a worker's
        monkeypatch.setattr(f"aiokafka.{module}.AIOKafkaClient", Client)
    server = OwnServer("kafka", tmp_path / "kafka", run_folder.lib)
    assert "auto.create.topics.enable=true" in (tmp_path / "kafka" / "conf" / "kafka.properties").read_text()
    yield server.address
    server.halt()


async def test_a_topic_is_not_made_by_asking_for_it(obliging):
    kafka = KafkaAccess(obliging)
    consumer = AIOKafkaConsumer(**kafka.aiokafka(), group_id="g", metadata_max_age_ms=200)
    producer = AIOKafkaProducer(**kafka.aiokafka(), request_timeout_ms=2000)
    observer = Observer(kafka)
    await consumer.start()
    await producer.start()
    consumer.subscribe(["misspelt.sessions"])
    try:
        assert await consumer.getmany(timeout_ms=1500) == {}
        with pytest.raises(KafkaError):
            await producer.send_and_wait("misspelt.events", b"{}")
        assert await observer.topics(["misspelt.groups"]) == {}
        assert await observer.ends([("misspelt.groups", 0)], missing_ok=True) == {}
        with pytest.raises(ClusterError):
            await observer.ends([("misspelt.groups", 0)])
    finally:
        await observer.close()
        await producer.stop()
        await consumer.stop()
    admin = AdminClient({"bootstrap.servers": obliging})
    made = await asyncio.to_thread(admin.list_topics, timeout=10)
    assert [name for name in made.topics if name.startswith("misspelt")] == []
    plain = Consumer({"allow.auto.create.topics": True, "bootstrap.servers": obliging, "group.id": "g"})

    def made_by_another():  # so the broker would have made ours
        return plain.list_topics("others", timeout=10).topics["others"].error is None

    await asyncio.to_thread(wait_until, "a topic is made for another client", made_by_another)
    plain.close()
