"""`stream-app rebuild`: a second generation of the results, counted anew from the events topic. Thin: the steps are those of stream_app.rebuild."""

import asyncio
import sys
import time
from pathlib import Path
from typing import Annotated, Any, Self

import typer
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from config import settings as config
from stream_app.access.rights import Right
from stream_app.cli.access import check_schema_registry, check_stores, need_kafka
from stream_app.cli.generation import generation_in_force
from stream_app.cli.topics import events_topic, topics_of
from stream_app.clients.waiting import ClusterError
from stream_app.formats.generations import Generation
from stream_app.kafka import generations
from stream_app.local.errors import LocalError
from stream_app.local.topics import create_missing
from stream_app.observing.observer import Observer
from stream_app.rebuild.difference import Difference
from stream_app.rebuild.dropping import drop
from stream_app.rebuild.plan import Plan, PlanError, plan, unused
from stream_app.rebuild.run import Outcome, Rebuild
from stream_app.rebuild.shown import cell_of
from stream_app.worker import prepare

_LINES = 50  # of a difference
_WIDTH = 160  # of its table, also where there is no terminal
_LINE_S = 5.0  # between two lines of progress where there is no terminal


def command(
    from_sources: Annotated[
        bool, typer.Option("--from-sources", help="First read again what the source topics still hold.")
    ] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Show what would change, and change nothing.")] = False,
    partitions: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Of the events topic; as many as before without it.")
    ] = None,
    state_dir: Annotated[
        Path | None, typer.Option(help="Where RocksDB lives meanwhile; on a disk with room for all of the state")
    ] = None,
    drop_: Annotated[
        bool, typer.Option("--drop", help="Drop the topics and groups of generations that don't serve; nothing else.")
    ] = False,
) -> None:
    """Count all results again, by today's rules, beside those that are served, and take their place. Safe to interrupt and repeat."""
    settings = config.load()
    if drop_:
        reads = Right("Read", "topic", settings.topic_generations)
        need_kafka(settings, "rebuild", lambda right: right.operation == "Delete" or right == reads)
        _drop(settings)
        return
    need_kafka(settings, "rebuild", lambda right: right.operation != "Delete")
    check_stores(settings, "worker")
    check_schema_registry(settings)
    prepare()
    create_missing(settings.kafka, topics_of(asyncio.run(generation_in_force(settings))))
    try:
        chosen = asyncio.run(_plan(settings, partitions))
    except (PlanError, ClusterError, KafkaError) as error:
        raise LocalError(f"{error}.") from None
    serving, target = chosen.serving, chosen.target
    old = settings.of(serving.number, serving.events, serving.partitions)
    new = settings.of(target.number, target.events, target.partitions)
    create_missing(settings.kafka, [events_topic(new)])
    telling = Bar()
    telling.say(
        f"Generation {target.number} is {'gone on with' if chosen.is_resumed else 'built'} beside {serving.number}, "
        f"which serves, from {new.events}"
    )
    rebuild = Rebuild(new, old, chosen, state_dir or new.state_dir / "rebuild", telling, from_sources=from_sources)
    with telling:
        outcome = rebuild.run(only_difference=diff)
    _show(outcome, telling)


async def _plan(settings: config.Settings, partitions: int | None) -> Plan:
    """What to build; the beginning is told to the topic of generations. `Raises` PlanError."""
    known = await generations.read(settings.kafka, settings.topic_generations)
    first = Generation(settings.generation, settings.events_generation, settings.events_partitions, "serving")
    chosen = plan(known, first, partitions)
    target = chosen.target
    observer = Observer(settings.kafka)
    try:
        group = settings.of(target.number, target.events, target.partitions).ledger_group
        deadline = (
            time.monotonic() + 2 * settings.session_timeout_ms / 1000
        )  # one that was killed is a member until then
        while await _has_members(observer, group):
            if time.monotonic() > deadline:
                raise PlanError(f"a rebuild of generation {target.number} runs already")
            await asyncio.sleep(0.5)
    finally:
        await observer.close()
    if not chosen.is_resumed:
        await generations.write(settings.kafka, settings.topic_generations, target)
    return chosen


async def _has_members(observer: Observer, group: str) -> bool:
    found = (await observer.describe_groups([group])).get(group)
    return found is not None and bool(found.members)


def _drop(settings: config.Settings) -> None:
    known = asyncio.run(generations.read(settings.kafka, settings.topic_generations))
    first = Generation(settings.generation, settings.events_generation, settings.events_partitions, "serving")
    serving = plan(known, first, None).serving
    others = unused([first, *known] if first.number not in {g.number for g in known} else known, serving)
    dropped = drop(settings, serving, others)
    print("Dropped: " + (", ".join(dropped) or "nothing, there is no other generation"))


class Bar:
    """Progress on a terminal as a bar, elsewhere a line now and then."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
        )
        self._progress = Progress(*columns, console=self._console, disable=not self._console.is_terminal)
        self._tasks: dict[str, tuple[TaskID, float]] = {}
        self._said_at = 0.0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def phase(self, name: str, done: int, todo: int, events: int) -> None:
        """How far a phase is."""
        now = time.monotonic()
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=todo, rate=""), now
        task, began = self._tasks[name]
        rate = f"{events:,} events, {events / max(now - began, 0.1):,.0f}/s" if events else ""
        self._progress.update(task, completed=done, total=todo, rate=rate)
        if done and not self._console.is_terminal and now - self._said_at > _LINE_S:
            self._said_at = now
            left = (todo - done) * (now - began) / done
            print(f"{name}: {done / todo:.0%}, {rate}, {left:.0f} s left", file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        """A sentence."""
        print(text, file=sys.stderr, flush=True)


def _show(outcome: Outcome, telling: Bar) -> None:
    if outcome.difference is not None:
        _show_difference(outcome.difference)
        return
    telling.say(
        f"{outcome.gone:,} records that are no longer true are zeros now, or removed where their period is not kept"
    )
    print("Rebuilt. What the generation before left is dropped by: stream-app rebuild --drop")


def _show_difference(found: Difference) -> None:
    if not found.changed:
        print(f"Nothing would change in {found.compared:,} records of results.")
    else:
        table = Table("table", "operator", "group", "period", "currency", "what", "shown", "would be", box=None)
        lines = [line for name in sorted(found.changed) for line in _lines(name, *found.changed[name])]
        for line in lines[:_LINES]:
            table.add_row(*line)
        Console(width=_WIDTH).print(table)
        print(f"{len(found.changed):,} of {found.compared:,} records of results would change.")
        if len(lines) > _LINES:
            print(f"{len(lines) - _LINES:,} lines more are not shown.")
    if found.moving:
        print(f"{len(found.moving):,} records change too often to be compared.")


def _lines(name: tuple[str, bytes], shown: dict[str, Any], own: dict[str, Any]) -> list[tuple[str, ...]]:
    """What differs in a record, a line each."""
    table, key, currency = cell_of(name)
    place = (table.name, key.operator, key.group, table.period.text(key.period), currency)
    if not shown or not own:
        return [(*place, "record", "there" if shown else "-", "there" if own else "-")]
    ignored = {"partition", "asOf", "version"}
    return [
        (*place, field, str(shown.get(field, "-")), str(own.get(field, "-")))
        for field in own.keys() | shown.keys()
        if field not in ignored and shown.get(field) != own.get(field)
    ]
