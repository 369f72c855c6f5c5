"""Plays records through ingest and lanes of the first version, and tells what its topics hold. Run as a program in the tree of that version.

Input and output are msgpack: a list of [seed, now in epoch milliseconds, records], and for each a Recording. Must import nothing that only this
version has, but msgspec.
"""

import asyncio
import sys
from typing import Any

import msgspec


class Recording(msgspec.Struct):
    """What is in Kafka: by events partition the events topic and the changelog, (key, value); results topics and dead letters by name."""

    events: list[list[bytes]]
    changelog: list[list[tuple[bytes, bytes | None]]]
    results: dict[str, list[tuple[bytes, bytes | None]]]


def main() -> None:
    from tests.oracle import Clock, Record  # noqa: PLC0415  # of the first version: this module is read by tests, too
    from tests.simulation.world import World  # noqa: PLC0415

    async def play(seed: int, now_ms: int, records: list[list[Any]]) -> Recording:
        world = World(seed, wall_now_ms=now_ms)
        await world.feed([Clock(now_ms), *(Record(*record) for record in records)])
        for partition, events in enumerate(world.kafka.events):
            await world.run(partition, len(events))
        return Recording(world.kafka.events, world.kafka.changelog, world.kafka.results)

    histories = msgspec.msgpack.decode(sys.stdin.buffer.read())
    sys.stdout.buffer.write(msgspec.msgpack.encode([asyncio.run(play(*history)) for history in histories]))


if __name__ == "__main__":
    main()
