"""A worker in a space of its own, which reads what was sent and starts again: with its store, and from an empty disk."""

import shutil
import time

from bench.context import say
from bench.load import READY_SECONDS_MAX, SLOWEST
from bench.meter import Meter
from bench.produce import Produced
from bench.results import Results
from bench.stack import Stack


class OneWorker:
    """The worker of a new space, which does not run."""

    def __init__(self, stack: Stack, name: str) -> None:
        self._stack, self.space = stack, stack.space(name)
        self.results = Results(self.space)

    def read(self, sent: Produced) -> Meter:
        """A worker from its start until Redis has all that was sent, which is what the meter says; it is stopped once ClickHouse has it, too."""
        meter = Meter(self._stack, self._stack.start_worker(self.space))
        seconds_max = READY_SECONDS_MAX + sent.records / SLOWEST
        meter.until(lambda: self.results.is_past(sent.done_ms), "catching up", seconds_max)
        cpu_s, rss_bytes = meter.cpu_s, meter.rss_bytes
        checked_ms = int(time.time() * 1000)
        meter.until(lambda: self.results.is_clickhouse_past(checked_ms), "ClickHouse", seconds_max)
        self._stack.stop(meter.running)
        meter.cpu_s, meter.rss_bytes = cpu_s, rss_bytes
        return meter

    def start(self) -> Meter:
        """A start with the store, until ready; it goes on to run."""
        return self._start("with its store")

    def start_empty(self) -> Meter:
        """A start without it."""
        shutil.rmtree(self._stack.state_dir(self.space))
        return self._start("from an empty disk")

    def _start(self, how: str) -> Meter:
        say(f"the worker starts {how}")
        meter = Meter(self._stack, self._stack.start_worker(self.space))
        ready = self._stack.run.ready_file(meter.running.name)
        meter.until(ready.exists, f"starting {how}", 10 * READY_SECONDS_MAX)
        return meter
