"""Redis and ClickHouse that ask who is there, by TLS: who is taken, and one sentence for who is not."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from clickhouse_driver.errors import ServerException

from stream_app.access.errors import AccessError
from stream_app.access.stores import clickhouse_address, redis_address
from stream_app.local.ports import free_port
from stream_app.sinks.clickhouse import ClickHouseSink
from stream_app.sinks.clickhouse_client import Connection
from stream_app.sinks.clickhouse_reader import ClickHouseReader
from stream_app.sinks.credentials import prove_to_clickhouse, prove_to_redis
from stream_app.sinks.redis_calls import commands, connect
from tests.support.fake_view import example
from tests.support.secured import Authority


@pytest.fixture
def secured_redis(redis_by_tls, store_password) -> Iterator[str]:
    """The address without a password of a user `ann` of a Redis that speaks TLS."""
    admin = redis_by_tls.admin
    admin.execute_command("ACL", "SETUSER", "ann", "reset", "on", f">{store_password}", "~*", "&*", "+@all")
    yield f"rediss://ann@127.0.0.1:{redis_by_tls.port}/0"
    admin.execute_command("ACL", "DELUSER", "ann")


@pytest.fixture
def other(tmp_path) -> Authority:
    return Authority(tmp_path, "other")


async def test_redis_is_asked_by_tls_as_a_user(secured_redis, ca, store_password):
    address = redis_address(secured_redis, store_password, str(ca.file))
    await prove_to_redis(address, "worker")
    client = connect(address)
    assert await commands(client, [("ACL", "WHOAMI")]) == [b"ann"]
    await client.aclose()


async def test_a_wrong_password_of_redis_is_one_sentence(secured_redis, ca):
    where = urlsplit(secured_redis).netloc.partition("@")[2]
    with pytest.raises(AccessError, match=f"^Redis at {where} refuses the user ann: ") as caught:
        await prove_to_redis(redis_address(secured_redis, "no-one-reads-this", str(ca.file)), "worker")
    assert "no-one-reads" not in str(caught.value)


async def test_a_redis_of_a_foreign_ca_is_one_sentence(secured_redis, other, store_password):
    with pytest.raises(AccessError, match=f"is signed by no CA that {re.escape(str(other.file))} trusts$"):
        await prove_to_redis(redis_address(secured_redis, store_password, str(other.file)), "worker")


async def test_servers_that_are_away_refuse_nobody():
    await prove_to_redis(f"redis://127.0.0.1:{free_port()}", "worker")
    await prove_to_clickhouse(f"clickhouse://127.0.0.1:{free_port()}", "of_users", "worker")


def clickhouse(server, user, password, cafile):
    return clickhouse_address(f"clickhouses://{user}@127.0.0.1:{server.port}", password, str(cafile))


async def test_clickhouse_is_filled_and_read_by_tls_as_users_with_their_rights(secured_clickhouse, ca, store_password):
    sink = ClickHouseSink(
        clickhouse(secured_clickhouse, "worker", store_password, ca.file), "of_users", generation=1, partitions=8
    )
    view = example()
    await sink.write([(view, await sink.compare(view))])
    await sink.write_as_of({view.partition: 1_795_507_200_000})
    await sink.close()
    address = clickhouse(secured_clickhouse, "api", store_password, ca.file)
    await prove_to_clickhouse(address, "of_users", "api")
    with pytest.raises(AccessError) as caught:
        await prove_to_clickhouse(address, "of_users", "worker")
    assert str(caught.value) == (
        f"ClickHouse at 127.0.0.1:{secured_clickhouse.port} does not let the user api work: "
        "it lacks INSERT ON of_users.* (docs/security.md)"
    )
    await prove_to_clickhouse(clickhouse(secured_clickhouse, "worker", store_password, ca.file), "of_users", "worker")
    reader = ClickHouseReader(address, "of_users")
    assert "M1" in await reader.operators()
    await reader.close()
    connection = Connection(address, "of_users")
    with pytest.raises(ServerException, match="in readonly mode"):
        connection.run("migrations")
    connection.close()


async def test_a_wrong_password_of_clickhouse_is_one_sentence(secured_clickhouse, ca):
    with pytest.raises(AccessError) as caught:
        await prove_to_clickhouse(
            clickhouse(secured_clickhouse, "worker", "no-one-reads-this", ca.file), "of_users", "worker"
        )
    assert str(caught.value) == (
        f"ClickHouse at 127.0.0.1:{secured_clickhouse.port} refuses the user worker: "
        "user and password do not fit, or come from an address that is not allowed"
    )


async def test_a_clickhouse_of_a_foreign_ca_is_one_sentence(secured_clickhouse, other, store_password):
    with pytest.raises(AccessError, match=f"is signed by no CA that {re.escape(str(other.file))} trusts$"):
        await prove_to_clickhouse(
            clickhouse(secured_clickhouse, "worker", store_password, other.file), "of_users", "worker"
        )
