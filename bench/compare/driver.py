"""Drives one case: a producer and a consumer in a thread of their own, that do what the case says, before its event and after.

The consumer is a real member of a real group. It commits its position each `COMMIT_S`, moved or not, as Java's consumers do. What it did goes
into the case's `Truth`. An error ends the thread and is raised by whoever asks for it. Must not judge.
"""

import threading
import time
from typing import Any, ClassVar, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from bench.compare.truth import Commit, Truth
from stream_app.local.errors import LocalError

COMMIT_S: Final = 1.1  # more than the second within which Burrow takes two commits for one
SESSION_MS: Final = 6_000  # the shortest that brokers allow
QUIET: Final = {"log_level": 2}  # what goes wrong is an error of a call
_STEP_S: Final = 0.1
_READ_MAX: Final = 500
_SECONDS_MAX: Final = 30.0


def now_ms() -> int:
    """The wall clock."""
    return time.time_ns() // 1_000_000


class Driver(threading.Thread):
    """A healthy group: what comes is read and committed. Cases are subclasses that change what differs.

    `event_ms`: when it happened; `settled_ms`: from when on the truth of it is certain. 0: not yet.
    """

    produces_per_s = 20.0
    reads_per_s: float | None = None  # None: whatever there is
    group_settings: ClassVar[dict[str, Any]] = {"session.timeout.ms": SESSION_MS, "heartbeat.interval.ms": 1000}

    def __init__(self, name: str, servers: str) -> None:
        super().__init__(name=name, daemon=True)
        self.topic = self.group = f"compare-{name}"
        self.servers, self.truth = servers, Truth()
        self.event_ms = self.settled_ms = 0
        self.position = 0
        self.failure: BaseException | None = None
        self.joined = threading.Event()
        self._event, self._end = threading.Event(), threading.Event()
        self._may_produce = self._may_read = 0.0
        self.admin: Any = AdminClient({"bootstrap.servers": servers})
        self.producer: Any = self.make_producer()
        self.consumer: Any = None

    # -- what cases change

    def prepare(self) -> None:
        """Before the group joins: records of the past."""

    def happen(self) -> None:
        """The event."""

    def work(self) -> None:
        """One step: some records are written, some are read."""
        self.write(self._allowance("_may_produce", self.produces_per_s))
        reads = _READ_MAX if self.reads_per_s is None else self._allowance("_may_read", self.reads_per_s)
        if reads:
            self.read(reads)

    def commit(self) -> None:
        """Commit the position."""
        if self.position:
            began_ms = now_ms()
            self.consumer.commit(offsets=[TopicPartition(self.topic, 0, self.position)], asynchronous=False)
            self.truth.committed(Commit(began_ms, now_ms(), self.position))

    def join_group(self) -> None:
        """Become a member that owns the partition."""
        self.consumer = Consumer(
            {
                "bootstrap.servers": self.servers,
                "group.id": self.group,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                **QUIET,
                **self.group_settings,
            }
        )
        self.consumer.subscribe([self.topic])
        deadline = time.monotonic() + _SECONDS_MAX
        while not self.consumer.assignment():
            self.take(self.consumer.consume(_READ_MAX, 0.1))
            if time.monotonic() > deadline:
                raise LocalError(f"{self.group} got no partition")

    def leave(self) -> None:
        """The end of the run. Nothing is left that would look for the broker when it is gone."""
        if self.consumer is not None:
            self.consumer.close()
        self.producer.flush(_SECONDS_MAX)
        self.consumer = self.producer = self.admin = None

    # -- what they use

    def make_producer(self, **settings: Any) -> Producer:
        """Keeps the order of what it sends."""
        return Producer(
            {"bootstrap.servers": self.servers, "linger.ms": 0, "enable.idempotence": True, **QUIET, **settings}
        )

    def make_topic(self) -> None:
        """One partition, whose records keep the times that they are given, for ever."""
        config = {"message.timestamp.type": "CreateTime", "retention.ms": "-1"}
        try:
            self.admin.create_topics([NewTopic(self.topic, 1, 1, config=config)])[self.topic].result(_SECONDS_MAX)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:  # by this very request, which was sent again
                raise
        deadline = time.monotonic() + _SECONDS_MAX
        while not self.has_leader():
            if time.monotonic() > deadline:
                raise LocalError(f"{self.topic} got no leader")
            time.sleep(_STEP_S)

    def has_leader(self) -> bool:
        """Can the topic be used?"""
        known = self.admin.list_topics(timeout=_SECONDS_MAX).topics
        return self.topic in known and all(one.leader >= 0 for one in known[self.topic].partitions.values())

    def write(self, count: int, times_ms: list[int] | None = None) -> None:
        """Records of now, or of these times."""
        truth = self.truth
        for time_ms in times_ms or [now_ms()] * count:
            self.producer.produce(
                self.topic,
                b"x",
                partition=0,
                timestamp=time_ms,
                on_delivery=lambda error, message, time_ms=time_ms: self._delivered(truth, error, message, time_ms),
            )
        self.producer.poll(0)

    def flush(self) -> None:
        """Until Kafka has all that was written."""
        if self.producer.flush(_SECONDS_MAX):
            raise LocalError(f"Kafka did not take all records of {self.topic}")

    def read(self, count: int) -> None:
        """At most so many."""
        self.take(self.consumer.consume(count, 0.01))

    def take(self, messages: list[Any]) -> None:
        """The position goes behind them."""
        for message in messages:
            if message.error() is None:
                self.position = message.offset() + 1

    def _delivered(self, truth: Truth, error: Any, message: Any, time_ms: int) -> None:
        if error is not None:
            self.failure = KafkaException(error)
        else:
            self.delivered(truth, message.offset(), time_ms)

    def delivered(self, truth: Truth, offset: int, time_ms: int) -> None:
        """Kafka took a record."""
        truth.appended(offset, time_ms)

    def _allowance(self, of: str, per_s: float) -> int:
        """How many whole records fell due with this step."""
        due = getattr(self, of) + per_s * _STEP_S
        setattr(self, of, due % 1)
        return int(due)

    # -- the thread

    def run(self) -> None:
        """Until `end`."""
        try:
            self.make_topic()
            self.prepare()
            self.flush()
            self.join_group()
            self.joined.set()
            self._loop()
        except BaseException as error:  # noqa: BLE001  # raised by check(), in the thread that asks
            self.failure = error
        finally:
            self.joined.set()
            self.leave()

    def _loop(self) -> None:
        next_step = next_commit = time.monotonic()
        while not self._end.is_set():
            if self._event.is_set() and not self.event_ms:
                self.event_ms = now_ms()
                self.happen()
                self.settled_ms = now_ms()
            self.work()
            if time.monotonic() >= next_commit:
                self.commit()
                next_commit += COMMIT_S
            next_step += _STEP_S
            self._end.wait(max(0.0, next_step - time.monotonic()))

    def let_happen(self) -> None:
        """Let the event come with the next step."""
        self._event.set()

    def end(self) -> None:
        """Leave, and be done."""
        self._end.set()
        self.join(_SECONDS_MAX)

    def check(self) -> None:
        """`Raises` what went wrong in the thread."""
        if self.failure is not None:
            raise LocalError(f"{self.name}: {self.failure!r}") from self.failure
