"""The check at the start of each program: whether the servers take its credentials, and Kafka lets it do what it has to.

One sentence and the end, in place of retries. A server that is away is not asked, for it may be on its way. A right to read a
topic that is optional is not needed: the topic is left out, which is said.
"""

import asyncio
import logging
import sys
from collections.abc import Callable, Collection, Sequence
from typing import Final

from config import source_maps
from config.settings import Settings
from stream_app.access import rights
from stream_app.access.rights import Right
from stream_app.cli.generation import prepare_client
from stream_app.cli.rights import GOES_ON, ROLES
from stream_app.clients.waiting import ClusterError
from stream_app.local.errors import LocalError
from stream_app.observing.credentials import principal, prove
from stream_app.observing.rights import missing
from stream_app.schema_registry.client import RegistryAwayError, RegistryClient
from stream_app.sinks.credentials import prove_to_clickhouse, prove_to_redis

_AGAIN_S: Final = 1.0


def check_kafka(
    settings: Settings, role: str, needs: Callable[[Right], bool] = lambda _: True, *, seconds_max: float = 0
) -> bool:
    """Return when Kafka lets a program of this role work, or does not answer for so long; whether it answers.

    `needs`: which rights of the role this run needs. `Raises` AccessError, LocalError.
    """
    prepare_client()
    wanted = list(filter(needs, ROLES[role](settings)))
    optional = {name for name, topic in source_maps.teams(settings).items() if topic.is_optional and role in GOES_ON}
    return asyncio.run(_check(settings, wanted, optional, seconds_max))


def need_kafka(settings: Settings, role: str, needs: Callable[[Right], bool] = lambda _: True) -> None:
    """Return when Kafka lets a program of this role work. `Raises` AccessError, LocalError, also where it does not answer."""
    if not check_kafka(settings, role, needs):
        raise LocalError(f"Kafka does not answer at {settings.kafka_bootstrap_servers}: start it by make up.")


def check_stores(settings: Settings, role: str) -> None:
    """Return when Redis and ClickHouse take the credentials and let a program of this role work, or do not answer. `Raises` AccessError."""
    logging.getLogger("clickhouse_driver").addHandler(
        logging.NullHandler()
    )  # the driver reports on its own, with a traceback
    asyncio.run(_check_stores(settings, role))


def check_schema_registry(settings: Settings) -> None:
    """Return when the schema registry answers whoever asks, or does not answer, or there is none. `Raises` AccessError."""
    if settings.schema_registry:
        asyncio.run(_check_schema_registry(RegistryClient(settings.schema_registry)))


async def _check_schema_registry(client: RegistryClient) -> None:
    try:
        await client.prove()
    except RegistryAwayError:
        return  # it may be on its way
    finally:
        await client.close()


async def _check_stores(settings: Settings, role: str) -> None:
    found = await asyncio.gather(
        prove_to_redis(settings.redis_address, role),
        prove_to_clickhouse(settings.clickhouse_address, settings.clickhouse_database, role),
        return_exceptions=True,
    )
    for error in filter(None, found):
        raise error


async def _check(settings: Settings, wanted: Sequence[Right], optional: Collection[str], seconds_max: float) -> bool:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds_max
    while True:
        try:
            if await prove(settings.kafka):
                lacking = await missing(settings.kafka, wanted)
                break
        except ClusterError:
            pass
        if loop.time() >= deadline:
            return False
        await asyncio.sleep(_AGAIN_S)
    left_out = [right for right in lacking if right.name in optional]
    needed = [right for right in lacking if right not in left_out]
    who = principal(settings.kafka)
    if needed:
        raise LocalError(f"Kafka does not let {who} work: it lacks {rights.sentence(needed)} (docs/security.md).")
    if left_out:
        print(f"{who} lacks {rights.sentence(left_out)}, which is optional and left out.", file=sys.stderr)
    return True
