"""The floor: records are read from Kafka by librdkafka, in batches, and dropped. Nothing that reads them one by one in Python can be faster."""

import sys
import time

from confluent_kafka import Consumer, TopicPartition

from bench.peers.jobs.done import Done

servers, sessions, payments, _, state_dir, events = sys.argv[1:7]
done, left = Done(state_dir), int(events)
consumer = Consumer(
    {
        "bootstrap.servers": servers,
        "group.id": "bench-floor",
        "enable.auto.commit": False,
        "queued.max.messages.kbytes": 65536,
    }
)
partitions = {topic: consumer.list_topics(topic, timeout=10).topics[topic].partitions for topic in (sessions, payments)}
consumer.assign([TopicPartition(topic, number, 0) for topic, numbers in partitions.items() for number in numbers])
if not consumer.consume(1, timeout=10):
    raise SystemExit("Kafka gives no records")
done.first()
read = 1
while read < left:
    some = consumer.consume(min(10_000, left - read), timeout=10)
    if not some:
        raise SystemExit("Kafka gives no more records")
    read += sum(message.error() is None for message in some)
done.last()
consumer.close()
done.write(read, {})
while True:
    time.sleep(60)
