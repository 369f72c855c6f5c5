"""The application: stores, permissions and routes put together.

Place: called by the command with the settings; holds no rule. Invariant: everything that it starts it ends again
(`lifespan`).
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any, NamedTuple

import orjson
from clickhouse_driver.errors import Error as ClickHouseError
from fastapi import FastAPI
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from redis.asyncio import Redis
from redis.exceptions import RedisError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from config.settings import Settings
from stream_app.api.asking import parameters
from stream_app.api.asking.answers import Answers
from stream_app.api.asking.given import Answer
from stream_app.api.asking.windows import Retention
from stream_app.api.description import reference_pages
from stream_app.api.description.reference import OPERATIONS, PREFIX, document
from stream_app.api.errors import FAULT, INTERNAL, NO_STORE, UNKNOWN_METHOD, UNKNOWN_PATH, ApiError, envelope
from stream_app.api.guard.admission import operator_of
from stream_app.api.guard.auth import Principal, TokenRules, TokenVerifier
from stream_app.api.guard.jwks import JwksKeys
from stream_app.api.guard.rate import RateLimiter
from stream_app.api.guard.rate_window import RateWindow, RedisWindow
from stream_app.api.http import Dispatcher, Endpoint, QuestionHandler
from stream_app.api.live.feed import Feed
from stream_app.api.live.stream import StreamEndpoint
from stream_app.api.live.updates import UpdateSubscription, subscriber
from stream_app.api.observe import Metrics, ObservabilityMiddleware
from stream_app.api.operations import MonitorClient, OperationsEndpoint
from stream_app.api.stores.circuit import CircuitBreaker
from stream_app.api.stores.ports import CellStore, DocumentStore
from stream_app.api.stores.redis_store import RedisDocumentStore
from stream_app.dashboard import page
from stream_app.domain.tables import TABLES, Table
from stream_app.sinks.clickhouse_reader import ClickHouseReader
from stream_app.sinks.redis_calls import connect

REDIS_ERRORS = (RedisError,)
CLICKHOUSE_ERRORS = (ClickHouseError,)


class Stores(NamedTuple):
    """The stores that the API reads, and the function that closes them."""

    documents: DocumentStore
    cells: CellStore
    window: RateWindow  # of the rate limit
    close: Callable[[], Awaitable[None]]
    updates: Redis | None = None  # subscribes to changes; without it streams begin, and say that they are stale


def stores(settings: Settings) -> Stores:
    """The stores of the settings' addresses; nothing is connected before the first question."""
    seconds = settings.api_redis_timeout_ms / 1000
    client = connect(settings.redis_address, timed=False)
    documents = RedisDocumentStore(client, seconds)
    cells = ClickHouseReader(settings.clickhouse_address, settings.clickhouse_database)
    updates = subscriber(settings.redis_address, seconds)

    async def close() -> None:
        await documents.close()
        await updates.aclose()
        await cells.close()

    return Stores(documents, cells, RedisWindow(client, seconds), close, updates)


@dataclass(frozen=True)
class _Components:
    redis: CircuitBreaker
    clickhouse: CircuitBreaker
    answers: Answers
    tokens: TokenVerifier
    public: JwksKeys | None
    rate: RateLimiter
    metrics: Metrics
    feed: Feed
    monitor: MonitorClient


def _now_quarter() -> int:
    return int(time.time()) // 900


def _parts(settings: Settings, found: Stores, tables: Sequence[Table[Any]]) -> _Components:
    opened = found.updates.connection_pool.disconnect if found.updates else None
    redis = CircuitBreaker("redis", found.documents.ping, REDIS_ERRORS, opened=opened)
    clickhouse = CircuitBreaker(
        "clickhouse",
        found.cells.as_of_ms,
        CLICKHOUSE_ERRORS,
        timeout_seconds=settings.api_clickhouse_timeout_ms / 1000,
    )
    metrics = Metrics()
    for circuit in (redis, clickhouse):
        metrics.watch(circuit.name, lambda circuit=circuit: circuit.closed)  # type: ignore[misc]
    secret = settings.jwt_secret.get_secret_value().encode() if settings.jwt_secret else None
    public = JwksKeys(settings.jwt_jwks_url, settings.jwt_jwks_seconds) if settings.jwt_jwks_url else None
    rules = TokenRules(
        scope=settings.jwt_scope,
        ops_scope=settings.jwt_ops_scope,
        scope_claim=settings.jwt_scope_claim,
        operators_claim=settings.jwt_operators_claim,
        issuer=settings.jwt_issuer or None,
        audience=settings.jwt_audience or None,
        rate=settings.api_rate,
        leeway_seconds=settings.jwt_leeway_seconds,
        keep_seconds=settings.jwt_jwks_seconds,
    )
    answers = Answers(
        (found.documents, redis),
        (found.cells, clickhouse),
        retention=_retention(settings),
        events_partitions=settings.events_partitions,
        default_currency=settings.default_currency,
        now_quarter=_now_quarter,
        tables=tables,
    )
    updates = partial(UpdateSubscription, found.updates) if found.updates else None
    feed = Feed(answers, (found.documents, redis), updates)
    metrics.watch_viewers(feed.viewers)
    return _Components(
        redis=redis,
        clickhouse=clickhouse,
        answers=answers,
        tokens=TokenVerifier(rules, secret, public),
        public=public,
        rate=RateLimiter(found.window, redis),
        metrics=metrics,
        feed=feed,
        monitor=_monitor(settings),
    )


def _retention(settings: Settings) -> Retention:
    return Retention(settings.retention_months, settings.distribution_days)


def _table_question(answers: Answers, table: Table[Any], count_max: int) -> QuestionHandler:
    parse = parameters.periods_parser(table, count_max)

    async def answer(principal: Principal, asked: Any) -> Answer:
        return await answers.of_table(table, operator_of(principal, asked.operator_id), asked)

    return QuestionHandler(lambda raw, text: parse(raw, text=text), answer)


def _questions(answers: Answers, retention: Retention) -> dict[str, QuestionHandler]:
    """The questions by path: one for each table, groups, operators."""

    async def groups(principal: Principal, asked: Any) -> Answer:
        operator = operator_of(principal, asked.operator_id)
        if asked.operator_id is None:
            await answers.check_implied(operator)
        return await answers.groups(operator)

    async def operators(principal: Principal, _: Any) -> Answer:
        return await answers.operators(principal.operators)

    return {
        **{table.path: _table_question(answers, table, retention.asked_max(table)) for table in answers.tables},
        "groups": QuestionHandler(lambda raw, text: parameters.parse_groups(raw, text=text), groups),
        "operators": QuestionHandler(lambda raw, text: parameters.parse_operators(raw, text=text), operators),
    }


def _service_routes(parts: _Components) -> list[Route]:
    async def healthz(request: Request) -> Response:
        request.scope["trace"].route = "/healthz"
        return _json(envelope(b"{}"))

    async def readyz(request: Request) -> Response:
        request.scope["trace"].route = "/readyz"
        found = {circuit.name: await circuit.answers() for circuit in (parts.redis, parts.clickhouse)}
        if not any(found.values()):
            request.scope["trace"].code = NO_STORE
            error = ApiError(NO_STORE, "neither Redis nor ClickHouse answers")
            return _json(error.body(), error.status)
        return _json(envelope(orjson.dumps(found)))

    async def metrics(request: Request) -> Response:
        request.scope["trace"].route = "/metrics"
        return Response(generate_latest(parts.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]


def _json(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(body, status, {"Cache-Control": "no-store", **(headers or {})}, "application/json")


async def _fault(_: Request, error: Exception) -> Response:
    """A fault as an envelope that names no detail; the log has it under the request id."""
    del error
    ours = ApiError(INTERNAL, FAULT)
    return _json(ours.body(), ours.status)


async def _refused(request: Request, error: Exception) -> Response:
    """A request that the framework refuses, in our envelope."""
    assert isinstance(error, HTTPException)
    ours = (
        ApiError(UNKNOWN_METHOD, f"{request.method} is not answered here", error.headers)
        if error.status_code == 405
        else ApiError(UNKNOWN_PATH, "there is nothing at this path")
    )
    request.scope["trace"].code = ours.code
    return _json(ours.body(), ours.status, dict(ours.headers))


def _monitor(settings: Settings) -> MonitorClient:
    groups = {"ingest": settings.ingest_group, "ledger": settings.ledger_group}
    return MonitorClient(settings.monitor_url, settings.api_monitor_timeout_ms / 1000, groups)


async def _end(feed: Feed, ending: asyncio.Event) -> None:
    await ending.wait()
    feed.end()


def create_app(
    settings: Settings,
    found: Stores | None = None,
    *,
    ending: asyncio.Event | None = None,
    tables: Sequence[Table[Any]] = TABLES,
) -> ASGIApp:
    """The whole interface as an ASGI application; without stores given, those of the settings' addresses.

    `ending` is set by a server that is about to stop: it would wait for open streams, which end by nothing else.
    """
    found = found or stores(settings)
    parts, retention = _parts(settings, found, tables), _retention(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        watching = asyncio.create_task(_end(parts.feed, ending or asyncio.Event()))
        yield
        watching.cancel()
        await parts.feed.close()
        await parts.monitor.close()
        if parts.public is not None:
            await parts.public.close()
        await parts.rate.close()
        await parts.redis.close()
        await parts.clickhouse.close()
        await found.close()

    app = FastAPI(
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        exception_handlers={HTTPException: _refused, Exception: _fault},
    )
    endpoints: dict[str, ASGIApp] = {
        path: Endpoint(path, parts.tokens, parts.rate, question)
        for name, question in _questions(parts.answers, retention).items()
        for path in [f"{PREFIX}/{name}"]
    }
    path = f"{PREFIX}/stream"
    endpoints[path] = StreamEndpoint(path, parts.tokens, parts.rate, parts.answers, parts.feed)
    endpoints[OPERATIONS] = OperationsEndpoint(OPERATIONS, parts.tokens, parts.rate, parts.monitor)
    app.router.routes.extend(_service_routes(parts))
    app.router.routes.extend(reference_pages.routes(document(version("crm-stats"), retention, tables)))
    app.router.routes.extend(page.routes(settings.api_frame_ancestors))
    whole: ASGIApp = Dispatcher(endpoints, app)
    if settings.api_cors_origins:
        whole = CORSMiddleware(
            whole,
            allow_origins=settings.api_cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "If-None-Match", "Last-Event-ID", "X-Request-Id"],
            expose_headers=["ETag", "Retry-After", "X-Data-As-Of", "X-Request-Id"],
            max_age=600,
        )
    return ObservabilityMiddleware(whole, parts.metrics)
