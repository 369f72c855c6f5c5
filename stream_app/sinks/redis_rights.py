"""The rights in Redis that each program needs, in the words of ACL SETUSER: of this list the documentation, the check at each start and the tests are made.

A right is tried by a command that changes nothing, or nothing that anybody reads: who has the least rights may not ask for its own (ACL). One node of
a cluster speaks for all.
"""

import re
from typing import Any, Final, NamedTuple

from redis.exceptions import NoPermissionError, ResponseError

from stream_app.sinks.redis_keys import SEEN, seen_key, updates_channel

_TRIED: Final = "trial"  # stands for an operator that nobody has
_KEY: Final = f"crm:{{{_TRIED}}}:{_TRIED}"
_SEEN_KEY: Final = seen_key(_TRIED)
_RATE_KEY: Final = f"crm-rate:{_TRIED}"
_CHANNEL: Final = updates_channel(_TRIED)
_NO_SCRIPT: Final = "0" * 40
_OF_NAMES: Final = re.compile("access (a|one of the) (key|channel)")


class RedisRight(NamedTuple):
    """A right, and what tries it. `command` empty: the program gets along without."""

    right: str
    command: tuple[Any, ...] = ()


_SCRIPTS: Final = (
    RedisRight("+evalsha", ("EVALSHA", _NO_SCRIPT, 0)),
    RedisRight("+script|load", ("SCRIPT LOAD", "return 0")),
)

# Keys and channels stand first: they are tried by commands that stand below. DEL follows what makes the key.
REDIS_ROLES: Final[dict[str, tuple[RedisRight, ...]]] = {
    "worker": (
        RedisRight("~crm:*", ("HGET", _KEY, "")),
        RedisRight("~{crm:*}:*", ("HGET", SEEN, "")),
        RedisRight("~{*}:crm:seen", ("HGET", _SEEN_KEY, "")),
        RedisRight("&crm:*", ("PUBLISH", _CHANNEL, "")),
        *_SCRIPTS,
        RedisRight("+info"),
        RedisRight("+get", ("GET", _KEY)),
        RedisRight("+set", ("SET", _KEY, "", "XX")),
        RedisRight("+hget", ("HGET", _KEY, "")),
        RedisRight("+hset", ("HSET", _KEY, "", "")),
        RedisRight("+hsetnx", ("HSETNX", _KEY, "", "")),
        RedisRight("+hdel", ("HDEL", _KEY, "")),
        RedisRight("+del", ("DEL", _KEY)),
        RedisRight("+hgetall", ("HGETALL", _KEY)),
        RedisRight("+hkeys", ("HKEYS", _KEY)),
        RedisRight("+hvals", ("HVALS", _KEY)),
        RedisRight("+publish", ("PUBLISH", _CHANNEL, "")),
    ),
    "api": (
        RedisRight("%R~crm:*", ("HGETALL", _KEY)),
        RedisRight("~crm-rate:*", ("PEXPIRE", _RATE_KEY, 1)),
        RedisRight("&crm:*", ("SUBSCRIBE", _CHANNEL)),
        RedisRight("+mget", ("MGET", _KEY)),
        RedisRight("+hgetall", ("HGETALL", _KEY)),
        RedisRight("+hmget", ("HMGET", _RATE_KEY, "")),
        *_SCRIPTS,
        RedisRight("+time", ("TIME",)),
        RedisRight("+hset", ("HSET", _RATE_KEY, "", "")),
        RedisRight("+pexpire", ("PEXPIRE", _RATE_KEY, 1)),
        RedisRight("+subscribe", ("SUBSCRIBE", _CHANNEL)),
        RedisRight("+unsubscribe", ("UNSUBSCRIBE", _CHANNEL)),
        RedisRight("+ping", ("PING",)),
    ),
    "monitor": (
        RedisRight("%R~crm:*", ("HGETALL", _KEY)),
        RedisRight("+get", ("GET", _KEY)),
        RedisRight("+hgetall", ("HGETALL", _KEY)),
        RedisRight("+hkeys", ("HKEYS", _KEY)),
    ),
}


def missing(client: Any, role: str) -> list[str]:
    """Those of the role's rights that the user of a blocking client lacks. `Raises` RedisError where Redis does not answer. Blocks."""
    return [need.right for need in REDIS_ROLES[role] if need.command and not _has(client, need)]


def _has(client: Any, need: RedisRight) -> bool:
    """Whether Redis lets the command pass. A command that is denied says nothing of keys, and the other way round."""
    try:
        if need.command[0].endswith("SUBSCRIBE"):
            with client.pubsub() as link:
                link.execute_command(*need.command)
                link.parse_response(block=False, timeout=5)
        else:
            client.execute_command(*need.command)
    except NoPermissionError as error:
        return bool(_OF_NAMES.search(str(error))) is (need.right[0] == "+")
    except ResponseError:  # another server's keys, a script that nobody has: it was let pass
        pass
    return True
