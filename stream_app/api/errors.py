"""The table of errors, and the envelope that every answer stands in.

Place: raised by all of the room, turned into a response by `http`. Invariant: the HTTP status is the first three digits
of the code. A message names what the caller can change; it never holds a token or an inner address.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import orjson

BAD_PARAMETER: Final = 40001
BAD_TOKEN: Final = 40101
NO_INTERFACE_PERMISSION: Final = 40301
NO_DATA_PERMISSION: Final = 40302
NO_OPERATIONS_PERMISSION: Final = 40303
UNKNOWN_PATH: Final = 40401
UNKNOWN_METHOD: Final = 40501
OVER_RATE: Final = 42901
INTERNAL: Final = 50001
NO_STORE: Final = 50301
NO_KEYS: Final = 50302

WHEN: Final[Mapping[int, str]] = MappingProxyType(
    {
        BAD_PARAMETER: "a parameter is missing, malformed or out of range; the message says which",
        BAD_TOKEN: "no token, or one that is malformed, expired or wrongly signed",
        NO_INTERFACE_PERMISSION: "the token lacks the interface permission",
        NO_DATA_PERMISSION: "the token does not cover this operator",
        NO_OPERATIONS_PERMISSION: "the token lacks the permission to see operations",
        UNKNOWN_PATH: "there is nothing at this path",
        UNKNOWN_METHOD: "the path does not answer this method; Allow lists those it does",
        OVER_RATE: "over the rate limit of this token; Retry-After says when to try again",
        INTERNAL: "a fault of the service; the log has it under the request id",
        NO_STORE: "neither Redis nor ClickHouse can answer",
        NO_KEYS: "the keys that tokens are checked with can't be fetched",
    }
)


FAULT: Final = "a fault of the service; say the request id when you report it"


class ApiError(Exception):
    """An answer that is an error: a code of the table, and what to tell the caller."""

    def __init__(self, code: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.headers = headers or {}

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.code // 100

    def body(self) -> bytes:
        """The envelope, without data."""
        return orjson.dumps({"code": self.code, "message": self.message})


def bad_parameter(name: str, why: str) -> ApiError:
    """The error that names a parameter of the request."""
    return ApiError(BAD_PARAMETER, f"{name}: {why}")


def envelope(data: bytes) -> bytes:
    """The answer whose data is this JSON, which is not looked at."""
    return b'{"code":0,"message":"ok","data":' + data + b"}"
