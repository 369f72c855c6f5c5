"""The golden records to Kafka: each round an aborted transaction, and one that is committed.

Invariant: topics that hold anything else are refused before anything is written, for whoever reads them would take golden records for results.
Compressed as results are.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from aiokafka import AIOKafkaProducer

from stream_app.access.kafka import KafkaAccess
from stream_app.golden.records import Golden, Round
from stream_app.kafka.latest import latest
from stream_app.observing.observer import Observer

_LOOKED_AT: Final = 1000  # records at the end of a topic
_TRANSACTION_MS: Final = 10_000


class TopicError(Exception):
    """A topic can't be written to; the message is one sentence."""


async def partitions_of(kafka: KafkaAccess, rounds: Sequence[Round], names: Mapping[str, str]) -> dict[str, int]:
    """Number of partitions of each topic, by its name in Kafka, whose last records are golden ones.

    `Raises` TopicError; KafkaError, ClusterError, TimeoutError.
    """
    observer = Observer(kafka)
    try:
        found = await observer.topics(list(names.values()))
    finally:
        await observer.close()
    golden: dict[str, set[bytes | None]] = {name: set() for name in names.values()}
    for each in rounds:
        for one in (*each.aborted, *each.committed):
            golden[names[one.topic]].add(one.record.key)
    out = {}
    for name, keys in golden.items():
        if name not in found:
            raise TopicError(f"there is no topic {name}")
        out[name] = found[name].partitions
        for _, _, _, key, _ in await latest(kafka, name, out[name], _LOOKED_AT):
            if key not in keys:
                said = (key or b"").decode(errors="replace")
                raise TopicError(f"the topic {name} holds other records, such as one with the key {said!r}")
    return out


async def write(
    kafka: KafkaAccess,
    transactional_id: str,
    rounds: Sequence[Round],
    names: Mapping[str, str],
    partitions: Mapping[str, int],
) -> None:
    """Write the rounds. `Raises` KafkaError."""
    producer = AIOKafkaProducer(
        **kafka.aiokafka(),
        transactional_id=transactional_id,
        transaction_timeout_ms=_TRANSACTION_MS,
        compression_type="zstd",
    )
    await producer.start()
    try:
        for each in rounds:
            for golden, ends in (
                (each.aborted, producer.abort_transaction),
                (each.committed, producer.commit_transaction),
            ):
                if golden:
                    await producer.begin_transaction()
                    await _send(producer, golden, names, partitions)
                    await ends()
    finally:
        await producer.stop()


async def _send(
    producer: AIOKafkaProducer, golden: Sequence[Golden], names: Mapping[str, str], partitions: Mapping[str, int]
) -> None:
    """Send, and wait until the brokers have all: what is on its way when a transaction is aborted would never be seen."""
    sent = []
    for each in golden:
        name, record = names[each.topic], each.record
        partition = each.partition(partitions[name])
        sent.append(await producer.send(name, record.value, record.key, partition, headers=record.headers))
    await asyncio.gather(*sent)
