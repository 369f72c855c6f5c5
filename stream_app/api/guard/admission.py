"""The checks that every endpoint begins with: token (401), rate (429), then a permission (403).

Place: between the endpoints and `auth`, `rate`. Invariant: a request over the rate of its token costs no store
anything.
"""

from time import time

from starlette.types import Scope

from stream_app.api.asgi import header
from stream_app.api.errors import (
    NO_DATA_PERMISSION,
    NO_INTERFACE_PERMISSION,
    NO_OPERATIONS_PERMISSION,
    ApiError,
    bad_parameter,
)
from stream_app.api.guard.auth import Principal, TokenVerifier
from stream_app.api.guard.rate import RateLimiter


async def admit(scope: Scope, tokens: TokenVerifier, rate: RateLimiter) -> Principal:
    """The principal of a request that may use the interface: token, rate, permission. `Raises` ApiError."""
    principal = await _principal(scope, tokens, rate)
    if not principal.may_read:
        raise ApiError(NO_INTERFACE_PERMISSION, "the token lacks the permission to use this interface")
    return principal


async def admit_to_operations(scope: Scope, tokens: TokenVerifier, rate: RateLimiter) -> Principal:
    """The principal of a request that may see operations: token, rate, permission. `Raises` ApiError."""
    principal = await _principal(scope, tokens, rate)
    if not principal.may_operate:
        raise ApiError(NO_OPERATIONS_PERMISSION, "the token lacks the permission to see operations")
    return principal


async def _principal(scope: Scope, tokens: TokenVerifier, rate: RateLimiter) -> Principal:
    principal = await tokens.principal(header(scope, b"authorization"), time())
    await rate.take(principal.token, principal.rate)
    return principal


def operator_of(principal: Principal, named: str | None) -> str:
    """The id of the operator that a request names, or its token implies.

    `Raises` ApiError without one, or without permission.
    """
    if named is None:
        only = principal.only
        if only is None:
            raise bad_parameter("operatorId", "missing, and the token is not for exactly one operator")
        return only
    if not principal.covers(named):
        raise ApiError(NO_DATA_PERMISSION, "the token does not cover this operator")
    return named
