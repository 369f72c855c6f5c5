"""JSON of other services over HTTP: one GET, bounded in time and in size.

Place: under `guard` (keys of a token issuer) and `operations` (the monitor). Invariant: the time limit is for the whole
answer, so a service that sends byte after byte does not keep its caller waiting.
"""

import asyncio
from importlib.metadata import version
from typing import Any, Final

import httpx
import orjson

FETCH_ERRORS: Final = (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError, ValueError)


async def fetch_json(client: httpx.AsyncClient, url: str, *, seconds_max: float, bytes_max: int) -> Any:
    """The JSON document at this address.

    `Raises` FETCH_ERRORS: no answer in time, a status of failure, too long, no JSON.
    """
    body = bytearray()
    async with asyncio.timeout(seconds_max), client.stream("GET", url) as response:
        response.raise_for_status()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > bytes_max:
                raise ValueError(f"{url} answers with more than {bytes_max} bytes")
    return orjson.loads(body)


def new_client(*, proxies: bool, **options: Any) -> httpx.AsyncClient:
    """A client for `fetch_json`, with a connection for each request; `proxies`: those of the environment are used."""
    return httpx.AsyncClient(
        headers={"Accept": "application/json", "User-Agent": f"crm-stats/{version('crm-stats')}"},
        timeout=None,  # noqa: S113  # fetch_json limits the whole
        trust_env=proxies,
        limits=httpx.Limits(max_keepalive_connections=0),
        **options,
    )
