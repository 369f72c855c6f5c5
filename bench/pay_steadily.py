"""Sends numbered payments at a steady pace: pay_steadily.py SERVERS TOPIC OPERATORS RATE COUNT. Run by path, in a process of its own."""

import json
import sys
import time

from confluent_kafka import Producer


def main() -> None:
    """Send payment n at n / rate seconds after the start; late ones at once, so that the pace is held on average."""
    servers, topic, operators, rate, count = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
    producer = Producer({"bootstrap.servers": servers, "linger.ms": 2, "acks": "all"})
    started = time.monotonic()
    for number in range(count):
        wait_s = started + number / rate - time.monotonic()
        if wait_s > 0:
            time.sleep(wait_s)
        payment = {
            "payment_id": f"p-{number}", "operator_id": f"L{number % operators}", "customer_id": f"c-{number % 997}", "status": "SUCCEEDED",
            "amount_received": 1_250, "currency": "EUR", "paid_at": int(time.time() * 1000), "version": 1,
        }  # fmt: skip
        producer.produce(topic, json.dumps(payment), key=str(number))
        producer.poll(0)
    if producer.flush(30):
        sys.exit("Kafka did not take all payments")


if __name__ == "__main__":
    main()
