"""Public keys of a token issuer, by the address of its JWKS.

Place: behind `auth`. Invariants: the document is fetched at most once in `_RETRY_SECONDS`, whatever tokens say; keys
outlive an issuer that does not answer; a symmetric key in a JWKS is not a key. Only the address of the settings is
asked, never one that a token names.
"""

import asyncio
import ssl
from time import monotonic
from typing import Any, Final

import structlog
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import JWKRegistry, Key, KeySet
from joserfc.jws import JWSRegistry

from stream_app.api.errors import NO_KEYS, ApiError
from stream_app.api.fetch import FETCH_ERRORS, fetch_json, new_client

ALGORITHMS: Final = ("RS256", "ES256")
_TIMEOUT_SECONDS: Final = 5
_BYTES_MAX: Final = 1_000_000
_RETRY_SECONDS: Final = 10  # between two fetches for a key that is not there, or after a failure
_MEMBERS: Final = ("kty", "kid", "use", "key_ops", "alg", "n", "e", "crv", "x", "y", "k")  # others mean nothing here
log = structlog.get_logger(__name__)


class JwksKeys:
    """Keys of one JWKS, fetched when first asked for, again after `keep_seconds`, and for a key id never seen."""

    def __init__(self, url: str, keep_seconds: float) -> None:
        if not url.startswith(("https://", "http://")):
            raise ValueError("the address of a JWKS begins with https:// or http://")
        self._url = url
        self._keep_seconds = keep_seconds
        # The certificates of the machine, where an operator installs those of its own authority.
        self._client = new_client(proxies=True, follow_redirects=True, verify=ssl.create_default_context())
        self._keys: dict[str, KeySet] | None = None  # by algorithm
        self._fetched_at = self._tried_at = float("-inf")
        self._lock = asyncio.Lock()

    async def key(self, kid: str | None, algorithm: str) -> Key | None:
        """The key of that id that fits the algorithm; without an id the only one that fits."""
        if self._keys is None or monotonic() - self._fetched_at > self._keep_seconds:
            await self._refresh()
        found = self._find(kid, algorithm)
        if found is None:
            await self._refresh()
            found = self._find(kid, algorithm)
        if self._keys is None:
            raise ApiError(NO_KEYS, "the keys that tokens are checked with can't be fetched now")
        return found

    async def close(self) -> None:
        """Give connections back."""
        await self._client.aclose()

    def _find(self, kid: str | None, algorithm: str) -> Key | None:
        if self._keys is None:
            return None
        try:
            return self._keys[algorithm].get_by_kid(kid)
        except InvalidKeyIdError:
            return None

    async def _refresh(self) -> None:
        asked_at = monotonic()
        async with self._lock:
            # Who waited for another's fetch is served by it; a flood of unknown key ids is one fetch in a while.
            if self._tried_at >= asked_at or monotonic() - self._tried_at < _RETRY_SECONDS:
                return
            self._tried_at = monotonic()
            try:
                document = await fetch_json(self._client, self._url, seconds_max=_TIMEOUT_SECONDS, bytes_max=_BYTES_MAX)
                self._keys = key_sets(document)
                self._fetched_at = monotonic()
            except FETCH_ERRORS as error:
                log.warning("JWKS can't be fetched", error=f"{type(error).__name__}: {error}")


def key_sets(document: object) -> dict[str, KeySet]:
    """The keys of a JWKS by the algorithm that they verify; a key that can't be read is left out. `Raises` ValueError.

    One set an algorithm, so that a token without a key id finds the only key of its algorithm, however many others
    there are.
    """
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError("not a JWKS")  # noqa: TRY004  # of a document, not of an argument
    keys = [key for entry in entries if isinstance(entry, dict) and (key := _read(entry)) is not None]
    return {algorithm: KeySet([key for key in keys if _verifies(key, algorithm)]) for algorithm in ALGORITHMS}


def _read(entry: dict[str, Any]) -> Key | None:
    """The public key of an entry. Of RFC 7517 all members but those of the key itself are optional: an empty one says nothing."""
    used = {name: entry[name] for name in _MEMBERS if entry.get(name) not in (None, "", [])}
    try:
        return JWKRegistry.import_key(used)
    except (JoseError, ValueError, TypeError, KeyError):
        log.warning("a key of the JWKS can't be read", kid=entry.get("kid"))
    return None


def _verifies(key: Key, algorithm: str) -> bool:
    """Is the key of the algorithm's type and curve, and meant for it?"""
    try:
        JWSRegistry.algorithms[algorithm].check_key(key)
        key.check_key_op("verify")
    except (JoseError, ValueError, TypeError):
        return False
    return True
