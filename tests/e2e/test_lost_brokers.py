"""Three replicated brokers, of which one, two in a row or all are lost under load: results go on, and every payment is counted once.

A broker stays away until results are fresh again: clients that know it only would wait for ever. How fast that is `make storm ARGS=brokers` measures, for it depends on what
else the machine does.
"""

import json
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from tests.support.cluster import BROKERS, Cluster
from tests.support.deployment import SOURCES, Deployment
from tests.support.feed import OPERATORS, Feed, epoch_ms
from tests.support.waiting import SECONDS_MAX, wait_until

FRESH_S = 5.0  # age of results that is none
LINES_MAX = 20  # of the log, in each minute
STALLED_S = 15.0  # by when the cluster misses a broker, and has aborted what it coordinated
WORKERS = ("worker-1", "worker-2")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, run_folder: Any) -> Iterator[Cluster]:
    # Kafka itself looks for transactions to abort each 10 s.
    settings = {"transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000"}
    made = Cluster(tmp_path_factory.mktemp("cluster"), run_folder.lib, settings=settings)
    admin = AdminClient({"bootstrap.servers": made.servers})
    for future in admin.create_topics([NewTopic(name, count) for name, count in SOURCES.items()]).values():
        future.result(SECONDS_MAX)
    del admin  # as long as it lives it calls for its brokers, aloud
    yield made
    made.close()


def age_s(deployment: Deployment) -> float:
    """Age of the oldest result in Redis."""
    found = deployment.as_of()
    if len(found) < deployment.partitions:
        return float("inf")
    return time.time() - epoch_ms(min(found.values())) / 1000


def fresh_again(deployment: Deployment, since: float) -> None:
    """Results that are older than the moment `since` become fresh; all workers live on."""

    def fresh() -> bool:
        for name in WORKERS:
            assert deployment.process(name).poll() is None, deployment.log(name)[-3000:]
        age = age_s(deployment)
        return time.time() - age > since and age < FRESH_S

    wait_until(f"results are fresh again (age {age_s(deployment):.0f} s)", fresh)


def lines(deployment: Deployment) -> list[int]:
    return [deployment.log(name).count("\n") for name in WORKERS]


def assert_few_lines(deployment: Deployment, before: list[int], since: float) -> None:
    """Nobody repeats in the log what everybody knows by then."""
    most = LINES_MAX * math.ceil((time.time() - since) / 60)
    for name, then in zip(WORKERS, before, strict=True):
        said = deployment.log(name).splitlines()[then:]
        assert len(said) <= most, "\n".join(said)


def test_results_go_on_though_brokers_are_lost(deploy: Callable[..., Deployment], cluster: Cluster) -> None:
    """One is killed and stays away, two are killed in a row, one is restarted in order, all are killed at once."""
    deployment = deploy(kafka=cluster.servers, replication_factor="3", sources={})
    for number in (1, 2):
        deployment.start_worker(number)
    for number in (1, 2):
        deployment.wait_ready(number)
    feed = Feed(deployment)
    feed.start()
    try:
        fresh_again(deployment, time.time())

        before, killed = lines(deployment), time.time()
        cluster.kill(1)
        fresh_again(deployment, killed)
        fresh_again(deployment, time.time() + 2)  # and stay so while it is away
        assert_few_lines(deployment, before, killed)
        cluster.start_all([1])

        for number in (1, 2):
            cluster.kill(number)
            time.sleep(8)
            cluster.start(number)
            time.sleep(5)
        fresh_again(deployment, time.time())

        stopped = time.time()
        cluster.stop(3)
        fresh_again(deployment, stopped)
        cluster.start_all([3])

        before, killed = lines(deployment), time.time()
        for number in BROKERS:
            cluster.kill(number)
        time.sleep(3)
        cluster.start_all()
        fresh_again(deployment, time.time())
        assert_few_lines(deployment, before, killed)
    finally:
        feed.ended.set()
        feed.join()
    assert counted(deployment) == sum(map(len, feed.taken_ms.values()))


def counted(deployment: Deployment) -> int:
    """Payments that results hold, once all that Kafka had taken has come through."""
    deployment.wait_as_of(int(time.time() * 1000), names=WORKERS)
    documents = [json.loads(deployment.redis.get(f"crm:{{{o}}}:monthly:ALL") or b'{"months": []}') for o in OPERATORS]
    return sum(month["paymentCount"] for d in documents for month in d["months"])


def test_a_broker_stands_still_for_longer_than_transactions_may(
    deploy: Callable[..., Deployment], cluster: Cluster
) -> None:
    """It coordinates some of them: others do from when the cluster misses it, and abort what it left open. Results go on meanwhile, and when it is back."""
    deployment = deploy(kafka=cluster.servers, replication_factor="3", sources={}, transaction_timeout_ms="3000")
    for number in (1, 2):
        deployment.start_worker(number)
    for number in (1, 2):
        deployment.wait_ready(number)
    before = counted(deployment)
    feed = Feed(deployment, first=1_000_000)
    feed.start()
    try:
        fresh_again(deployment, time.time())
        cluster.pause(2)
        fresh_again(deployment, time.time() + STALLED_S)  # while it takes connections, and says nothing
        cluster.resume(2)
        fresh_again(deployment, time.time())
    finally:
        feed.ended.set()
        feed.join()
    assert counted(deployment) == before + sum(map(len, feed.taken_ms.values()))


def test_a_worker_starts_and_ends_while_brokers_are_away(deploy: Callable[..., Deployment], cluster: Cluster) -> None:
    """It takes partitions over without the broker that is away; without any it waits, says so, and ends when it is told to."""
    deployment = deploy(kafka=cluster.servers, replication_factor="3", sources={})
    cluster.kill(1)
    deployment.start_worker(1)
    deployment.wait_ready(1)
    for number in (2, 3):
        cluster.kill(number)
    deployment.start_worker(2)
    wait_until("it says that it waits", lambda: "Kafka is waited for" in deployment.log("worker-2"))
    assert deployment.stop("worker-1") == 0
    cluster.start_all()
    deployment.wait_ready(2)
