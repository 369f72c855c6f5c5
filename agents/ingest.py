"""Agent `ingest`: source topics -> events topic. A fetch is acknowledged when Kafka has all that came of it.

One that waits for a schema of its records is in nobody's way: it takes no room, and nothing more is fetched of its partition meanwhile.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

from faust.types import TP, StreamT
from mode import CrashingSupervisor

from stream_app.ingest.ingest import Ingest, NotTakenError

NAME = "ingest"
_AT_ONCE = 8  # fetches on their way
_STOP_S = 5.0  # for those at the end


def add(app: Any, topics: Iterable[str], ingest: Ingest) -> None:
    """Add the agent to an app. What fails in it stops the worker."""
    sources = app.topic(*topics, key_type=bytes, value_type=bytes, value_serializer="raw")
    room, tasks = asyncio.Semaphore(_AT_ONCE), set()

    async def hand_on(stream: StreamT[Any], event: Any, *, has_room: bool) -> None:
        fetch = event.message.topic, event.message.partition, event.value
        try:
            if not has_room:
                await ingest.learn(*fetch)
                has_room = await room.acquire()
            await ingest.take(*fetch)
            await stream.ack(event)
        except NotTakenError:
            return  # its next owner takes it
        except Exception as exc:  # noqa: BLE001  # whatever it is, nothing may be skipped
            await app.crash(exc)
        finally:
            if has_room:
                room.release()

    async def ingest_agent(stream: StreamT[Any]) -> None:
        async for event in stream.noack().events():  # type: ignore[attr-defined]  # of Faust's Stream
            has_room = not ingest.lacks(event.message.topic, event.value) and await room.acquire()
            task = asyncio.create_task(hand_on(stream, event, has_room=has_room))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    async def drain() -> None:
        ingest.refuse()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=_STOP_S)
            for task in late:  # Kafka is away: what is not acknowledged is read again
                task.cancel()

    app.lost = ingest.lost
    app.full = lambda: {TP(*partition) for partition in ingest.waiting}
    app.stops.append(drain)  # before what they write to is closed
    app.agent(sources, name=NAME, supervisor_strategy=CrashingSupervisor)(ingest_agent)
