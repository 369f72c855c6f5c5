"""Payments of some operators, sent all the time, with when Kafka had taken each: what a result must hold that carries a later as-of."""

import json
import random
import threading
import time
from datetime import datetime

from tests.support.deployment import Deployment

OPERATORS = [f"M{n}" for n in range(6)]


class Feed(threading.Thread):
    """Appends payments of 1 cent, and notes when Kafka had taken each. `first`: number of the first one."""

    def __init__(self, deployment: Deployment, first: int = 0) -> None:
        super().__init__()
        self._first = first
        self.taken_ms: dict[str, list[int]] = {operator: [] for operator in OPERATORS}  # ascending
        self._producer = deployment.producer(acks="all")
        self.ended = threading.Event()

    def run(self) -> None:
        rng, number = random.Random(1), self._first
        while not self.ended.is_set():
            for _ in range(20):
                operator, number = rng.choice(OPERATORS), number + 1
                payment = {
                    "payment_id": f"p-{number}",
                    "operator_id": operator,
                    "status": "SUCCEEDED",
                    "amount_received": 1,
                    "currency": "EUR",
                    "paid_at": int(time.time() * 1000),
                }
                self._producer.produce(
                    "charging.payments",
                    json.dumps(payment),
                    partition=rng.randrange(5),
                    on_delivery=lambda error, _, operator=operator: self._taken(error, operator),
                )
            self._producer.poll(0)
            time.sleep(0.05)
        # What Kafka has taken counts, so each answer is waited for, also of brokers that were lost.
        while self._producer.flush(10):
            pass

    def _taken(self, error: object, operator: str) -> None:
        assert error is None
        self.taken_ms[operator].append(int(time.time() * 1000))


def epoch_ms(text: str) -> int:
    """An as-of in epoch milliseconds."""
    return int(datetime.fromisoformat(text).timestamp() * 1000)
