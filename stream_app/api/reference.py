"""/openapi.json and /docs: the interface described by routes that are never called, shown by files that come with us.

Place: beside the real routes, which hand bytes on and check nothing by models. Invariant: neither page loads anything from another host.
"""

from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Final, NamedTuple

import orjson
from fastapi import APIRouter, Depends, Query
from fastapi.openapi.utils import get_openapi
from fastapi.security import HTTPBearer
from fastapi.sse import EventSourceResponse
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from stream_app.api import models
from stream_app.api.errors import (
    BAD_PARAMETER,
    BAD_TOKEN,
    INTERNAL,
    NO_DATA_PERMISSION,
    NO_INTERFACE_PERMISSION,
    NO_KEYS,
    NO_STORE,
    OVER_RATE,
    WHEN,
)

Responses = dict[int | str, dict[str, Any]]
PREFIX: Final = "/smart-bi/crm"
_DESCRIPTION: Final = """Live statistics of charging operators and their customer groups.

Every answer is `{"code": 0, "message": "ok", "data": ...}`; an error has a code of the table below, no data, and the HTTP status of the
code's first three digits. Unknown parameters are ignored, null is the same as leaving one out. `X-Data-As-Of` says up to when an answer
holds: it has every source record that Kafka had taken before that time.

| code | when |
| --- | --- |
"""
_AS_OF_HEADER: Final = {
    "schema": {"type": "string", "format": "date-time"},
    "description": "Up to when the answer holds",
}
_GET_HEADERS: Final = {
    "X-Data-As-Of": _AS_OF_HEADER,
    "ETag": {"schema": {"type": "string"}, "description": 'Weak, such as W/"1234"'},
    "Cache-Control": {"schema": {"type": "string"}, "description": "private, no-cache"},
    "Vary": {"schema": {"type": "string"}, "description": "Authorization"},
}
_STREAM: Final = """Server-sent events, at once and on each change, until the token expires.

`monthly` and `distribution`: the `data` of the default answer of monthlyIndex and of chargingDistribute. `as-of`, every two seconds: up to when what
was sent holds. `stale`: changes can't be seen at the moment; what was sent stays as it was at `asOf`, until the next `as-of`. An event's id holds the
versions of both documents; sent back as `Last-Event-ID` it keeps an unchanged document from being sent again.
"""
_QUESTION_ERRORS: Final = (
    BAD_PARAMETER,
    BAD_TOKEN,
    NO_INTERFACE_PERMISSION,
    NO_DATA_PERMISSION,
    OVER_RATE,
    INTERNAL,
    NO_STORE,
    NO_KEYS,
)
_STATIC: Final = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "start.js": "text/javascript",
}
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>CRM statistics: HTTP interface</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="reference"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
_POLICY: Final = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'"


class _Described(NamedTuple):
    request: type[models.Model]
    data: type[models.Model]
    example: dict[str, Any]
    summary: str


_QUESTIONS: Final = {
    "monthlyIndex": _Described(
        models.MonthlyRequest, models.MonthlyData, models.MONTHLY_EXAMPLE, "Key figures by month"
    ),
    "chargingDistribute": _Described(
        models.DistributionRequest,
        models.DistributionData,
        models.DISTRIBUTION_EXAMPLE,
        "Charging sessions by half hour of the local day",
    ),
    "groups": _Described(models.GroupsRequest, models.GroupsData, models.GROUPS_EXAMPLE, "Customer groups"),
    "operators": _Described(
        models.OperatorsRequest, models.OperatorsData, models.OPERATORS_EXAMPLE, "Operators that the token covers"
    ),
}


def _errors(codes: tuple[int, ...]) -> Responses:
    found: Responses = {}
    for code in codes:
        entry = found.setdefault(
            code // 100,
            {"model": models.Error, "description": "", "content": {"application/json": {"examples": {}}}},
        )
        entry["description"] += f"{'; ' if entry['description'] else ''}{code}: {WHEN[code]}"
        entry["content"]["application/json"]["examples"][str(code)] = {
            "summary": WHEN[code],
            "value": {"code": code, "message": WHEN[code]},
        }
    found.get(429, {})["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds"}}
    return found


def _asker(model: type[models.Model], *, query: bool) -> Callable[..., None]:
    """A function whose signature describes the parameters."""

    def ask(asked: Any) -> None:
        """Never called."""

    ask.__annotations__["asked"] = Annotated[model, Query()] if query else model
    return ask


def _describe(router: APIRouter, name: str, described: _Described) -> None:
    for method in ("POST", "GET"):
        get = method == "GET"
        answer = {
            "description": "The answer",
            "content": {"application/json": {"example": described.example}},
            "headers": _GET_HEADERS if get else {"X-Data-As-Of": _AS_OF_HEADER},
        }
        unchanged: Responses = (
            {304: {"description": "Not changed since that ETag", "headers": _GET_HEADERS}} if get else {}
        )
        router.add_api_route(
            f"{PREFIX}/{name}",
            _asker(described.request, query=get),
            methods=[method],
            operation_id=f"{name}_{method.lower()}",
            summary=described.summary,
            tags=["statistics"],
            response_model=models.Envelope[described.data],  # type: ignore[name-defined]  # made from the value
            responses={200: answer, **unchanged, **_errors(_QUESTION_ERRORS)},
            dependencies=[Depends(_bearer())],
        )


def _describe_stream(router: APIRouter) -> None:
    last_event = {
        "name": "Last-Event-ID",
        "in": "header",
        "schema": {"type": "string"},
        "description": "The id of the last event that arrived",
    }
    router.add_api_route(
        f"{PREFIX}/stream",
        _asker(models.StreamRequest, query=True),
        operation_id="stream_get",
        summary="Both default answers, and their changes",
        description=_STREAM,
        tags=["statistics"],
        response_class=EventSourceResponse,
        responses={
            200: {"description": "Events", "content": {"text/event-stream": {"example": models.STREAM_EXAMPLE}}},
            **_errors(_QUESTION_ERRORS),
        },
        openapi_extra={"parameters": [last_event]},
        dependencies=[Depends(_bearer())],
    )


def _bearer() -> HTTPBearer:
    return HTTPBearer(description="JWT: HS256, or RS256 or ES256 by a JWKS")


def _ready() -> None:
    """Never called."""


@cache
def document(version: str) -> bytes:
    """The OpenAPI document."""
    router = APIRouter()
    for name, described in _QUESTIONS.items():
        _describe(router, name, described)
    _describe_stream(router)
    up: Responses = {200: {"description": "Always", "content": {"application/json": {"example": models.example({})}}}}
    router.add_api_route("/healthz", _ready, summary="Is the process up?", tags=["service"], responses=up)
    stores = models.example({"redis": True, "clickhouse": True})
    router.add_api_route(
        "/readyz",
        _ready,
        operation_id="readyz",
        summary="Does a store answer?",
        tags=["service"],
        response_model=models.Envelope[models.StoresData],
        responses={
            200: {"description": "Which of them", "content": {"application/json": {"example": stores}}},
            **_errors((NO_STORE,)),
        },
    )
    table = "".join(f"| {code} | {when} |\n" for code, when in WHEN.items())
    found = get_openapi(
        title="CRM statistics", version=version, description=_DESCRIPTION + table, routes=list(router.routes)
    )
    for path in found["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)  # wrong parameters are 40001 here
    schemas = found["components"]["schemas"]
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    return orjson.dumps(found)


def routes(version: str) -> list[Route]:
    """The pages."""
    openapi = document(version)
    static = {name: files(__package__).joinpath("static", name).read_bytes() for name in _STATIC}

    async def schema(request: Request) -> Response:
        request.scope["trace"].route = "/openapi.json"
        return Response(openapi, media_type="application/json")

    async def page(request: Request) -> Response:
        request.scope["trace"].route = "/docs"
        return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _POLICY})

    def file(name: str) -> Route:
        async def send(request: Request) -> Response:
            request.scope["trace"].route = "/docs"
            headers = {"Cache-Control": "public, max-age=3600", "X-Content-Type-Options": "nosniff"}
            return Response(static[name], media_type=_STATIC[name], headers=headers)

        return Route(f"/docs/{name}", send)

    return [Route("/openapi.json", schema), Route("/docs", page), *map(file, _STATIC)]
