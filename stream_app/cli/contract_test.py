"""`stream-app contract-test`: golden records to topics for the CI of who reads results, and a reader's view compared. Thin: what they are is golden's."""

import asyncio
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final

import orjson
import typer
from aiokafka.errors import KafkaError

from config import settings as config
from config import source_maps
from stream_app.cli.access import need_kafka
from stream_app.cli.topics import topics_of
from stream_app.clients.waiting import ClusterError
from stream_app.golden.records import AS_OF_TOPIC, TOPICS, Round, rounds
from stream_app.golden.send import TopicError, partitions_of, write
from stream_app.golden.view import ViewError, compare, read_view, right_view
from stream_app.local.errors import LocalError
from stream_app.local.topics import TopicSpec, create_missing
from stream_app.sinks.topics import ResultRecords
from tables.ledger import changelog

_NAME: Final = re.compile(r"[a-zA-Z0-9._-]{1,200}")
# Not compacted: of a key whose older version comes last, compaction would leave that one.
_KEPT: Final = {"cleanup.policy": "delete"}


def command(
    topics: Annotated[
        str | None,
        typer.Option(
            "--topics",
            help="What the names of the topics begin with; made where they are missing. Without it the setting contract_test_topics.",
            show_default=False,
        ),
    ] = None,
    check: Annotated[
        Path | None,
        typer.Option(
            "--check",
            help='Write nothing, and compare this file with the right view: JSON, {"view": {topic: {key: value}}}.',
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write golden records to topics of their own, and print the view that who reads them must hold in the end, as JSON.

    With --check the exit code is 1 where the view differs, and each difference is a line.
    """
    settings = config.load()
    if topics is not None:
        if not _NAME.fullmatch(topics):
            raise LocalError(f"--topics {topics!r} can't begin the name of a topic: letters, digits, dots, _ and -.")
        settings = settings.model_copy(update={"contract_test_topics": topics})
    names = {topic: settings.contract_test_topic(topic) for topic in TOPICS}
    whole = rounds(ResultRecords(settings.ce_type_prefix, settings.ce_source))
    if check is not None:
        _check(check, whole, names)
        return
    _refuse_ours(settings, names)
    need_kafka(settings, "contract-test")
    replicas = settings.replication_factor
    create_missing(
        settings.kafka,
        [
            TopicSpec(name, 1 if topic == AS_OF_TOPIC else settings.events_partitions, replicas, _KEPT)
            for topic, name in names.items()
        ],
    )
    try:
        asyncio.run(_write(settings, whole, names))
    except TopicError as error:
        raise LocalError(f"{error}: name topics of their own by --topics.") from None
    except (KafkaError, ClusterError, TimeoutError) as error:
        raise LocalError(f"Kafka at {settings.kafka.servers} did not take the records: {error!r}.") from error
    print(orjson.dumps({"view": right_view(whole, names)}, option=orjson.OPT_INDENT_2).decode())


def _refuse_ours(settings: config.Settings, names: Mapping[str, str]) -> None:
    """`Raises` LocalError where a topic is one of the service's."""
    ours = {spec.name for spec in topics_of(settings)} | set(source_maps.teams(settings))
    ours |= {settings.topic_probe, changelog(settings.ledger_group)}
    for name in names.values():
        if name in ours:
            raise LocalError(f"{name} is a topic of the service: name topics of their own by --topics.")


async def _write(settings: config.Settings, whole: Sequence[Round], names: Mapping[str, str]) -> None:
    found = await partitions_of(settings.kafka, whole, names)
    await write(settings.kafka, f"{settings.app_id}-contract-test", whole, names, found)


def _check(path: Path, whole: Sequence[Round], names: Mapping[str, str]) -> None:
    try:
        found = compare(read_view(path.read_text(encoding="utf-8")), whole, names)
    except (OSError, UnicodeError) as error:
        raise LocalError(f"{path} can't be read: {error}.") from None
    except ViewError as error:
        raise LocalError(f"{path} {error}.") from None
    for line in found.differences:
        print(line)
    for line in found.left_out:
        print(f"not compared, for the view has nothing of it: {line}", file=sys.stderr)
    print(f"{found.same} keys are right, {len(found.differences)} differences", file=sys.stderr)
    if found.differences:
        raise typer.Exit(1)
