"""`stream-app rebuild`, end to end: beside workers that serve, with records coming in, killed on the way, by other rules, to other partitions."""

import json
import random
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

import pytest
import redis

from tests.support.deployment import PROGRAM, ROOT, Deployment
from tests.support.exactness import check, deployed, produce
from tests.support.scenario import Send, build
from tests.support.waiting import wait_until

ENTITIES = 2500
CURRENT = b"crm-stats.generations"


@contextmanager
def _live(deployment: Deployment, sends: list[Send], a_second: float) -> Iterator[None]:
    """Records of the scenario come in meanwhile, at a steady pace; all of them are sent at the end."""
    stop = threading.Event()

    def send() -> None:
        producer = deployment.producer()
        for each in sends:
            produce(producer, each)
            producer.poll(0)
            if not stop.is_set():
                stop.wait(1 / a_second)
        assert producer.flush(30) == 0

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


class _Readers:
    """Reads Redis' documents all the time, as the API does: as-of, then the document. Notes versions that fall, and generations."""

    def __init__(self, deployment: Deployment) -> None:
        self._redis = redis.Redis.from_url(deployment.env["REDIS_URL"])
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self.versions: dict[bytes, list[int]] = defaultdict(list)
        self.as_of: dict[bytes, str] = {}
        self.wrong: list[str] = []
        self.oldest_s = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._redis.close()

    def _read(self) -> None:
        while not self._stop.wait(0.05):
            as_of = self._redis.hgetall("crm:as-of")
            for partition, when in as_of.items():
                if when.decode() < self.as_of.get(partition, ""):
                    self.wrong.append(f"as-of of {partition!r} fell from {self.as_of[partition]} to {when!r}")
                self.as_of[partition] = when.decode()
            if as_of:
                oldest = min(when.decode() for when in as_of.values())
                self.oldest_s = max(self.oldest_s, time.time() - _seconds(oldest))
            for key in self._redis.keys("crm:{*}:monthly:*"):
                body = self._redis.get(key)
                if body is None:
                    continue
                version = json.loads(body)["version"]
                known = self.versions[key]
                if known and version < known[-1]:
                    self.wrong.append(f"{key!r} fell from {known[-1]} to {version}")
                if not known or version != known[-1]:
                    known.append(version)


def _seconds(text: str) -> float:
    return time.mktime(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone


def _rebuild(deployment: Deployment, *arguments: str, seconds: float = 120.0) -> subprocess.CompletedProcess[str]:
    command = [PROGRAM, "rebuild", "--state-dir", str(deployment.run.state / "rebuild"), *arguments]
    return subprocess.run(
        command, check=False, env=deployment.env, cwd=ROOT, capture_output=True, text=True, timeout=seconds
    )


def _succeeds(deployment: Deployment, *arguments: str) -> str:
    done = _rebuild(deployment, *arguments)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
    return done.stdout


def _sent(deployment: Deployment, sends: list[Send]) -> int:
    producer = deployment.producer()
    for each in sends:
        produce(producer, each)
    assert producer.flush(30) == 0
    return deployment.now_ms()


def test_a_second_generation_takes_over_under_load_though_it_is_killed_on_the_way(deploy: Callable[..., Deployment]):
    """Readers see no version and no as-of fall, and in the end all outputs equal the oracle, at the next generation's versions."""
    deployment, rng = deployed(deploy), random.Random(3)
    sends = build(3, ENTITIES, deployment.now_ms())
    first, rest = sends[: len(sends) // 2], sends[len(sends) // 2 :]
    deployment.wait_as_of(_sent(deployment, first), names=["worker-1", "worker-2"])

    with _live(deployment, rest, 100.0), _Readers(deployment) as readers:
        nothing = _succeeds(deployment, "--diff")
        assert "records of results would change" not in nothing, nothing
        assert "Nothing would change" in nothing
        for _ in range(2):
            process = deployment.start(
                "rebuild", "rebuild", "--state-dir", str(deployment.run.state / "rebuild"), "--from-sources"
            )
            time.sleep(rng.uniform(1, 6))
            if process.poll() is None:
                deployment.kill("rebuild")
        _succeeds(deployment)
        wait_until(
            "documents are those of the second generation",
            lambda: all(versions[-1] >> 40 == 2 for versions in list(readers.versions.values())),
        )
        assert deployment.process("worker-1").poll() is None, "workers go on, as workers of the second generation"
    assert readers.wrong == []
    check(deployment, deployment.now_ms())
    assert "Dropped: crm-stats-ledger-1" in _succeeds(deployment, "--drop")


def test_another_number_of_partitions(deploy: Callable[..., Deployment]):
    """The events topic is copied into one of three partitions; ingest goes on there; as-of is told by three partitions."""
    deployment = deployed(deploy)
    sends = build(4, ENTITIES, deployment.now_ms())
    first, rest = sends[: len(sends) // 2], sends[len(sends) // 2 :]
    deployment.wait_as_of(_sent(deployment, first), names=["worker-1", "worker-2"])
    with _live(deployment, rest, 100.0), _Readers(deployment) as readers:
        _succeeds(deployment, "--partitions", "3")
    assert readers.wrong == []
    deployment.partitions = 3
    check(deployment, deployment.now_ms())


@pytest.mark.parametrize("months", ["7"])
def test_the_difference_of_a_changed_rule_is_shown_and_nothing_is_changed(
    deploy: Callable[..., Deployment], months: str
):
    """A shorter retention: workers of that setting refuse the old state in one sentence, the difference names what would go, a rebuild does it."""
    deployment = deployed(deploy)
    sends = build(5, ENTITIES, deployment.now_ms())
    deployment.wait_as_of(_sent(deployment, sends), names=["worker-1", "worker-2"])
    deployment.env["STREAM_APP_RETENTION_MONTHS"] = months
    deployment.kill("worker-2")
    deployment.start_worker(2)
    wait_until("the worker ends", lambda: deployment.process("worker-2").poll() is not None)
    assert (
        f"was counted by other rules (retention_months: 13, now {months}): run `stream-app rebuild`"
        in deployment.log("worker-2")
    )
    found = _succeeds(deployment, "--diff")
    assert "records of results would change" in found
    assert " record  there  - " in found
    before = {key: deployment.redis.get(key) for key in deployment.redis.keys("crm:{*}:monthly:*")}
    _succeeds(deployment)
    deployment.start_worker(2)
    deployment.wait_ready(2)
    deployment.wait_as_of(deployment.now_ms(), names=["worker-2"])
    after = {key: deployment.redis.get(key) for key in before}
    assert {json.loads(body)["version"] >> 40 for body in before.values() if body} == {1}
    assert {json.loads(body)["version"] >> 40 for body in after.values() if body} == {2}
