"""What goes on beside a test: traffic, and somebody who reads every document of Redis again and again."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import redis
from confluent_kafka import Producer

from tests.support.deployment import Deployment
from tests.support.kafka import flush
from tests.support.scenario import Send

_LOOK_S = 0.2  # between two readings of all documents


@contextmanager
def traffic(deployment: Deployment, sends: Sequence[Send], *, per_second: int) -> Iterator[None]:
    """Records come in while the block runs, so many a second; what is left of them then comes at once."""
    over = threading.Event()
    failed: list[BaseException] = []

    def run() -> None:
        producer = deployment.producer()
        began = time.monotonic()
        try:
            for number, send in enumerate(sends):
                over.wait(began + number / per_second - time.monotonic())
                produce(producer, send)
            flush(producer)
        except Exception as exc:  # noqa: BLE001  # told to the test, whose thread is another
            failed.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    if failed:
        raise failed[0]


def produce(producer: Producer, send: Send, on_delivery: Callable[[Any, Any], None] | None = None) -> None:
    """Hand a record to a producer, which may have to wait for room."""
    how: dict[str, Any] = {} if send.timestamp_ms is None else {"timestamp": send.timestamp_ms}
    if on_delivery is not None:
        how["on_delivery"] = on_delivery
    while True:
        try:
            producer.produce(send.topic, send.value, send.key, send.partition, **how)
            break
        except BufferError:
            producer.poll(0.1)
    producer.poll(0)


class Watch:
    """Reads all of Redis while a test runs. `falls`: each version, and each as-of, that was lower than one read before; `looks`: how often."""

    def __init__(self, deployment: Deployment) -> None:
        self._redis = redis.Redis.from_url(deployment.env["REDIS_URL"])
        self._seen: dict[bytes, int | bytes] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.falls: list[str] = []
        self.looks = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._redis.close()

    def _run(self) -> None:
        while not self._over.wait(_LOOK_S):
            keys = [key for kind in ("monthly", "distribution") for key in self._redis.scan_iter(f"crm:{{*}}:{kind}:*")]
            for key, value in zip(keys, self._redis.mget(keys) if keys else [], strict=True):
                if value is not None:
                    self._see(key, int(json.loads(value)["version"]))
            for partition, as_of in self._redis.hgetall("crm:as-of").items():
                self._see(b"as-of of " + partition, as_of)
            self.looks += 1

    def _see(self, name: bytes, found: int | bytes) -> None:
        before = self._seen.get(name, found)
        if found < before:  # type: ignore[operator]  # of one name both are of one type
            self.falls.append(f"{name!r}: {before!r}, then {found!r}")
        self._seen[name] = found
