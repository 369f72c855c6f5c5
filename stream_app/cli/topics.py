"""Which topics the stack needs, from the settings: those of the sources, those of results, and our others.

Must not make any: `stream_app.local.topics` does.
"""

from config import source_maps
from config.settings import Settings
from stream_app.domain.tables import TABLES
from stream_app.formats.limits import RECORD_BYTES_MAX
from stream_app.local.topics import TopicSpec

DAY_MS = 24 * 3600 * 1000

EVENTS_CONFIG = {
    "cleanup.policy": "delete",
    "retention.ms": "-1",
    "retention.bytes": "-1",
    # The order of clock records and the age of events must not depend on a producer's clock.
    "message.timestamp.type": "LogAppendTime",
    "max.message.bytes": str(RECORD_BYTES_MAX),
}


def events_topic(settings: Settings) -> TopicSpec:
    """The events topic of the settings' generation."""
    replicas = settings.replication_factor
    return TopicSpec(settings.events, settings.events_partitions, replicas, EVENTS_CONFIG | settings.durability)


def topics_of(settings: Settings) -> list[TopicSpec]:
    """All topics: sources as a team of another might have made them, ours as they have to be."""
    dead_letters = {
        "cleanup.policy": "compact,delete",
        "retention.ms": str(30 * DAY_MS),
        "max.message.bytes": str(RECORD_BYTES_MAX),
    }
    compacted = {"cleanup.policy": "compact"}
    replicas = settings.replication_factor
    kept = settings.durability
    return [
        *(TopicSpec(name, t.partitions, replicas, t.config) for name, t in source_maps.ingested(settings).items()),
        events_topic(settings),
        TopicSpec(settings.topic_dead_letters, 1, replicas, dead_letters | kept),
        *(
            TopicSpec(settings.result_topic(t.name), settings.events_partitions, replicas, compacted | kept)
            for t in TABLES
        ),
        TopicSpec(settings.topic_as_of, 1, replicas, compacted | kept),
        TopicSpec(settings.topic_generations, 1, replicas, compacted | kept),
    ]
