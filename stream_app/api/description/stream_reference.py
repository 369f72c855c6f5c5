"""The operations of the stream in the OpenAPI document, and the events that it sends."""

from collections.abc import Sequence
from typing import Any, Final

from fastapi import APIRouter, Depends
from pydantic import BaseModel
from starlette.responses import Response

from stream_app.api.description import examples, models
from stream_app.api.description.shared import QUESTION_ERRORS, asker, bearer, errors, schema_of
from stream_app.domain.tables import Table

_STREAM: Final = """Server-sent events, at once and on each change, until the token expires.

{documents}. `as-of`, every two seconds: up to when what was sent holds. `stale`: changes can't be seen at the moment;
what was sent stays as it was at `asOf`, until the next `as-of`. An event's id holds the versions of all documents; sent
back as `Last-Event-ID` it keeps an unchanged document from being sent again.
"""
_STREAM_OF_MANY: Final = """The same events, of many groups over one connection; each event names its operator and group, and its id is that group's.

A group that can't be watched is told by an event `refused`, with its `operatorId` and `groupId`, `code` and `message`; the others go on.
"""


def describe_stream(
    router: APIRouter, path: str, tables: Sequence[Table[Any]], data: Sequence[type[BaseModel]]
) -> None:
    """Describe both methods; `data` are models of the answers of the tables, in their order."""
    last_event = {
        "name": "Last-Event-ID",
        "in": "header",
        "schema": {"type": "string"},
        "description": "The id of the last event that arrived",
    }
    identity = f"^[0-9]+(-[0-9]+){{{len(tables) - 1}}}$"
    kinds = [_event(table.document, answer, identity) for table, answer in zip(tables, data, strict=True)]
    as_of, stale, refused = (
        _event(name, data, identity, numbered=False)
        for name, data in (("as-of", models.StateData), ("stale", models.StateData), ("refused", models.RefusedData))
    )
    kinds += [as_of, stale]
    documents = "; ".join(f"`{table.document}`: the `data` of the default answer of {table.path}" for table in tables)
    for method, ask, summary, description, events, more in (
        (
            "GET",
            asker(models.StreamRequest, query=True),
            "All default answers, and their changes",
            _STREAM.format(documents=documents),
            kinds,
            {"parameters": [last_event]},
        ),
        (
            "POST",
            asker(models.WatchRequest, query=False),
            "The same of many groups",
            _STREAM_OF_MANY,
            [*kinds, refused],
            {},
        ),
    ):
        content = {"itemSchema": {"oneOf": events}, "example": examples.stream_example(tables)}
        router.add_api_route(
            path,
            ask,
            methods=[method],
            operation_id=f"stream_{method.lower()}",
            summary=summary,
            description=description,
            tags=["statistics"],
            response_class=Response,
            responses={
                200: {"description": "Events", "content": {"text/event-stream": content}},
                **errors(QUESTION_ERRORS),
            },
            openapi_extra=more,
            dependencies=[Depends(bearer())],
        )


def _event(name: str, data: type[BaseModel], identity: str, *, numbered: bool = True) -> dict[str, Any]:
    """An event, with an id of this pattern; one without an id of its own has the last one's for whoever reads it."""
    return {
        "type": "object",
        "properties": {
            "event": {"const": name},
            "data": {"type": "string", "contentMediaType": "application/json", "contentSchema": schema_of(data)},
            "id": {"type": "string", "pattern": identity},
        },
        "required": ["event", "data", *(["id"] if numbered else [])],
    }
