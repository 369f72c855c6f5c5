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
from stream_app.sources.maps.map_file import MapError
from stream_app.sources.maps.map_load import load_topic


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
        records = asyncio.run(_read(chosen, topic, count))
    except (KafkaError, ClusterError, TimeoutError) as error:
        raise LocalError(f"Kafka at {chosen.kafka.servers} did not give records of {topic}: {error!r}") from error
    if map_ is None:
        text = first_topic_map(topic, source_maps.free_number(chosen), records)
        print(text)
    else:
        try:
            text = map_.read_text(encoding="utf-8")
        except (OSError, UnicodeError) as error:
            raise LocalError(f"{map_} can't be read: {error}") from None
    lead = "# " if map_ is None else ""
    try:
        for line in outcome(load_topic(text.encode()), records, int(time.time() * 1000)):
            print(f"{lead}{line.translate(_CONTROLS)}")
    except MapError as error:
        if map_ is not None:
            raise MapError(f"{map_}: {error}") from None
        print(f"# This map is to be completed: {error}")


_CONTROLS = dict.fromkeys((*range(32), 127), " ")


async def _read(chosen: settings.Settings, topic: str, count: int) -> list[TopicRecord]:
    """The last records of the topic. `Raises` LocalError where it has none, KafkaError, ClusterError, TimeoutError."""
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
    return records
