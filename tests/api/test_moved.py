"""The API when Redis' primary moved: the old one answers, with what it had, and refuses what is written."""

import asyncio
from contextlib import suppress

import pytest
from redis.asyncio import Redis

from stream_app.api.app import stores
from stream_app.api.live.updates import LINK_ERRORS, UpdateSubscription
from stream_app.domain.events import ALL
from stream_app.local import ports
from stream_app.local.processes import stop
from stream_app.local.redis_server import launch
from stream_app.local.run_folder import RunFolder
from stream_app.sinks.redis import RedisSink
from tests.support.api import PREFIX, api, bearer, settings
from tests.support.fake_view import MONTH, example
from tests.support.moving_address import MovingAddress
from tests.support.serving import NOBODYS
from tests.support.waiting import until


@pytest.fixture
async def servers(tmp_path, run_folder):
    """(port, port) of two servers; the second one holds a newer document."""
    runs = [RunFolder(tmp_path / name, run_folder.lib) for name in ("one", "other")]
    found = [ports.free_port() for _ in runs]
    running = [launch(run, port) for run, port in zip(runs, found, strict=True)]
    view = example()
    for port in found:
        sink = RedisSink(f"redis://{ports.HOST}:{port}", generation=1, partitions=8)
        await sink.write([(view, await sink.compare(view))])
        await sink.close()
        view.set_month("M1", ALL, MONTH, 800, [12, 3, 1], EUR=[1] * 6)
    yield found
    for run, one in zip(runs, running, strict=True):
        stop(run, [one], seconds_max=10)


async def test_requests_and_updates_leave_a_primary_that_was_demoted(servers):
    """A refused write, of the rate limit, makes all connections anew: one that only listens would never learn of it."""
    old, new = (Redis.from_url(f"redis://{ports.HOST}:{port}") for port in servers)
    async with MovingAddress(servers[0]) as address:
        found = stores(settings(redis_url=f"redis://{ports.HOST}:{address.port}", clickhouse_url=NOBODYS))
        assert found.updates is not None
        heard = []
        updates = UpdateSubscription(found.updates, lambda channel, key: heard.append((channel, key)), lambda: None)
        await updates.want({"channel"})
        listening = asyncio.create_task(updates.listen())
        try:
            async with api(found=found) as client:

                async def version():
                    answer = await client.post(
                        f"{PREFIX}/monthlyIndex", json={"operatorId": "M1"}, headers=bearer("M1")
                    )
                    return answer.status_code, answer.json().get("data", {}).get("version")

                async def is_heard():
                    with suppress(*LINK_ERRORS):
                        await updates.barrier()  # as viewers do: the connection is not silent
                    await new.publish("channel", "a key")
                    return ("channel", "a key") in heard

                await until("updates are heard", lambda: heard)
                assert await version() == (200, 600)
                address.leads_to = servers[1]
                await old.execute_command("REPLICAOF", ports.HOST, 1)  # of nobody: it has what it had

                async def has_moved():
                    return await version() == (200, 800)

                await until("requests go to the other one", has_moved, 20)
                await until("updates come from the other one", is_heard)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
    await old.aclose()
    await new.aclose()
