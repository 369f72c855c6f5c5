"""As-of is never ahead of the truth: a record appended before an as-of is in the result that carries it."""

import json
import random
import threading
import time
from bisect import bisect_left
from datetime import datetime

from tests.support.deployment import Deployment
from tests.support.waiting import wait_until

OPERATORS = [f"M{n}" for n in range(6)]
SECONDS = 40


class Feed(threading.Thread):
    """Appends payments of 1 cent, and notes when Kafka had taken each."""

    def __init__(self, deployment: Deployment) -> None:
        super().__init__()
        self.taken_ms: dict[str, list[int]] = {operator: [] for operator in OPERATORS}  # ascending
        self._producer = deployment.producer(acks="all")
        self.ended = threading.Event()

    def run(self) -> None:
        rng, number = random.Random(1), 0
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
        self._producer.flush(30)

    def _taken(self, error: object, operator: str) -> None:
        assert error is None
        self.taken_ms[operator].append(int(time.time() * 1000))


def test_a_record_appended_before_an_as_of_is_in_the_result_that_carries_it(deploy):
    """Numbered payments through a kill and two rebalances, read all the time; as-of first, then the document, as the contract says."""
    deployment = deploy()
    deployment.start_worker(1)
    deployment.start_worker(2)
    deployment.wait_ready(1)
    deployment.wait_ready(2)
    feed = Feed(deployment)
    feed.start()
    redis, checked, moved = deployment.redis, 0, set()
    try:
        started, killed, again = time.monotonic(), False, False
        while (passed := time.monotonic() - started) < SECONDS:
            if passed > 8 and not killed:
                deployment.kill("worker-2")
                killed = True
            if passed > 22 and not again:
                deployment.start_worker(2)
                again = True
            for operator in OPERATORS:
                as_of = redis.hgetall("crm:as-of")
                document = redis.get(f"crm:{{{operator}}}:monthly:ALL")
                if document is None:
                    continue
                data = json.loads(document)
                time_ = as_of.get(str(data["partition"]).encode())
                if time_ is None:
                    continue
                counted = sum(month["paymentCount"] for month in data["months"])
                taken_before = bisect_left(list(feed.taken_ms[operator]), _ms(time_.decode()))
                assert counted >= taken_before, (operator, counted, taken_before, time_, data["version"])
                checked += 1
                moved.add(time_)
            time.sleep(0.01)
    finally:
        feed.ended.set()
        feed.join()
    assert checked > 1000
    assert len(moved) > 50, "as-of must move on"
    total = sum(map(len, feed.taken_ms.values()))
    deployment.wait_as_of(int(time.time() * 1000))

    def counted_all() -> bool:
        documents = [json.loads(redis.get(f"crm:{{{operator}}}:monthly:ALL") or b"{}") for operator in OPERATORS]
        return sum(month["paymentCount"] for d in documents for month in d["months"]) == total

    wait_until("all payments are counted once", counted_all, 5)


def _ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)
