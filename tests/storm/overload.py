"""Input that comes faster than a worker can take it: memory, what results say of their age, and the count when it is over.

Each payment is paid for another time and again, one cent more each time, so what an operator received, in cents, is the number of its records that were applied:
every document tells how many records it holds, to be held against what its as-of says it holds. The rate of the input follows what the worker takes, so that
what waits becomes more all the time, and no more than Kafka has room for.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import psutil
import redis

from tests.oracle import TOPICS
from tests.storm.payments import OPERATORS, PARTITIONS, Payments, memberships
from tests.support.deployment import Deployment
from tests.support.feed import epoch_ms
from tests.support.kafka import flush
from tests.support.service import DATABASE

_MEMORY_GROWTH_MAX: Final = 1.15  # from the second quarter of the time to the last
BEHIND_S: Final = 15.0  # results older than this: the worker can't follow
_BEHIND_SHARE_MIN: Final = 0.9  # of the looks
_WAITING_S: Final = (25.0, 60.0)  # of work that waits, at the beginning and at the end
_CORRECTED_S: Final = 40.0  # in which the rate makes up for what waits too much or too little
_PER_SECOND: Final = (2_000.0, 100_000.0)  # the least and the most that is sent
_TAKEN_LOOKS: Final = 20  # over which it is measured what the worker takes
_LOOK_S: Final = 1.0
_BEHIND_S_MAX: Final = 300.0  # till the worker is behind
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
    """All looks since the worker was behind, while the input came; `caught_up_s` after its end; records counted then."""

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
        if self.behind < _BEHIND_SHARE_MIN * len(self.looks):
            lines.append(
                f"the worker was behind at {self.behind} of {len(self.looks)} looks only: this was no overload"
            )
        if self.memory(4) > _MEMORY_GROWTH_MAX * self.memory(2):
            lines.append(f"memory grew from {self.memory(2):.0f} to {self.memory(4):.0f} MB in the second half")
        return lines


def overload(path: Path, seconds: float, say: Callable[[str], None]) -> Overload:
    """Make a deployment of one worker, and give it more than it can take for so long."""
    deployment = Deployment(path, sources=dict.fromkeys(TOPICS.values(), PARTITIONS))
    try:
        deployment.start_worker(1)
        deployment.wait_ready(1)
        _join_groups(deployment)
        return _run(deployment, seconds, say)
    finally:
        deployment.close()


def _join_groups(deployment: Deployment) -> None:
    producer = deployment.producer()
    for value in memberships():
        producer.produce(TOPICS["membership"], value)
    flush(producer)
    deployment.wait_as_of(deployment.now_ms(), names=["worker-1"])


def _run(deployment: Deployment, seconds: float, say: Callable[[str], None]) -> Overload:
    process = psutil.Process(deployment.process("worker-1").pid)
    looks, first = list[Look](), None  # the one at which the worker was behind
    began, until = time.monotonic(), _BEHIND_S_MAX
    with Payments(deployment.producer(acks="all", **{"enable.idempotence": True})) as payments:
        while (passed := time.monotonic() - began) < until:
            deployment.check_alive("worker-1")
            looks.append(_look(deployment, payments, process, passed))
            if first is None and looks[-1].age_s >= BEHIND_S:
                first, until = looks[-1], passed + seconds
            payments.per_second = per_second(looks, (passed - first.seconds) / seconds if first else 0.0)
            if len(looks) % 15 == 0:
                say(f"{looks[-1]}, {payments.per_second:.0f} a second")
            time.sleep(_LOOK_S)
    assert first is not None, f"the worker follows {payments.per_second:.0f} records a second: {looks[-1]}"
    assert payments.failed == []
    ended = time.monotonic()
    deployment.wait_as_of(deployment.now_ms(), names=["worker-1"], seconds=_CAUGHT_UP_S_MAX)
    caught_up_s = time.monotonic() - ended
    ((amount,),) = deployment.clickhouse.execute(
        f"SELECT sum(received_amount) FROM {DATABASE}.ads_operation_crm_monthly_current WHERE group_id = 'ALL'"
    )
    looks = [look._replace(seconds=look.seconds - first.seconds) for look in looks if look.seconds >= first.seconds]
    return Overload(looks, caught_up_s, payments.sent, _sum(_shown(deployment)), round(float(amount) * 100))


def per_second(looks: list[Look], share: float) -> float:
    """What is to be sent in a second after these looks, when this share of the time (0 to 1) has passed.

    It is measured by what waits, not by the age of results: that is as old as what was sent so long ago.
    """
    first, last = looks[-_TAKEN_LOOKS:][0], looks[-1]
    taken = (last.shown - first.shown) / max(last.seconds - first.seconds, 1.0)
    least, most = _PER_SECOND
    if taken <= 0:
        return least
    wanted_s = _WAITING_S[0] + (_WAITING_S[1] - _WAITING_S[0]) * share
    surplus = (wanted_s - (last.sent - last.shown) / taken) / _CORRECTED_S
    return min(max(taken * min(max(1 + surplus, 0.5), 2.0), least), most)


def _look(deployment: Deployment, payments: Payments, process: "psutil.Process", seconds: float) -> Look:
    found = deployment.as_of()  # before the documents that it speaks for
    shown, missing = _shown(deployment), 0
    for operator, (partition, count) in shown.items():
        claimed = payments.taken(operator, epoch_ms(found[partition])) if partition in found else 0
        missing += max(0, claimed - count)
    age_s = time.time() - (epoch_ms(min(found.values())) / 1000 if found else time.time())
    return Look(seconds, payments.sent, _sum(shown), age_s, process.memory_info().rss / 1e6, missing)


def _shown(deployment: Deployment) -> dict[str, tuple[int, int]]:
    """By operator: the partition of its document, and the records that the document holds."""
    try:
        documents = deployment.redis.mget([f"crm:{{{operator}}}:monthly:ALL" for operator in OPERATORS])
    except redis.RedisError:
        return {}
    found = {}
    for operator, document in zip(OPERATORS, documents, strict=True):
        if document is not None:
            data = msgspec.json.decode(document)
            found[operator] = (
                data["partition"],
                sum(round(float(month["receivedAmount"]) * 100) for month in data["months"]),
            )
    return found


def _sum(shown: dict[str, tuple[int, int]]) -> int:
    return sum(count for _, count in shown.values())
