"""Composition root of the monitor: its loops, its board, its HTTP. Ends by a signal only; whatever does not answer is told, and asked again."""

import asyncio
import logging
import signal
import time
from collections.abc import Awaitable, Callable

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from stream_app.domain.status import Limits
from stream_app.kafka.times import Bisect, Clockwork, FromLog
from stream_app.monitor.board import Board
from stream_app.monitor.conf import Conf
from stream_app.monitor.document import document
from stream_app.monitor.look import ERRORS, Looker
from stream_app.monitor.metrics import registry
from stream_app.monitor.server import Answer, Route, Server
from stream_app.monitor.watch import Watch

log = logging.getLogger(__name__)


def now_ms() -> int:
    """The wall clock."""
    return int(time.time() * 1000)


class Monitor:
    """See the module."""

    def __init__(self, conf: Conf) -> None:
        self._conf, self.board = conf, Board(now_ms())
        self._looker = Looker(conf.kafka, conf.ours, conf.others, conf.partitions_max)
        self._clockwork: Clockwork = FromLog(conf.kafka) if conf.timestamps == "log" else Bisect(self._looker.offsets)
        self._watch = Watch(self._clockwork, frozenset(conf.ours), Limits())
        self._registry = registry(self.board, now_ms)

    def routes(self) -> dict[str, Route]:
        """What is answered over HTTP."""

        async def metrics(_: object) -> Answer:
            return Answer(generate_latest(self._registry), CONTENT_TYPE_LATEST)

        async def status(_: object) -> Answer:
            return Answer(document(self.board, now_ms()))

        async def healthz(_: object) -> Answer:
            return Answer(b"{}")

        return {"/metrics": metrics, "/status": status, "/healthz": healthz}

    async def look(self) -> None:
        """One look at the groups. A cluster that does not answer is noted, once in the log."""
        started = time.monotonic()
        try:
            look = await self._looker.look(now_ms())
            self.board.groups = await self._watch.take(look)
        except ERRORS as error:
            if self.board.failure is None:
                log.warning("Kafka does not answer: %s", error)
            self.board.failures += 1
            self.board.failure = f"{type(error).__name__}: {error}"
            return
        if self.board.failure is not None:
            log.warning("Kafka answers again")
        self.board.looked_ms, self.board.left_out, self.board.failure = look.time_ms, look.left_out, None
        self.board.look_seconds = time.monotonic() - started

    async def run(self) -> None:
        """Until a signal. `Raises` OSError when the port is taken."""
        server = await Server(self.routes()).start(self._conf.host, self._conf.port)
        ending = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, ending.set)
        tasks = [asyncio.create_task(every(self._conf.interval_ms / 1000, self.look))]
        watching = asyncio.create_task(ending.wait())
        done, _ = await asyncio.wait([watching, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in (watching, *tasks):
            task.cancel()
        await asyncio.wait([watching, *tasks], timeout=5)
        server.close()
        self._clockwork.close()
        await self._looker.close()
        for task in done - {watching}:
            task.result()  # a loop ends by an error only


async def every(seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    """Do it for ever; what takes longer than that follows itself."""
    while True:
        started = time.monotonic()
        await work()
        await asyncio.sleep(max(0.0, started + seconds - time.monotonic()))
