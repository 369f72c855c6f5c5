"""The agent of ingest, without Faust: what its end waits for."""

import asyncio
from types import SimpleNamespace

from agents import ingest as agent


class App:
    """What the agent takes of an app."""

    def __init__(self):
        self.stops, self.crashes = [], []

    def topic(self, *_, **__):
        return None

    def agent(self, *_, **__):
        return lambda run: setattr(self, "run", run)

    async def crash(self, exc):
        self.crashes.append(exc)


class Stream:
    """Fetches of records, and those that were acknowledged."""

    def __init__(self, count):
        self.fetches = [
            SimpleNamespace(message=SimpleNamespace(topic="t", partition=n), value=[]) for n in range(count)
        ]
        self.acked = []

    def noack(self):
        return self

    async def events(self):
        for each in self.fetches:
            yield each

    async def ack(self, event):
        self.acked.append(event.message.partition)


async def test_its_end_waits_for_what_is_on_its_way_and_not_for_a_kafka_that_is_away(monkeypatch):
    monkeypatch.setattr(agent, "_STOP_S", 0.5)
    is_refused = asyncio.Event()

    async def take(_, partition, __):
        await (is_refused.wait() if partition == 0 else asyncio.Event().wait())

    app, stream = App(), Stream(3)
    agent.add(app, ["t"], SimpleNamespace(take=take, refuse=is_refused.set, lost=None, lacks=lambda *_: False))
    await app.run(stream)
    await asyncio.sleep(0)
    (drain,) = app.stops
    async with asyncio.timeout(30):
        await drain()
    assert stream.acked == [0]
    assert not app.crashes
