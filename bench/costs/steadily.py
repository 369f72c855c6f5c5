"""Sends sessions and payments of now at a steady pace: `python -m bench.costs.steadily SERVERS SESSIONS PAYMENTS OPERATORS CUSTOMERS RATE FIRST`.

Until it is stopped, by customers at random; ids count from FIRST. Late ones go at once, so that the pace is held on average.
"""

import random
import sys
import time

from confluent_kafka import Producer

from bench.traffic import DataSet, Visit, contract

_HOUR_MS = 3_600_000


def main() -> None:
    """See the module."""
    servers, sessions, payments = sys.argv[1:4]
    operators, customers, rate, first = map(int, sys.argv[4:8])
    data, chosen = DataSet("steady", operators, customers), random.Random(first)
    topics = {"sessions": sessions, "payments": payments}
    producer = Producer({"bootstrap.servers": servers, "linger.ms": 5, "compression.type": "lz4", "acks": "all"})
    started, number = time.monotonic(), 0
    while True:
        wait_s = started + 2 * number / rate - time.monotonic()
        if wait_s > 0:
            producer.poll(wait_s)
            continue
        began_ms = int(time.time() * 1000) - _HOUR_MS
        visit = Visit(first + number, chosen.randrange(customers), began_ms, 20_000, 1_250, 50)
        for record in contract(data, visit):
            producer.produce(topics[record.kind], record.value, key=record.key)
        producer.poll(0)
        number += 1


if __name__ == "__main__":
    main()
