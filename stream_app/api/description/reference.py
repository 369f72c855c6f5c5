"""The OpenAPI document: the interface described by routes that are never called.

Place: beside the real routes, which hand bytes on and check nothing by models; `reference_pages` serves it.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import orjson
from fastapi import APIRouter, Depends
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from stream_app.api.asking.windows import Retention
from stream_app.api.description import examples, models, table_models
from stream_app.api.description.shared import QUESTION_ERRORS, Responses, asker, bearer, errors
from stream_app.api.description.stream_reference import describe_stream
from stream_app.api.errors import (
    BAD_TOKEN,
    INTERNAL,
    NO_KEYS,
    NO_OPERATIONS_PERMISSION,
    NO_STORE,
    OVER_RATE,
    WHEN,
)
from stream_app.domain.tables import FigureTable, Table

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
            asker(described.request, query=get),
            methods=[method],
            operation_id=f"{name}_{method.lower()}",
            summary=described.summary,
            description=described.description,
            tags=["statistics"],
            response_model=models.Envelope[described.data],  # type: ignore[name-defined]  # made from the value
            responses={200: answer, **unchanged, **errors(QUESTION_ERRORS)},
            dependencies=[Depends(bearer())],
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
            **errors((BAD_TOKEN, NO_OPERATIONS_PERMISSION, OVER_RATE, INTERNAL, NO_KEYS)),
        },
        dependencies=[Depends(bearer())],
    )


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
    describe_stream(router, f"{PREFIX}/stream", tables, [found.data for found in described])
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
            **errors((NO_STORE,)),
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
