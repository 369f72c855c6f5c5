"""The requests to a schema registry, each once: who asks decides whether to wait."""

import ssl
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

import httpx

from stream_app.access.errors import AccessError
from stream_app.access.schema_registry import RegistryAccess
from stream_app.sources import wire

_TIMEOUT_S: Final = 10.0
_TYPE: Final = "application/vnd.schemaregistry.v1+json"
_ID_MAX: Final = 2**31 - 1
_UNKNOWN: Final = range(40401, 40404)  # the registry's codes for a subject, a version and an id that it does not have
_DEEPEST: Final = 30  # of schemas that refer to others
_SHOWN: Final = 500


class RegistryAwayError(Exception):
    """The registry does not answer as one does. Asking again later may succeed."""


class IncompatibleError(Exception):
    """The registry does not take a schema; the message is its own."""


class RegistryClient:
    """The client of one registry. To be used in one event loop."""

    def __init__(self, access: RegistryAccess) -> None:
        self._access = access
        self._http = httpx.AsyncClient(
            base_url=access.url.rstrip("/") + "/",
            auth=httpx.BasicAuth(access.username, access.password) if access.username else None,
            headers={"Accept": f"{_TYPE}, application/json"},
            verify=access.ssl_context(),
            timeout=_TIMEOUT_S,
            follow_redirects=True,
        )

    async def close(self) -> None:
        """Disconnect."""
        await self._http.aclose()

    async def schema(self, number: int) -> wire.Schema | None:
        """The schema of an id; None: there is none. `Raises` RegistryAwayError, AccessError."""
        found = await self._ask("GET", f"schemas/ids/{number}") if number <= _ID_MAX else None
        if found is None:
            return None
        kind = found.get("schemaType", "AVRO")
        others: dict[str, str] = {}
        if missing := await self._others(found, kind, others, _DEEPEST):
            return wire.refusing(kind, f"it refers to {missing}, which the registry does not have")
        text = await self._text(kind, number, found)
        return (
            wire.refusing(kind, "the registry does not serialize it")
            if text is None
            else wire.schema(kind, text, others)
        )

    async def _others(self, schema: dict[str, Any], kind: str, others: dict[str, str], depth: int) -> str:
        """Note what a schema refers to, what that refers to first; gives what the registry does not have, "" for nothing."""
        for reference in schema.get("references") or ():
            name, subject, version = reference["name"], reference["subject"], reference["version"]
            if name in others:
                continue
            path = f"subjects/{quote(subject, safe='')}/versions/{version}?deleted=true"
            found = await self._ask("GET", path) if depth else None
            if found is None:
                return f"version {version} of {subject}"
            if missing := await self._others(found, kind, others, depth - 1):
                return missing
            text = await self._text(kind, found["id"], found)
            if text is None:
                return f"version {version} of {subject}, serialized"
            others[name] = text
        return ""

    async def _text(self, kind: str, number: int, found: dict[str, Any]) -> str | None:
        """The schema of an answer. Of Protobuf it is a file of .proto, which nothing but its compiler parses: the descriptor is asked for."""
        if kind != "PROTOBUF":
            return str(found["schema"])
        serialized = await self._ask("GET", f"schemas/ids/{number}?format=serialized")
        return None if serialized is None else str(serialized["schema"])

    async def compatibility(self, subject: str) -> str | None:
        """The mode that is set for a subject; None: none is. `Raises` RegistryAwayError, AccessError."""
        found = await self._ask("GET", f"config/{quote(subject, safe='')}")
        return None if found is None else str(found.get("compatibilityLevel"))

    async def set_compatibility(self, subject: str, mode: str) -> None:
        """Ask for a mode. `Raises` RegistryAwayError, AccessError."""
        await self._ask("PUT", f"config/{quote(subject, safe='')}", {"compatibility": mode})

    async def register(self, subject: str, schema: str) -> int:
        """Register a JSON Schema, unless the subject has it; its id. `Raises` IncompatibleError, RegistryAwayError, AccessError."""
        body = {"schema": schema, "schemaType": "JSON"}
        found = await self._ask("POST", f"subjects/{quote(subject, safe='')}/versions", body)
        if found is None:
            raise RegistryAwayError(f"{self._access.url} takes no schemas")
        return int(found["id"])

    async def prove(self) -> None:
        """Return when it answers whoever asks. `Raises` RegistryAwayError, AccessError."""
        await self._ask("GET", "schemas/ids/1")

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any] | None:
        """The answer; None where the registry says that it does not have it."""
        try:
            answer = await self._http.request(
                method, path, json=body, headers={"Content-Type": _TYPE} if body is not None else None
            )
        except httpx.HTTPError as error:
            for cause in _causes(error):
                if isinstance(cause, ssl.SSLCertVerificationError):
                    raise AccessError(
                        f"the certificate of the schema registry {self._access.url} is refused: {cause.verify_message}"
                    ) from None
            raise RegistryAwayError(f"{self._access.url}: {error or type(error).__name__}") from None
        if answer.status_code in (401, 403):
            raise AccessError(
                f"the schema registry {self._access.url} refuses {self._access.who}: {method} /{path.partition('?')[0]} is answered by {answer.status_code}"
            )
        try:
            found = answer.json()
            code = found.get("error_code")
        except (ValueError, AttributeError):
            found, code = {}, None
        if answer.is_success and found and code is None:
            return found  # type: ignore[no-any-return]
        if answer.status_code == httpx.codes.NOT_FOUND and isinstance(code, int) and _is_unknown(code):
            return None
        if answer.status_code in (409, 422) and body is not None:
            raise IncompatibleError(str(found.get("message") or answer.text)[:_SHOWN])
        raise RegistryAwayError(f"{self._access.url} answers {method} /{path} by {answer.status_code}")


def _is_unknown(code: int) -> bool:
    return code in _UNKNOWN or code == 40408  # the subject has no mode of its own


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
