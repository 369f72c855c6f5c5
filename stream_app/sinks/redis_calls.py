"""Many commands to Redis in one go: a pipeline, or side by side in a cluster, whose pipelines take no scripts.

An answer that is an error is raised after all were read, and connections are made anew then: the address may lead to
another server by now, while the one that it led to is a replica that refuses what is written. Nothing is tried again
for long: whoever calls has another place to ask, or waits.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError, NoScriptError

from stream_app.sinks.lua import Script

Client = Redis | RedisCluster
TIMEOUT_SECONDS = 5


class Call(NamedTuple):
    """A script with its keys and arguments."""

    script: Script
    keys: Sequence[str]
    arguments: Sequence[bytes | str | int]

    def command(self) -> tuple[bytes | str | int, ...]:
        """The command that runs it."""
        return ("EVALSHA", self.script.sha, len(self.keys), *self.keys, *self.arguments)


def connect(url: str, *, timed: bool = True) -> Client:
    """A client, not connected yet. `redis+cluster://` and `rediss+cluster://` name a node of a cluster.

    Not `timed`: for callers that limit the time of their questions themselves.
    """
    options: dict[str, Any] = {
        "socket_timeout": TIMEOUT_SECONDS if timed else None,
        "socket_connect_timeout": TIMEOUT_SECONDS,
        "retry": Retry(NoBackoff(), 1),  # a connection that died while it was idle
    }
    scheme, _, rest = url.partition("://")
    if scheme.endswith("+cluster"):
        return RedisCluster.from_url(f"{scheme.removesuffix('+cluster')}://{rest}", **options)
    return Redis.from_url(url, **options)


async def commands(client: Client, wanted: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Answers, in order. `Raises` the first error among them."""
    return await _checked(client, wanted, await _all(client, wanted))


async def in_order(client: Client, wanted: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Answers of commands that run one after the other, in a cluster, too. `Raises` the first error among them."""
    if isinstance(client, RedisCluster):
        return [await client.execute_command(*command) for command in wanted]
    return await commands(client, wanted)


async def scripts(client: Client, calls: Sequence[Call]) -> list[Any]:
    """Answers of scripts, in order; those that the server does not know yet are loaded.

    `Raises` the first error among them.
    """
    answers = await _all(client, [call.command() for call in calls])
    unknown = [index for index, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
    if unknown:
        for script in {calls[index].script for index in unknown}:
            await client.script_load(script.text)
        again = await _all(client, [calls[index].command() for index in unknown])
        for index, answer in zip(unknown, again, strict=True):
            answers[index] = answer
    return await _checked(client, [call.command() for call in calls], answers)


async def _all(client: Client, wanted: Sequence[tuple[Any, ...]]) -> list[Any]:
    if not wanted:
        return []
    if isinstance(client, RedisCluster):
        return await asyncio.gather(*(client.execute_command(*command) for command in wanted), return_exceptions=True)
    async with client.pipeline(transaction=False) as pipeline:
        for command in wanted:
            pipeline.execute_command(*command)
        return await pipeline.execute(raise_on_error=False)


async def _checked(client: Client, wanted: Sequence[tuple[Any, ...]], answers: list[Any]) -> list[Any]:
    for command, answer in zip(wanted, answers, strict=True):
        if isinstance(answer, NoPermissionError):  # of keys Redis does not say which
            keys = command[3 : 3 + command[2]] if command[0] == "EVALSHA" else command[1:2]
            raise NoPermissionError(f"{answer}: {command[0]} {' '.join(map(str, keys))}")
        if isinstance(answer, BaseException):
            if isinstance(client, Redis):  # nodes of a cluster say themselves who took over from them
                await client.connection_pool.disconnect(inuse_connections=False)
            raise answer
    return answers


async def evictions(client: Client) -> set[str]:
    """Policies of servers that evict keys without expiry when their memory is full; none where a server does not tell."""
    try:
        if isinstance(client, RedisCluster):
            await client.initialize()
            said = [await client.info("memory", target_nodes=node) for node in client.get_primaries()]
        else:
            said = [await client.info("memory")]
    except NoPermissionError:
        return set()
    policies = {str(memory.get("maxmemory_policy", "")) for memory in said}
    return {policy for policy in policies if policy.startswith("allkeys")}
