"""What operations of the OpenAPI document share: schemas, errors, parameters, security."""

from collections.abc import Callable
from typing import Annotated, Any, Final

from fastapi import Query
from fastapi.security import HTTPBearer
from pydantic import BaseModel

from stream_app.api.description import models
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
QUESTION_ERRORS: Final = (
    BAD_PARAMETER,
    BAD_TOKEN,
    NO_INTERFACE_PERMISSION,
    NO_DATA_PERMISSION,
    OVER_RATE,
    INTERNAL,
    NO_STORE,
    NO_KEYS,
)


def schema_of(model: type[BaseModel]) -> dict[str, str]:
    """A reference to a model's schema."""
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def errors(codes: tuple[int, ...]) -> Responses:
    """The answers of these codes, by HTTP status."""
    found: Responses = {}
    for code in codes:
        entry = found.setdefault(
            code // 100,
            {"description": "", "content": {"application/json": {"schema": schema_of(models.Error), "examples": {}}}},
        )
        entry["description"] += f"{'; ' if entry['description'] else ''}{code}: {WHEN[code]}"
        entry["content"]["application/json"]["examples"][str(code)] = {
            "summary": WHEN[code],
            "value": {"code": code, "message": WHEN[code]},
        }
    found.get(429, {})["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds"}}
    return found


def asker(model: type[BaseModel], *, query: bool) -> Callable[..., None]:
    """A function whose signature describes the parameters."""

    def ask(asked: Any) -> None:
        """Never called."""

    ask.__annotations__["asked"] = Annotated[model, Query()] if query else model
    return ask


def bearer() -> HTTPBearer:
    """The token."""
    return HTTPBearer(description="JWT: HS256, or RS256 or ES256 by a JWKS")
