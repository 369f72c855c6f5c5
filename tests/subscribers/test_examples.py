"""The examples for subscribers with a real broker: right in the end, whatever comes and whenever they are killed.

Each language has a process and a file of its own; all read the same topics at the same time, since most of a test is waiting.
"""

import asyncio
import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import IsolationLevel, TopicPartition
from confluent_kafka.admin import NewPartitions, OffsetSpec

from stream_app.access.kafka import KafkaAccess
from stream_app.golden.records import TOPICS, rounds
from stream_app.golden.send import partitions_of, write
from stream_app.golden.view import compare
from stream_app.local import kafka_server
from stream_app.sinks.topics import ResultRecords
from tests.subscribers.building import EXAMPLES, pinned_in_pom
from tests.support.kafka import flush
from tests.support.waiting import SECONDS_MAX, until

RECORDS = ResultRecords("com.example.crm-stats", "/crm-stats")
ROUNDS = rounds(RECORDS)
# Those that assign partitions to themselves, and ask for high watermarks.
OF_THEIR_OWN = ("python", "java")


class Subscriber:
    """An example's process, and the file that it writes, in a folder of its own."""

    def __init__(self, language: str, command: list[Any], kafka: str, names: dict[str, str], folder: Path) -> None:
        folder.mkdir()
        self.file, self.log = folder / "view.json", folder / "log"
        self.language, self.names = language, names
        results = [name for topic, name in names.items() if topic != "as-of.v1"]
        self._command = [*command, self.file, names["as-of.v1"], *results]
        self._env = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": kafka, "TRANSACTION_MS": "300"}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self._command, env=self._env, stdout=log, stderr=log)

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def stored(self) -> dict[str, Any]:
        """What it has stored by now; empty before it has."""
        assert self._process is None or self._process.poll() is None, self.log.read_text()
        return json.loads(self.file.read_text()) if self.file.exists() else {}

    def offsets(self) -> dict[tuple[str, int], int]:
        """Where it goes on reading, by topic and partition, but for partitions at their beginning."""
        found = self.stored().get("offsets", {})
        return {(topic, int(p)): int(at) for topic, some in found.items() for p, at in some.items() if int(at)}

    def differences(self) -> list[str]:
        found = self.stored()
        if "view" not in found:
            return ["nothing is stored"]
        compared = compare(found["view"], ROUNDS, self.names)
        return [*compared.differences, *compared.left_out]


@pytest.fixture
def names(new_topic):
    """Topics of one test, by what they are of."""
    first = new_topic(3)
    return {topic: new_topic(1 if topic == "as-of.v1" else 3, f"{first}.{topic}") for topic in TOPICS}


@pytest.fixture
async def write_rounds(kafka, names):
    """Writes some of the rounds."""
    access = KafkaAccess(kafka)

    async def write_(some):
        await write(access, f"writer-{names['as-of.v1']}", some, names, await partitions_of(access, ROUNDS, names))

    return write_


@pytest.fixture
def subscribers(views, kafka, names, tmp_path):
    """One of each language; a test starts those that it is of."""
    made = [Subscriber(language, command, kafka, names, tmp_path / language) for language, command in views.items()]
    yield made
    for each in made:
        each.kill()


async def all_until(what: str, subscribers: Sequence[Subscriber], condition: Callable[[Subscriber], Any]) -> list[Any]:
    """The first true value of the condition for each of them, in their order."""
    waits = (until(f"{each.language}: {what}", partial(condition, each)) for each in subscribers)
    return await asyncio.gather(*waits)


@pytest.fixture
def ends(admin, names):
    """The high watermarks of the topics, without those of empty partitions."""

    def ends_():
        found = admin.list_topics(timeout=30).topics
        latest = {
            TopicPartition(name, p): OffsetSpec.latest() for name in names.values() for p in found[name].partitions
        }
        answers = admin.list_offsets(latest, isolation_level=IsolationLevel.READ_UNCOMMITTED)
        return {
            (tp.topic, tp.partition): end
            for tp, answer in answers.items()
            if (end := answer.result(SECONDS_MAX).offset)
        }

    return ends_


def _leaders(admin, topic):
    return sum(p.leader >= 0 for p in admin.list_topics(topic, timeout=30).topics[topic].partitions.values())


async def test_a_view_is_right_in_the_end_though_it_is_killed_after_each_round(subscribers, write_rounds, ends):
    """Each round is one step of each case, so that versions, those of tombstones too, have to outlive the process."""
    for each in ROUNDS[:-1]:
        await write_rounds([each])
        for subscriber in subscribers:
            subscriber.start()
        await all_until("the round is read", subscribers, lambda one: one.offsets() == ends())
        for subscriber in subscribers:
            subscriber.kill()
    await write_rounds(ROUNDS[-1:])
    for subscriber in subscribers:
        subscriber.start()
    await all_until("the view is right", subscribers, lambda one: one.differences() == [])
    await write_rounds(ROUNDS)
    await all_until("all is read once more", subscribers, lambda one: one.offsets() == ends())
    assert {one.language: one.differences() for one in subscribers} == {"python": [], "java": [], "typescript": []}


async def test_a_topic_grows_and_as_of_is_not_promised_too_early(subscribers, write_rounds, names, admin, producer):
    """A result that is committed behind another producer's open transaction can't be read yet: its as-of has to wait."""
    subscribers = [one for one in subscribers if one.language in OF_THEIR_OWN]
    await write_rounds(ROUNDS[:1])
    for subscriber in subscribers:
        subscriber.start()
    monthly = names["monthly.v1"]
    await all_until("the view has something", subscribers, lambda one: one.stored().get("versions", {}).get(monthly))
    for future in admin.create_partitions([NewPartitions(monthly, 5)]).values():
        future.result(SECONDS_MAX)
    await until("the new partitions have leaders", lambda: _leaders(admin, monthly) == 5)
    await write_rounds(ROUNDS)
    await all_until("the view is right", subscribers, lambda one: one.differences() == [])

    topic, record = names["half-hour.v1"], RECORDS.as_of(7, 1_800_000_000_000)
    other, ours = (producer(transactional_id=f"{topic}-{name}") for name in ("other", "ours"))
    other.begin_transaction()
    other.produce(topic, b"{}", b"open", 0)
    flush(other)
    ours.begin_transaction()
    ours.produce(topic, b'{"version":1}', b"ours", 0, headers=[("ce_id", b"ours@1")])
    ours.commit_transaction(60)
    ours.begin_transaction()
    ours.produce(names["as-of.v1"], record.value, record.key, 0, headers=record.headers)
    ours.commit_transaction(60)
    await all_until("the as-of is heard", subscribers, lambda one: "7" in one.stored()["promised"])
    seen: dict[str, set[int]] = {one.language: set() for one in subscribers}

    def is_stored_again(one):
        assert "7" not in one.stored()["view"][names["as-of.v1"]]
        seen[one.language].add(one.file.stat().st_mtime_ns)
        return len(seen[one.language]) > 3

    await all_until("the view is stored some times", subscribers, is_stored_again)
    other.abort_transaction(60)
    found = await all_until(
        "as-of holds", subscribers, lambda one: (view := one.stored()["view"])[names["as-of.v1"]].get("7") and view
    )
    assert [view[topic]["ours"] for view in found] == [{"version": 1}] * 2
    assert not any("open" in view[topic] for view in found)


def test_versions_are_pinned_and_are_those_that_are_run_here():
    python = (EXAMPLES / "python" / "requirements.txt").read_text()
    assert re.findall(r"^([\w-]+)==(\S+) ", python, re.MULTILINE) == [("confluent-kafka", version("confluent-kafka"))]
    assert dict(pinned_in_pom())["kafka-clients"] == kafka_server.VERSION
    lock = json.loads((EXAMPLES / "typescript" / "package-lock.json").read_text())["packages"]
    package = json.loads((EXAMPLES / "typescript" / "package.json").read_text())
    assert [lock[""][kind] for kind in ("dependencies", "devDependencies")] == [
        package[kind] for kind in ("dependencies", "devDependencies")
    ]
    assert [name for name, found in lock.items() if name and not found["integrity"].startswith("sha512-")] == []
