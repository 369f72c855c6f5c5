"""The examples for subscribers with a real broker: right in the end, whatever comes and whenever they are killed."""

import json
import os
import re
import signal
import subprocess
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
from tests.support.waiting import until

RECORDS = ResultRecords("com.example.crm-stats", "/crm-stats")
ROUNDS = rounds(RECORDS)
LANGUAGES = pytest.mark.parametrize("view_command", ["python", "java", "typescript"], indirect=True)
# Those that assign partitions to themselves, and ask for high watermarks.
OF_THEIR_OWN = pytest.mark.parametrize("view_command", ["python", "java"], indirect=True)


class Subscriber:
    """An example's process, and the file that it writes."""

    def __init__(self, command: list[Any], kafka: str, names: dict[str, str], folder: Path) -> None:
        self.file, self.log = folder / "view.json", folder / "log"
        self.names = names
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
def subscriber(view_command, kafka, names, tmp_path):
    made = Subscriber(view_command, kafka, names, tmp_path)
    yield made
    made.kill()


@pytest.fixture
def ends(admin, names):
    """The high watermarks of the topics, without those of empty partitions."""

    def ends_():
        found = admin.list_topics(timeout=30).topics
        latest = {
            TopicPartition(name, p): OffsetSpec.latest() for name in names.values() for p in found[name].partitions
        }
        answers = admin.list_offsets(latest, isolation_level=IsolationLevel.READ_UNCOMMITTED)
        return {(tp.topic, tp.partition): end for tp, answer in answers.items() if (end := answer.result(20).offset)}

    return ends_


def _leaders(admin, topic):
    return sum(p.leader >= 0 for p in admin.list_topics(topic, timeout=30).topics[topic].partitions.values())


@LANGUAGES
async def test_a_view_is_right_in_the_end_though_it_is_killed_after_each_round(subscriber, write_rounds, ends):
    """Each round is one step of each case, so that versions, those of tombstones too, have to outlive the process."""
    for each in ROUNDS[:-1]:
        await write_rounds([each])
        subscriber.start()
        await until("the round is read", lambda: subscriber.offsets() == ends())
        subscriber.kill()
    await write_rounds(ROUNDS[-1:])
    subscriber.start()
    await until("the view is right", lambda: subscriber.differences() == [])
    await write_rounds(ROUNDS)
    await until("all is read once more", lambda: subscriber.offsets() == ends())
    assert subscriber.differences() == []


@OF_THEIR_OWN
async def test_a_topic_grows_and_as_of_is_not_promised_too_early(subscriber, write_rounds, names, admin, producer):
    """A result that is committed behind another producer's open transaction can't be read yet: its as-of has to wait."""
    await write_rounds(ROUNDS[:1])
    subscriber.start()
    await until("something is in the view", lambda: subscriber.stored().get("versions", {}).get(names["monthly.v1"]))
    for future in admin.create_partitions([NewPartitions(names["monthly.v1"], 5)]).values():
        future.result(20)
    await until("the new partitions have leaders", lambda: _leaders(admin, names["monthly.v1"]) == 5)
    await write_rounds(ROUNDS)
    await until("the view is right", lambda: subscriber.differences() == [])

    topic, record = names["half-hour.v1"], RECORDS.as_of(7, 1_800_000_000_000)
    other, ours = (producer(transactional_id=f"{topic}-{name}") for name in ("other", "ours"))
    other.begin_transaction()
    other.produce(topic, b"{}", b"open", 0)
    assert other.flush(60) == 0
    ours.begin_transaction()
    ours.produce(topic, b'{"version":1}', b"ours", 0, headers=[("ce_id", b"ours@1")])
    ours.commit_transaction(60)
    ours.begin_transaction()
    ours.produce(names["as-of.v1"], record.value, record.key, 0, headers=record.headers)
    ours.commit_transaction(60)
    await until("the as-of is heard", lambda: "7" in subscriber.stored()["promised"])
    seen = set()

    def is_stored_again():
        assert "7" not in subscriber.stored()["view"][names["as-of.v1"]]
        seen.add(subscriber.file.stat().st_mtime_ns)
        return len(seen) > 3

    await until("the view is stored some times", is_stored_again)
    other.abort_transaction(60)
    found = await until(
        "as-of holds", lambda: (view := subscriber.stored()["view"])[names["as-of.v1"]].get("7") and view
    )
    assert found[topic]["ours"] == {"version": 1}
    assert "open" not in found[topic]


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
