"""Questions to Redis and to ClickHouse, before all others: whether they take the credentials, and let the program work.

Who is refused would be refused again, for as long as the program runs. A server that is away refuses nobody.
"""

import asyncio
from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qs, urlsplit

from clickhouse_driver.errors import Error as ClickHouseError
from clickhouse_driver.errors import ServerException
from redis import Redis
from redis.exceptions import AuthenticationError, RedisError

from stream_app.access.errors import AccessError
from stream_app.access.tls import Place, client_context, shake_hands
from stream_app.sinks import clickhouse_rights, redis_rights
from stream_app.sinks.clickhouse_client import Connection

_TIMEOUT_S: Final = 5.0
# ClickHouse's codes: unknown user, wrong password, password required, address not allowed, authentication failed.
_CLICKHOUSE_REFUSALS: Final = {192, 193, 194, 195, 516}


async def prove_to_redis(address: str, role: str) -> None:
    """Return when Redis takes the credentials and lets a program of this role work, or does not answer. `Raises` AccessError."""
    parts = urlsplit(address)
    what, cafile = f"Redis at {parts.hostname}:{parts.port or 6379}", _option(address, "ssl_ca_certs")
    try:
        if parts.scheme.startswith("rediss"):
            await _tls(Place(what, parts.hostname or "", parts.port or 6379, cafile))
        lacks = await asyncio.to_thread(_lacks_in_redis, address, role)
    except AuthenticationError as error:
        raise AccessError(f"{what} refuses {_user(parts.username)}: {error}") from None
    except (OSError, RedisError):
        return
    _refuse(what, parts.username, lacks)


async def prove_to_clickhouse(address: str, database: str, role: str) -> None:
    """The same of ClickHouse. `database`: of results."""
    parts = urlsplit(address)
    is_tls = parts.scheme == "clickhouses"
    port = parts.port or (9440 if is_tls else 9000)
    what = f"ClickHouse at {parts.hostname}:{port}"
    try:
        if is_tls:
            await _tls(Place(what, parts.hostname or "", port, _option(address, "ca_certs")))
        lacks = await asyncio.to_thread(_lacks_in_clickhouse, address, database, role)
    except ServerException as error:
        if error.code in _CLICKHOUSE_REFUSALS:
            reason = "user and password do not fit, or come from an address that is not allowed"
            raise AccessError(f"{what} refuses {_user(parts.username)}: {reason}") from None
        return
    except (ClickHouseError, OSError, EOFError):
        return
    _refuse(what, parts.username, lacks)


def _refuse(what: str, user: str | None, lacks: Sequence[str]) -> None:
    if lacks:
        raise AccessError(f"{what} does not let {_user(user)} work: it lacks {', '.join(lacks)} (docs/security.md)")


def _lacks_in_redis(address: str, role: str) -> list[str]:
    scheme, _, rest = address.partition("://")
    client = Redis.from_url(
        f"{scheme.removesuffix('+cluster')}://{rest}", socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S
    )
    try:
        return redis_rights.missing(client, role)
    finally:
        client.close()


def _lacks_in_clickhouse(address: str, database: str, role: str) -> list[str]:
    connection = Connection(address, database)
    try:
        return clickhouse_rights.missing(connection, role)
    finally:
        connection.close()


async def _tls(place: Place) -> None:
    await asyncio.to_thread(shake_hands, place, client_context(place.cafile))


def _option(address: str, name: str) -> str:
    return parse_qs(urlsplit(address).query).get(name, [""])[0]


def _user(name: str | None) -> str:
    return f"the user {name}" if name else "the default user"
