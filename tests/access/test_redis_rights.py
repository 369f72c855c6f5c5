"""The users of docs/security.md in Redis: what programs ask there works with exactly these, and what is missing is named."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from redis.exceptions import RedisError

from config.settings import ROOT
from stream_app.access.errors import AccessError
from stream_app.api.guard.rate_window import RateRequest, RedisWindow
from stream_app.api.live.updates import subscriber
from stream_app.api.stores.redis_store import RedisDocumentStore
from stream_app.domain.tables import MONTHLY
from stream_app.sinks.credentials import prove_to_redis
from stream_app.sinks.redis import RedisSink
from stream_app.sinks.redis_calls import commands, connect
from stream_app.sinks.redis_keys import AS_OF, OPERATORS, document_key, updates_channel
from tests.support.fake_view import FakeView, example
from tests.support.waiting import wait_until

LINES = re.findall(r"^ACL SETUSER (\w+) (.*)$", (ROOT / "docs" / "security.md").read_text(), re.MULTILINE)
RIGHTS = [
    (role, right) for role, rights in LINES for right in rights.split() if right[0] in "+~&%" and right != "+info"
]  # which a worker gets along without


@pytest.fixture
def users(redis_url: str) -> Callable[..., str]:
    """Makes a user with the rights of a role, but one, and gives the address of Redis for it."""
    admin = redis.Redis.from_url(redis_url)
    admin.flushall()
    admin.script_flush()
    role_of = dict(LINES)

    def make(role: str, without: str | None = None) -> str:
        rights = [right for right in role_of[role].replace("PASSWORD", "pw").split() if right != without]
        admin.execute_command("ACL", "SETUSER", role, *rights)
        return f"redis://{role}:pw@127.0.0.1:{urlsplit(redis_url).port}/0"

    yield make
    for role, _ in LINES:
        admin.execute_command("ACL", "DELUSER", role)
    admin.flushall()
    admin.close()


@asynccontextmanager
async def connected(address: str) -> AsyncIterator[Any]:
    client = connect(address)
    try:
        yield client
    finally:
        await client.aclose()


async def as_worker(address: str) -> None:
    view, sink = example(), RedisSink(address, generation=1, partitions=8)
    view.partition = 5
    try:
        await sink.write([(view, await sink.compare(view))])
        assert await sink.write_as_of({view.partition: 1_795_507_200_000}) == set()
    finally:
        await sink.close()
    sink = RedisSink(address, generation=2, partitions=4)  # a generation with another number of partitions takes over
    try:
        for partition in range(4):
            view = FakeView(partition)
            await sink.write([(view, await sink.compare(view))])
            await sink.write_as_of({partition: 1_795_507_300_000})
    finally:
        await sink.close()


async def as_api(address: str) -> None:
    async with connected(address) as client:
        documents = RedisDocumentStore(client, 5)
        await documents.ping()
        await documents.read([document_key(MONTHLY, "M1", "ALL")])
        await documents.operators(None)
        await documents.operators(["M1"])
        assert await RedisWindow(client, 5).take([RateRequest("token", 5, 1)]) == [1]
    updates = subscriber(address, 5)
    try:
        async with updates.pubsub() as link:
            await link.subscribe(updates_channel("M1"))
            assert (await link.get_message(timeout=5))["type"] == "subscribe"
            await link.ping()
            await link.unsubscribe(updates_channel("M1"))
            for _ in range(2):  # the answers to PING and to this
                await link.get_message(timeout=1)
    finally:
        await updates.aclose()


async def as_monitor(address: str) -> None:
    async with connected(address) as client:
        await commands(client, [("HGETALL", AS_OF)])
        await commands(client, [("HKEYS", OPERATORS)])
        await commands(client, [("GET", document_key(MONTHLY, "M1", "ALL"))])


WORK = {"worker": as_worker, "api": as_api, "monitor": as_monitor}


@pytest.mark.parametrize("role", WORK)
async def test_the_rights_of_the_page_are_enough(users, role):
    await WORK[role](users(role))


@pytest.mark.parametrize(("role", "right"), RIGHTS)
async def test_each_right_that_is_taken_away_is_named(users, role, right):
    with pytest.raises(RedisError) as caught:
        await WORK[role](users(role, right))
    named = {"+": right[1:].replace("|", "."), "~": "crm", "%": "crm", "&": "channel"}[right[0]]
    assert re.search(rf"permission.*{named}|ACL failure in script.*{named}", str(caught.value)), str(caught.value)


@pytest.mark.parametrize("role", WORK)
async def test_the_check_at_the_start_finds_all_rights_and_leaves_nothing(users, role, redis_url):
    await prove_to_redis(users(role), role)
    with redis.Redis.from_url(redis_url) as admin:
        wait_until("nothing is left", lambda: admin.keys() == [])


@pytest.mark.parametrize(("role", "right"), RIGHTS)
async def test_the_check_at_the_start_names_each_right_that_is_taken_away(users, role, right):
    address = users(role, right)
    with pytest.raises(AccessError) as caught:
        await prove_to_redis(address, role)
    where = urlsplit(address).netloc.partition("@")[2]
    assert (
        str(caught.value) == f"Redis at {where} does not let the user {role} work: it lacks {right} (docs/security.md)"
    )


@pytest.mark.parametrize("right", ["+hgetall", "+hmget", "+mget", "%R~crm:*"])
async def test_the_api_finds_redis_down_while_it_may_not_read_there(users, right):
    """Else each request would find it out anew, and say so."""
    async with connected(users("api", right)) as client:
        with pytest.raises(RedisError, match="permission"):
            await RedisDocumentStore(client, 5).ping()
