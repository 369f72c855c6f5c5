"""Which rights each program needs in Kafka: the list of which the documentation, the check at each start and the tests are made.

Names of our own topics and groups that hold a generation are given by what stands before it: a rebuild makes the next one.
"""

from collections.abc import Callable
from typing import Final

from config import source_maps
from config.settings import Settings
from stream_app.access.rights import Right
from stream_app.domain.tables import TABLES
from stream_app.sources import registry
from tables.ledger import changelog


def worker(settings: Settings) -> list[Right]:
    """Ingest and ledger."""
    sources = source_maps.ingested(settings)
    written = [settings.result_topic(table.name) for table in TABLES]
    written += [settings.topic_as_of, settings.topic_dead_letters]
    events, changes = settings.events, changelog(settings.ledger_group)
    event_names, ledger_names = f"{settings.topic_events}-", f"{settings.app_id}-ledger-"
    ingest_names = f"{settings.app_id}-ingest"
    return [
        *(Right(operation, "topic", name) for name in sources for operation in ("Read", "DescribeConfigs")),
        Right("Read", "topic", events, event_names),
        Right("Write", "topic", events, event_names),
        Right("DescribeConfigs", "topic", events, event_names),
        Right("Read", "topic", changes, ledger_names),
        Right("Write", "topic", changes, ledger_names),
        Right("Create", "topic", changes, ledger_names),
        Right("DescribeConfigs", "topic", changes, ledger_names),
        *(Right(operation, "topic", name) for name in written for operation in ("Write", "DescribeConfigs")),
        Right("Read", "topic", settings.topic_generations),
        Right("Read", "group", settings.ingest_group, ingest_names),
        Right("Read", "group", settings.ledger_group, ledger_names),
        Right("Write", "transactional-id", f"{settings.ledger_group}-rights", ledger_names),
    ]


def monitor(settings: Settings) -> list[Right]:
    """The monitor, and its probe."""
    sources = source_maps.teams(settings)
    seen = [*((name, "") for name in (*sources, settings.topic_probe)), (settings.events, f"{settings.topic_events}-")]
    look: list[Right] = []
    for name, prefix in seen:
        look.append(Right("Read" if settings.monitor_timestamps == "log" else "Describe", "topic", name, prefix))
        look.append(Right("DescribeConfigs", "topic", name, prefix))
    followed = (settings.topic_as_of, settings.topic_dead_letters, settings.topic_generations)
    return [
        *look,
        *(Right("Read", "topic", name) for name in followed),
        Right("Write", "topic", settings.topic_probe),
        Right("Describe", "group", settings.ingest_group, f"{settings.app_id}-ingest"),
        Right("Describe", "group", settings.ledger_group, f"{settings.app_id}-ledger-"),
    ]


def importer(settings: Settings) -> list[Right]:
    """`stream-app import`, `simulate` and `pay`."""
    return [Right("Write", "topic", settings.source_topic(topic.name)) for topic in registry.TEAMS]


ROLES: Final[dict[str, Callable[[Settings], list[Right]]]] = {
    "worker": worker,
    "monitor": monitor,
    "importer": importer,
}
