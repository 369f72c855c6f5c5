"""While a rebuild changes the number of partitions: the monitor, the commands and the API follow, and as-of is never ahead of the truth."""

import json
import subprocess
import threading
import time
from bisect import bisect_left
from collections.abc import Callable

import pytest

from tests.support.deployment import PROGRAM, ROOT, Deployment
from tests.support.feed import OPERATORS, Feed, epoch_ms
from tests.support.seen import Seen
from tests.support.waiting import wait_until


class Looks(threading.Thread):
    """Reads documents as the contract says, and the monitor, all the time: notes claims that are ahead of the truth, and false alarms."""

    def __init__(self, deployment: Deployment, feed: Feed) -> None:
        super().__init__()
        self._seen, self._redis, self._feed = Seen(deployment), deployment.redis, feed
        self.ended = threading.Event()
        self.checked, self.wrong, self.alarms = 0, [], []
        self.generations, self.rebuilds = [], []

    def run(self) -> None:
        looked = 0.0
        while not self.ended.wait(0.01):
            for operator in OPERATORS:
                self._check(operator)
            if time.monotonic() - looked > 0.3:
                looked = time.monotonic()
                self._look()

    def _check(self, operator: str) -> None:
        as_of = self._redis.hgetall("crm:as-of")
        data = json.loads(self._redis.get(f"crm:{{{operator}}}:monthly:ALL") or b"null")
        if data and (said := as_of.get(str(data["partition"]).encode())):
            counted = sum(month["paymentCount"] for month in data["months"])
            taken = bisect_left(list(self._feed.taken_ms[operator]), epoch_ms(said.decode()))
            self.checked += 1
            if counted < taken:
                self.wrong.append((operator, counted, taken, said, data["partition"], data["version"] >> 40))

    def _look(self) -> None:
        try:
            status = self._seen.status()
        except (OSError, ValueError):  # between two programs of one process
            return
        self.alarms += [
            (row["group"], row["status"], row["reason"])
            for row in status["groups"]
            if row["status"] not in {"OK", "WARN"}
        ]
        if status["groups"]:
            self.generations.append(status["generation"])
            self.rebuilds.append(status["rebuild"])


def run(deployment: Deployment, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, *arguments],
        check=False,
        env=deployment.env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize("partitions", [3])
def test_all_follow_a_rebuild_to_another_number_of_partitions(deploy: Callable[..., Deployment], partitions: int):
    deployment = deploy(monitor_interval_ms="500", monitor_probe_ms="0")
    deployment.start_worker(1)
    deployment.start_worker(2)
    deployment.wait_ready(1)
    deployment.wait_ready(2)
    deployment.start_api()
    feed = Feed(deployment)
    feed.start()
    monitor = deployment.start("monitor", "monitor")
    seen = Seen(deployment)
    wait_until("all is well", lambda: (groups := seen.status()["groups"]) and {g["status"] for g in groups} == {"OK"})
    looks = Looks(deployment, feed)
    looks.start()
    try:
        folder = str(deployment.run.state / "rebuild")
        done = run(deployment, "rebuild", "--state-dir", folder, "--partitions", str(partitions))
        assert done.returncode == 0, done.stderr[-4000:]
        wait_until("the monitor has followed", lambda: looks.generations[-1] == 2)
        wait_until("as-of is of the new partitions", lambda: set(deployment.as_of()) == set(range(partitions)))
        now_ms = deployment.now_ms()
        wait_until("as-of moves on", lambda: min(map(epoch_ms, deployment.as_of().values())) > now_ms)
        paid = run(deployment, "pay", "--operator", "M3", "--amount", "1.00")
        assert paid.returncode == 0, paid.stderr
        assert "The results hold it after" in paid.stdout
    finally:
        looks.ended.set()
        looks.join()
        feed.ended.set()
        feed.join()
    assert looks.wrong == []
    assert looks.checked > 300
    assert looks.alarms == []
    assert any(row and row["members"] and row["events_partitions"] == partitions for row in looks.rebuilds)
    assert monitor.poll() is None
    status = seen.status()
    assert {row["group"] for row in status["groups"]} == {"crm-stats-ingest-2", "crm-stats-ledger-2"}
    assert [row["partition"] for row in status["results"]] == list(range(partitions))

    token = deployment.token("--operator", "*")
    assert [entry["operatorId"] for entry in deployment.post("operators", {}, token)["operators"]] == OPERATORS
    data = deployment.post("monthlyIndex", {"operatorId": "M3"}, token)
    assert data["partition"] < partitions
    assert data["months"][-1]["paymentCount"] == len(feed.taken_ms["M3"]) + 1

    assert run(deployment, "rebuild", "--drop").returncode == 0
    up = run(deployment, "up", "--servers-only")
    assert up.returncode == 0, up.stderr
    topics = deployment.admin.list_topics(timeout=10).topics
    assert "crm-stats.events-1" not in topics
    assert len(topics["crm-stats.events-2"].partitions) == partitions
