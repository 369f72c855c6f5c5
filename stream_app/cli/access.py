"""The check at the start of each program: whether the servers take its credentials, and Kafka lets it do what it has to.

One sentence and the end, in place of retries. A server that is away is not asked, for it may be on its way. A right to read a
topic that is optional is not needed: the topic is left out, which is said.
"""

import asyncio
import logging
import sys
from collections.abc import Collection, Sequence
from typing import Final

from config import source_maps
from config.settings import Settings
from stream_app.access import rights
from stream_app.access.rights import Right
from stream_app.cli.generation import quiet_client
from stream_app.cli.rights import ROLES
from stream_app.clients.waiting import ClusterError
from stream_app.local.errors import LocalError
from stream_app.observing.credentials import principal, prove
from stream_app.observing.rights import missing
from stream_app.sinks.credentials import prove_to_clickhouse, prove_to_redis

_AGAIN_S: Final = 1.0


def check_kafka(
    settings: Settings, role: str, topics: Collection[str] | None = None, *, seconds_max: float = 0
) -> bool:
    """Return when Kafka lets a program of this role work, or does not answer for so long; whether it answers.

    `topics`: those of the role that this run needs; None: all. `Raises` AccessError, LocalError.
    """
    quiet_client()
    wanted = [right for right in ROLES[role](settings) if topics is None or right.name in topics]
    optional = {name for name, topic in source_maps.teams(settings).items() if topic.is_optional}
    return asyncio.run(_check(settings, wanted, optional, seconds_max))


def check_stores(settings: Settings) -> None:
    """Return when Redis and ClickHouse take the credentials, or do not answer. `Raises` AccessError."""
    logging.getLogger("clickhouse_driver").addHandler(
        logging.NullHandler()
    )  # the driver reports on its own, with a traceback
    asyncio.run(_check_stores(settings))


async def _check_stores(settings: Settings) -> None:
    found = await asyncio.gather(
        prove_to_redis(settings.redis_address), prove_to_clickhouse(settings.clickhouse_address), return_exceptions=True
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
    left_out = [right for right in lacking if right.name in optional and right.operation != "Write"]
    needed = [right for right in lacking if right not in left_out]
    who = principal(settings.kafka)
    if needed:
        raise LocalError(f"Kafka does not let {who} work: it lacks {rights.sentence(needed)} (docs/security.md).")
    if left_out:
        print(f"{who} lacks {rights.sentence(left_out)}, which is optional and left out.", file=sys.stderr)
    return True
