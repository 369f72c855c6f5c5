"""The probe: a payment of its own operator through all stages, and how long until each place shows it.

Each probe is the next version of one payment, with an amount that no other one had lately, so that what shows it is seen to hold it. One at a
time: the next waits until all places showed this one or it counts as lost. Append is when the record was handed to Kafka.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import orjson
from confluent_kafka import KafkaException, Producer

from stream_app.access.kafka import KafkaAccess
from stream_app.domain import probe
from stream_app.domain.cells import FigureCell
from stream_app.domain.events import ALL
from stream_app.domain.local_time import day_of
from stream_app.domain.report import figure_values
from stream_app.domain.tables import MONTHLY
from stream_app.health.freshness import Stage
from stream_app.monitor.document import ProbeRow
from stream_app.monitor.push import Push
from stream_app.monitor.results import ERRORS, SinkReaders, in_a_line
from stream_app.observing.client import client_settings
from stream_app.sinks.clickhouse_client import Connection
from stream_app.sinks.clickhouse_reader import figure_cells
from stream_app.sinks.redis_calls import commands
from stream_app.sinks.redis_keys import document_key

SECONDS_MAX: Final = 30.0  # then it is lost
BUCKETS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_KEPT: Final = 360  # probes whose quantiles are told: an hour, at one each ten seconds
_POLL_SECONDS: Final = {Stage.REDIS: 0.02, Stage.CLICKHOUSE: 0.1, Stage.PUSH: 0.02}
_AMOUNTS: Final = 999_983

# When a place showed an amount, by the monotonic clock; None: not yet.
Shows = Callable[[str], Awaitable[float | None]]


@dataclass(slots=True)
class ProbeLatency:
    """How long probes took to one place, counted and summed up. `failure`: why it can't be watched."""

    stage: Stage
    failure: str | None = None
    last_seconds: float | None = None  # of the last probe; None: it is lost, or under way
    last_ms: int = 0  # when one arrived last
    lost: int = 0
    count: int = 0
    sum_seconds: float = 0.0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    lately: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def take(self, seconds: float | None, now_ms: int) -> None:
        """Count a probe that arrived after `seconds`; None: one that is lost."""
        self.last_seconds = seconds
        if seconds is None:
            self.lost += 1
            return
        self.last_ms = now_ms
        self.count += 1
        self.sum_seconds += seconds
        self.buckets[next((i for i, most in enumerate(BUCKETS) if seconds <= most), len(BUCKETS))] += 1
        self.lately.append(seconds)

    def row(self) -> ProbeRow:
        """The numbers for the document, with the quantiles of the last probes."""
        ordered = sorted(self.lately)
        return ProbeRow(
            stage=self.stage,
            failure=self.failure,
            last_seconds=self.last_seconds,
            last_ms=self.last_ms,
            lost=self.lost,
            p50=ordered[len(ordered) // 2] if ordered else None,
            p99=ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)] if ordered else None,
            count=self.count,
        )


class Probe:
    """Sends probes, one at a time, and watches them arrive. `push`: None where there is no token to watch the API with."""

    def __init__(self, kafka: KafkaAccess, topic: str, readers: SinkReaders, push: Push | None) -> None:
        self._producer = Producer(
            client_settings(kafka) | {"linger.ms": 0, "acks": "all", "message.timeout.ms": 10_000}
        )
        self._topic, self._readers, self._push = topic, readers, push
        self.latencies = {stage: ProbeLatency(stage) for stage in (Stage.REDIS, Stage.CLICKHOUSE, Stage.PUSH)}
        if push is None:
            self.latencies[Stage.PUSH].failure = "no jwt_secret to sign a token with"

    async def send(self) -> None:
        """One probe, until every place showed it or it is lost."""
        now_ms = int(time.time() * 1000)
        minor = 1 + now_ms // 100 % _AMOUNTS
        payment = {
            "payment_id": probe.PAYMENT,
            "operator_id": probe.OPERATOR,
            "status": "SUCCEEDED",
            "amount_received": minor,
            "currency": probe.CURRENCY,
            "paid_at": now_ms,
            "version": now_ms,
        }
        began = time.monotonic()
        failed = await asyncio.to_thread(self._append, orjson.dumps(payment))
        shows: dict[Stage, Shows] = {Stage.REDIS: self._in_redis, Stage.CLICKHOUSE: self._in_clickhouse}
        if self._push is not None:
            shows[Stage.PUSH] = self._push.when
        amount = f"{minor // 100}.{minor % 100:02d}"
        if failed is not None:
            for stage in shows:
                self.latencies[stage].failure = failed
                self.latencies[stage].take(None, now_ms)
            return
        await asyncio.gather(*(self._wait(stage, when, amount, began) for stage, when in shows.items()))

    def _append(self, value: bytes) -> str | None:
        failures: list[str] = []
        try:
            self._producer.produce(
                self._topic, value, on_delivery=lambda error, _: failures.append(str(error)) if error else None
            )
            left = self._producer.flush(11)
        except (KafkaException, BufferError) as error:
            return str(error)
        return failures[0] if failures else "Kafka does not take it" if left else None

    async def _wait(self, stage: Stage, shows: Shows, amount: str, began: float) -> None:
        latency = self.latencies[stage]
        while True:
            try:
                async with asyncio.timeout(SECONDS_MAX):
                    arrived = await shows(amount)
                latency.failure = self._push.failure if stage == Stage.PUSH and self._push else None
            except ERRORS as error:
                arrived, latency.failure = None, in_a_line(error)
            if arrived is not None or time.monotonic() - began > SECONDS_MAX:
                latency.take(None if arrived is None else max(0.0, arrived - began), int(time.time() * 1000))
                return
            await asyncio.sleep(_POLL_SECONDS[stage])

    async def _in_redis(self, amount: str) -> float | None:
        (document,) = await commands(self._readers.redis, [("GET", document_key(MONTHLY, probe.OPERATOR, ALL))])
        is_there = document is not None and orjson.loads(document)["months"][-1]["receivedAmount"] == amount
        return time.monotonic() if is_there else None

    async def _in_clickhouse(self, amount: str) -> float | None:
        month = MONTHLY.period.of_day(day_of(datetime.now(UTC).date()))

        def read(to: Connection) -> dict[int, FigureCell]:
            return figure_cells(to, MONTHLY, probe.OPERATOR, ALL, month)

        cells = await self._readers.clickhouse.use(read)
        shown = (figure_values(cell, probe.CURRENCY) for cell in cells.values())
        return time.monotonic() if any(values["receivedAmount"] == amount for values in shown) else None
