"""`/ops/status`: what the monitor says, for the operations page.

Place: beside the questions of `http`; the monitor asks for no token, so it stays on loopback and is asked from here. Invariants: however many look,
the monitor is asked once in `_KEEP_SECONDS`; what it said last outlives it, and is never given as if it were new: `answers` and
`knownSeconds` say what it is worth. Nothing is judged here.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPException
from time import monotonic
from typing import Any, Final
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

import orjson
import structlog
from starlette.types import Receive, Scope, Send

from stream_app.api.asgi import send_data, send_error
from stream_app.api.errors import FAULT, INTERNAL, UNKNOWN_METHOD, ApiError, envelope
from stream_app.api.guard.admission import admit_to_operations
from stream_app.api.guard.auth import Tokens
from stream_app.api.guard.rate import RateLimit

_KEEP_SECONDS: Final = 1.0
_BYTES_MAX: Final = 32_000_000
_PARTITIONS_MAX: Final = 50  # of a group that are shown; those that are well never are
_WORST: Final = 20  # operators
ERRORS: Final = (OSError, HTTPException, ValueError, TypeError, KeyError)  # no answer, or one that is not the monitor's
log = structlog.get_logger(__name__)


class Watched:
    """The monitor, as it was last seen. `groups`: ours, by stage."""

    def __init__(self, url: str, timeout_seconds: float, groups: Mapping[str, str]) -> None:
        self._url, self._timeout_seconds, self._groups = url, timeout_seconds, groups
        self._opener = build_opener(ProxyHandler({}))
        self._lock = asyncio.Lock()
        self._asked_at = self._known_at = float("-inf")
        self._away_since: float | None = None
        self._failure: str | None = None
        self._status: dict[str, Any] | None = None
        self._operators: list[dict[str, Any]] = []
        self._asking: asyncio.Task[None] | None = None

    async def data(self) -> bytes:
        """What is known now, as JSON."""
        async with self._lock:
            if monotonic() - self._asked_at >= _KEEP_SECONDS:
                await self._ask()
        now = monotonic()
        return orjson.dumps(
            {
                "answers": self._failure is None,
                "failure": self._failure,
                "awaySeconds": None if self._away_since is None else now - self._away_since,
                "knownSeconds": None if self._status is None else now - self._known_at,
                "groups": self._groups,
                "status": self._status,
                "operators": self._operators,
            }
        )

    async def _ask(self) -> None:
        try:
            self._status = shown(await asyncio.to_thread(self._get, "/status"))
        except ERRORS as error:
            self._note(_failure(error), error)
        else:
            self._known_at = monotonic()
            self._note(None)
            self._follow_operators(any(row["stage"] for row in self._status.get("results", ())))
        self._asked_at = monotonic()

    def _follow_operators(self, behind: bool) -> None:
        """Ask for the worst off in the background: the monitor has them from Redis, which may be what hangs."""
        if not behind:
            self._operators = []
        elif self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask_operators())

    async def _ask_operators(self) -> None:
        with suppress(*ERRORS):
            found: list[dict[str, Any]] = (await asyncio.to_thread(self._get, f"/operators?worst={_WORST}"))[
                "operators"
            ]
            self._operators = found

    async def close(self) -> None:
        """End what is under way."""
        if self._asking is not None:
            await self._asking

    def _note(self, failure: str | None, error: Exception | None = None) -> None:
        if failure is None and self._failure is not None:
            log.warning("the monitor answers again")
            self._away_since = None
        elif failure is not None and self._failure is None:
            log.warning("the monitor does not answer", error=str(error))
            self._away_since = monotonic()
        self._failure = failure

    def _get(self, path: str) -> Any:
        try:
            with self._opener.open(self._url + path, timeout=self._timeout_seconds) as answer:
                return orjson.loads(answer.read(_BYTES_MAX))
        except HTTPError as error:
            error.close()
            raise ValueError(f"{path} is answered with {error.code}") from None


def shown(status: dict[str, Any]) -> dict[str, Any]:
    """Without the partitions that are well, which may be thousands; of the others those furthest behind."""
    for group in status["groups"]:
        bad = [row for row in group["partitions"] if row["status"] != "OK"]
        bad.sort(key=lambda row: -(row["lag_seconds"] or 0))
        group["partitions"] = bad[:_PARTITIONS_MAX]
    return status


def _failure(error: Exception) -> str:
    """Of a closed list, for the page has words for each; the log says more."""
    if isinstance(error, TimeoutError) or isinstance(getattr(error, "reason", None), TimeoutError):
        return "timeout"
    return "unreachable" if isinstance(error, OSError) else "unusable"


class Operations:
    """An ASGI application that answers with what the monitor says."""

    def __init__(self, route: str, tokens: Tokens, rate: RateLimit, watched: Watched) -> None:
        self._route, self._tokens, self._rate, self._watched = route, tokens, rate, watched

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        del receive
        trace = scope["trace"]
        trace.route = self._route
        try:
            data = await self._answer(scope)
        except ApiError as error:
            trace.code = error.code
            await send_error(send, error)
        except Exception:
            await send_error(send, ApiError(INTERNAL, FAULT))
            raise
        else:
            await send_data(send, envelope(data))

    async def _answer(self, scope: Scope) -> bytes:
        if scope["method"] not in ("GET", "HEAD"):
            raise ApiError(UNKNOWN_METHOD, f"{self._route} answers GET", {"Allow": "GET, HEAD"})
        await admit_to_operations(scope, self._tokens, self._rate)
        return await self._watched.data()
