"""Kills of workers, one after the other, each while payments come in; after each the count of what was sent must be exact, in Redis and in ClickHouse."""

import json
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.oracle import TOPICS
from tests.support.deployment import Deployment
from tests.support.kafka import flush
from tests.support.service import DATABASE

_OPERATORS: Final = 24
_BATCH: Final = 400  # payments, of 1 cent each, in which a kill falls
_EXACT_S_MAX: Final = 300.0


class Kill(NamedTuple):
    """One kill. `seconds`: until all that was sent was counted, None for never; `redis` and `clickhouse`: payments counted then, of so many sent."""

    seconds: float | None
    sent: int
    redis: int
    clickhouse: int

    @property
    def exact(self) -> bool:
        """Was each payment counted once?"""
        return self.seconds is not None and self.redis == self.clickhouse == self.sent


class Kills(NamedTuple):
    """All of them."""

    seed: int
    kills: list[Kill]

    @property
    def inexact(self) -> list[Kill]:
        """Those after which the count was wrong."""
        return [kill for kill in self.kills if not kill.exact]

    @property
    def median_s(self) -> float:
        """Until all was counted."""
        return statistics.median(kill.seconds or _EXACT_S_MAX for kill in self.kills)

    @property
    def worst_s(self) -> float:
        """The same, at worst."""
        return max(kill.seconds or _EXACT_S_MAX for kill in self.kills)


def kill_workers(path: Path, seed: int, times: int, say: Callable[[str], None]) -> Kills:
    """Make a deployment of two workers, and kill one of them so many times."""
    deployment = Deployment(path, sources=dict.fromkeys(TOPICS.values(), 4))
    try:
        for number in (1, 2):
            deployment.start_worker(number)
        for number in (1, 2):
            deployment.wait_ready(number)
        return Kills(seed, _kills(deployment, random.Random(seed), times, say))
    finally:
        deployment.close()


def _kills(deployment: Deployment, rng: random.Random, times: int, say: Callable[[str], None]) -> list[Kill]:
    producer, sent, found = deployment.producer(acks="all"), 0, []
    for _ in range(times):
        at = rng.randrange(_BATCH)  # somewhere among these payments
        for number in range(_BATCH):
            _pay(producer, sent + number, rng)
            if number == at:
                flush(producer)
                time.sleep(rng.uniform(0, 0.6))  # anywhere in a tick
                killed = rng.choice((1, 2))
                deployment.kill(f"worker-{killed}")
        flush(producer)
        sent += _BATCH
        began = time.monotonic()
        deployment.start_worker(killed)
        found.append(_counted(deployment, sent, began))
        say(f"kill {len(found)}: {found[-1]}")
    return found


def _pay(producer: Any, number: int, rng: random.Random) -> None:
    payment = {
        "payment_id": f"p-{number}", "operator_id": f"M{number % _OPERATORS}", "customer_id": f"c-{number % 977}", "status": "SUCCEEDED",
        "amount_received": 1, "currency": "EUR", "paid_at": int(time.time() * 1000),
    }  # fmt: skip
    producer.produce("charging.payments", json.dumps(payment), partition=rng.randrange(4))
    producer.poll(0)


def _counted(deployment: Deployment, sent: int, began: float) -> Kill:
    """Wait until as-of has passed what was sent, in both sinks; then what they count."""
    wanted_ms = deployment.now_ms()
    try:
        deployment.wait_as_of(wanted_ms, seconds=_EXACT_S_MAX)
        seconds: float | None = time.monotonic() - began
    except AssertionError:
        seconds = None
    documents = [
        json.loads(deployment.redis.get(f"crm:{{M{n}}}:monthly:ALL") or b'{"months": []}') for n in range(_OPERATORS)
    ]
    redis = sum(month["paymentCount"] for document in documents for month in document["months"])
    cents = sum(round(float(month["receivedAmount"]) * 100) for document in documents for month in document["months"])
    ((clickhouse, amount),) = deployment.clickhouse.execute(
        f"SELECT sum(payment_count), sum(received_amount) FROM {DATABASE}.ads_operation_crm_monthly_current WHERE group_id = 'ALL'"
    )
    assert cents == redis, "each payment is of 1 cent"
    assert round(float(amount) * 100) == clickhouse, "each payment is of 1 cent"
    return Kill(seconds, sent, redis, clickhouse)
