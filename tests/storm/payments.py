"""Payments as fast as they are asked for, at little cost: each is made of a template, and of each twentieth of an operator it is noted when Kafka had taken it.

All payments of an operator are in one partition, in order, so what was taken by then of the others follows.
"""

import json
import random
import threading
import time
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from functools import partial
from itertools import count, islice
from typing import Any, Final, Self

from stream_app.formats.murmur2 import partition_for
from tests.oracle import TOPICS

PARTITIONS: Final = 4  # of the source topic
_EVENTS_PARTITIONS: Final = 8
_IDS: Final = 200_000  # payments, each paid again and again, so that the state stops growing
_CUSTOMERS: Final = 40_000
_GROUPS: Final = 300  # of an operator
_OWN_GROUPS: Final = (
    30  # of a customer, who shares all of them with nobody: a payment changes so many cells beside ALL's
)
_NOTED: Final = 20
_REST_S: Final = 0.02


def _names() -> Iterator[str]:
    """Two operators of each events partition, so that none of these has more to do than others."""
    named = (f"M{n}" for n in count())
    for partition in range(_EVENTS_PARTITIONS):
        yield from islice((name for name in named if partition_for(name.encode(), _EVENTS_PARTITIONS) == partition), 2)


OPERATORS: Final = tuple(_names())


def memberships() -> Iterator[bytes]:
    """Records that give all customers their groups."""
    for customer in range(_CUSTOMERS):
        own = random.Random(customer).sample(range(_GROUPS), _OWN_GROUPS)
        record = {
            "operator_id": OPERATORS[customer % len(OPERATORS)],
            "customer_id": f"c-{customer}",
            "group_ids": [f"g-{n}" for n in own],
        }
        yield json.dumps(record).encode()


class Payments(threading.Thread):
    """Sends at the rate `per_second`, which is set from outside. `producer`: one that keeps the order of records.

    `sent`: records handed to the producer; the first payment of `_IDS` comes again as number `_IDS`, one cent dearer.
    """

    def __init__(self, producer: Any) -> None:
        super().__init__(name="payments")
        self._producer = producer
        self._heads = [
            b'{"payment_id":"p-%d","operator_id":"%b","customer_id":"c-%d","status":"SUCCEEDED","currency":"EUR",'
            % (number, OPERATORS[number % len(OPERATORS)].encode(), number % _CUSTOMERS)
            for number in range(_IDS)
        ]
        self._noted = {name: array("q") for name in OPERATORS}  # when each twentieth was taken, in ms, ascending
        self._notes = [partial(self._note, name) for name in OPERATORS]
        self.per_second = 0.0
        self.sent = 0
        self.failed: list[str] = []
        self.ended = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.join()

    def taken(self, operator: str, time_ms: int) -> int:
        """How many payments of an operator Kafka had taken before a time, at least."""
        return _NOTED * bisect_left(self._noted[operator], time_ms)

    def run(self) -> None:
        credit, last = 0.0, time.monotonic()
        while not self.ended.wait(_REST_S):
            now, per_second = time.monotonic(), self.per_second
            credit, last = min(credit + (now - last) * per_second, per_second), now
            self._send(int(credit))
            credit -= int(credit)
            self._producer.poll(0)
        if left := self._producer.flush(120):
            self.failed.append(f"{left} records were not taken")

    def _send(self, count: int) -> None:
        now_ms = int(time.time() * 1000)
        for sent in range(self.sent, self.sent + count):
            version, number = divmod(sent, _IDS)
            value = self._heads[number] + b'"amount_received":%d,"version":%d,"paid_at":%d}' % (
                version + 1,
                version,
                now_ms,
            )
            turn, operator = divmod(sent, len(OPERATORS))
            note = self._notes[operator] if (turn + 1) % _NOTED == 0 else None
            self._produce(number % PARTITIONS, value, note)
            self.sent = sent + 1

    def _produce(self, partition: int, value: bytes, note: Any) -> None:
        while True:
            try:
                self._producer.produce(TOPICS["payment"], value, partition=partition, on_delivery=note)
            except BufferError:
                self._producer.poll(0.1)
            else:
                return

    def _note(self, operator: str, error: Any, _: object) -> None:
        if error is not None:
            self.failed.append(str(error))
        self._noted[operator].append(int(time.time() * 1000))
