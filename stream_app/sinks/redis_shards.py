"""The servers of a Redis cluster, beside the one that holds as-of: whether each has what was written to it.

Documents of a partition lie on all of them, so any that is restarted with older data, emptied, or replaced by a replica
that was behind, holds up as-of until the partition is compared again. Outside of a cluster there is none of them.
"""

from collections.abc import Iterable, Mapping
from itertools import count, islice
from typing import Final

from redis.asyncio.cluster import RedisCluster
from redis.exceptions import RedisClusterException

from stream_app.sinks.lua import MARK, MARKED
from stream_app.sinks.redis_calls import Call, Client, scripts
from stream_app.sinks.redis_keys import AS_OF, shard_marks

_TRIED_MAX: Final = 200_000  # names, for one that lies on a server; with 16,384 slots a server of a single slot has one

Marks = dict[str, str]  # key of a server's marks: name of the server's run


class Shards:
    """Marks on the servers of a cluster, by partition and server, as they were when the partition was compared."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._marks: dict[int, tuple[str, Marks]] = {}

    async def begin(self, partition: int, token: str) -> None:
        """Mark all servers: the partition is about to be compared."""
        self._marks.pop(partition, None)
        names = await self._names()
        runs = await scripts(self._client, [Call(MARK, [name], [partition, token]) for name in names])
        self._marks[partition] = token, {name: run.decode() for name, run in zip(names, runs, strict=True)}

    async def lost(self, partitions: Iterable[int]) -> set[int]:
        """Partitions of which a server may have lost documents since `begin`, or has got some that it had not before."""
        names = await self._names()
        whole: Mapping[int, tuple[str, Marks]] = {
            partition: self._marks[partition]
            for partition in partitions
            if partition in self._marks and self._marks[partition][1].keys() == set(names)
        }
        calls = [
            Call(MARKED, [name], [part for at, (token, runs) in whole.items() for part in (at, token, runs[name])])
            for name in (names if whole else ())
        ]
        found = await scripts(self._client, calls)
        return set(partitions) - whole.keys() | {int(partition) for lost in found for partition in lost}

    async def _names(self) -> list[str]:
        """A key on each server that holds documents, but for the one that holds as-of."""
        client = self._client
        if not isinstance(client, RedisCluster):
            return []
        await client.initialize()
        servers = {node.name for node in client.get_primaries()} - {_server_of(client, AS_OF)}
        found: dict[str, str] = {}
        for number in islice(count(), _TRIED_MAX):
            if len(found) == len(servers):
                return sorted(found.values())
            key = shard_marks(number)
            if (server := _server_of(client, key)) in servers:
                found.setdefault(server, key)
        raise RedisClusterException(f"no key lies on one of the servers {sorted(servers - found.keys())}")


def _server_of(client: RedisCluster, key: str) -> str:
    """The server that a key lies on. `Raises` RedisClusterException where none has its slot."""
    node = client.get_node_from_key(key)
    assert node is not None, "there is a replica or none, but always a primary"
    return str(node.name)
