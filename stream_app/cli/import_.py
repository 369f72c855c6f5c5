"""`stream-app import FILE`: rows of a file as records of the source topics. Thin: the rules are the importer's."""

import asyncio
import logging
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from config import settings
from stream_app.access.kafka import KafkaAccess
from stream_app.cli.access import check_kafka
from stream_app.importer.cdr_file import CdrMapping, CdrReader
from stream_app.importer.guesses import written_as
from stream_app.importer.mapping import MAPPED, Mapping
from stream_app.importer.new_map import SAMPLE_ROWS, first_map
from stream_app.importer.parquet import ParquetReader
from stream_app.importer.read import CsvReader, FileError, Reader
from stream_app.importer.resume import Note
from stream_app.importer.run import Rules, run
from stream_app.importer.send import KafkaSender, Nowhere, SendError
from stream_app.importer.tally import Refused, Tally
from stream_app.sources import registry
from stream_app.sources.maps.map_file import MapError, MapFile
from stream_app.sources.maps.map_load import load
from stream_app.sources.registry import SourceTopic


def command(
    file: Annotated[
        Path, typer.Argument(help="The file: CSV with a header line, Parquet, or OCPI CDRs.", show_default=False)
    ],
    map_: Annotated[
        Path | None,
        typer.Option(
            "--map",
            help="The map: which columns make which fields (docs/import.md). OCPI CDRs need none.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Send nothing; show the summary and the first records.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail when a row was refused; the others are sent all the same.")
    ] = False,
    new_map: Annotated[
        bool, typer.Option("--new-map", help="Print a first map for the file, to be completed, and import nothing.")
    ] = False,
    restart: Annotated[
        bool,
        typer.Option("--restart", help="Begin with the first row, even if an import of this file was interrupted."),
    ] = False,
) -> None:
    """Import a file's sessions, payments, customer groups and operators, or its OCPI CDRs. Safe to repeat."""
    if new_map:
        try:
            print(_new_map(file), end="")
        except FileError as error:
            _fail(str(error))
        return
    # The client reports on its own what is one sentence of ours.
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())
    chosen = settings.load()
    fed = [registry.CDRS] if map_ is None else MAPPED
    topics = {topic: chosen.source_topic(topic.name) for topic in fed}
    try:
        if not dry_run:
            names = set(topics.values())
            check_kafka(chosen, "importer", lambda right: right.name in names)
        loaded = None if map_ is None else _load(map_)
        to = None if dry_run else _Target(chosen.kafka, topics, settings.RUN / "state" / "imports", restart)
        tally = asyncio.run(_import(file, loaded, to))
    except MapError as error:
        _fail(f"the map {map_} can't be used: {error}")
    except (FileError, SendError) as error:
        _fail(str(error))
    _show(tally, topics, dry_run)
    if tally.came_to_nothing:
        why = f"each of its {tally.read} rows was refused" if tally.read else "it has no rows"
        _fail(f"nothing was taken of {file}: {why}")
    if strict and tally.refused_count:
        _fail(f"{tally.refused_count} of {tally.read} rows were refused")


def _new_map(file: Path) -> str:
    """A first map. `Raises` FileError."""
    try:
        with file.open("rb") as opened:
            start = opened.read(1 << 16)
    except OSError as error:
        raise FileError(f"{file} can't be read: {(error.strerror or str(error)).lower()}") from None
    try:
        how = written_as(start)
    except UnicodeError as error:
        raise FileError(f"{file} can't be read: its first bytes are no text ({error})") from None
    with ParquetReader(file) if how.format == "parquet" else CsvReader(file, how) as reader:
        rows = [row.cells for row in islice(reader.rows(), SAMPLE_ROWS) if isinstance(row.cells, list)]
        if rows and not any(len(row) == len(reader.header) for row in rows):
            raise FileError(
                f"{file} has a first line of {len(reader.header)} cells, and no row has as many: what stands before the header is to be removed"
            )
        return first_map(reader.header, rows, how)


def _load(path: Path) -> MapFile:
    try:
        return load(path.read_bytes())
    except OSError as error:
        raise MapError((error.strerror or str(error)).lower()) from None


@dataclass(frozen=True, slots=True)
class _Target:
    """Where records go, and the folder of the notes of interrupted imports."""

    kafka: KafkaAccess
    topics: dict[SourceTopic, str]
    notes: Path
    restart: bool

    def note(self, file: Path, loaded: MapFile | None) -> Note:
        """The note of an import of this file to here. `Raises` FileError."""
        others = [repr(loaded), self.kafka.servers, *self.topics.values()]
        try:
            return Note(self.notes, file, [other.encode() for other in others])
        except OSError as error:
            raise FileError(f"{file} can't be read: {(error.strerror or str(error)).lower()}") from None


def _open(stack: AsyncExitStack, file: Path, loaded: MapFile | None) -> Reader:
    if loaded is None:
        return stack.enter_context(CdrReader(file))
    if loaded.file.format == "parquet":
        return stack.enter_context(ParquetReader(file))
    return stack.enter_context(CsvReader(file, loaded.file))


async def _import(file: Path, loaded: MapFile | None, target: _Target | None) -> Tally:
    """Without a target: a dry run."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    async with AsyncExitStack() as stack:
        reader = _open(stack, file, loaded)
        rules: Rules = Mapping(loaded, reader.header) if loaded else CdrMapping()
        bar.disable = not bar.console.is_terminal
        stack.enter_context(bar)
        task = bar.add_task(escape(file.name), total=reader.size)

        def progress(position: int) -> None:
            bar.update(task, completed=position)

        if target is None:
            return await run(reader, rules, Nowhere(), progress)
        note = target.note(file, loaded)
        if target.restart:
            note.drop()
        sender = await stack.enter_async_context(KafkaSender(target.kafka, target.topics))
        tally = await run(reader, rules, sender, progress, note.write, note.read())
        note.drop()
        return tally


def _show(tally: Tally, topics: dict[SourceTopic, str], dry_run: bool) -> None:
    console = Console()
    if dry_run:
        for record in tally.first_records:
            print(f"{topics[record.topic]} {record.value.decode()}")
    console.print(f"{tally.read} rows read, {tally.taken} taken, {tally.refused_count} refused", highlight=False)
    if tally.skipped:
        console.print(
            f"before them {tally.skipped} rows that an interrupted import had done (--restart repeats them)",
            highlight=False,
        )
    counts = Table("topic", "would be sent" if dry_run else "records sent")
    for topic, name in topics.items():
        counts.add_row(escape(name), str(tally.records[topic]))
    console.print(counts)
    for what, found in ("refused rows", tally.refused), ("rows taken without a value", tally.left_out):
        if found:
            console.print(_reasons(what, found))


def _reasons(what: str, found: dict[tuple[str, str], Refused]) -> Table:
    table = Table(what, "because of", "at", "on lines", "for example")
    for (key, reason), same in sorted(found.items(), key=lambda item: -item[1].count):
        lines = ", ".join(map(str, same.lines)) + (" …" if same.count > len(same.lines) else "")
        table.add_row(str(same.count), reason, key or "the row", lines, escape(same.detail))
    return table


def _fail(sentence: str) -> None:
    print(f"stream-app import: {sentence}", file=sys.stderr)
    raise typer.Exit(1)
