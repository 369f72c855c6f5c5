"""Input that comes faster than a worker can take it: memory, what results say of their age, and the count when it is over.

Each payment is paid for another time and again, one cent more each time, so what an operator received, in cents, is the number of its records that were applied:
every document tells how many records it holds, to be held against what its as-of says it holds. The rate of the input follows the worker: always some more than it takes.
"""

import json
import threading
import time
from bisect import bisect_left
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import psutil
import redis

from tests.oracle import TOPICS
from tests.support.deployment import Deployment
from tests.support.feed import epoch_ms
from tests.support.service import DATABASE

_OPERATORS: Final = 16
_IDS: Final = 40_000  # payments, each paid again and again, so that the state stops growing
_CUSTOMERS: Final = 4_000
_GROUPS: Final = 100  # of each customer: an event changes so many cells more
_PARTITIONS: Final = 4
_SURPLUS: Final = 1.08  # of the input over what was taken lately
_AHEAD: Final = 1.5  # the same, until results are old
_MEMORY_GROWTH_MAX: Final = 1.15  # from the second quarter of the time to the last
BEHIND_S: Final = 15.0  # results older than this: the worker can't follow
_LOOK_S: Final = 1.0
_CAUGHT_UP_S_MAX: Final = 900.0


class Look(NamedTuple):
    """One look, `seconds` after the beginning: records sent and shown, age of the oldest result, memory of the worker (RSS), and whether as-of was true."""

    seconds: float
    sent: int
    shown: int
    age_s: float
    memory_mb: float
    missing: int  # records that results lack though their as-of says otherwise


class Overload(NamedTuple):
    """All looks while the input came; `caught_up_s` after its end; records counted then."""

    looks: list[Look]
    caught_up_s: float
    sent: int
    redis: int
    clickhouse: int

    def memory(self, quarter: int) -> float:
        """The most memory in a quarter of the time (1 to 4), in MB."""
        length_s = self.looks[-1].seconds / 4
        return max(
            look.memory_mb for look in self.looks if length_s * (quarter - 1) <= look.seconds <= length_s * quarter
        )

    @property
    def behind(self) -> int:
        """Looks at which the worker could not follow."""
        return sum(look.sent > look.shown and look.age_s >= BEHIND_S for look in self.looks)

    @property
    def wrong(self) -> list[str]:
        """What must not be."""
        lines = [
            f"as-of claims {look.missing} records that are missing, after {look.seconds:.0f} s"
            for look in self.looks
            if look.missing
        ]
        if self.redis != self.sent or self.clickhouse != self.sent:
            lines.append(f"{self.sent} records sent, {self.redis} counted in Redis, {self.clickhouse} in ClickHouse")
        if self.behind < len(self.looks) / 2:
            lines.append(
                f"the worker could follow at all but {self.behind} of {len(self.looks)} looks: this was no overload"
            )
        if self.memory(4) > _MEMORY_GROWTH_MAX * self.memory(2):
            lines.append(f"memory grew from {self.memory(2):.0f} to {self.memory(4):.0f} MB in the second half")
        return lines


class _Input(threading.Thread):
    """Payments at a rate that is set from outside. `taken_ms` by operator: when Kafka had taken each, ascending."""

    def __init__(self, producer: Any) -> None:
        super().__init__(name="input")
        self._producer = producer
        self.per_second = 2_000.0
        self.taken_ms: list[list[int]] = [[] for _ in range(_OPERATORS)]
        self.sent = 0
        self.failed: list[str] = []
        self.ended = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.join()

    def run(self) -> None:
        credit, last = 0.0, time.monotonic()
        while not self.ended.is_set():
            now = time.monotonic()
            credit, last = min(credit + (now - last) * self.per_second, self.per_second), now
            for _ in range(int(credit)):
                self._pay()
            credit -= int(credit)
            self._producer.poll(0)
            time.sleep(0.02)
        if left := self._producer.flush(120):
            self.failed.append(f"{left} records were not taken")

    def _pay(self) -> None:
        version, number = divmod(self.sent, _IDS)
        operator = number % _OPERATORS
        payment = {
            "payment_id": f"p-{number}", "operator_id": f"M{operator}", "customer_id": f"c-{number % _CUSTOMERS}", "status": "SUCCEEDED",
            "amount_received": version + 1, "currency": "EUR", "paid_at": int(time.time() * 1000), "version": version,
        }  # fmt: skip
        self._send(TOPICS["payment"], number % _PARTITIONS, payment, lambda error, _: self._taken(error, operator))
        self.sent += 1

    def _send(self, topic: str, partition: int, value: Any, on_delivery: Callable[[Any, Any], None]) -> None:
        while True:
            try:
                self._producer.produce(topic, json.dumps(value), partition=partition, on_delivery=on_delivery)
            except BufferError:
                self._producer.poll(0.1)
            else:
                return

    def _taken(self, error: Any, operator: int) -> None:
        if error is not None:
            self.failed.append(str(error))
        self.taken_ms[operator].append(int(time.time() * 1000))


def overload(path: Path, seconds: float, say: Callable[[str], None]) -> Overload:
    """Make a deployment of one worker, and give it more than it can take for so long."""
    deployment = Deployment(path, sources=dict.fromkeys(TOPICS.values(), _PARTITIONS))
    try:
        deployment.start_worker(1)
        deployment.wait_ready(1)
        _join_groups(deployment)
        return _run(deployment, seconds, say)
    finally:
        deployment.close()


def _join_groups(deployment: Deployment) -> None:
    producer = deployment.producer()
    for operator in range(_OPERATORS):
        for customer in range(_CUSTOMERS):
            if customer % _OPERATORS == operator:
                groups = [f"g-{n}" for n in range(_GROUPS)]
                producer.produce(
                    TOPICS["membership"], json.dumps({"operator_id": f"M{operator}", "customer_id": f"c-{customer}", "group_ids": groups})
                )  # fmt: skip
    assert producer.flush(60) == 0
    deployment.wait_as_of(deployment.now_ms(), names=["worker-1"])


def _run(deployment: Deployment, seconds: float, say: Callable[[str], None]) -> Overload:
    process, looks = psutil.Process(deployment.process("worker-1").pid), list[Look]()
    began = time.monotonic()
    with _Input(deployment.producer(acks="all")) as input_:
        while (passed := time.monotonic() - began) < seconds:
            looks.append(_look(deployment, input_, process, passed))
            is_behind = looks[-1].age_s >= BEHIND_S
            if len(looks) > 30:
                taken = (looks[-1].shown - looks[-30].shown) / (looks[-1].seconds - looks[-30].seconds)
                input_.per_second = max(100.0, taken * (_SURPLUS if is_behind else _AHEAD))
            elif not is_behind:
                input_.per_second *= 1.2
            if len(looks) % 15 == 0:
                say(f"{looks[-1]}, {input_.per_second:.0f} a second")
            time.sleep(_LOOK_S)
        looks.append(_look(deployment, input_, process, time.monotonic() - began))
    assert input_.failed == []
    ended = time.monotonic()
    deployment.wait_as_of(deployment.now_ms(), names=["worker-1"], seconds=_CAUGHT_UP_S_MAX)
    caught_up_s = time.monotonic() - ended
    ((amount,),) = deployment.clickhouse.execute(
        f"SELECT sum(received_amount) FROM {DATABASE}.ads_operation_crm_monthly_current WHERE group_id = 'ALL'"
    )
    return Overload(looks, caught_up_s, input_.sent, _sum(_shown(deployment)), round(float(amount) * 100))


def _look(deployment: Deployment, input_: _Input, process: "psutil.Process", seconds: float) -> Look:
    found = deployment.as_of()  # before the documents that it speaks for
    shown, missing = _shown(deployment), 0
    for operator, (partition, count) in shown.items():
        claimed = bisect_left(list(input_.taken_ms[operator]), epoch_ms(found[partition])) if partition in found else 0
        missing += max(0, claimed - count)
    age_s = time.time() - (epoch_ms(min(found.values())) / 1000 if found else time.time())
    return Look(seconds, input_.sent, _sum(shown), age_s, process.memory_info().rss / 1e6, missing)


def _shown(deployment: Deployment) -> dict[int, tuple[int, int]]:
    """By operator: the partition of its document, and the records that the document holds."""
    try:
        documents = deployment.redis.mget([f"crm:{{M{operator}}}:monthly:ALL" for operator in range(_OPERATORS)])
    except redis.RedisError:
        return {}
    found = {}
    for operator, document in enumerate(documents):
        if document is not None:
            data = json.loads(document)
            found[operator] = (
                data["partition"],
                sum(round(float(month["receivedAmount"]) * 100) for month in data["months"]),
            )
    return found


def _sum(shown: dict[int, tuple[int, int]]) -> int:
    return sum(count for _, count in shown.values())
