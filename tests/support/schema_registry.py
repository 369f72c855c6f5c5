"""A schema registry in this process: a stand-in for the real one, over the part of Confluent's REST interface that is used, as its documentation has it.

https://docs.confluent.io/platform/current/schema-registry/develop/api.html. Schemas of subjects are compared by equality only: which subjects refuse a schema
as incompatible is said by the test.
"""

import base64
import io
import json
import ssl
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import fastavro

from stream_app.local.ports import HOST
from tests.support.secured import Certificate

Answer = tuple[int, Any]


class SchemaRegistry:
    """`asked`: how often by method and path. `port`: one to listen at, so that it may come later than whoever asks; `user`: name and password."""

    def __init__(
        self, *, port: int = 0, user: tuple[str, str] | None = None, certificate: Certificate | None = None
    ) -> None:
        self.asked: Counter[str] = Counter()
        self.subjects: dict[str, list[int]] = {}
        self.modes: dict[str, str] = {}
        self.incompatible: set[str] = set()
        self.broken: Answer | None = None  # in place of every answer
        self._schemas: dict[int, dict[str, Any]] = {}
        self._serialized: dict[int, str] = {}
        self._user = user and "Basic " + base64.b64encode(":".join(user).encode()).decode()
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._do()

            def do_PUT(self) -> None:
                self._do()

            def do_POST(self) -> None:
                self._do()

            def _do(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "{}")
                status, answer = registry._answer(self.command, self.path, body, self.headers.get("Authorization"))
                data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer((HOST, port), Handler)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate.cert, certificate.key)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"{'https' if certificate else 'http'}://{HOST}:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def add(
        self,
        schema: Any,
        *,
        kind: str = "AVRO",
        subject: str = "of-a-team",
        references: Sequence[Mapping[str, Any]] = (),
        serialized: bytes | None = None,
    ) -> int:
        """Register a schema; its id. `serialized`: the descriptor of one of Protobuf, which a real registry makes itself."""
        text = schema if isinstance(schema, str) else json.dumps(schema)
        wanted = {"schema": text, "schemaType": kind, "references": list(references)}
        number = next((each for each, known in self._schemas.items() if known == wanted), 7000 + len(self._schemas))
        self._schemas[number] = wanted
        if serialized is not None:
            self._serialized[number] = base64.b64encode(serialized).decode()
        versions = self.subjects.setdefault(subject, [])
        if number not in versions:
            versions.append(number)
        return number

    def schema(self, subject: str) -> Any:
        """The newest schema of a subject."""
        return json.loads(self._schemas[self.subjects[subject][-1]]["schema"])

    def _answer(  # noqa: PLR0911  # a case an endpoint
        self, method: str, path: str, body: dict[str, Any], authorization: str | None
    ) -> Answer:
        path, _, query = unquote(path).partition("?")
        self.asked[f"{method} {path}"] += 1
        if self.broken:
            return self.broken
        if self._user and authorization != self._user:
            return 401, {"error_code": 401, "message": "Unauthorized"}
        match [method, *path.strip("/").split("/")]:
            case ["GET", "schemas", "ids", number] if "format=serialized" in query:
                return 200, {"schema": self._serialized[int(number)]}
            case ["GET", "schemas", "ids", number]:
                found = self._schemas.get(int(number))
                return (200, _told(found)) if found else (404, {"error_code": 40403, "message": "Schema not found"})
            case ["GET", "subjects", subject, "versions", version]:
                versions = self.subjects.get(subject, [])
                if int(version) > len(versions):
                    return 404, {"error_code": 40402, "message": "Version not found"}
                number = versions[int(version) - 1]
                return 200, _told(self._schemas[number]) | {"subject": subject, "id": number}
            case ["POST", "subjects", subject, "versions"]:
                if subject in self.incompatible:
                    return 409, {"error_code": 409, "message": "Schema being registered is incompatible: PROPERTY"}
                return 200, {"id": self.add(body["schema"], kind=body["schemaType"], subject=subject)}
            case ["GET", "config", subject]:
                if subject not in self.modes:
                    return 404, {"error_code": 40408, "message": f"Subject '{subject}' has no mode"}
                return 200, {"compatibilityLevel": self.modes[subject]}
            case ["PUT", "config", subject]:
                self.modes[subject] = body["compatibility"]
                return 200, body
        return 404, b"<html>not found</html>"


def _told(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is as usual: the type AVRO, and no references."""
    return {name: value for name, value in schema.items() if value not in ("AVRO", [])}


def avro(number: int, schema: Any, record: Any) -> bytes:
    """A record of Avro in the wire format."""
    out = io.BytesIO(b"\0" + number.to_bytes(4))
    out.seek(5)
    fastavro.schemaless_writer(out, _parsed(json.dumps(schema)), record)
    return out.getvalue()


@cache
def _parsed(schema: str) -> Any:
    return fastavro.parse_schema(json.loads(schema))
