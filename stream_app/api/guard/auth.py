"""Authentication: a signed token becomes a principal with its permissions.

Place: first of all, before any parameter is read. Invariants: the key is chosen by us from the algorithm, never by the
token: HS256 is checked with the shared secret only, RS256 and ES256 with keys of the JWKS only, anything else (`none`
included) with nothing. A token that was checked once is kept as long as the keys are, its times are looked at each
time. Tokens are never logged.
"""

import math
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final, NamedTuple, Protocol

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import Key, OctKey
from joserfc.jws import extract_compact

from stream_app.api.errors import BAD_TOKEN, ApiError
from stream_app.api.guard.jwks import ALGORITHMS
from stream_app.domain import probe

_TOKENS_MAX: Final = 10_000
_TOKEN_CHARACTERS_MAX: Final = 16_384
_RATE_MAX: Final = 1_000_000


class PublicKeys(Protocol):
    """Keys of an issuer by their id."""

    async def key(self, kid: str | None, algorithm: str) -> Key | None:
        """The key of that id that fits the algorithm; without an id the only one that fits.

        `Raises` ApiError when none can be had.
        """


class TokenRules(NamedTuple):
    """Claims that a token must have, and their names. None: not checked."""

    scope: str
    ops_scope: str
    scope_claim: str
    operators_claim: str
    issuer: str | None
    audience: str | None
    rate: int  # requests a second of a token without the claim `rate`
    leeway_seconds: int  # that a token may be used before its time, since clocks differ
    keep_seconds: float  # that a checked token is not checked again


class Principal(NamedTuple):
    """The holder of a token."""

    token: str  # a digest: names the token in the rate limit
    may_read: bool
    may_operate: bool  # see operations, of all operators
    operators: frozenset[str] | None  # None: all
    rate: int
    begins: float  # epoch seconds
    expires: float
    kept_until: float

    def covers(self, operator: str) -> bool:
        """Whether it may read data of this operator. A token for all operators does not cover the monitor's probe."""
        return operator != probe.OPERATOR if self.operators is None else operator in self.operators

    @property
    def only(self) -> str | None:
        """The operator that the token implies."""
        return next(iter(self.operators)) if self.operators is not None and len(self.operators) == 1 else None


def _refused(why: str) -> ApiError:
    return ApiError(BAD_TOKEN, why, {"WWW-Authenticate": 'Bearer error="invalid_token"'})


class TokenVerifier:
    """Checks tokens by a shared secret, by public keys, or both."""

    def __init__(self, rules: TokenRules, secret: bytes | None, public: PublicKeys | None) -> None:
        self._rules = rules
        self._secret = OctKey.import_key(secret) if secret else None
        self._public = public
        self._known: dict[bytes, Principal] = {}

    async def principal(self, authorization: bytes | None, now: float) -> Principal:
        """The principal of an Authorization header; now in epoch seconds.

        `Raises` ApiError for a token that is not accepted.
        """
        if authorization is None:
            raise ApiError(BAD_TOKEN, "no token: send Authorization: Bearer ...", {"WWW-Authenticate": "Bearer"})
        found = self._known.get(authorization)
        if found is None or now >= found.kept_until:
            found = await self._check(authorization, now)
            if len(self._known) >= _TOKENS_MAX:
                del self._known[next(iter(self._known))]
            self._known[authorization] = found
        if now >= found.expires:
            raise _refused("the token is expired")
        if now < found.begins:
            raise _refused("the token is not valid yet")
        return found

    async def _check(self, authorization: bytes, now: float) -> Principal:
        scheme, _, token = authorization.partition(b" ")
        token = token.strip()
        if scheme.lower() != b"bearer" or not token or len(token) > _TOKEN_CHARACTERS_MAX:
            raise _refused("not a bearer token")
        try:
            header = extract_compact(token).headers()
        except (JoseError, ValueError, TypeError, KeyError):
            raise _refused("the token is malformed") from None
        algorithm = header.get("alg")
        key = await self._key(algorithm, header.get("kid"))
        try:
            claims = jwt.decode(token, key, algorithms=[str(algorithm)]).claims
        except (JoseError, ValueError, TypeError, RecursionError):
            raise _refused("the token is malformed or wrongly signed") from None
        # Of what is signed: a signature can be written in more than one way (in ES256 as s or n-s, in base64 by unused bits).
        return self._read(claims, sha256(token.rpartition(b".")[0]).hexdigest()[:32], now)

    async def _key(self, algorithm: object, kid: object) -> Key:
        key: Key | None = None
        if algorithm == "HS256":
            key = self._secret
        elif algorithm in ALGORITHMS and self._public is not None:
            key = await self._public.key(kid if isinstance(kid, str) else None, str(algorithm))
        if key is None:
            raise _refused("the token is signed in a way, or with a key, that is not accepted here")
        return key

    def _read(self, claims: Mapping[str, Any], digest: str, now: float) -> Principal:
        rules = self._rules
        if rules.issuer is not None and claims.get("iss") != rules.issuer:
            raise _refused("the token is of another issuer")
        if rules.audience is not None and rules.audience not in _strings(claims.get("aud")):
            raise _refused("the token is for another audience")
        said = claims.get(rules.scope_claim)
        scopes = said.split() if isinstance(said, str) else _strings(said)
        operators = frozenset(_strings(claims.get(rules.operators_claim)))
        return Principal(
            token=digest,
            may_read=rules.scope in scopes,
            may_operate=rules.ops_scope in scopes,
            operators=None if "*" in operators else operators,
            rate=_rate(claims.get("rate"), rules.rate),
            begins=_time(claims, "nbf", -math.inf) - rules.leeway_seconds,
            expires=_time(claims, "exp", math.inf),
            kept_until=now + rules.keep_seconds,
        )


def _strings(value: object) -> list[str]:
    """The strings of a claim that is one or a list of them; an operator's id may hold spaces, so one is one."""
    if isinstance(value, str):
        return [value]
    return [entry for entry in value if isinstance(entry, str)] if isinstance(value, list) else []


def _time(claims: Mapping[str, Any], name: str, missing: float) -> float:
    value = claims.get(name, missing)
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise _refused(f"the token's {name} is not a time")
    return value


def _rate(claim: object, default: int) -> int:
    if isinstance(claim, bool) or not isinstance(claim, int | float) or not claim > 0:
        return default
    return max(1, int(min(claim, _RATE_MAX)))
