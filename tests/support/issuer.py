"""An issuer of tokens for the SASL mechanism OAUTHBEARER: a token endpoint by HTTPS, and its keys by HTTP for the broker."""

import base64
import json
import ssl
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote_plus

from joserfc import jwt
from joserfc.jwk import ECKey

from stream_app.local.ports import HOST
from tests.support.secured import Certificate

AUDIENCE = "kafka"
SCOPE = "brokers"


class Issuer:
    """Gives clients with the right secret tokens for AUDIENCE, if they ask for SCOPE. `asked`: how often."""

    def __init__(self, clients: Mapping[str, str], certificate: Certificate, *, seconds: int = 300) -> None:
        self._clients, self._seconds = clients, seconds
        self._key = ECKey.generate_key("P-256", {"kid": "1", "use": "sig", "alg": "ES256"})
        self.asked = 0
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(200, {"keys": [issuer._key.as_dict(private=False)]})

            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                self._answer(*issuer._token(self.headers.get("Authorization", ""), form))

            def _answer(self, status: int, body: dict[str, Any]) -> None:
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self._servers = [ThreadingHTTPServer((HOST, 0), Handler) for _ in range(2)]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.cert, certificate.key)
        self._servers[0].socket = context.wrap_socket(self._servers[0].socket, server_side=True)
        for server in self._servers:
            threading.Thread(target=server.serve_forever, daemon=True).start()
        self.token_url = f"https://{HOST}:{self._servers[0].server_port}/token"
        self.jwks_url = f"http://{HOST}:{self._servers[1].server_port}/jwks"

    def _token(self, authorization: str, form: Mapping[str, list[str]]) -> tuple[int, dict[str, Any]]:
        self.asked += 1
        client, _, secret = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        client, secret = unquote_plus(client), unquote_plus(secret)
        if form.get("grant_type") != ["client_credentials"] or form.get("scope") != [SCOPE]:
            return 400, {"error": "invalid_request"}
        if self._clients.get(client) != secret:
            return 401, {"error": "invalid_client"}
        now = int(time.time())
        claims = {
            "iss": "https://issuer.example",
            "sub": client,
            "aud": AUDIENCE,
            "scope": SCOPE,
            "iat": now,
            "exp": now + self._seconds,
        }
        token = jwt.encode({"alg": "ES256", "kid": "1"}, claims, self._key)
        return 200, {"access_token": token, "token_type": "Bearer", "expires_in": self._seconds}

    def close(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()
