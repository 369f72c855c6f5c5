"""Composition root of a worker: two Faust apps in one process, with everything they need.

`ingest` re-keys the source topics into the events topic, `ledger` turns that into results; each is a consumer group of its own, so that a source team's new
partition never moves state. More workers take partitions off each other.
"""

import asyncio
import gc
import logging
import os
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

import faust
import stamina
from faust.types import TP

from agents import ingest as ingest_agent
from agents import ledger as ledger_agent
from config.settings import Settings
from stream_app.domain import working
from stream_app.domain.events import CDR, GROUP, MEMBERSHIP, OPERATOR, PAYMENT, SESSION
from stream_app.faust_seam.app import App, new_app
from stream_app.ingest.ingest import Ingest, IngestConf
from stream_app.kafka import batches, logs
from stream_app.kafka.log import Appender, TransactionLog
from stream_app.kafka.replay import replay
from stream_app.observing.cluster import Cluster, KafkaException
from stream_app.observing.frontier import Frontier
from stream_app.partition.announcer import Announcer
from stream_app.partition.conf import Conf, Pace, Topics
from stream_app.partition.lanes import Lanes
from stream_app.partition.pump import Pump
from stream_app.ports.kafka import Range, Replayed
from stream_app.sinks.clickhouse import ClickHouseSink
from stream_app.sinks.redis import RedisSink
from tables.cells import HALF_HOUR, MONTHLY, HalfHourTable, MonthlyTable
from tables.ledger import LedgerTable, changelog

log = logging.getLogger(__name__)

INGEST, LEDGER = "ingest", "ledger"
_SAME_LOG_S = 10.0  # between two lines of aiokafka that are the same but for numbers
_BROKER_S_MAX = 120.0  # a broker that restarts is waited for; one that is away longer ends the worker with an error


def source_kinds(settings: Settings) -> dict[str, int]:
    """Kind of event by source topic of other teams."""
    return {
        settings.topic_sessions: SESSION,
        settings.topic_payments: PAYMENT,
        settings.topic_cdrs: CDR,
        settings.topic_customer_groups: MEMBERSHIP,
        settings.topic_groups: GROUP,
        settings.topic_operators: OPERATOR,
    }


class LedgerKafka:
    """Kafka as the lanes need it."""

    def __init__(self, settings: Settings, cluster: Cluster) -> None:
        self._servers, self._settings, self._cluster = settings.kafka_bootstrap_servers, settings, cluster
        self._group = settings.ledger_group

    def new_log(self, partition: int) -> TransactionLog:
        """The transactions of a partition; the id is the partition's own, so a new owner fences the old one."""
        return TransactionLog(
            self._servers,
            f"{self._group}-{partition}",
            self._group,
            (self._settings.events, partition),
            (changelog(self._group), partition),
        )

    async def replay(self, topic: str, stores: Mapping[int, Replayed], wanted: Callable[[], bool]) -> int:
        """Bring stores up to the end of a changelog."""
        return await replay(self._servers, topic, stores, wanted)

    async def ranges(self, topic: str, partitions: Sequence[int]) -> dict[int, Range]:
        """Where partitions of a topic begin and end."""
        tps = [(topic, partition) for partition in partitions]
        async for attempt in stamina.retry_context(on=KafkaException, attempts=None, timeout=_BROKER_S_MAX):
            with attempt:
                starts, ends = await self._cluster.starts(tps), await self._cluster.ends(tps)
        return {partition: Range(starts[topic, partition], ends[topic, partition]) for partition in partitions}


class Background:
    """Tasks of an app that run as long as it does; what fails in one stops the worker."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._tasks: set[asyncio.Task[None]] = set()

    def starter(self, work: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], Awaitable[None]]:
        """What starts it, when it is time to."""

        async def start() -> None:
            self.start(work())

        return start

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run it."""
        task = asyncio.create_task(self._watch(work))
        self._tasks.add(task)

    async def _watch(self, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception as exc:
            log.exception("a task of %s failed", self._app.conf.id)
            await self._app.crash(exc)

    async def stop(self) -> None:
        """End all."""
        while self._tasks:  # asyncio.wait_for of Python 3.11 can swallow a cancellation
            for task in self._tasks:
                task.cancel()
            _, self._tasks = await asyncio.wait(self._tasks, timeout=1)


def create_ingest(settings: Settings, state_dir: Path) -> App:
    """The app `ingest`."""
    app = new_app(
        settings.ingest_group,
        servers=settings.kafka_bootstrap_servers,
        state_dir=state_dir,
        partitions=1,
        session_timeout_s=settings.session_timeout_ms / 1000,
        commit_interval_s=settings.ingest_commit_ms / 1000,
        declares=False,
    )
    kinds = source_kinds(settings) | {settings.topic_probe: PAYMENT}
    conf = IngestConf(
        kinds=kinds,
        events=settings.events,
        events_partitions=settings.events_partitions,
        dead_letters=settings.topic_dead_letters,
        ocpi_operators=settings.ocpi_operators,
        retention_months=settings.retention_months,
        stream_clock=settings.clock == "stream",
        clock_skew_ms_max=settings.clock_skew_ms_max,
    )
    ingest, background = Ingest(conf, Appender(settings.kafka_bootstrap_servers)), Background(app)
    ingest_agent.add(app, kinds, ingest)

    app.starts += [ingest.start, background.starter(ingest.run_clock)]
    app.stops += [background.stop, ingest.stop]
    return app


def create_ledger(settings: Settings, state_dir: Path) -> App:
    """The app `ledger`."""
    group = settings.ledger_group
    app = new_app(
        group,
        servers=settings.kafka_bootstrap_servers,
        state_dir=state_dir,
        partitions=settings.events_partitions,
        session_timeout_s=settings.session_timeout_ms / 1000,
        commit_interval_s=1.0,
        declares=True,
        replication_factor=settings.replication_factor,
    )
    background, appender = Background(app), Appender(settings.kafka_bootstrap_servers)
    cluster = Cluster(settings.kafka_bootstrap_servers)

    async def build() -> None:
        """What needs the cluster, or a running loop."""
        async for attempt in stamina.retry_context(on=KafkaException, attempts=None, timeout=_BROKER_S_MAX):
            with attempt:
                found = await cluster.describe([settings.events])
        if settings.events not in found or found[settings.events].partitions != settings.events_partitions:
            raise RuntimeError(
                f"the topic {settings.events} must have {settings.events_partitions} partitions: {found}"
            )
        conf = _conf(settings, group, found[settings.events].topic_id)
        lanes.configure(conf)
        announcer = Announcer(conf, settings.topic_as_of, appender, lanes.open_lanes)
        frontier = Frontier(
            cluster,
            [*source_kinds(settings), settings.topic_probe],
            settings.ingest_group,
            settings.events,
            settings.events_partitions,
        )
        await appender.start()
        background.start(announcer.run())
        background.start(frontier.run(settings.frontier_ms / 1000, lanes.reached))
        for pump in lanes.pumps:
            background.start(pump.run())

    lanes = Lanes(LedgerKafka(settings, cluster), state_dir / group, settings.block_cache_mb, app.crash)
    lanes.pumps = [
        Pump(RedisSink(settings.redis_url), settings.redis_ms / 1000, lanes.open_lanes),
        Pump(
            ClickHouseSink(settings.clickhouse_url, settings.clickhouse_database),
            settings.clickhouse_ms / 1000,
            lanes.open_lanes,
        ),
    ]
    table = LedgerTable(app, source=settings.events, partitions=settings.events_partitions, lanes=lanes)
    app.tables.add(table)
    app.tables.add(MonthlyTable(app, name=MONTHLY, ledger=table, lanes=lanes))
    app.tables.add(HalfHourTable(app, name=HALF_HOUR, ledger=table, lanes=lanes))
    ledger_agent.add(app, settings.events, lanes)
    app.positions = lambda: {TP(settings.events, p): offset for p, offset in lanes.positions().items()}
    app.starts.append(build)
    app.stops += [background.stop, appender.stop, lanes.close]
    return app


def _conf(settings: Settings, group: str, topic_id: str) -> Conf:
    return Conf(
        topics=Topics(
            events=settings.events,
            changelog=changelog(group),
            monthly=settings.topic_monthly,
            half_hour=settings.topic_half_hour,
            dead_letters=settings.topic_dead_letters,
            sources={kind: topic for topic, kind in source_kinds(settings).items()},
        ),
        pace=Pace(tick_s=settings.tick_ms / 1000, publish_s=settings.publish_ms / 1000),
        ledger=working.Settings(settings.retention_months, settings.distribution_days, settings.default_currency),
        generation=settings.generation,
        topic_id=topic_id,
        ce_type_prefix=settings.ce_type_prefix,
        ce_source=settings.ce_source,
    )


def run(settings: Settings, state_dir: Path, only: str | None, ready_file: Path | None) -> None:
    """Run until a signal or an error; the process's exit code says which. `only`: `ingest` or `ledger`, None: both."""
    batches.install()
    logs.install(_SAME_LOG_S)
    logging.getLogger("mode.timers").setLevel(
        logging.ERROR
    )  # a commit that takes longer than its interval is nobody's trouble
    state_dir.mkdir(parents=True, exist_ok=True)
    # A tick makes some hundred thousand lists, none cyclic, and drops them: looking for cycles among them took an eighth of the time, 0.1 s at once.
    gc.set_threshold(500_000, 10, 10)
    apps = []
    if only in {None, INGEST}:
        apps.append(create_ingest(settings, state_dir))
    if only in {None, LEDGER}:
        apps.append(create_ledger(settings, state_dir))
    worker = faust.Worker(*apps, loglevel="INFO", redirect_stdouts=False)
    if ready_file is not None:
        background = Background(apps[-1])
        apps[-1].starts.append(background.starter(lambda: _tell_when_ready(apps, ready_file)))
    worker.execute_from_commandline()


async def _tell_when_ready(apps: Sequence[App], ready_file: Path) -> None:
    for app in apps:
        await app.running.wait()
    ready_file.write_text(f"{os.getpid()}\n", encoding="ascii")  # noqa: ASYNC240  # a few bytes, once
