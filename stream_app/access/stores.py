"""Addresses of Redis and ClickHouse: the password kept apart from the address, and both together as their clients take them.

An address with a password in it is for a client only, never for a log.
"""

from typing import Final
from urllib.parse import quote, unquote, urlencode, urlsplit, urlunsplit

_REDIS_TLS: Final = ("rediss", "rediss+cluster")
_CLICKHOUSE_TLS: Final = ("clickhouses",)


def without_password(url: str) -> tuple[str, str]:
    """An address without the password that stands in it, and the password; "" where there is none."""
    parts = urlsplit(url)
    if not parts.password:
        return url, ""
    user, _, place = parts.netloc.rpartition("@")
    user = user.partition(":")[0]
    return urlunsplit(parts._replace(netloc=f"{user}@{place}" if user else place)), unquote(parts.password)


def redis_address(url: str, password: str, cafile: str) -> str:
    """The address as redis-py takes it. `cafile`, "" for what the machine trusts, counts for `rediss://` only."""
    return _whole(url, password, {"ssl_ca_certs": cafile} if urlsplit(url).scheme in _REDIS_TLS else {})


def clickhouse_address(url: str, password: str, cafile: str) -> str:
    """The address as clickhouse-driver takes it. `cafile`, "" for what the machine trusts, counts for `clickhouses://` only."""
    return _whole(url, password, {"ca_certs": cafile} if urlsplit(url).scheme in _CLICKHOUSE_TLS else {})


def _whole(url: str, password: str, options: dict[str, str]) -> str:
    parts = urlsplit(url)
    netloc, query = parts.netloc, parts.query
    if password:
        user, _, place = netloc.rpartition("@")
        netloc = f"{user}:{quote(password, safe='')}@{place}"
    if asked := urlencode({name: value for name, value in options.items() if value}, quote_via=quote):
        query = f"{query}&{asked}" if query else asked
    return urlunsplit(parts._replace(netloc=netloc, query=query))
