"""`stream-app import FILE --map MAP.toml`: rows of a file as records of the source topics. Thin: the rules are the importer's."""

import asyncio
import logging
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from config import settings
from stream_app.importer.map_file import MapError, MapFile
from stream_app.importer.map_load import load
from stream_app.importer.mapping import Mapping, Topic
from stream_app.importer.read import CsvReader, FileError
from stream_app.importer.run import run
from stream_app.importer.send import KafkaSender, Nowhere, SendError
from stream_app.importer.tally import Tally


def command(
    file: Annotated[Path, typer.Argument(help="The file; CSV with a header line.", show_default=False)],
    map_: Annotated[
        Path,
        typer.Option("--map", help="The map: which columns make which fields (docs/import.md).", show_default=False),
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Send nothing; show the summary and the first records.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail when a row was refused; the others are sent all the same.")
    ] = False,
) -> None:
    """Import a file's sessions, payments, customer groups and operators. Safe to repeat."""
    # The client reports on its own what is one sentence of ours.
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())
    chosen = settings.load()
    topics = {
        Topic.OPERATORS: chosen.topic_operators,
        Topic.CUSTOMER_GROUPS: chosen.topic_customer_groups,
        Topic.SESSIONS: chosen.topic_sessions,
        Topic.PAYMENTS: chosen.topic_payments,
    }
    try:
        tally = asyncio.run(_import(file, _load(map_), None if dry_run else chosen.kafka_bootstrap_servers, topics))
    except MapError as error:
        _fail(f"the map {map_} can't be used: {error}")
    except (FileError, SendError) as error:
        _fail(str(error))
    _show(tally, topics, dry_run)
    if strict and tally.refused_count:
        _fail(f"{tally.refused_count} of {tally.read} rows were refused")


def _load(path: Path) -> MapFile:
    try:
        return load(path.read_bytes())
    except OSError as error:
        raise MapError((error.strerror or str(error)).lower()) from None


async def _import(file: Path, loaded: MapFile, bootstrap_servers: str | None, topics: dict[Topic, str]) -> Tally:
    """Without bootstrap servers: a dry run."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    async with AsyncExitStack() as stack:
        reader = stack.enter_context(CsvReader(file, loaded.file))
        mapping = Mapping(loaded, reader.header)
        sender = (
            await stack.enter_async_context(KafkaSender(bootstrap_servers, topics)) if bootstrap_servers else Nowhere()
        )
        bar.disable = not bar.console.is_terminal
        stack.enter_context(bar)
        task = bar.add_task(escape(file.name), total=reader.size)
        return await run(reader, mapping, sender, lambda position: bar.update(task, completed=position))


def _show(tally: Tally, topics: dict[Topic, str], dry_run: bool) -> None:
    console = Console()
    if dry_run:
        for record in tally.first_records:
            print(f"{topics[record.topic]} {record.value.decode()}")
    console.print(f"{tally.read} rows read, {tally.taken} taken, {tally.refused_count} refused", highlight=False)
    counts = Table("topic", "would be sent" if dry_run else "records sent")
    for topic, name in topics.items():
        counts.add_row(escape(name), str(tally.records[topic]))
    console.print(counts)
    if tally.refused:
        refusals = Table("refused rows", "because of", "at", "on lines", "for example", title_justify="left")
        for (key, reason), same in sorted(tally.refused.items(), key=lambda item: -item[1].count):
            lines = ", ".join(map(str, same.lines)) + (" …" if same.count > len(same.lines) else "")
            refusals.add_row(str(same.count), reason, key or "the row", lines, escape(same.detail))
        console.print(refusals)


def _fail(sentence: str) -> None:
    print(f"stream-app import: {sentence}", file=sys.stderr)
    raise typer.Exit(1)
