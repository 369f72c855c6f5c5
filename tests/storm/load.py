"""The load of a storm: a scenario, so many records a second, and when Kafka had taken each."""

import threading
import time
from collections.abc import Sequence
from typing import Any, Self

from confluent_kafka import Producer

from tests.oracle import Place
from tests.support.live import produce
from tests.support.scenario import Send
from tests.support.waiting import SECONDS_MAX


class Load:
    """Sends while the block runs. `taken_ms`: by place, when Kafka's acknowledgement had come; a failed record ends the storm."""

    def __init__(self, bootstrap: str, sends: Sequence[Send], per_second: float) -> None:
        self.taken_ms: dict[Place, int] = {}
        self.failed: list[str] = []
        self._sends, self._per_second = sends, per_second
        # Whatever happens to brokers, the producer of another team goes on trying.
        self._producer = Producer(
            {"bootstrap.servers": bootstrap, "linger.ms": 5, "enable.idempotence": True, "message.timeout.ms": 0}
        )
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load")

    @property
    def sent(self) -> int:
        """Records that Kafka has taken."""
        return len(self.taken_ms)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Send no more; returns when Kafka has taken all that was sent."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        began = time.monotonic()
        for number, send in enumerate(self._sends):
            while (wait := began + number / self._per_second - time.monotonic()) > 0 and not self._over.is_set():
                self._producer.poll(0)  # acknowledgements are told here
                self._over.wait(min(wait, 0.05))
            if self._over.is_set():
                break
            produce(self._producer, send, on_delivery=self._taken)
        if left := self._producer.flush(SECONDS_MAX):
            self.failed.append(f"{left} records were not taken")

    def _taken(self, error: Any, message: Any) -> None:
        if error is not None:
            self.failed.append(str(error))
        else:
            self.taken_ms[message.topic(), message.partition(), message.offset()] = int(time.time() * 1000)
