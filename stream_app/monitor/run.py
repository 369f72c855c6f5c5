"""Composition root of the monitor: its loops, its board, its HTTP. Ends by a signal only; whatever does not answer is told, and asked again."""

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from stream_app.clients.waiting import ClusterError
from stream_app.domain import probe
from stream_app.health.status import Limits
from stream_app.monitor.board import Board
from stream_app.monitor.conf import Conf
from stream_app.monitor.dead_letters import DeadLetterCounts
from stream_app.monitor.document import OperatorsDocument, OurGroups, encode
from stream_app.monitor.generations import Generations
from stream_app.monitor.look import Looker
from stream_app.monitor.metrics import registry
from stream_app.monitor.probe import Probe
from stream_app.monitor.push import Push
from stream_app.monitor.results import ERRORS as RESULT_ERRORS
from stream_app.monitor.results import OperatorCounts, Results, SinkReaders
from stream_app.monitor.server import Answer, Route, Server
from stream_app.monitor.sources import Sources
from stream_app.monitor.transactions import Transactions
from stream_app.monitor.watch import Watch
from stream_app.observing.observer import Observer
from stream_app.observing.timestamps import BisectingLookup, ReadingLookup, TimestampLookup

log = logging.getLogger(__name__)

_WORST, _WORST_MAX = 20, 10_000
_END_SECONDS = 2.0  # for what is under way, and again for connections
_LOOK_ERRORS = (ClusterError, OSError)  # of a cluster that does not answer
_STARTING_MS = 60_000  # after a generation began to serve, for its workers to join its groups
_LOOK_SECONDS_MAX = 300.0  # many times what servers that do not answer cost


def now_ms() -> int:
    """The wall clock."""
    return int(time.time() * 1000)


class Monitor:
    """The monitor of one cluster: what each loop looks at, and the board that all of them write to."""

    def __init__(self, conf: Conf) -> None:
        self._conf = conf
        self.board = Board(now_ms(), generation=conf.generation, ours=OurGroups(conf.ingest, conf.ledger))
        self._observer = Observer(conf.kafka)
        self._generations = Generations(conf, self._observer)
        self._ending, self._is_told = asyncio.Event(), False
        self._looker = Looker(self._observer, conf.ours, conf.others, conf.partitions_max, conf.own)
        self._lookup: TimestampLookup = (
            ReadingLookup(conf.kafka) if conf.timestamps == "log" else BisectingLookup(self._observer)
        )
        self._watch = Watch(self._lookup, frozenset(conf.ours), Limits())
        self._readers = SinkReaders(
            conf.kafka, conf.topic_as_of, conf.redis_url, conf.clickhouse_url, conf.clickhouse_database
        )
        self._results = Results(conf.events_partitions, self._readers.read())
        self._operators = OperatorCounts(self._readers, conf.events_partitions)
        self._sources = Sources(self._observer, conf.sources, conf.optional_sources)
        self._transactions = Transactions(self._observer, conf.sources)
        self._dead_letters = DeadLetterCounts(conf.kafka, conf.topic_dead_letters)
        self._push = (
            Push(conf.api_url, probe.OPERATOR, conf.token_claims, conf.jwt_secret, conf.api_cafile)
            if conf.jwt_secret
            else None
        )
        self._probe = Probe(conf.kafka, conf.topic_probe, self._readers, self._push) if conf.probe_ms else None
        if self._probe is not None:
            self.board.probes = list(self._probe.latencies.values())
        self._registry = registry(self.board, now_ms)

    def routes(self) -> dict[str, Route]:
        """What is answered over HTTP."""

        async def metrics(_: Mapping[str, str]) -> Answer:
            return Answer(generate_latest(self._registry), CONTENT_TYPE_LATEST)

        async def status(_: Mapping[str, str]) -> Answer:
            return Answer(encode(self.board.document(now_ms())))

        async def operators(query: Mapping[str, str]) -> Answer:
            worst = query.get("worst", str(_WORST))
            if not (worst.isascii() and worst.isdigit() and 0 < int(worst[:6]) <= _WORST_MAX):
                return Answer(f"worst is 1 to {_WORST_MAX}\n".encode(), "text/plain", "400 Bad Request")
            try:
                found = await self._operators.worst(self.board.results, int(worst))
            except RESULT_ERRORS as error:
                return Answer(f"Redis does not answer: {error}\n".encode(), "text/plain", "503 Service Unavailable")
            return Answer(encode(OperatorsDocument(found)))

        async def healthz(_: Mapping[str, str]) -> Answer:
            return Answer(b"{}")

        return {"/metrics": metrics, "/status": status, "/operators": operators, "/healthz": healthz}

    async def look_at_groups(self) -> None:
        """A cluster that does not answer is noted, once in the log.

        The generations are asked after the groups: members leave only after a newer one serves, and then they are not missed.
        """
        started = time.monotonic()
        try:
            look = await self._looker.look(now_ms())
            await self._generations.look()
            if self._generations.is_superseded:
                self._ending.set()
                return
            self._watch.starting_until_ms = self._generations.serving_since_ms + _STARTING_MS
            self.board.groups = await self._watch.take(look)
            self.board.held = await self._transactions.look(look)
            self.board.rebuild = await self._generations.rebuild(look.time_ms)
        except _LOOK_ERRORS as error:
            if self.board.failure is None:
                log.warning("Kafka does not answer: %s", error)
            self.board.failures += 1
            self.board.failure = f"{type(error).__name__}: {error}"
            return
        finally:
            self.board.miss(self._observer.away(), now_ms())
        if self.board.failure is not None:
            log.warning("Kafka answers again")
        self.board.looked_ms, self.board.left_out, self.board.failure = look.time_ms, look.left_out, None
        self.board.look_seconds = time.monotonic() - started

    async def look_at_results(self) -> None:
        """Each sink tells by itself whether it answers."""
        board, conf = self.board, self._conf
        await asyncio.gather(self._results.look(), self._operators.look())
        at_ms = now_ms()
        seen = board.is_fresh(at_ms)
        ingest, ledger = (board.group(name) if seen else None for name in (conf.ingest, conf.ledger))
        board.results = self._results.rows(at_ms, ingest, ledger, self._operators.counts)
        board.sinks = list(self._results.sinks.values())

    async def look_at_sources(self) -> None:
        """Source topics and dead letters; while Kafka is away there is nothing new, which the look at groups tells."""
        with suppress(*_LOOK_ERRORS):
            self.board.sources = await self._sources.look(now_ms())
            self.board.dead_letters = await self._dead_letters.look()

    async def run(self) -> None:
        """Until a signal, or until a newer generation serves: then the process begins anew. `Raises` OSError when the port is taken."""
        server = await Server(self.routes()).start(self._conf.host, self._conf.port)
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._end)
        loops = (self.look_at_groups, self.look_at_results, self.look_at_sources)
        tasks = [asyncio.create_task(every(self._conf.interval_ms / 1000, look)) for look in loops]
        if self._probe is not None:
            tasks.append(asyncio.create_task(every(self._conf.probe_ms / 1000, self._probe.send)))
            if self._push is not None:
                tasks.append(asyncio.create_task(self._push.run()))
        watching = asyncio.create_task(self._ending.wait())
        done, _ = await asyncio.wait([watching, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in (watching, *tasks):
            task.cancel()
        await asyncio.wait([watching, *tasks], timeout=_END_SECONDS)
        server.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(_END_SECONDS):
                await asyncio.gather(self._observer.close(), asyncio.to_thread(self._lookup.close))
        for task in done - {watching}:
            task.result()  # a loop ends by an error only
        if self._generations.is_superseded and not self._is_told:
            log.warning("a newer generation serves: the monitor begins anew, with that one")
            sys.stderr.flush()
            os.execv(self._conf.command[0], self._conf.command)  # noqa: S606  # no shell is wanted

    def _end(self) -> None:
        """By a signal."""
        self._is_told = True
        self._ending.set()


async def every(seconds: float, work: Callable[[], Awaitable[None]], seconds_max: float = _LOOK_SECONDS_MAX) -> None:
    """Do it for ever; what takes longer than that follows itself.

    `Raises` TimeoutError: what hangs would leave old numbers standing as if they were new, and a monitor that ended is told.
    """
    while True:
        started = time.monotonic()
        async with asyncio.timeout(seconds_max):
            await work()
        await asyncio.sleep(max(0.0, started + seconds - time.monotonic()))
