"""The generation that commands take: what the topic of generations says, on a real broker."""

import pytest

from config.settings import load
from stream_app.access.kafka import KafkaAccess
from stream_app.cli.generation import generation_in_force
from stream_app.cli.topics import topics_of
from stream_app.formats.generations import Generation
from stream_app.kafka import generations
from stream_app.local.errors import LocalError
from stream_app.local.ports import free_port


def settings(kafka, **more):
    return load().model_copy(update={"kafka_bootstrap_servers": kafka, **more})


async def test_without_a_topic_it_is_that_of_the_settings(kafka):
    """A stack that was never rebuilt, or has just begun."""
    known = settings(kafka, topic_generations="nobody-made-it")
    assert await generation_in_force(known) == known


async def test_it_is_the_newest_that_serves_not_one_that_is_built(kafka, new_topic):
    known = settings(kafka, topic_generations=new_topic(1, cleanup_policy="compact"))
    for told in (Generation(2, 2, 5, "building"), Generation(2, 2, 5, "serving"), Generation(3, 3, 7, "building")):
        await generations.write(KafkaAccess(kafka), known.topic_generations, told)
    found = await generation_in_force(known)
    assert (found.ledger_group, found.ingest_group) == ("crm-stats-ledger-2", "crm-stats-ingest-2")
    assert (found.events, found.events_partitions) == ("crm-stats.events-2", 5)
    made = {topic.name: topic.partitions for topic in topics_of(found)}
    assert made["crm-stats.events-2"] == 5
    assert "crm-stats.events-1" not in made


async def test_a_kafka_that_is_away_is_one_sentence():
    servers = f"127.0.0.1:{free_port()}"
    with pytest.raises(LocalError, match=rf"^Kafka does not answer at {servers}: start it by make up\.$"):
        await generation_in_force(settings(servers))
