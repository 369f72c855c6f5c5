"""How the app starts, and what it says of a rebalance that takes long."""

import asyncio
import logging

from mode.utils.logging import flight_recorder

from stream_app.access.kafka import KafkaAccess
from stream_app.faust_seam.app import App, new_app


async def test_tables_start_as_soon_as_the_topics_of_all_agents_are_subscribed_to_and_not_before(tmp_path, monkeypatch):
    app = new_app(
        "start",
        kafka=KafkaAccess(servers="127.0.0.1:9"),
        state_dir=tmp_path,
        partitions=1,
        session_timeout_s=10,
        commit_interval_s=1,
        declares=False,
    )
    topics = app.topic("orders"), app.topic("payments", "refunds")

    async def read(stream):
        async for _ in stream:
            pass

    for number, topic in enumerate(topics):
        app.agent(topic, name=f"agent-{number}")(read)
    recovers = asyncio.Event()

    async def start_recovery():
        recovers.set()

    monkeypatch.setattr(app.tables.recovery, "start", start_recovery)
    starting = asyncio.create_task(app.tables.on_start())
    aiter(topics[0])  # as an agent's stream does when its task first runs
    await asyncio.sleep(0.1)
    assert not recovers.is_set()
    aiter(topics[1])
    await asyncio.wait_for(starting, 0.5)
    assert recovers.is_set()


async def test_a_rebalance_that_takes_long_is_one_line(caplog):
    caplog.set_level(logging.INFO, App.logger.name)
    with flight_recorder(App.logger, timeout=0.01) as recorder:
        recorder.info("send signal: on_partitions_revoked")
        await asyncio.sleep(0.2)
    assert caplog.messages == ["Warning: Task timed out!"]
