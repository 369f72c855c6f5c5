"""What the app says of a rebalance that takes long."""

import asyncio
import logging

from mode.utils.logging import flight_recorder

from stream_app.faust_seam.app import App


async def test_a_rebalance_that_takes_long_is_one_line(caplog):
    caplog.set_level(logging.INFO, App.logger.name)
    with flight_recorder(App.logger, timeout=0.01) as recorder:
        recorder.info("send signal: on_partitions_revoked")
        await asyncio.sleep(0.2)
    assert caplog.messages == ["Warning: Task timed out!"]
