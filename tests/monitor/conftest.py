"""Groups of one test on a real broker, and the monitor's eyes on them."""

import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from stream_app.access.kafka import KafkaAccess
from stream_app.health.status import Limits
from stream_app.local.ports import free_port
from stream_app.monitor.document import GroupRow, PartitionRow
from stream_app.monitor.look import Looker
from stream_app.monitor.watch import Watch
from stream_app.observing.observer import Observer
from stream_app.observing.timestamps import BisectingLookup, ReadingLookup
from tests.support.api_process import NO_STORES
from tests.support.waiting import SECONDS_MAX

PROGRAM = Path(sys.executable).parent / "stream-app"
LIMITS = Limits(stall_ms=3000, unassigned_ms=2000)


class Eyes:
    """A looker and its watch, by hand. `groups` are others'; `ours` must read these topics."""

    looked_ms = 0  # when the last look of all began

    def __init__(self, kafka: str, *groups: str, timestamps: str = "log", limits: Limits = LIMITS, **more: Any) -> None:
        ours = more.pop("ours", {})
        self.observer = Observer(KafkaAccess(kafka))
        self.looker = Looker(self.observer, ours, groups, more.pop("partitions_max", 1000))
        self.lookup = ReadingLookup(KafkaAccess(kafka)) if timestamps == "log" else BisectingLookup(self.observer)
        self.watch = Watch(self.lookup, frozenset(ours), limits)

    async def look(self) -> dict[str, GroupRow]:
        """What is said now."""
        Eyes.looked_ms = int(time.time() * 1000)
        look = await self.looker.look(Eyes.looked_ms)
        return {row.group: row for row in await self.watch.take(look)}

    async def partition(self, group: str, number: int = 0) -> PartitionRow:
        """What is said of one partition; the group reads one topic."""
        (row,) = [row for row in (await self.look())[group].partitions if row.partition == number]
        return row

    async def until(
        self,
        what: str,
        condition: Callable[[dict[str, GroupRow]], Any],
        seconds: float = SECONDS_MAX,
        every: float = 0.5,
    ) -> dict[str, GroupRow]:
        """The first look of which it is so."""
        deadline = time.monotonic() + seconds
        while True:
            found = await self.look()
            if condition(found):
                return found
            assert time.monotonic() < deadline, f"after {seconds} s still waiting until {what}: {found}"
            await asyncio.sleep(every)

    async def close(self) -> None:
        self.lookup.close()
        await self.observer.close()


@pytest.fixture
async def eyes(kafka: str) -> Any:
    """Makes eyes on this broker."""
    made: list[Eyes] = []

    def make(*groups: str, **more: Any) -> Eyes:
        made.append(Eyes(kafka, *groups, **more))
        return made[-1]

    yield make
    for one in made:
        await one.close()


@pytest.fixture
def group() -> str:
    """The name of a group of this test."""
    return f"g-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def commit(kafka: str) -> Callable[..., None]:
    """Commits for a group, without being a member."""

    def commit_(group: str, topic: str, offset: int, partition: int = 0) -> None:
        consumer = Consumer({"bootstrap.servers": kafka, "group.id": group, "enable.auto.commit": False})
        deadline = time.monotonic() + SECONDS_MAX
        try:
            while True:
                try:
                    consumer.commit(offsets=[TopicPartition(topic, partition, offset)], asynchronous=False)
                    break
                except KafkaException:  # a new cluster has no coordinator yet
                    assert time.monotonic() < deadline
        finally:
            consumer.close()

    return commit_


@pytest.fixture
def member(kafka: str) -> Iterator[Callable[..., Consumer]]:
    """Makes members of groups that own their partitions; closed with the test."""
    made: list[Consumer] = []

    def make(group: str, topic: str, **settings: Any) -> Consumer:
        settings = {key.replace("_", "."): value for key, value in settings.items()}
        if settings.get("group.protocol") != "consumer":
            settings = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 1000} | settings
        consumer = Consumer(
            {
                "bootstrap.servers": kafka,
                "group.id": group,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
            }
            | settings
        )
        consumer.subscribe([topic])
        made.append(consumer)
        deadline = time.monotonic() + SECONDS_MAX
        while not consumer.assignment():
            consumer.poll(0.1)
            assert time.monotonic() < deadline, f"{group} got no partitions"
        return consumer

    yield make
    for consumer in made:
        with suppress(RuntimeError):  # closed by the test
            consumer.close()


class Monitor:
    """A monitor on a free port; without stores, but for those that `settings` name."""

    def __init__(self, **settings: str) -> None:
        self.port = free_port()
        self.env = {**os.environ, "STREAM_APP_MONITOR_PORT": str(self.port), **NO_STORES, **settings}
        self.process = subprocess.Popen([PROGRAM, "monitor"], env=self.env, stderr=subprocess.PIPE)

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return str(answer.read().decode())

    def status(self) -> Any:
        try:
            return json.loads(self.get("/status"))
        except urllib.error.URLError:
            assert self.process.poll() is None
            return None

    def group(self, name: str) -> Any:
        return next((row for row in (self.status() or {"groups": []})["groups"] if row["group"] == name), None)

    def metrics(self) -> dict[str, Metric]:
        return {family.name: family for family in text_string_to_metric_families(self.get("/metrics"))}

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PROGRAM, "status", *arguments], env=self.env, capture_output=True, text=True, check=False
        )

    def end(self) -> int:
        self.process.terminate()
        try:
            return self.process.wait(15)
        finally:
            self.process.kill()


@pytest.fixture
def monitor() -> Iterator[Callable[..., Monitor]]:
    """Starts monitors; ended with the test."""
    made: list[Monitor] = []

    def start(**settings: str) -> Monitor:
        made.append(Monitor(**settings))
        return made[-1]

    yield start
    for one in made:
        if one.process.poll() is None:
            one.end()
        one.process.stderr.close()
