"""Composition root of a worker: two Faust apps in one process, with everything they need.

`ingest` re-keys the source topics into the events topic, `ledger` turns that into results; each is a consumer group of its own, so that a source team's new
partition never moves state. More workers take partitions off each other.
"""

import asyncio
import faulthandler
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import faust
from aiokafka.errors import KafkaError
from faust.types import TP
from mode.threads import WorkerThread
from mode.utils.tracebacks import print_task_stack
from prometheus_client import CollectorRegistry, start_http_server

from agents import ingest as ingest_agent
from agents import ledger as ledger_agent
from config import source_maps
from config.settings import Settings
from stream_app import memory
from stream_app.clients import client
from stream_app.clients.waiting import until_kafka_answers
from stream_app.domain import working
from stream_app.domain.tables import TABLES
from stream_app.faust_seam.app import App, new_app
from stream_app.faust_seam.background import Background
from stream_app.formats import limits
from stream_app.formats.generations import Generation, newest_serving
from stream_app.ingest.ingest import Ingest, IngestConf
from stream_app.ingest.metrics import IngestMetrics
from stream_app.kafka import batches, generations, logs
from stream_app.kafka.log import Appender
from stream_app.kernel.source_records import new_reader
from stream_app.observing import durability, record_limits
from stream_app.observing.answers import TopicConfig, TopicDescription
from stream_app.observing.frontier import Frontier
from stream_app.observing.observer import Observer
from stream_app.partition.announcer import Announcer
from stream_app.partition.conf import Conf, Pace, Topics
from stream_app.partition.lanes import Lanes
from stream_app.partition.metrics import expose
from stream_app.partition.sink_writer import SinkWriter
from stream_app.ports.tracing import Spans, Tracing
from stream_app.schema_registry.client import RegistryClient
from stream_app.schema_registry.schemas import RegistrySchemas
from stream_app.sinks.clickhouse import ClickHouseSink
from stream_app.sinks.redis import RedisSink
from tables.cells import CellTable
from tables.ledger import LedgerTable, changelog
from tables.ledger_kafka import LedgerKafka

log = logging.getLogger(__name__)

INGEST, LEDGER = "ingest", "ledger"
_LOG_S, _LINES = 60.0, 6  # aiokafka's log: of the same place in the code one line in this time, of all places so many
_FOLLOW_AGAIN_S = 5.0
_STOP_S = 25.0  # a supervisor that told it to stop kills it after 30: compose.yaml, and the chart
_SAID_S = 5.0  # before that time is over


def ingest_conf(settings: Settings) -> IngestConf:
    """What ingest must know."""
    return IngestConf(
        sources=source_maps.ingested(settings),
        events=settings.events,
        events_partitions=settings.events_partitions,
        dead_letters=settings.topic_dead_letters,
        ocpi_operators=settings.ocpi_operators,
        retention_months=settings.retention_months,
        stream_clock=settings.clock == "stream",
        clock_skew_ms_max=settings.clock_skew_ms_max,
    )


def registry_schemas(settings: Settings) -> RegistrySchemas | None:
    """The schemas of the schema registry; None: there is none. `Raises` AccessError for a file that can't be used."""
    return RegistrySchemas(RegistryClient(settings.schema_registry)) if settings.schema_registry else None


def create_ingest(
    settings: Settings, state_dir: Path, metrics: CollectorRegistry | None = None, *, spans: Spans | None = None
) -> App:
    """The app `ingest`; `metrics` gets its counters, `spans` what it does with records that are traced."""
    app = new_app(
        settings.ingest_group,
        kafka=settings.kafka,
        state_dir=state_dir,
        partitions=1,
        session_timeout_s=settings.session_timeout_ms / 1000,
        commit_interval_s=settings.ingest_commit_ms / 1000,
        declares=False,
    )
    conf = ingest_conf(settings)
    counts = IngestMetrics(conf.sources, metrics)
    tracing = None if spans is None else Tracing(spans, settings.ingest_group)
    schemas = registry_schemas(settings)
    reader = new_reader() if settings.native else None
    ingest = Ingest(conf, Appender(settings.kafka), metrics=counts, schemas=schemas, tracing=tracing, reader=reader)
    background = Background(app)
    ingest_agent.add(app, conf.sources, ingest)

    async def start_clock() -> None:
        background.add_future(ingest.run_clock())

    app.starts += [ingest.start] if conf.stream_clock else [ingest.start, start_clock]
    app.stops += [background.stop, ingest.stop, *([schemas.close] if schemas else [])]
    return app


class LedgerApp(NamedTuple):
    """The app `ledger`, and the partitions that it owns."""

    app: App
    lanes: Lanes


def create_ledger(
    settings: Settings,
    state_dir: Path,
    metrics: CollectorRegistry | None = None,
    *,
    muted: bool = False,
    spans: Spans | None = None,
) -> LedgerApp:
    """The app `ledger`; `metrics` gets its gauges, `spans` what it does with events that are traced.

    `muted`: of a generation that is being built, and publishes nothing yet.
    """
    group = settings.ledger_group
    app = new_app(
        group,
        kafka=settings.kafka,
        state_dir=state_dir,
        partitions=settings.events_partitions,
        session_timeout_s=settings.session_timeout_ms / 1000,
        commit_interval_s=1.0,
        declares=True,
        replication_factor=settings.replication_factor,
    )
    background, appender = Background(app), Appender(settings.kafka)
    sources = source_maps.ingested(settings)
    observer = Observer(settings.kafka)

    async def build() -> None:
        """What needs the cluster, or a running loop."""
        found = await until_kafka_answers(lambda: observer.topics([settings.events]), "the start")
        if settings.events not in found or found[settings.events].partitions != settings.events_partitions:
            raise RuntimeError(
                f"the topic {settings.events} must have {settings.events_partitions} partitions: {found}"
            )
        conf = ledger_conf(settings, group, found[settings.events].topic_id, muted=muted)
        lanes.configure(conf)
        announcer = Announcer(conf, settings.topic_as_of, appender, lanes.serving_lanes)
        frontier = Frontier(
            observer,
            list(sources),
            settings.ingest_group,
            settings.events,
            settings.events_partitions,
            [name for name, topic in sources.items() if topic.is_optional],
        )
        lanes.arrived = frontier.wake
        await appender.start()
        background.add_future(announcer.run())
        background.add_future(frontier.run(settings.frontier_ms / 1000, lanes.reached))
        for writer in lanes.writers:
            background.add_future(writer.run())

    lanes = Lanes(
        LedgerKafka(settings.kafka, observer, group, settings.events, settings.transaction_timeout_ms, app.member_id),
        state_dir / group,
        settings.block_cache_mb,
        app.crash,
        app.seek,
    )
    lanes.tracing = None if spans is None else Tracing(spans, group)
    expose(lanes.open_lanes, metrics)
    lanes.writers = [
        SinkWriter(
            RedisSink(settings.redis_address, generation=settings.generation, partitions=settings.events_partitions),
            settings.redis_ms / 1000,
            lanes.serving_lanes,
        ),
        SinkWriter(
            ClickHouseSink(
                settings.clickhouse_address,
                settings.clickhouse_database,
                generation=settings.generation,
                partitions=settings.events_partitions,
            ),
            settings.clickhouse_ms / 1000,
            lanes.serving_lanes,
        ),
    ]
    table = LedgerTable(
        app,
        source=settings.events,
        partitions=settings.events_partitions,
        lanes=lanes,
        durability=settings.durability,
    )
    app.tables.add(table)
    for cells in TABLES:
        app.tables.add(CellTable(app, cells, ledger=table, lanes=lanes))
    ledger_agent.add(app, settings.events, lanes)
    app.positions = lambda: {TP(settings.events, p): offset for p, offset in lanes.positions().items()}
    app.full = lambda: {TP(settings.events, p) for p in lanes.full()}
    app.starts.append(build)
    app.stops += [background.stop, appender.stop, observer.close, lanes.close]
    return LedgerApp(app, lanes)


def ledger_conf(settings: Settings, group: str, topic_id: str, *, muted: bool) -> Conf:
    """What partitions must know. `topic_id`: of the events topic."""
    return Conf(
        topics=Topics(
            events=settings.events,
            changelog=changelog(group),
            results={table.name: settings.result_topic(table.name) for table in TABLES},
            dead_letters=settings.topic_dead_letters,
            sources={
                (kind, topic.number): name
                for name, topic in source_maps.teams(settings).items()
                for kind in topic.kinds
            },
        ),
        pace=Pace(tick_s=settings.tick_ms / 1000, publish_s=settings.publish_ms / 1000),
        ledger=working.Settings(settings.retention_months, settings.distribution_days, settings.default_currency),
        generation=settings.generation,
        topic_id=topic_id,
        ce_type_prefix=settings.ce_type_prefix,
        ce_source=settings.ce_source,
        native=settings.native,
        muted=muted,
    )


def prepare(*, traces: bool = False) -> None:
    """What a process needs before its first app: whole batches from Kafka, a quiet log, and memory that fits. `traces`: are they followed?"""
    batches.install(headers=traces)
    client.install()
    logs.install(_LOG_S, _LINES, "opentelemetry", "urllib3")  # so it is with a collector that is away
    # A commit that takes longer than its interval is nobody's trouble.
    logging.getLogger("mode.timers").setLevel(logging.ERROR)
    memory.fit_to_ticks()


async def generation_in_force(settings: Settings) -> Settings:
    """The settings with the generation that serves; a broker that is away is waited for."""
    otherwise = Generation(settings.generation, settings.events_generation, settings.events_partitions, "serving")
    found = await until_kafka_answers(lambda: generations.read(settings.kafka, settings.topic_generations), "the start")
    serving = newest_serving(found, otherwise)
    return settings.of(serving.number, serving.events, serving.partitions)


async def check_topics(settings: Settings) -> None:
    """See that each topic takes what is written to it, and name those that could lose it; a broker that is away is waited for.

    `Raises` RecordLimitError.
    """
    ours = [settings.result_topic(table.name) for table in TABLES]
    ours += [changelog(settings.ledger_group), settings.topic_as_of]
    written = dict.fromkeys(ours, limits.BATCH_BYTES_MAX)
    written |= dict.fromkeys((settings.events, settings.topic_dead_letters), limits.RECORD_BYTES_MAX)
    sources = source_maps.ingested(settings)
    names = [*written, *sources]
    observer = Observer(settings.kafka)

    async def ask() -> tuple[dict[str, TopicDescription], dict[str, TopicConfig | None], int]:
        return await observer.topics(names, denied_ok=True), await observer.configs(names), await observer.brokers()

    try:
        topics, configs, brokers = await until_kafka_answers(ask, "the start")
    finally:
        await observer.close()
    record_limits.check(configs, written, sources, limits.VALUE_BYTES_MAX)
    durability.check(topics, configs, brokers)


def run(
    settings: Settings,
    state_dir: Path,
    only: str | None,
    ready_file: Path | None,
    metrics_port: int,
    spans: Spans | None = None,
) -> None:
    """Run until a signal or an error; the process's exit code says which. `only`: `ingest` or `ledger`, None: both. `metrics_port` 0: none.

    `spans`: of what it does with records that are traced, None: traces are not followed.

    When a newer generation serves, the process becomes a worker of that one. `Raises` OSError when the port is taken, RecordLimitError.
    """
    prepare(traces=spans is not None)
    metrics = CollectorRegistry()
    if metrics_port:
        start_http_server(metrics_port, settings.worker_metrics_host, metrics)
    settings = asyncio.run(generation_in_force(settings))
    asyncio.run(check_topics(settings))
    state_dir.mkdir(parents=True, exist_ok=True)
    apps = []
    if only in {None, INGEST}:
        apps.append(create_ingest(settings, state_dir, metrics, spans=spans))
    if only in {None, LEDGER}:
        apps.append(create_ledger(settings, state_dir, metrics, spans=spans).app)
    app = apps[-1]
    # Faust starts this one behind the others, and stops it before them: `ingest` waits for no state that is recovered or committed.
    worker = Worker(app, *apps[:-1], loglevel="INFO", redirect_stdouts=False)

    async def start_watching() -> None:
        app.add_future(worker.follow(settings))
        app.add_future(memory.free_cycles())
        if ready_file is not None:
            app.add_future(_tell_when_ready(apps, ready_file))

    app.starts.append(start_watching)
    try:
        worker.execute_from_commandline()
    finally:
        if spans is not None:
            spans.close()
        if worker.is_superseded:
            log.warning("a newer generation serves: this worker begins anew, with that one")
            sys.stderr.flush()
            os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606  # no shell is wanted


class Worker(faust.Worker):
    """Faust's, which ends when a newer generation serves, and in bounded time."""

    is_superseded = False

    async def stop(self) -> None:
        """Stop in order, or end after `_STOP_S` as if killed: no supervisor would start a process again that failed and does not end.

        What hangs is written to stderr: where tasks wait, if the loop runs, and where each thread stands.
        """
        faulthandler.dump_traceback_later(_STOP_S, exit=True)
        self.loop.call_later(_STOP_S - _SAID_S, self._tell_what_hangs)
        await super().stop()

    def _tell_what_hangs(self) -> None:
        log.error("the worker does not stop: it ends in %.0f s as it stands", _SAID_S)
        self._on_sigusr1()

    def install_signal_handlers(self) -> None:
        """Have SIGUSR1 write to stderr where threads stand, even where the loop does not run, and where tasks do."""
        super().install_signal_handlers()
        faulthandler.register(signal.SIGUSR1, self.stderr, chain=True)

    def _on_sigusr1(self) -> None:
        """Write where tasks wait; not the values of variables, as Faust would: some are secrets."""
        threads = [thread for thread in threading.enumerate() if isinstance(thread, WorkerThread)]
        for loop in (self.loop, *(thread.service.thread_loop for thread in threads)):
            for task in asyncio.all_tasks(loop):
                try:
                    print_task_stack(task, file=self.stderr)
                except (RuntimeError, AttributeError) as exc:  # one of another thread has gone on meanwhile
                    print(f"  {exc}", file=self.stderr)  # as what is above

    async def follow(self, settings: Settings) -> None:
        """Wait for a newer generation, then stop."""
        while not self.should_stop:
            with suppress(KafkaError):
                await generations.until_newer(settings.kafka, settings.topic_generations, settings.generation)
                self.is_superseded = True
                self.shut_down()
                return
            await asyncio.sleep(_FOLLOW_AGAIN_S)

    def shut_down(self) -> None:
        """Stop soon, as by a signal: partitions are given away in order."""
        self._schedule_shutdown(signal.SIGTERM)


async def _tell_when_ready(apps: Sequence[App], ready_file: Path) -> None:
    for app in apps:
        await app.running.wait()
    ready_file.write_text(f"{os.getpid()}\n", encoding="ascii")  # noqa: ASYNC240  # a few bytes, once
