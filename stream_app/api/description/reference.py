"""The OpenAPI document: the interface described by routes that are never called.

Place: beside the real routes, which hand bytes on and check nothing by models; `reference_pages` serves it.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, NamedTuple

import orjson
from fastapi import APIRouter, Depends, Query
from fastapi.openapi.utils import get_openapi
from fastapi.security import HTTPBearer
from pydantic import BaseModel
from starlette.responses import Response

from stream_app.api.asking.windows import Retention
from stream_app.api.description import examples, models, table_models
from stream_app.api.errors import (
    BAD_PARAMETER,
    BAD_TOKEN,
    INTERNAL,
    NO_DATA_PERMISSION,
    NO_INTERFACE_PERMISSION,
    NO_KEYS,
    NO_OPERATIONS_PERMISSION,
    NO_STORE,
    OVER_RATE,
    WHEN,
)
from stream_app.domain.tables import FigureTable, Table

Responses = dict[int | str, dict[str, Any]]
PREFIX: Final = "/smart-bi/crm"
OPERATIONS: Final = "/ops/status"
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

{documents}. `as-of`, every two seconds: up to when what was sent holds. `stale`: changes can't be seen at the moment;
what was sent stays as it was at `asOf`, until the next `as-of`. An event's id holds the versions of all documents; sent
back as `Last-Event-ID` it keeps an unchanged document from being sent again.
"""
_STREAM_OF_MANY: Final = """The same events, of many groups over one connection; each event names its operator and group, and its id is that group's.

A group that can't be watched is told by an event `refused`, with its `operatorId` and `groupId`, `code` and `message`; the others go on.
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


class _Described(NamedTuple):
    request: type[BaseModel]
    data: type[BaseModel]
    example: dict[str, Any]
    summary: str
    description: str


_LISTS: Final = {
    "groups": _Described(
        models.GroupsRequest,
        models.GroupsData,
        examples.GROUPS_EXAMPLE,
        "Customer groups",
        "ALL first, then by id: each in which something counts, and each that has a name.",
    ),
    "operators": _Described(
        models.OperatorsRequest,
        models.OperatorsData,
        examples.OPERATORS_EXAMPLE,
        "Operators that the token covers",
        "Those that are known, by id.",
    ),
}


def _describe_table(table: Table[Any], retention: Retention) -> _Described:
    period = table.period
    if isinstance(table, FigureTable):
        said = f"Of a group, in a currency; {period.plural} without data are there, as zeros. Those past retention stay as they last were."
    else:
        said = f"How many of a group's sessions started in each, over the {period.plural} asked for."
    return _Described(
        table_models.request_model(table, retention.asked_max(table)),
        table_models.data_model(table),
        examples.table_example(table),
        table.meaning.removesuffix("."),
        said,
    )


def _schema_of(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _errors(codes: tuple[int, ...]) -> Responses:
    found: Responses = {}
    for code in codes:
        entry = found.setdefault(
            code // 100,
            {"description": "", "content": {"application/json": {"schema": _schema_of(models.Error), "examples": {}}}},
        )
        entry["description"] += f"{'; ' if entry['description'] else ''}{code}: {WHEN[code]}"
        entry["content"]["application/json"]["examples"][str(code)] = {
            "summary": WHEN[code],
            "value": {"code": code, "message": WHEN[code]},
        }
    found.get(429, {})["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds"}}
    return found


def _asker(model: type[BaseModel], *, query: bool) -> Callable[..., None]:
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
            description=described.description,
            tags=["statistics"],
            response_model=models.Envelope[described.data],  # type: ignore[name-defined]  # made from the value
            responses={200: answer, **unchanged, **_errors(_QUESTION_ERRORS)},
            dependencies=[Depends(_bearer())],
        )


def _describe_stream(router: APIRouter, tables: Sequence[Table[Any]], described: Sequence[_Described]) -> None:
    last_event = {
        "name": "Last-Event-ID",
        "in": "header",
        "schema": {"type": "string"},
        "description": "The id of the last event that arrived",
    }
    identity = f"^[0-9]+(-[0-9]+){{{len(tables) - 1}}}$"
    kinds = [_event(table.document, found.data, identity) for table, found in zip(tables, described, strict=True)]
    as_of, stale, refused = (
        _event(name, data, identity, numbered=False)
        for name, data in (("as-of", models.StateData), ("stale", models.StateData), ("refused", models.RefusedData))
    )
    kinds += [as_of, stale]
    documents = "; ".join(f"`{table.document}`: the `data` of the default answer of {table.path}" for table in tables)
    for method, asker, summary, description, events, more in (
        (
            "GET",
            _asker(models.StreamRequest, query=True),
            "All default answers, and their changes",
            _STREAM.format(documents=documents),
            kinds,
            {"parameters": [last_event]},
        ),
        (
            "POST",
            _asker(models.WatchRequest, query=False),
            "The same of many groups",
            _STREAM_OF_MANY,
            [*kinds, refused],
            {},
        ),
    ):
        content = {"itemSchema": {"oneOf": events}, "example": examples.stream_example(tables)}
        router.add_api_route(
            f"{PREFIX}/stream",
            asker,
            methods=[method],
            operation_id=f"stream_{method.lower()}",
            summary=summary,
            description=description,
            tags=["statistics"],
            response_class=Response,
            responses={
                200: {"description": "Events", "content": {"text/event-stream": content}},
                **_errors(_QUESTION_ERRORS),
            },
            openapi_extra=more,
            dependencies=[Depends(_bearer())],
        )


def _describe_operations(router: APIRouter) -> None:
    answer = {
        "description": "What the monitor says, or said last",
        "content": {"application/json": {"example": examples.OPERATIONS_EXAMPLE}},
    }
    router.add_api_route(
        OPERATIONS,
        _ready,
        operation_id="operations",
        summary="What is behind, by how much, since when, and why",
        description="Of all operators and topics, so it needs a permission of its own. What the page /ops shows.",
        tags=["service"],
        response_model=models.Envelope[models.OperationsData],
        responses={
            200: answer,
            **_errors((BAD_TOKEN, NO_OPERATIONS_PERMISSION, OVER_RATE, INTERNAL, NO_KEYS)),
        },
        dependencies=[Depends(_bearer())],
    )


def _event(name: str, data: type[BaseModel], identity: str, *, numbered: bool = True) -> dict[str, Any]:
    """An event, with an id of this pattern; one without an id of its own has the last one's for whoever reads it."""
    return {
        "type": "object",
        "properties": {
            "event": {"const": name},
            "data": {"type": "string", "contentMediaType": "application/json", "contentSchema": _schema_of(data)},
            "id": {"type": "string", "pattern": identity},
        },
        "required": ["event", "data", *(["id"] if numbered else [])],
    }


def _bearer() -> HTTPBearer:
    return HTTPBearer(description="JWT: HS256, or RS256 or ES256 by a JWKS")


def _ready() -> None:
    """Never called."""


def _forget_null(schema: dict[str, Any]) -> None:
    """A query has no null: one alternative is left of what a body may hold."""
    for alternative in schema.pop("anyOf", []):
        if alternative != {"type": "null"}:
            schema |= alternative


def document(version: str, retention: Retention, tables: Sequence[Table[Any]]) -> bytes:
    """The OpenAPI document; retention bounds what may be asked for."""
    router = APIRouter()
    described = [_describe_table(table, retention) for table in tables]
    questions = {table.path: found for table, found in zip(tables, described, strict=True)}
    for name, found in (questions | _LISTS).items():
        _describe(router, name, found)
    _describe_stream(router, tables, described)
    _describe_operations(router)
    up: Responses = {200: {"description": "Always", "content": {"application/json": {"example": examples.example({})}}}}
    router.add_api_route(
        "/healthz",
        _ready,
        operation_id="healthz",
        summary="Is the process up?",
        description="It says so, whatever the stores do.",
        tags=["service"],
        response_model=models.Envelope[models.NoData],
        responses=up,
    )
    stores = examples.example({"redis": True, "clickhouse": True})
    router.add_api_route(
        "/readyz",
        _ready,
        operation_id="readyz",
        summary="Does a store answer?",
        description="One that does is enough.",
        tags=["service"],
        response_model=models.Envelope[models.StoresData],
        responses={
            200: {"description": "Which of them", "content": {"application/json": {"example": stores}}},
            **_errors((NO_STORE,)),
        },
    )
    table = "".join(f"| {code} | {when} |\n" for code, when in WHEN.items())
    openapi = get_openapi(
        title="CRM statistics", version=version, description=_DESCRIPTION + table, routes=list(router.routes)
    )
    for path in openapi["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)  # wrong parameters are 40001 here
            if operation["operationId"] != "stream_post":
                operation.get("requestBody", {}).pop("required", None)  # all parameters have defaults
            for parameter in operation.get("parameters", []):
                _forget_null(parameter["schema"])
    schemas = openapi["components"]["schemas"]
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    schemas |= {
        model.__name__: model.model_json_schema() for model in (models.Error, models.StateData, models.RefusedData)
    }
    return orjson.dumps(openapi)
