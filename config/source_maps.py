"""The source topics of this deployment: those of the contract, and those of one's own, each by a map in the folder `sources_dir`.

Read by the composition roots only, like the settings. Invariant: a map that has a mistake stops the program, with the file, the key and the reason.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from config.settings import ROOT, Settings
from stream_app.sources import registry
from stream_app.sources.maps.map_file import MapError, TopicMap
from stream_app.sources.maps.map_load import load_topic
from stream_app.sources.registry import SourceTopic


def teams(settings: Settings) -> dict[str, SourceTopic]:
    """Name in Kafka -> source topic of another team. `Raises` MapError."""
    return _all(settings, registry.TEAMS)


def ingested(settings: Settings) -> dict[str, SourceTopic]:
    """The same, and the monitor's own. `Raises` MapError."""
    return _all(settings, registry.INGESTED)


def _all(settings: Settings, contract: Sequence[SourceTopic]) -> dict[str, SourceTopic]:
    topics = registry.by_kafka_name(contract, settings.source_topic)
    ours = {getattr(settings, name): name for name in type(settings).model_fields if name.startswith("topic_")}
    files: dict[int, Path] = {}
    for path, map_ in _maps(settings):
        name, number = map_.topic.name, map_.topic.number
        by = "topic_events" if name.startswith(f"{settings.topic_events}-") else ours.get(name)
        if by:
            raise MapError(f"{path}: `topic.name` is {name!r}, which the setting `{by}` names")
        if name in topics:
            raise MapError(f"{path}: `topic.name` is {name!r}, which another map reads: one topic has one map")
        if number in files:
            raise MapError(
                f"{path}: `topic.number` is {number}, which {files[number].name} has: each map needs its own"
            )
        files[number] = path
        topics[name] = topic = registry.mapped(map_)
        if topic.uses_schemas and not settings.schema_registry_url:
            raise MapError(
                f"{path}: `topic.format` is {map_.topic.format!r}, and the setting `schema_registry_url` is empty: by it the schemas are found"
            )
    return topics


def free_number(settings: Settings) -> int:
    """A `topic.number` that no map has. `Raises` MapError."""
    return max((map_.topic.number for _, map_ in _maps(settings)), default=0) + 1


def texts(settings: Settings) -> list[tuple[Path, bytes]]:
    """The files of the maps, by name. `Raises` MapError."""
    folder = ROOT / settings.sources_dir
    if not folder.is_dir():
        raise MapError(f"the setting `sources_dir` is {folder}, which is no folder")
    try:
        return [(path, path.read_bytes()) for path in sorted(folder.glob("*.toml"))]
    except OSError as error:
        raise MapError(f"{error.filename} can't be read: {(error.strerror or str(error)).lower()}") from None


def _maps(settings: Settings) -> Iterator[tuple[Path, TopicMap]]:
    for path, text in texts(settings):
        try:
            yield path, load_topic(text)
        except MapError as error:
            raise MapError(f"{path}: {error}") from None
