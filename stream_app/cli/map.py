"""`stream-app map`: a first map of a topic, and what a map makes of its last records. Thin: the rules are the importer's."""

import asyncio
import logging
import time
from pathlib import Path
from typing import Annotated

import typer
from aiokafka.errors import KafkaError

from config import settings, source_maps
from stream_app.clients.waiting import ClusterError
from stream_app.importer.topic_map import first_topic_map, outcome
from stream_app.importer.topic_records import TopicRecord
from stream_app.kafka.latest import latest
from stream_app.local.errors import LocalError
from stream_app.observing.observer import Observer
from stream_app.schema_registry.client import RegistryAwayError, RegistryClient
from stream_app.sources import wire
from stream_app.sources.maps.map_file import MapError
from stream_app.sources.maps.map_load import load_topic
from stream_app.sources.wire import Known


def command(
    topic: Annotated[str, typer.Option("--topic", help="The topic in Kafka.", show_default=False)],
    map_: Annotated[
        Path | None,
        typer.Option("--map", help="A map to try, in place of a first one (docs/own-topics.md).", show_default=False),
    ] = None,
    count: Annotated[int, typer.Option("--records", min=1, max=10_000, help="How many records to look at.")] = 100,
) -> None:
    """Look at a topic's last records: print a first map for them, and what it makes of them, with each refusal and its reason.

    Without --map the whole output is the file of a map: what is made of the records stands in comments.
    """
    logging.getLogger("aiokafka").addHandler(
        logging.NullHandler()
    )  # it reports on its own what is one sentence of ours
    chosen = settings.load()
    try:
        records, schemas = asyncio.run(_read(chosen, topic, count))
    except RegistryAwayError as error:
        raise LocalError(f"the schema registry did not give the schemas of {topic}: {error}") from error
    except (KafkaError, ClusterError, TimeoutError) as error:
        raise LocalError(f"Kafka at {chosen.kafka.servers} did not give records of {topic}: {error!r}") from error
    if map_ is None:
        text = first_topic_map(topic, source_maps.free_number(chosen), records, schemas)
        print(text)
    else:
        try:
            text = map_.read_text(encoding="utf-8")
        except (OSError, UnicodeError) as error:
            raise LocalError(f"{map_} can't be read: {error}") from None
    lead = "# " if map_ is None else ""
    try:
        for line in outcome(load_topic(text.encode()), records, int(time.time() * 1000), schemas):
            print(f"{lead}{line.translate(_CONTROLS)}")
    except MapError as error:
        if map_ is not None:
            raise MapError(f"{map_}: {error}") from None
        print(f"# This map is to be completed: {error}")


_CONTROLS = dict.fromkeys((*range(32), 127), " ")


async def _read(chosen: settings.Settings, topic: str, count: int) -> tuple[list[TopicRecord], Known]:
    """The last records of the topic, and the schemas that they name, where there is a schema registry.

    `Raises` LocalError where the topic has no records, KafkaError, ClusterError, TimeoutError, RegistryAwayError, AccessError.
    """
    observer = Observer(chosen.kafka)
    try:
        found = await observer.topics([topic])
    finally:
        await observer.close()
    if topic not in found:
        raise LocalError(f"there is no topic {topic} at {chosen.kafka.servers}.")
    records = [TopicRecord(*each) for each in await latest(chosen.kafka, topic, found[topic].partitions, count)]
    if not records:
        raise LocalError(f"the topic {topic} has no records.")
    if not chosen.schema_registry:
        return records, {}
    client = RegistryClient(chosen.schema_registry)
    try:
        return records, {each: await client.schema(each) for each in wire.ids(record.value for record in records)}
    finally:
        await client.close()
