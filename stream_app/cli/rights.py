"""Which rights each program needs in Kafka: the list of which the documentation, the check at each start and the tests are made.

Names of our own topics and groups that hold a generation are given by what stands before it: a rebuild makes the next one.
"""

from collections.abc import Callable
from typing import Final

from config import source_maps
from config.settings import Settings
from stream_app.access.rights import Operation, Right
from stream_app.cli.topics import topics_of
from stream_app.domain.tables import TABLES
from stream_app.golden import records as golden
from stream_app.sources import registry
from tables.ledger import changelog

_CONFIGS: Final[Operation] = "DescribeConfigs"


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


def pay(settings: Settings) -> list[Right]:
    """`stream-app pay` and `demo`: the importer's, and the generation that serves."""
    return [*importer(settings), Right("Read", "topic", settings.topic_generations)]


def dead_letters(settings: Settings) -> list[Right]:
    """`stream-app dead-letters`; `list` and `show` need those to read only."""
    sources = list(source_maps.ingested(settings))
    return [
        *(
            Right(operation, "topic", name)
            for name in (settings.topic_dead_letters, *sources)
            for operation in ("Read", "Write")
        ),
        Right("Write", "transactional-id", f"{settings.app_id}-dead-letters"),
    ]


def rebuild(settings: Settings) -> list[Right]:
    """`stream-app rebuild`, of which `--drop` needs those to delete, and the generations."""
    sources = list(source_maps.ingested(settings))
    events, changes = settings.events, changelog(settings.ledger_group)
    event_names, ledger_names = f"{settings.topic_events}-", f"{settings.app_id}-ledger-"
    groups = [(settings.ingest_group, f"{settings.app_id}-ingest"), (settings.ledger_group, ledger_names)]
    groups += [
        (f"{settings.app_id}-{what}-{settings.generation}", f"{settings.app_id}-{what}-") for what in ("copy", "reread")
    ]
    named: tuple[Operation, ...] = ("Read", "Write", "Create", "Delete")
    return [
        *(Right("Read", "topic", name) for name in sources),
        *(Right(operation, "topic", events, event_names) for operation in named),
        *(Right(operation, "topic", changes, ledger_names) for operation in (*named, _CONFIGS)),
        *(
            Right(operation, "topic", settings.result_topic(table.name))
            for table in TABLES
            for operation in ("Read", "Write")
        ),
        *(Right("Write", "topic", name) for name in (settings.topic_as_of, settings.topic_dead_letters)),
        *(Right(operation, "topic", settings.topic_generations) for operation in ("Read", "Write")),
        *(Right(operation, "group", *group) for group in groups for operation in ("Read", "Delete")),
        Right("Write", "transactional-id", f"{settings.ledger_group}-rights", ledger_names),
    ]


def contract_test(settings: Settings) -> list[Right]:
    """`stream-app contract-test`, but for `--check`."""
    return [
        *(
            Right(operation, "topic", settings.contract_test_topic(topic))
            for topic in golden.TOPICS
            for operation in ("Read", "Write", "Create")
        ),
        Right("Write", "transactional-id", f"{settings.app_id}-contract-test"),
    ]


def up(settings: Settings) -> list[Right]:
    """`stream-app up` with a Kafka that was given by address: the topics that are missing are made. What it starts needs its own rights."""
    names = [spec.name for spec in topics_of(settings) if spec.name != settings.topic_generations]
    return [
        *(Right(operation, "topic", name) for name in names for operation in ("Describe", "Create")),
        *(Right(operation, "topic", settings.topic_generations) for operation in ("Read", "Create")),
    ]


ROLES: Final[dict[str, Callable[[Settings], list[Right]]]] = {
    "worker": worker,
    "monitor": monitor,
    "importer": importer,
    "pay": pay,
    "dead-letters": dead_letters,
    "rebuild": rebuild,
    "contract-test": contract_test,
    "up": up,
}
# Those that go on without an optional source topic that they may not read.
GOES_ON: Final = frozenset({"worker", "monitor"})
