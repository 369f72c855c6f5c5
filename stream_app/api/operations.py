"""`/ops/status`: the status document of the monitor, for the operations page.

Place: beside the questions of `http`; the monitor asks for no token, so it stays on loopback and is asked from here.
Invariants: however many clients ask, the monitor is asked once in `_KEEP_SECONDS`; its last status outlives the
monitor, and `answers` and `knownSeconds` say how old it is. Nothing is judged here.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from time import monotonic
from typing import Any, Final

import httpx
import orjson
import structlog
from starlette.types import Receive, Scope, Send

from stream_app.api.asgi import send_data, send_error
from stream_app.api.errors import FAULT, INTERNAL, UNKNOWN_METHOD, ApiError, envelope
from stream_app.api.fetch import FETCH_ERRORS, fetch_json, new_client
from stream_app.api.guard.admission import admit_to_operations
from stream_app.api.guard.auth import TokenVerifier
from stream_app.api.guard.rate import RateLimiter

_KEEP_SECONDS: Final = 1.0
_BYTES_MAX: Final = 32_000_000
_PARTITIONS_MAX: Final = 50  # of a group that are shown; those that are well never are
_WORST: Final = 20  # operators
_ERRORS: Final = (*FETCH_ERRORS, TypeError, KeyError)  # no answer, or one that is not the monitor's
log = structlog.get_logger(__name__)


class MonitorClient:
    """Asks the monitor, and keeps its last answer. `groups`: our consumer groups, by stage, until the monitor names those in force."""

    def __init__(self, url: str, timeout_seconds: float, groups: Mapping[str, str]) -> None:
        self._url, self._timeout_seconds, self._groups = url, timeout_seconds, groups
        self._client = new_client(proxies=False)
        self._lock = asyncio.Lock()
        self._asked_at = self._known_at = float("-inf")
        self._away_since: float | None = None
        self._failure: str | None = None
        self._status: dict[str, Any] | None = None
        self._operators: list[dict[str, Any]] = []
        self._asking: asyncio.Task[None] | None = None

    async def data(self) -> bytes:
        """The last status of the monitor and its age, as JSON."""
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
                "groups": (self._status or {}).get("ours") or self._groups,
                "status": self._status,
                "operators": self._operators,
            }
        )

    async def _ask(self) -> None:
        try:
            self._status = trimmed_status(await self._get("/status"))
        except _ERRORS as error:
            self._note(_failure(error), error)
        else:
            self._known_at = monotonic()
            self._note(None)
            self._follow_operators(any(row["stage"] for row in self._status.get("results", ())))
        self._asked_at = monotonic()

    def _follow_operators(self, behind: bool) -> None:
        """Ask for the operators with the oldest results in the background, for the monitor reads these from Redis."""
        if not behind:
            self._operators = []
        elif self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask_operators())

    async def _ask_operators(self) -> None:
        with suppress(*_ERRORS):
            found: list[dict[str, Any]] = (await self._get(f"/operators?worst={_WORST}"))["operators"]
            self._operators = found

    async def close(self) -> None:
        """Wait for a request under way, and give connections back."""
        if self._asking is not None:
            await self._asking
        await self._client.aclose()

    def _note(self, failure: str | None, error: Exception | None = None) -> None:
        if failure is None and self._failure is not None:
            log.warning("the monitor answers again")
            self._away_since = None
        elif failure is not None and self._failure is None:
            log.warning("the monitor does not answer", error=str(error))
            self._away_since = monotonic()
        self._failure = failure

    async def _get(self, path: str) -> Any:
        url = self._url + path
        return await fetch_json(self._client, url, seconds_max=self._timeout_seconds, bytes_max=_BYTES_MAX)


def trimmed_status(status: dict[str, Any]) -> dict[str, Any]:
    """The status without the partitions that are well, which may be thousands; of the others those furthest behind."""
    for group in status["groups"]:
        bad = [row for row in group["partitions"] if row["status"] != "OK"]
        bad.sort(key=lambda row: -(row["lag_seconds"] or 0))
        group["partitions"] = bad[:_PARTITIONS_MAX]
    return status


def _failure(error: Exception) -> str:
    """The kind of failure, of a closed list that the page has words for; the log has the error itself."""
    if isinstance(error, TimeoutError):
        return "timeout"
    return "unreachable" if isinstance(error, OSError | httpx.NetworkError) else "unusable"


class OperationsEndpoint:
    """An ASGI application that answers with the status of the monitor."""

    def __init__(self, route: str, tokens: TokenVerifier, rate: RateLimiter, monitor: MonitorClient) -> None:
        self._route, self._tokens, self._rate, self._monitor = route, tokens, rate, monitor

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
        return await self._monitor.data()
