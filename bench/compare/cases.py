"""The cases: how each is driven, in words and in code, and which words are right for it.

Pace and sizes are chosen so that each shows within two minutes. What is told of hours is hours old by the records' own times.
"""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar, Final, NamedTuple

from confluent_kafka import KafkaException, ShareConsumer, TopicPartition

from bench.compare.driver import QUIET, SESSION_MS, Driver, now_ms
from bench.compare.truth import Commit, Truth
from stream_app.local.errors import LocalError

HOUR_MS: Final = 3_600_000
_SECONDS_MAX: Final = 30.0


class Stalled(Driver):
    """Holds its partition and commits the same offset again and again."""

    def happen(self) -> None:
        """Read no more."""
        self.reads_per_s = 0.0


class Slow(Driver):
    """Reads half of what comes."""

    produces_per_s = 50.0

    def happen(self) -> None:
        """Read half."""
        self.reads_per_s = self.produces_per_s / 2


class Sawtooth(Driver):
    """Reads in batches, each of two thirds of what came since the last: lag goes up and down, and up on the whole."""

    produces_per_s = 50.0
    batch_s = 6.0
    _next_s = 0.0

    def happen(self) -> None:
        """From now on in batches."""
        self.reads_per_s, self._next_s = 0.0, time.monotonic() + self.batch_s

    def work(self) -> None:
        """As ever, and a batch when it is due."""
        super().work()
        if self._next_s and time.monotonic() >= self._next_s:
            self._next_s += self.batch_s
            left = int(self.produces_per_s * self.batch_s * 2 / 3)
            while left > 0 and (found := self.consumer.consume(left, 1.0)):
                self.take(found)
                left -= len(found)


class Rewound(Driver):
    """Goes back to a record four hours old, and reads on from there, a little faster than records come."""

    produces_per_s = 5.0

    def prepare(self) -> None:
        """A record each six seconds, of the last five hours."""
        self.write(0, [now_ms() - 5 * HOUR_MS + n * 6000 for n in range(3000)])

    def happen(self) -> None:
        """Back to the 600th."""
        self.position, self.reads_per_s = 600, 8.0
        self.consumer.seek(TopicPartition(self.topic, 0, self.position))
        self.commit()


class Idle(Driver):
    """All is read, and nothing comes any more."""

    produces_per_s = 0.0

    def prepare(self) -> None:
        """Some records of an hour ago."""
        self.write(0, [now_ms() - HOUR_MS + n for n in range(100)])


class Transactional(Driver):
    """All that can be read is read. Behind it lie control records, an aborted transaction, and one that stays open."""

    produces_per_s = 0.0

    def __init__(self, name: str, servers: str) -> None:
        super().__init__(name, servers)
        self._held: list[tuple[int, int]] | None = None
        self.producer = self.make_producer(**{"transactional.id": name, "transaction.timeout.ms": 600_000})
        self.producer.init_transactions(_SECONDS_MAX)

    def prepare(self) -> None:
        """Committed transactions."""
        for _ in range(5):
            self._transaction(20)
            self.producer.commit_transaction(_SECONDS_MAX)
            for offset, time_ms in self._held or ():
                self.truth.appended(offset, time_ms)

    def happen(self) -> None:
        """One is aborted, one stays open."""
        self._transaction(20)
        self.producer.abort_transaction(_SECONDS_MAX)
        self._transaction(50)

    def delivered(self, truth: Truth, offset: int, time_ms: int) -> None:
        """Not readable before the transaction is committed."""
        del truth
        assert self._held is not None
        self._held.append((offset, time_ms))

    def _transaction(self, count: int) -> None:
        self._held = []
        self.producer.begin_transaction()
        self.write(count)
        self.flush()


class NeverCommits(Driver):
    """Holds its partition, reads, and never commits. Its first record is three hours old."""

    produces_per_s = 5.0

    def prepare(self) -> None:
        """Records of three hours."""
        self.write(0, [now_ms() - 3 * HOUR_MS + n * 60_000 for n in range(180)])

    def commit(self) -> None:
        """Never."""

    def join_group(self) -> None:
        """Only when the case's event comes: that it joins is the event."""

    def work(self) -> None:
        """Records come; they are read once it joined."""
        self.write(self._allowance("_may_produce", self.produces_per_s))
        if self.consumer is not None:
            self.read(500)

    def happen(self) -> None:
        """Join."""
        super().join_group()


class Recreated(Driver):
    """Its topic is deleted and made anew; it goes on committing where it was, and reads nothing of what is new."""

    def happen(self) -> None:
        """Make it anew, with records of its own."""
        self.flush()
        self.reads_per_s = 0.0
        self.consumer.pause([TopicPartition(self.topic, 0)])
        self.admin.delete_topics([self.topic])[self.topic].result(_SECONDS_MAX)
        deadline = time.monotonic() + _SECONDS_MAX
        while self.topic in self.admin.list_topics(timeout=_SECONDS_MAX).topics:
            if time.monotonic() > deadline:
                raise LocalError(f"{self.topic} is not deleted")
            time.sleep(0.1)
        self.truth = Truth()
        self.make_topic()
        self.producer = self.make_producer()
        self.write(300)
        self.flush()

    def commit(self) -> None:
        """After the event it is refused until the client knows the new topic, and means nothing when it is taken."""
        if not self.event_ms:
            super().commit()
            return
        try:
            self.consumer.commit(offsets=[TopicPartition(self.topic, 0, self.position)], asynchronous=False)
        except KafkaException:
            return


MEMBER = f"""
import sys, time
from confluent_kafka import Consumer, TopicPartition
servers, group, topic = sys.argv[1:]
consumer = Consumer({{"bootstrap.servers": servers, "group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False,
                     "session.timeout.ms": {SESSION_MS}, "heartbeat.interval.ms": 1000}})
consumer.subscribe([topic])
position = committed = 0
while True:
    for message in consumer.consume(500, 1.0):
        position = message.offset() + 1
    if position:
        began_ms = time.time_ns() // 1_000_000
        consumer.commit(offsets=[TopicPartition(topic, 0, position)], asynchronous=False)
        print(began_ms, time.time_ns() // 1_000_000, position, flush=True)
"""


class Dead(Driver):
    """Has read all there is, nothing comes any more, and it is killed with -9: no goodbye, and no lag ever."""

    produces_per_s = 0.0
    process: subprocess.Popen[str] | None = None

    def prepare(self) -> None:
        """Some records of now."""
        self.write(100)

    def join_group(self) -> None:
        """In a process of its own, that can be killed."""
        command = [sys.executable, "-c", MEMBER, self.servers, self.group, self.topic]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._listen_once(self.process)
        self._listener = threading.Thread(target=self._listen, args=(self.process,), daemon=True)
        self._listener.start()

    def _listen_once(self, process: "subprocess.Popen[str]") -> bool:
        words = process.stdout.readline().split() if process.stdout is not None else []
        if words:
            self.truth.committed(Commit(*map(int, words)))
        return bool(words)

    def _listen(self, process: "subprocess.Popen[str]") -> None:
        with process:  # waits for its end
            while self._listen_once(process):
                pass

    def work(self) -> None:
        """The process does."""

    def commit(self) -> None:
        """The process does."""

    def happen(self) -> None:
        """Kill it."""
        assert self.process is not None
        self.process.kill()

    def leave(self) -> None:
        """Whether or not it was killed."""
        super().leave()
        if self.process is not None:
            self.process.kill()
            self._listener.join()


class NewProtocol(Stalled):
    """The same as stalled, in Kafka 4's group protocol (KIP-848)."""

    group_settings: ClassVar[dict[str, Any]] = {"group.protocol": "consumer"}


class Share(Driver):
    """A share group (KIP-932), which reads all that comes. It has no committed offsets."""

    produces_per_s = 5.0

    def join_group(self) -> None:
        """Become a member."""
        self.consumer = ShareConsumer({"bootstrap.servers": self.servers, "group.id": self.group, **QUIET})
        self.consumer.subscribe([self.topic])

    def read(self, count: int) -> None:
        """What comes."""
        del count
        self.consumer.poll(0.01)

    def commit(self) -> None:
        """It acknowledges what it reads."""


class Case(NamedTuple):
    """`right`: the words that are right for it, in the order in which they may come; the last one must. `title`: as the page calls it."""

    name: str
    title: str
    driver: Callable[[str, str], Driver]
    right: tuple[str, ...]


CASES: Final = (
    Case("healthy", "healthy", Driver, ("OK",)),
    Case("idle", "idle topic, all read", Idle, ("OK",)),
    Case("transactional", "open and aborted transaction, control records at the tail", Transactional, ("OK",)),
    Case("stalled", "stalled: commits the same offset", Stalled, ("OK", "STALL")),
    Case("dead", "killed after it had read all", Dead, ("OK", "STOP")),
    Case("slow", "slow: reads half of what comes", Slow, ("OK", "WARN")),
    Case("sawtooth", "growing sawtooth: batches of two thirds of what comes", Sawtooth, ("OK", "WARN")),
    Case("rewound", "rewound to a record 4 h old", Rewound, ("OK", "REWIND")),
    Case("never", "member that never commits, first record 3 h old", NeverCommits, ("WARN", "STOP")),
    Case("recreated", "topic deleted and made anew under it", Recreated, ("ERR",)),
    Case("new-protocol", "KIP-848 group, stalled", NewProtocol, ("OK", "STALL")),
    Case("share", "share group (KIP-932)", Share, ("UNSUPPORTED",)),
)  # fmt: skip
