"""The generation in force, for commands: the settings say the first one only, the topic of generations the one that serves."""

import asyncio
import logging
from typing import Final

from aiokafka.errors import KafkaError

from config.settings import Settings
from stream_app.clients.client import install
from stream_app.formats.generations import Generation, newest_serving
from stream_app.kafka import generations
from stream_app.local.errors import LocalError

_SECONDS_MAX: Final = 10.0  # for a broker that takes connections and says nothing
_ERRORS: Final = (KafkaError, TimeoutError)


def prepare_client() -> None:
    """Have all producers and consumers that come after use our client, and what it reports on its own be quiet: that is one sentence of ours."""
    install()
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())


async def generation_in_force(settings: Settings) -> Settings:
    """The settings with the generation that serves. `Raises` LocalError when Kafka does not answer."""
    try:
        return await _read(settings)
    except _ERRORS:
        servers = settings.kafka_bootstrap_servers
        raise LocalError(f"Kafka does not answer at {servers}: start it by make up.") from None


def in_force_if_seen(settings: Settings) -> Settings:
    """The same; the settings as they are while Kafka is away, for who finds out later by itself."""
    prepare_client()
    try:
        return asyncio.run(_read(settings))
    except _ERRORS:
        return settings


async def _read(settings: Settings) -> Settings:
    first = Generation(settings.generation, settings.events_generation, settings.events_partitions, "serving")
    async with asyncio.timeout(_SECONDS_MAX):
        found = await generations.read(settings.kafka, settings.topic_generations)
    serving = newest_serving(found, first)
    return settings.of(serving.number, serving.events, serving.partitions)
