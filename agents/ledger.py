"""Agent `ledger`: events topic -> lanes. Faust commits nothing of it: the lanes' transactions do."""

from typing import Any

from faust.types import StreamT
from mode import CrashingSupervisor

from stream_app.partition.lanes import Lanes

NAME = "ledger"


def add(app: Any, topic: str, lanes: Lanes) -> None:
    """Add the agent to an app. What fails in it stops the worker."""
    events = app.topic(topic, key_type=bytes, value_type=bytes, value_serializer="raw", acks=False)

    async def ledger_agent(stream: StreamT[Any]) -> None:
        async for event in stream.events():
            await lanes.put(event.message.partition, event.value)

    app.agent(events, name=NAME, supervisor_strategy=CrashingSupervisor)(ledger_agent)

    async def park(*_: Any, **__: Any) -> None:
        await lanes.park()

    app.on_partitions_revoked.connect(park, weak=False)
    app.stops.append(lanes.park)
