"""Access tokens of an issuer by the grant of client credentials (RFC 6749, 4.4), for the SASL mechanism OAUTHBEARER.

librdkafka fetches its own; this is what aiokafka asks. A token is kept until shortly before it expires.
"""

import asyncio
import base64
import json
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, Final, NamedTuple

from aiokafka.abc import AbstractTokenProvider

from stream_app.access.errors import AccessError

_TIMEOUT_S: Final = 10.0
_USED_UP: Final = 0.8  # of its life, after which a token is asked for anew
_BYTES_MAX: Final = 1 << 20


class TokenRefusedError(AccessError):
    """The issuer gives no token to this client; the message is one sentence without secrets."""


class TokenRequest(NamedTuple):
    """What is asked of which issuer. `scope`, `cafile`: "" is none."""

    url: str
    client_id: str
    client_secret: str
    scope: str
    cafile: str

    def __repr__(self) -> str:
        return f"TokenRequest({self.url!r}, {self.client_id!r})"


class TokenProvider(AbstractTokenProvider):  # type: ignore[misc]  # aiokafka has no types
    """Tokens of one client."""

    def __init__(self, request: TokenRequest) -> None:
        self._request = request
        self._token, self._until_s = "", 0.0

    async def token(self) -> str:
        """A token that is valid. `Raises` TokenRefusedError, OSError where the issuer does not answer."""
        if time.monotonic() >= self._until_s:
            answer = await asyncio.to_thread(fetch, self._request)
            self._token = str(answer["access_token"])
            self._until_s = time.monotonic() + _USED_UP * float(answer.get("expires_in", 60))
        return self._token


def fetch(request: TokenRequest) -> dict[str, Any]:
    """The issuer's answer, in which `access_token` stands. `Raises` TokenRefusedError, OSError."""
    form = {"grant_type": "client_credentials"} | ({"scope": request.scope} if request.scope else {})
    quoted = f"{urllib.parse.quote_plus(request.client_id)}:{urllib.parse.quote_plus(request.client_secret)}"
    asked = urllib.request.Request(  # noqa: S310  # the setting takes http and https only
        request.url,
        urllib.parse.urlencode(form).encode(),
        {"Authorization": f"Basic {base64.b64encode(quoted.encode()).decode()}", "Accept": "application/json"},
    )
    context = ssl.create_default_context(cafile=request.cafile or None) if request.url.startswith("https:") else None
    try:
        with urllib.request.urlopen(asked, timeout=_TIMEOUT_S, context=context) as response:  # noqa: S310
            answer = json.loads(response.read(_BYTES_MAX))
    except urllib.error.HTTPError as error:
        error.close()
        if error.code >= 500:
            raise OSError(f"the token endpoint {request.url} answers {error.code}") from None
        raise TokenRefusedError(
            f"the token endpoint {request.url} refuses the client {request.client_id}: it answers {error.code}"
        ) from None
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or not isinstance(answer.get("access_token"), str):
        raise TokenRefusedError(f"the token endpoint {request.url} answers without an access_token")
    return answer
