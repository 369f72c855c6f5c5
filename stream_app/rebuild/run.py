"""The process of a rebuild: a muted ledger of the next generation, and what takes it from its first offset to serving.

A Faust app as a worker's `ledger` is, with this beside it. Once workers of the new generation have joined its consumer
group, it leaves.
"""

import asyncio
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from config import source_maps
from config.settings import Settings
from stream_app.clients.waiting import ClusterError, until_kafka_answers
from stream_app.domain.tables import TABLES
from stream_app.formats.murmur2 import partition_for
from stream_app.formats.rows import version_of
from stream_app.ingest.ingest import Ingest
from stream_app.kafka import generations
from stream_app.kafka.log import Appender
from stream_app.observing.observer import Observer
from stream_app.rebuild.applying import Applying
from stream_app.rebuild.copying import Copying
from stream_app.rebuild.difference import Difference, difference
from stream_app.rebuild.gone import show_zeros, tombstones, without_cell
from stream_app.rebuild.plan import Plan
from stream_app.rebuild.rereading import Rereading
from stream_app.rebuild.retire import retire
from stream_app.rebuild.shown import Name, Shown, ShownResults, cell_of, own_records
from stream_app.sinks.topics import ResultRecords
from stream_app.worker import Worker, create_ledger, ingest_conf, registry_schemas
from tables.ledger import changelog

_Gone = dict[int, list[Name]]  # by partition of the new generation

_POLL_S: Final = 0.5
_HANDED_OVER_S_MAX: Final = 60.0  # for a worker of the new generation to join


class Telling(Protocol):
    """Where a rebuild reports to: a terminal, or a log."""

    def phase(self, name: str, done: int, todo: int, events: int) -> None:
        """How far a phase is: offsets done of so many, and events counted."""

    def say(self, text: str) -> None:
        """Report an event in one sentence."""


class Outcome(NamedTuple):
    """How it ended. `difference`: what it would change, where that was asked for; `gone`: records that said something, and are zero now or removed."""

    difference: Difference | None
    gone: int
    stood_still_s: float


class Rebuild:
    """One run of a rebuild, from its start or from where an earlier run ended.

    `settings` are those of the new generation, `old` those of the serving one.
    """

    def __init__(
        self, settings: Settings, old: Settings, plan: Plan, state_dir: Path, telling: Telling, *, from_sources: bool
    ) -> None:
        self._settings, self._old, self._plan, self._telling = settings, old, plan, telling
        self._from_sources, self._state_dir = from_sources, state_dir
        self._kafka = settings.kafka
        self._ledger = create_ledger(settings, state_dir, muted=True)
        self._observer, self._appender = Observer(self._kafka), Appender(self._kafka)
        self._results = ResultRecords(settings.ce_type_prefix, settings.ce_source)
        topics = {table.name: settings.result_topic(table.name) for table in TABLES}
        self._shown = ShownResults(self._kafka, topics)
        self._result_topics = topics
        self._copying = Copying(
            self._kafka,
            f"{settings.app_id}-copy-{settings.events_generation}",
            (old.events, old.events_partitions),
            (settings.events, settings.events_partitions),
            self._appender,
        )
        self._applying = Applying(
            settings, old, self._ledger.lanes, self._observer, self._copying, copies=plan.copies_events
        )
        self.outcome: Outcome | None = None

    def run(self, *, only_difference: bool) -> Outcome:
        """Rebuild, until the new generation serves, or its difference is known.

        `Raises` what ended it early; a signal ends it by SystemExit.
        """
        self._state_dir.mkdir(parents=True, exist_ok=True)
        worker = Worker(self._ledger.app, loglevel="WARNING", redirect_stdouts=False, quiet=True)

        async def start() -> None:
            self._ledger.app.add_future(self._all(worker, only_difference=only_difference))

        self._ledger.app.starts.append(start)
        with suppress(SystemExit):
            worker.execute_from_commandline()
        if self.outcome is None:
            raise SystemExit(1)
        if not only_difference:  # workers have it from the changelog
            shutil.rmtree(self._state_dir, ignore_errors=True)
        return self.outcome

    async def _all(self, worker: Worker, *, only_difference: bool) -> None:
        await self._appender.start()
        await self._shown.start(await self._partitions(list(self._result_topics.values())))
        copy = asyncio.create_task(self._copying.run(lambda: True)) if self._plan.copies_events else None
        letters = asyncio.create_task(self._applying.follow_letters())
        try:
            if self._from_sources:
                await self._reread()
            await self._applying.catch_up(copy, partial(self._telling.phase, "Applying events"))
            if only_difference:
                found = await difference(self._shown, self._applying.views, self._results, self._applying.settle)
                self.outcome = Outcome(found, 0, 0.0)
            else:
                self.outcome = await self._take_over()
                await self._hand_over()
        finally:
            for task in filter(None, (copy, letters)):
                task.cancel()
            await self._shown.stop()
            await self._appender.stop()
            await self._observer.close()
        worker.shut_down()

    async def _partitions(self, topics: Sequence[str]) -> dict[str, int]:
        """The number of partitions of each topic that exists."""
        found = await self._observer.topics(topics)
        return {topic: description.partitions for topic, description in found.items()}

    # -- building

    async def _reread(self) -> None:
        conf = ingest_conf(self._settings)._replace(again=True)
        schemas = registry_schemas(self._settings)
        ingest = Ingest(conf, self._appender, schemas=schemas)
        rereading = Rereading(
            self._kafka,
            f"{self._settings.app_id}-reread-{self._settings.generation}",
            await self._partitions(list(source_maps.teams(self._settings))),
            ingest,
        )
        try:
            await rereading.run(
                lambda: self._telling.phase("Reading the source topics again", rereading.done, rereading.todo, 0)
            )
        finally:
            if schemas:
                await schemas.close()

    # -- taking over

    async def _take_over(self) -> Outcome:
        await self._shown.catch_up()
        own = await own_records(await self._applying.views(), self._results)
        began = time.monotonic()
        old = self._old
        if self._plan.copies_events:
            await self._move_ingest()
        retired = await retire(
            self._kafka,
            old.ledger_group,
            changelog(old.ledger_group),
            old.events,
            range(old.events_partitions),
            self._settings.generation,
        )
        await self._applying.until_applied({partition: found.applied for partition, found in retired.items()})
        gone = await until_kafka_answers(lambda: self._gone(own), "the results topics")
        untrue = await self._untrue(gone)
        await show_zeros(self._ledger.lanes.open_lanes, gone)
        await self._remove(gone)
        topic, serving = self._settings.topic_generations, self._plan.target.serving()
        await until_kafka_answers(lambda: generations.write(self._kafka, topic, serving), f"the topic {topic}")
        complete = {partition: found.complete for partition, found in retired.items()}
        self._ledger.lanes.unmute({} if self._plan.copies_events else complete)
        stood_still_s = time.monotonic() - began
        self._telling.say(
            f"Generation {self._settings.generation} serves; results stood still for {stood_still_s:.1f} s"
        )
        return Outcome(None, untrue, stood_still_s)

    async def _move_ingest(self) -> None:
        """Let ingest into the new events topic go on where ingest into the old one stands.

        A source record that both read becomes two events, of which the second changes nothing.
        """
        committed = await self._observer.committed(self._old.ingest_group)
        await self._observer.set_committed(self._settings.ingest_group, committed)

    async def _gone(self, own: dict[Name, Shown]) -> _Gone:
        """Records that the results topics show and this generation does not have; `own`: those that it had before."""
        await self._shown.catch_up()
        suspects = {name for name in self._shown.by_name if name not in own}
        names = (
            suspects - (await own_records(await self._applying.views(), self._results)).keys() if suspects else set()
        )
        gone: _Gone = {}
        for name in names:
            _, key, _ = cell_of(name)
            partition = partition_for(key.operator.encode(), self._settings.events_partitions)
            gone.setdefault(partition, []).append(name)
        return gone

    async def _untrue(self, gone: _Gone) -> int:
        """How many of the records say something of cells that this generation does not have."""
        views = {view.partition: view for view in await self._applying.views()}
        return sum(
            self._shown.by_name[name].counts
            for partition, names in gone.items()
            for name in without_cell(views[partition], names)
        )

    async def _remove(self, gone: _Gone) -> None:
        """Tombstones for records of cells that are not kept."""
        counts = {
            table: (topic, await self._appender.partitions(topic)) for table, topic in self._result_topics.items()
        }
        views = {view.partition: view for view in await self._applying.views()}
        for partition, names in gone.items():
            removed = without_cell(views[partition], names)
            records = tombstones(removed, counts, self._results, self._version(partition), int(time.time() * 1000))
            await self._appender.append({at: list(some) for at, some in records.items()})

    def _version(self, partition: int) -> int:
        """The version of what a partition holds: what changes in it later has a higher one."""
        return version_of(self._settings.generation, self._ledger.lanes.lanes[partition].committed)

    async def _hand_over(self) -> None:
        """Wait until a worker of the new generation has joined."""
        deadline = time.monotonic() + _HANDED_OVER_S_MAX
        group = self._settings.ledger_group
        while time.monotonic() < deadline:
            with suppress(ClusterError):
                found = (await self._observer.describe_groups([group])).get(group)
                if found is not None and len(found.members) > 1:
                    return
            await asyncio.sleep(_POLL_S)
        self._telling.say(f"No worker of generation {self._settings.generation} has joined: start the workers again.")
