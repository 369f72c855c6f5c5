"""Brokers that are lost while payments come in: how old results get, when they are fresh again, and what our processes do meanwhile.

Three brokers (replication 3, `min.insync.replicas` 2), 50 payments a second, two workers and the monitor. As-of is read in Redis.
"""

import json
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple, Self

import psutil

from tests.support.cluster import BROKERS, Cluster
from tests.support.deployment import ROOT, Deployment
from tests.support.kafka import flush

_OPERATORS: Final = 16
_PER_SECOND: Final = 50
_LINES_MAX: Final = 20  # a minute
_FRESH_S: Final = 5.0  # as-of that is older is not fresh
_PROCESSES: Final = ("worker-1", "worker-2", "monitor")


class Loss(NamedTuple):
    """One case.

    `oldest_s`: age of the oldest result; `fresh_s`: from the fault to the last result that was not fresh; `back_s`: from the fault until all brokers take
    connections again, None where that is not in this case; `ended`: our processes that did.
    """

    what: str
    seconds: float
    oldest_s: float
    fresh_s: float
    cores: float
    lines: int  # of the log, of the process that wrote most, in a minute
    ended: int
    back_s: float | None = None

    @property
    def fresh_since_back_s(self) -> float | None:
        """From when all brokers were back to the last result that was not fresh."""
        return None if self.back_s is None else max(0.0, self.fresh_s - self.back_s)


class Losses(NamedTuple):
    """All of them, and whether each payment was counted once."""

    losses: list[Loss]
    sent: int
    counted: int

    @property
    def wrong(self) -> list[str]:
        """What must not be."""
        ended = [f"{loss.what}: {loss.ended} processes ended" for loss in self.losses if loss.ended]
        return ended + ([f"{self.sent} payments sent, {self.counted} counted"] if self.sent != self.counted else [])


class _Watch:
    """Payments and looks at as-of, each in a thread of its own, while the block runs."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment, self._over = deployment, threading.Event()
        self.sent, self._ages = 0, [(0.0, 0.0)]  # of looks: time, age of the oldest result
        self._threads = [threading.Thread(target=work) for work in (self._pay, self._look)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _pay(self) -> None:
        producer = self._deployment.producer(**{"enable.idempotence": True, "log_level": 0, "message.timeout.ms": 0})
        while not self._over.wait(1 / _PER_SECOND):
            self.sent += 1
            payment = {
                "payment_id": f"p-{self.sent}", "operator_id": f"M{self.sent % _OPERATORS}", "customer_id": f"c-{self.sent % 50}", "status": "SUCCEEDED",
                "amount_received": 100, "currency": "EUR", "paid_at": int(time.time() * 1000),
            }  # fmt: skip
            producer.produce("charging.payments", json.dumps(payment), key=str(self.sent))
            producer.poll(0)
        flush(producer)

    def _look(self) -> None:
        while not self._over.wait(0.1):
            found, now = self._deployment.as_of(), time.time()
            whole = len(found) == self._deployment.partitions
            self._ages.append((now, now - min(map(_epoch_s, found.values())) if whole else float("inf")))

    def ages(self, since: float) -> list[tuple[float, float]]:
        """Looks since a moment."""
        return [(at, age) for at, age in self._ages if at >= since]


def _epoch_s(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def lose_brokers(path: Path, away_s: float, say: Callable[[str], None]) -> Losses:
    """Each broker killed for `away_s`; two killed in a row; each restarted in order; all killed at once; one paused."""
    cluster = Cluster(path / "cluster", ROOT / ".run" / "lib")
    try:
        deployment = Deployment(path / "run", kafka=cluster.servers, replication_factor="3")
        try:
            return _lose(deployment, cluster, away_s, say)
        finally:
            deployment.close()
    finally:
        cluster.close()


def _lose(deployment: Deployment, cluster: Cluster, away_s: float, say: Callable[[str], None]) -> Losses:
    for number in (1, 2):
        deployment.start_worker(number)
    deployment.start("monitor", "monitor")
    for number in (1, 2):
        deployment.wait_ready(number)
    losses: list[Loss] = []

    def case(what: str, act: Callable[[], object], seconds: float, *, is_back: bool = True) -> None:
        began, cores, lines = time.time(), _cpu_s(deployment), _lines(deployment)
        act()
        back = time.time() - began if is_back else None
        time.sleep(max(0.0, began + seconds - time.time()))
        took, ages = time.time() - began, watch.ages(began)
        late = [at for at, age in ages if age > _FRESH_S]
        new = [after[len(before) :] for after, before in zip(_lines(deployment), lines, strict=True)]
        most = max(new, key=len)
        if len(most) > _LINES_MAX * took / 60:
            say("\n".join(most))  # for who wants to know which
        losses.append(
            Loss(
                what,
                took,
                max(age for _, age in ages),
                max(late) - began if late else 0.0,
                (_cpu_s(deployment) - cores) / took,
                round(len(most) * 60 / max(took, 60)),
                sum(deployment.process(name).poll() is not None for name in _PROCESSES),
                back,
            )
        )
        say(str(losses[-1]))

    with _Watch(deployment) as watch:
        time.sleep(10)
        case("none", lambda: None, 15, is_back=False)
        for broker in BROKERS:
            what = f"broker {broker} killed, away for {away_s:.0f} s"
            case(what, lambda broker=broker: cluster.kill(broker), away_s, is_back=False)
            case(f"broker {broker} back", lambda broker=broker: cluster.start_all([broker]), 25)
        for broker in BROKERS:
            case(f"broker {broker} restarted in order", lambda broker=broker: _restart(cluster, broker), 20)
        case("brokers 1 and 2 killed in a row, 8 s each, 25 s apart", lambda: _in_a_row(cluster), 90)
        case("two brokers killed, away for 20 s", lambda: _two(cluster), 60)
        case("all brokers killed at once, then started", lambda: _all(cluster), 60)
        case("a broker paused for 40 s", lambda: _pause(cluster), 70)
        deployment.wait_as_of(deployment.now_ms())
    sent, watched_ms = watch.sent, deployment.now_ms()
    deployment.wait_as_of(watched_ms)
    documents = [json.loads(deployment.redis.get(f"crm:{{M{n}}}:monthly:ALL") or b"{}") for n in range(_OPERATORS)]
    return Losses(losses, sent, sum(month["paymentCount"] for found in documents for month in found["months"]))


def _restart(cluster: Cluster, broker: int) -> None:
    cluster.stop(broker)
    cluster.start_all([broker])


def _in_a_row(cluster: Cluster) -> None:
    for broker in (1, 2):
        cluster.kill(broker)
        time.sleep(8)
        cluster.start(broker)
        time.sleep(17)


def _two(cluster: Cluster) -> None:
    for broker in (1, 2):
        cluster.kill(broker)
    time.sleep(20)
    cluster.start_all((1, 2))


def _all(cluster: Cluster) -> None:
    for broker in BROKERS:
        cluster.kill(broker)
    cluster.start_all()


def _pause(cluster: Cluster) -> None:
    cluster.pause(3)
    time.sleep(40)
    cluster.resume(3)


def _cpu_s(deployment: Deployment) -> float:
    living = [process for process in map(deployment.process, _PROCESSES) if process.poll() is None]
    times = [psutil.Process(process.pid).cpu_times() for process in living]
    return float(sum(found.user + found.system for found in times))


def _lines(deployment: Deployment) -> list[list[str]]:
    return [deployment.log(name).splitlines() for name in _PROCESSES]
