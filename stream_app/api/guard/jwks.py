"""Public keys of a token issuer, by the address of its JWKS.

Place: behind `auth`. Invariants: the document is fetched at most once in a while, by one thread, whatever tokens say; keys outlive an issuer that
does not answer; a symmetric key in a JWKS is not a key. Only the address of the settings is asked, never one that a token names.
"""

import asyncio
from time import monotonic
from typing import Any, Final
from urllib.request import Request, urlopen

import orjson
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from stream_app.api.errors import NO_KEYS, ApiError

_TIMEOUT_SECONDS: Final = 5
_BYTES_MAX: Final = 1_000_000
_RETRY_SECONDS: Final = 10  # between two fetches for a key that is not there, or after a failure
log = structlog.get_logger(__name__)


class JwksKeys:
    """Keys of one JWKS, fetched when first asked for, again after `keep_seconds`, and for a key id never seen."""

    def __init__(self, url: str, keep_seconds: float) -> None:
        if not url.startswith(("https://", "http://")):
            raise ValueError("the address of a JWKS begins with https:// or http://")
        self._url = url
        self._keep_seconds = keep_seconds
        self._keys: list[tuple[str | None, str, RSAKey | ECKey]] | None = None
        self._fetched_at = self._tried_at = float("-inf")
        self._lock = asyncio.Lock()

    async def key(self, kid: str | None, algorithm: str) -> RSAKey | ECKey | None:
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

    def _find(self, kid: str | None, algorithm: str) -> RSAKey | ECKey | None:
        fitting = [(name, key) for name, fits, key in self._keys or () if fits == algorithm]
        if kid is None:
            return fitting[0][1] if len(fitting) == 1 else None
        return next((key for name, key in fitting if name == kid), None)

    async def _refresh(self) -> None:
        asked_at = monotonic()
        async with self._lock:
            # Who waited for another's fetch is served by it; a flood of unknown key ids is one fetch in a while.
            if self._tried_at >= asked_at or monotonic() - self._tried_at < _RETRY_SECONDS:
                return
            self._tried_at = monotonic()
            try:
                self._keys = await asyncio.to_thread(self._fetch)
                self._fetched_at = monotonic()
            except (OSError, ValueError) as error:
                log.warning("JWKS can't be fetched", error=f"{type(error).__name__}: {error}")

    def _fetch(self) -> list[tuple[str | None, str, RSAKey | ECKey]]:
        request = Request(self._url, headers={"Accept": "application/json"})  # noqa: S310  # http(s) only, see above
        with urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
            document = orjson.loads(answer.read(_BYTES_MAX))
        if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
            raise ValueError("not a JWKS")  # noqa: TRY004  # of a document, not of an argument
        return [found for entry in document["keys"] if isinstance(entry, dict) and (found := _read(entry)) is not None]


def _read(entry: dict[str, Any]) -> tuple[str | None, str, RSAKey | ECKey] | None:
    """Key id, algorithm and key of an entry; None of one that signs nothing we accept."""
    if entry.get("use", "sig") != "sig" or "verify" not in entry.get("key_ops", ["verify"]):
        return None
    kind = entry.get("kty")
    try:
        if kind == "RSA" and entry.get("alg", "RS256") == "RS256":
            return entry.get("kid"), "RS256", RSAKey.import_key(entry)
        if kind == "EC" and entry.get("crv") == "P-256" and entry.get("alg", "ES256") == "ES256":
            return entry.get("kid"), "ES256", ECKey.import_key(entry)
    except (JoseError, ValueError, TypeError, KeyError):
        log.warning("a key of the JWKS can't be read", kid=entry.get("kid"))
    return None
